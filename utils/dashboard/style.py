"""How the page looks."""

PAGE = """
* { box-sizing: border-box; }
body { font: 16px/1.5 system-ui, "Segoe UI", "DejaVu Sans", sans-serif; color: #1a1a1a; }
a { color: #00568f; }
a:focus-visible, button:focus-visible, input:focus-visible,
.wide:focus-visible, main:focus-visible {
  outline: 3px solid #0b5cad; outline-offset: 2px; }
html, body { margin: 0; background: #f3f5f8; }
.skip { position: absolute; left: -999px; top: 0; background: #fff; padding: .6rem 1rem;
  z-index: 9; }
.skip:focus { left: .5rem; top: .5rem; }
header { background: #10233a; color: #fff; padding: .9rem 1.5rem; }
header > div { max-width: 82rem; margin: 0 auto; display: flex; flex-wrap: wrap; gap: .6rem 1.4rem;
  align-items: center; }
header h1 { font-size: 1.35rem; margin: 0; font-weight: 650; }
header p { margin: 0; color: #c9d6e6; font-size: .95rem; }
header nav { margin-left: auto; display: flex; gap: .9rem; align-items: center; }
header a { color: #fff; }
header a[aria-current] { font-weight: 700; text-decoration: none;
  border-bottom: 2px solid #56b4e9; }
header a:focus-visible, header button:focus-visible { outline-color: #ffd166; }
button { font: inherit; cursor: pointer; border-radius: 6px; border: 1px solid #8fa3bb;
  background: transparent; color: inherit; padding: .25rem .8rem; }
main { max-width: 82rem; margin: 0 auto; padding: 1.2rem 1.5rem 3rem; }
.grid { display: grid; grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 1.1rem; }
section { background: #fff; border: 1px solid #d9e0e8; border-radius: 10px; padding: 1rem 1.2rem;
  min-width: 0; }
section.plain { background: none; border: 0; padding: 0 0 1rem; }
#pause { margin-top: .5rem; background: #fff; font-weight: 600; }
#pause.on { background: #10233a; color: #fff; }
section.all { grid-column: 1 / -1; }
.both > div { min-width: 0; }
.beside .both { display: grid; grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 0 1.6rem; }
#drift .both { grid-template-columns: 2fr 3fr; }
.key { display: flex; flex-wrap: wrap; gap: .1rem 1.2rem; margin: .3rem 0 .2rem;
  font-size: .88rem; }
.key span { display: inline-flex; align-items: center; gap: .4rem; }
.key i { width: 1.1rem; height: .8rem; background: var(--ink); }
.key .blue { --ink: #0072b2; }
.key .orange { --ink: #e69f00; }
.key .red { --ink: #d55e00; }
.key .hatched { background: repeating-linear-gradient(45deg, var(--ink) 0 4px, #fff 4px 6px); }
.key .crossed { background: repeating-linear-gradient(90deg, var(--ink) 0 4px, #fff 4px 6px); }
.key .line { background: none; height: 0; width: 1.8rem; border-top: 3px solid var(--ink); }
.key .dashed { border-top-style: dashed; }
.key .dotted { border-top-style: dotted; }
.text { max-width: 46rem; margin: 0 auto; }
.text h1 { font-size: 1.4rem; margin: 0 0 .6rem; }
.text h2 { margin-top: 1.2rem; }
h2 { font-size: 1.12rem; margin: 0 0 .3rem; }
.hint { color: #505a66; font-size: .9rem; margin: .1rem 0 .5rem; max-width: 62rem; }
.bar { display: flex; flex-wrap: wrap; gap: .5rem 1.2rem; align-items: center;
  margin-bottom: .9rem; }
.spoken { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
form.in { max-width: 27rem; margin: 12vh auto 0; background: #fff; border: 1px solid #d9e0e8;
  border-radius: 10px; padding: 1.6rem 1.8rem; }
form.in h1 { font-size: 1.3rem; margin: 0 0 .8rem; }
form.in label { display: block; font-weight: 600; margin-bottom: .3rem; }
form.in input { font: inherit; width: 100%; padding: .5rem .6rem; border: 1px solid #66758a;
  border-radius: 6px; }
form.in button { margin-top: 1rem; background: #10233a; color: #fff; padding: .5rem 1.2rem; }
form.in .hint { margin-top: .6rem; }
.wrong { background: #fdecea; border-left: .35rem solid #a01c10; padding: .5rem .8rem; }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(11rem, 1fr)); gap: .8rem;
  margin: 0; }
.card { background: #fff; border: 1px solid #d9e0e8; border-left: .4rem solid #0072b2;
  border-radius: 10px; padding: .6rem .9rem; }
.card.warn { border-left-color: #8a5a00; background: #fffaf0; }
.card.bad { border-left-color: #a01c10; background: #fff4f2; }
.card dt { color: #434d59; font-size: .9rem; }
.card dd { margin: 0; }
.card b { display: block; font-size: 1.65rem; line-height: 1.25;
  font-variant-numeric: tabular-nums; }
.card small { color: #505a66; font-size: .85rem; }
.moment { color: #505a66; font-size: .85rem; margin: .5rem 0 0; }
.trouble { background: #fdecea; border-left: .35rem solid #a01c10; padding: .5rem .8rem;
  margin: 0 0 .8rem; }
.finding { font-weight: 600; margin: 0 0 .4rem; }
.finding.bad { color: #8e1a10; }
.finding.quiet { color: #00543d; }
.picture { overflow: hidden; }
.wide { overflow: auto; max-height: 24rem; margin-top: .5rem; }
table { border-collapse: collapse; font-size: .88rem; width: 100%; }
caption { text-align: left; font-weight: 600; padding: .2rem 0; color: #434d59; }
thead th { position: sticky; top: 0; background: #fff; border-bottom: 2px solid #b8c2cf; }
tbody th { min-width: 8rem; overflow-wrap: anywhere; }
th, td { padding: .22rem .6rem; text-align: left; vertical-align: top; }
tbody tr { border-bottom: 1px solid #e3e8ee; }
tbody th { font-weight: 400; }
.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.alerts { list-style: none; margin: 0; padding: 0; display: grid; gap: .8rem;
  grid-template-columns: repeat(auto-fit, minmax(min(26rem, 100%), 1fr)); }
.alerts li { border-left: .4rem solid #8a5a00; background: #fffaf0; padding: .5rem .9rem; }
.alerts li.critical { border-color: #a01c10; background: #fff4f2; }
.alerts h3 { font-size: 1rem; margin: 0 0 .2rem; }
.badge { font-size: .78rem; font-weight: 600; color: #fff; background: #8a5a00; border-radius: 4px;
  padding: .1rem .5rem; margin-left: .3rem; white-space: nowrap; }
.critical .badge { background: #a01c10; }
.alerts dl { display: grid; grid-template-columns: max-content 1fr; gap: .05rem .9rem; margin: 0;
  font-size: .93rem; }
.alerts dt { color: #505a66; }
.alerts dd { margin: 0; }
@media (max-width: 60rem) {
  .grid, .beside .both, #drift .both { grid-template-columns: minmax(0, 1fr); }
}
@media (max-width: 30rem) {
  main { padding: 1rem .7rem 3rem; }
  section { padding: .9rem .8rem; }
  th, td { padding: .22rem .35rem; }
  table { width: max-content; min-width: 100%; }
  td { max-width: 11rem; }
  tbody th { max-width: 10rem; }
  caption { max-width: calc(100vw - 3.4rem); }
}
@media (prefers-reduced-motion: reduce) { * { transition: none !important; } }
"""
