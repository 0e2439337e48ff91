"""What the page does in the browser: ask, show what is new, and keep the reader where they are."""

SCRIPT = r"""
const about = JSON.parse(document.getElementById('about').textContent)
const quiet = { sync: false, check_eq: false }
const labels = about.labels
const pause = document.getElementById('pause')
let version = about.version
let paused = false
let spokenAt = Date.now()

pause.addEventListener('click', () => {
  paused = !paused
  pause.textContent = labels[Number(paused)]
  pause.classList.toggle('on', paused)
})

// A part that is written anew keeps its focus and how far its table was scrolled.
function write(part, html) {
  if (part.dataset.html === html) return
  const focus = document.activeElement
  const held = part.contains(focus) ? focus : null
  const before = [...part.querySelectorAll('.wide')].map(each => [each.scrollLeft, each.scrollTop])
  part.innerHTML = html
  part.dataset.html = html
  const regions = [...part.querySelectorAll('.wide')]
  regions.forEach((each, at) => before[at] && ([each.scrollLeft, each.scrollTop] = before[at]))
  const links = [...part.querySelectorAll('a')]
  const again = held && (held.href ? links.find(each => each.href === held.href) : regions[0])
  if (again) again.focus({ preventScroll: true })
}

function known(column) {
  return column.includes(null) ? column.map(each => each === null ? NaN : each) : column
}

function draw(name, fed) {
  const found = Bokeh.documents[0]
  const plot = found && found.get_model_by_name(name + '-plot')
  if (!plot) return
  if (fed.factors && String(fed.factors) !== String(plot.y_range.factors)) {
    plot.y_range.setv({ factors: fed.factors }, quiet)
    plot.setv({ height: fed.height }, quiet)
  }
  if (fed.ticks && Object.keys(fed.ticks).length) {
    const ticks = Object.entries(fed.ticks).map(([at, each]) => [Number(at), each])
    const axis = plot.below.find(each => each.ticker)
    axis.ticker.setv({ ticks: ticks.map(([at]) => at) }, quiet)
    axis.setv({ major_label_overrides: new Map(ticks) }, quiet)
  }
  for (const [source, columns] of Object.entries(fed.sources)) {
    const data = Object.fromEntries(Object.entries(columns).map(([k, v]) => [k, known(v)]))
    found.get_model_by_name(source).setv({ data }, quiet)
  }
}

function show(now) {
  if (now.shape !== about.shape) return location.reload()
  version = now.version
  for (const part of document.querySelectorAll('[data-part]')) {
    write(part, now.parts[part.dataset.part])
  }
  for (const [name, fed] of Object.entries(now.plots)) {
    document.getElementById('picture-' + name).hidden = !now.drawn.includes(name)
    draw(name, fed)
  }
  if (Date.now() - spokenAt > 30000) {
    document.getElementById('status').textContent = now.status
    spokenAt = Date.now()
  }
}

async function asked() {
  try {
    const answer = await fetch(`${about.address}&after=${version}`)
    if (answer.status === 401) location.reload()
    document.getElementById('lost').hidden = answer.ok
    return answer.status === 200 ? await answer.json() : null
  } catch (error) {  // the network, or a server that is gone
    document.getElementById('lost').hidden = false
    return null
  }
}

async function look() {
  setTimeout(look, about.period_ms)
  if (paused || document.hidden) return
  const now = await asked()
  if (now && !paused && now.version !== version) show(now)
}
setTimeout(look, about.period_ms)

// Bokeh's plots take the focus and do nothing with it, and tell the server whatever changes here;
// what they show is in the tables, and is the same for everybody.
function unfocus(root) {
  for (const each of root.querySelectorAll('*')) {
    if (each.hasAttribute('tabindex')) each.tabIndex = -1
    if (each.shadowRoot) unfocus(each.shadowRoot)
  }
}

// A narrow plot has room for fewer ticks.
function fit(plot) {
  for (const axis of plot.below) {
    if (!('desired_num_ticks' in axis.ticker)) continue
    const ticks = Math.max(2, Math.min(8, Math.floor(plot.inner_width / 90)))
    axis.ticker.setv({ desired_num_ticks: ticks }, { sync: false })
  }
}

setInterval(() => {
  document.querySelectorAll('.picture').forEach(unfocus)
  for (const each of Bokeh.documents) {
    for (const name of about.plots) {
      const plot = each.get_model_by_name(name + '-plot')
      if (plot) fit(plot)
    }
    each._callbacks.clear()
  }
}, 500)
"""
