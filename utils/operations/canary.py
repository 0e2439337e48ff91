"""A canary: a share of the requests goes to a new version, and it is known when to stop looking.

What is looked at is the loss of the canary less that of the champion, block by block (a day each).
Two answers end it: it does **harm** (the difference is as large as ``harm``), or there is **no
harm** (the difference is 0, or below). Which of the two the blocks so far speak for is a ratio of
likelihoods, held against Wald's two bounds after every block: looking often is allowed for. What
speaks for neither goes on, and after ``most_blocks`` it is *undecided*: the canary has to show that
it does no harm, so it is withdrawn.

Source: A. Wald, "Sequential Tests of Statistical Hypotheses", 1945. Neither the difference nor its
spread is known, so each answer takes the values that suit it best; for that the bounds are wider by
a tenth, which keeps the stated chances in simulations of 7 to 42 blocks, normal or with heavy
tails, whatever their spread. That is why no canary is judged on fewer blocks, or goes on for more.
Where blocks are very skewed, or depend on one another, errors are more frequent; so they are where
one of the two chances is many times the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from utils.monitors import windows
from utils.text import number, percent, tr

_WIDER = 1.1

LEAST_BLOCKS, MOST_BLOCKS = 7, 42
"""Between these the stated chances are kept."""

Verdict = Literal["harm", "no harm", "go on", "undecided"]


@dataclass(frozen=True, kw_only=True)
class Canary:
    """How many requests a canary gets, and when it ends.

    ``harm`` is the least difference in loss that would matter, in the unit of the loss.
    ``false_stop`` is the chance that a version as good as the champion is called harmful;
    ``missed_harm`` that one which is worse by ``harm`` is called harmless. Before ``least_blocks``
    nothing is said.

    Raises ``ValueError`` naming the field, its value and the rule.
    """

    harm: float
    share: float = 0.1
    false_stop: float = 0.05
    missed_harm: float = 0.05
    block: str = "1D"
    least_blocks: int = LEAST_BLOCKS
    most_blocks: int = MOST_BLOCKS

    def __post_init__(self) -> None:
        if not self.harm > 0:
            raise ValueError(f"harm={self.harm!r}: must be above 0, in the unit of the loss")
        if not 0 < self.share < 1:
            raise ValueError(f"share={self.share!r}: must lie between 0 and 1")
        for name in ("false_stop", "missed_harm"):
            if not 0 < getattr(self, name) < 0.5:
                raise ValueError(f"{name}={getattr(self, name)!r}: must lie between 0 and 0.5")
        if not LEAST_BLOCKS <= self.least_blocks <= self.most_blocks:
            raise ValueError(
                f"least_blocks={self.least_blocks!r}: must be at least {LEAST_BLOCKS}, and at most "
                f"most_blocks={self.most_blocks!r}"
            )
        if self.most_blocks > MOST_BLOCKS:
            raise ValueError(
                f"most_blocks={self.most_blocks!r}: must be at most {MOST_BLOCKS}; blocks may be "
                f"longer than block={self.block!r}"
            )
        windows.length(self.block, argument="block")

    @property
    def bounds(self) -> tuple[float, float]:
        """Below the first the log likelihood ratio says no harm, above the second harm.

        >>> [round(bound, 2) for bound in Canary(harm=0.5).bounds]
        [-3.24, 3.24]
        """
        low = np.log(self.missed_harm / (1 - self.false_stop))
        high = np.log((1 - self.missed_harm) / self.false_stop)
        return float(_WIDER * low), float(_WIDER * high)


@dataclass(frozen=True, kw_only=True)
class Look:
    """What was seen of a canary, and what follows.

    ``difference`` is the mean over blocks of the canary's loss less the champion's; ``error`` its
    standard error; ``ratio`` the log likelihood ratio of harm to no harm where it ended. ``n_rows``
    are those of the blocks that were looked at.
    """

    verdict: Verdict
    difference: float
    error: float
    ratio: float
    n_blocks: int
    n_rows: int
    block: str = "1D"

    @property
    def sentence(self) -> str:
        """What was seen, in the language in force."""
        ends = {
            "harm": tr(pt="é dano: o canário sai", en="that is harm: it is withdrawn"),
            "no harm": tr(pt="não há dano que importe", en="there is no harm that matters"),
            "go on": tr(pt="ainda não se sabe: continua", en="nobody knows yet: it goes on"),
            "undecided": tr(
                pt="o prazo acabou sem decisão, e cabe ao novo mostrar que não causa dano: ele sai",
                en="time is up without an answer, and it is for the new one to show: withdrawn",
            ),
        }
        return f"{self._found}; {ends[self.verdict]}."

    @property
    def _found(self) -> str:
        n, rows = _blocks_said(self.n_blocks, self.block), number(self.n_rows)
        if self.n_blocks < 2:
            return tr(
                pt=f"o canário tem {rows} requisições com rótulo, e é cedo para comparar",
                en=f"{rows} requests of the canary have their label, and it is early to compare",
            )
        value, error = number(self.difference, digits=3), number(self.error, digits=2)
        return tr(
            pt=f"em {n} e {rows} requisições do canário, a perda média dele menos a do campeão foi "
            f"{value} (erro-padrão {error})",
            en=f"over {n} and {rows} requests of the canary its mean loss less the champion's was "
            f"{value} (standard error {error})",
        )


def _blocks_said(n: int, block: str) -> str:
    """Return a number of blocks for people: days, where they are days.

    >>> from utils.text import using
    >>> with using("en"):
    ...     _blocks_said(7, "1D"), _blocks_said(7, "12h")
    ('7 days', '7 blocks of 12h')
    """
    if _frequency(block) == pd.Timedelta(1, "D"):
        return tr(pt=f"{n} dias", en=f"{n} days")
    return tr(pt=f"{n} blocos de {block}", en=f"{n} blocks of {block}")


def looked(
    differences: Sequence[float], canary: Canary, *, n_rows: int | Sequence[int] = 0
) -> Look:
    """Return what the differences of one block after another say, up to the first that decides.

    ``n_rows`` are the canary's rows, of each block or in all.

    What it does not tell: whether blocks depend on one another, which makes both errors more
    frequent; and nothing of what a canary does apart from its loss.

    >>> better = looked([-0.3, -0.1, -0.4, -0.2, -0.3, -0.2, -0.1, 0.1], Canary(harm=0.5))
    >>> better.verdict, better.n_blocks
    ('no harm', 7)
    >>> looked([0.6, 0.4, 0.7], Canary(harm=0.5)).verdict
    'go on'
    """
    values = np.asarray(differences, dtype=float)
    low, high = canary.bounds
    ratio, n, verdict = np.nan, min(len(values), canary.most_blocks), "go on"
    for n_seen in range(canary.least_blocks, n + 1):
        ratio = _ratio(values[:n_seen], canary.harm)
        if ratio >= high or ratio <= low:
            verdict, n = ("harm" if ratio >= high else "no harm"), n_seen
            break
    else:
        if n == canary.most_blocks:
            verdict = "undecided"
    seen = values[:n]
    return Look(
        verdict=verdict,
        difference=float(seen.mean()) if n else np.nan,
        error=float(seen.std(ddof=1) / np.sqrt(n)) if n > 1 else np.nan,
        ratio=float(ratio),
        n_blocks=n,
        n_rows=int(n_rows if np.ndim(n_rows) == 0 else np.sum(n_rows[:n])),
        block=canary.block,
    )


def path(differences: Sequence[float], canary: Canary) -> pd.DataFrame:
    """Return the log likelihood ratio after each block that may decide: ``n_blocks``, ``ratio``.

    It goes on beyond the block that decides, to show what would have come.

    >>> path([-0.3, -0.1, -0.4, -0.2, -0.3, -0.2, -0.1], Canary(harm=0.5)).round(1).to_numpy()
    array([[  7. , -13.8]])
    """
    values = np.asarray(differences, dtype=float)[: canary.most_blocks]
    n_blocks = range(canary.least_blocks, len(values) + 1)
    ratios = [_ratio(values[:n], canary.harm) for n in n_blocks]
    return pd.DataFrame({"n_blocks": list(n_blocks), "ratio": ratios})


def _ratio(values: np.ndarray, harm: float) -> float:
    """Return the log likelihood ratio of harm (``harm`` or more) to none (0 or less)."""
    mean, spread = values.mean(), max(values.var(), 1e-12 * harm**2)
    from_none, from_harm = max(mean, 0.0), min(mean - harm, 0.0)
    return float(len(values) / 2 * np.log((spread + from_none**2) / (spread + from_harm**2)))


def differences(
    frame: pd.DataFrame,
    *,
    loss_column: str,
    champion_loss_column: str,
    block: str = "1D",
    time_column: str = "event_time",
) -> pd.Series:
    """Return by block how far the canary's mean loss lies from the champion's on the same rows.

    The rows are those that the canary answered: what it cost as served, and what the champion would
    have cost there. Where an answer changes what becomes of a case, nobody knows the second: take
    ``differences_apart``. A row without either does not count.

    >>> day = pd.Timestamp("2013-04-01T12:00Z")
    >>> rows = pd.DataFrame({"event_time": [day, day], "new": [9.0, 13.0], "old": [10.0, 10.0]})
    >>> differences(rows, loss_column="new", champion_loss_column="old").tolist()
    [1.0]
    """
    both = frame[[time_column, loss_column, champion_loss_column]].dropna()
    by_block = both.groupby(both[time_column].dt.floor(_frequency(block)))
    means = by_block[[loss_column, champion_loss_column]].mean()
    return (means[loss_column] - means[champion_loss_column]).rename("difference")


def differences_apart(
    canary: pd.DataFrame,
    champion: pd.DataFrame,
    *,
    loss_column: str,
    block: str = "1D",
    time_column: str = "event_time",
) -> pd.Series:
    """Return by block how far the mean loss of the canary's rows lies from that of the others.

    It holds whatever the answers do, and takes far more rows than ``differences``: which cases went
    to which of the two does not cancel.

    >>> day = pd.Timestamp("2013-04-01T12:00Z")
    >>> one, other = (pd.DataFrame({"event_time": [day], "loss": [x]}) for x in (9.0, 7.5))
    >>> differences_apart(one, other, loss_column="loss").tolist()
    [1.5]
    """
    means = [
        frame.dropna(subset=[loss_column])
        .groupby(frame[time_column].dt.floor(_frequency(block)))[loss_column]
        .mean()
        for frame in (canary, champion)
    ]
    return (means[0] - means[1]).dropna().rename("difference")


def _frequency(block: str) -> pd.Timedelta:
    return windows.length(block, argument="block")


def rule_said(canary: Canary) -> str:
    """Return the stopping rule in a sentence, in the language in force.

    >>> from utils.text import using
    >>> with using("en"):
    ...     rule_said(Canary(harm=0.5))[:44]
    'A canary of 10% of the requests, looked at e'
    """
    share, wrong = percent(canary.share), percent(canary.false_stop)
    missed, harm = percent(canary.missed_harm), number(canary.harm)
    most = _blocks_said(canary.most_blocks, canary.block)
    each = tr(pt=f"a cada {canary.block}", en=f"every {canary.block}")
    if _frequency(canary.block) == pd.Timedelta(1, "D"):
        each = tr(pt="a cada dia", en="each day")
    return tr(
        pt=f"Um canário com {share} das requisições, olhado {each}: para por dano de {harm} "
        f"(chance de {wrong} se ele é igual ao campeão) ou por não haver dano (chance de {missed} "
        f"se há), e sai sem decisão depois de {most}.",
        en=f"A canary of {share} of the requests, looked at {each}: it stops for harm of {harm} "
        f"(a chance of {wrong} if it is as good as the champion) or for no harm (a chance of "
        f"{missed} if there is some), and is withdrawn undecided after {most}.",
    )
