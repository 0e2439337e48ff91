"""The lender of chapter 10: it grants by score, so it learns of those alone whom it granted.

Who asks, and what they would do with a loan, is drawn by ``utils.datasets.credit``. The lender sees
a label of the granted alone; the column ``would_repay`` is the answer key, which no lender has.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import pandas as pd

from utils.datasets import credit, incidents
from utils.monitors.fairness import fairness
from utils.monitors.intervals import difference, wilson
from utils.records import Incident
from utils.text import tr

REFERENCE_FROM = pd.Timestamp("2023-01-02", tz="UTC")
CURRENT_FROM = pd.Timestamp("2024-01-01", tz="UTC")
"""Two Mondays; the year from each has 52 whole weeks."""

WEEK = pd.Timedelta(7, "D")
FEATURES = list(credit.FEATURES)

THRESHOLD = 0.75
GAIN_SHARE = 0.20
LOSS_SHARE = 0.60
"""A loan repaid earns a fifth of its amount, a default costs three fifths: so 0.75 breaks even."""

SCENARIOS: Mapping[str, tuple[str, str, str, str, float]] = {
    "women": ("sex", "female", "male", "income_brl", 0.6),
    "northeast": ("region", "Nordeste", "Sudeste", "income_brl", 0.5),
}
"""By name: the column, the group that is hit, one that is not, and what happens to which input."""

Scores = Callable[[pd.DataFrame], np.ndarray]


def asked(start: pd.Timestamp, *, per_day: float, seed: int, n_days: int = 364) -> pd.DataFrame:
    """Return who asks for a loan from a day on, and, in the answer key, what they would do.

    >>> few = asked(CURRENT_FROM, per_day=10, seed=1, n_days=7)
    >>> sorted(few["would_repay"].unique().tolist())
    [0, 1]
    """
    people = credit.applications(start=start, n_days=n_days, per_day=per_day, seed=seed)
    key = credit.outcomes(people, np.ones(len(people), dtype=bool), seed=seed)
    return key.rename(columns={credit.TARGET: "would_repay"}).drop(columns="approved")


def decided(
    people: pd.DataFrame, scores: Scores, *, threshold: float | pd.Series = THRESHOLD
) -> pd.DataFrame:
    """Return what a store holds of those who asked, and beside it the answer key.

    ``prediction`` is 1 where the score reaches the threshold, which may be one for each row.
    ``label`` and ``label_known_at`` are there for the granted alone; ``would_repay`` for all.

    >>> people = asked(CURRENT_FROM, per_day=10, seed=1, n_days=7)
    >>> told = decided(people, lambda rows: np.linspace(0, 1, len(rows)))
    >>> bool(told["label"].isna().equals(told["prediction"].eq(0)))
    True
    """
    score = np.asarray(scores(people[FEATURES])).round(12)  # the last digits vary by machine
    granted = score >= np.asarray(threshold)
    own = ["applied_at", *FEATURES, *credit.SENSITIVE]
    return (
        people[own]
        .rename(columns={"applied_at": "event_time"})
        .assign(
            score=score,
            prediction=granted.astype("int64"),
            label=people["would_repay"].astype("Int64").where(granted),
            label_known_at=people["known_at"].where(granted),
            would_repay=people["would_repay"].astype("int64"),
        )
        .reset_index(drop=True)
    )


def as_if_all_were_granted(rows: pd.DataFrame) -> pd.DataFrame:
    """Return rows with everybody's label, from the answer key: what is true, and nobody sees."""
    return rows.assign(label=rows["would_repay"])


def happened(
    people: pd.DataFrame, what: list[Incident], *, seed: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return those who ask with incidents injected, and the ledger of these.

    What somebody would do is not touched by what the form makes of them.
    """
    lent = people.rename(columns={"would_repay": credit.TARGET})
    changed, ledger = incidents.inject(
        lent,
        what,
        rng=np.random.default_rng(seed),
        time_column="applied_at",
        relabel=credit.relabel,
    )
    return changed.rename(columns={credit.TARGET: "would_repay"}), ledger


def hit(scenario: str, start: pd.Timestamp, end: pd.Timestamp) -> Incident:
    """Return the incident of a scenario: a form that shrinks the income of one group.

    >>> hit("women", CURRENT_FROM, CURRENT_FROM + WEEK).options["where"]
    {'sex': 'female'}
    """
    if scenario not in SCENARIOS:
        raise ValueError(f"scenario={scenario!r}: must be one of {', '.join(SCENARIOS)}")
    column, group, _, feature, factor = SCENARIOS[scenario]
    return Incident(
        kind="unit_change",
        start=start,
        end=end,
        columns=(feature,),
        options={"factor": factor, "where": {column: group}},
    )


def year_of_incidents() -> list[Incident]:
    """Return what happens in the year from ``CURRENT_FROM``: six incidents of four weeks each.

    Three hit one group through its inputs, one makes everybody's prospects worse, and two change
    who comes and harm nobody.

    >>> [each.kind for each in year_of_incidents()][:2]
    ['unit_change', 'covariate_drift_harmless']
    """

    def weeks(first: int) -> dict[str, pd.Timestamp]:
        return {"start": CURRENT_FROM + first * WEEK, "end": CURRENT_FROM + (first + 4) * WEEK}

    young = Incident(
        kind="unit_change",
        columns=("late_payments_12m",),
        options={"factor": 3.0, "where": {"age_group": "18-24"}},
        **weeks(30),
    )
    branches = incidents.example("population_cut", "credit", strength=1.0, **weeks(22))
    return [
        hit("women", **weeks(3)),
        incidents.example("covariate_drift_harmless", "credit", strength=1.0, **weeks(9)),
        hit("northeast", **weeks(15)),
        replace(branches, columns=("channel",), options={"values": ("branch",)}),
        young,
        incidents.example("concept_drift_sudden", "credit", strength=0.5, **weeks(38)),
    ]


def whom(planned: list[Incident], ledger: pd.DataFrame) -> list[str]:
    """Return whom each incident of a ledger hurts, by the name that the group has in the data.

    >>> from utils.text import using
    >>> planned = year_of_incidents()[:2]
    >>> with using("en"):
    ...     whom(planned, pd.DataFrame({"harmful": [True, False]}))
    ['female', 'nobody']
    """
    everybody, nobody = tr(pt="todos", en="everybody"), tr(pt="ninguém", en="nobody")
    return [
        " ".join(each.options.get("where", {"": everybody}).values()) if harmful else nobody
        for each, harmful in zip(planned, ledger["harmful"], strict=True)
    ]


# ------------------------------------------------------------------------------- policies


def equal_selection(rows: pd.DataFrame, column: str, *, threshold: float = THRESHOLD) -> pd.Series:
    """Return the threshold of each group at which all are granted as often as all together are.

    >>> rows = pd.DataFrame({"sex": list("ffmm"), "score": [0.2, 0.8, 0.6, 0.9]})
    >>> equal_selection(rows, "sex", threshold=0.7).round(2).to_dict()
    {'f': 0.5, 'm': 0.75}
    """
    share = (rows["score"] >= threshold).mean()
    return rows.groupby(column)["score"].quantile(1 - share).rename("threshold")


def equal_recall(rows: pd.DataFrame, column: str, *, threshold: float = THRESHOLD) -> pd.Series:
    """Return the threshold of each group at which payers of all groups are granted alike.

    It takes the labels that there are: of the refused there are none, and their payers are missing.
    """
    payers = rows[rows["label"].eq(1).fillna(False).astype(bool)]
    return equal_selection(payers, column, threshold=threshold)


def reweighing(rows: pd.DataFrame, column: str) -> pd.Series:
    """Return the weight of each row that makes group and label independent.

    P(group) · P(label) / P(group, label), over the rows with a label; 0 without one.

    Source: F. Kamiran and T. Calders (2012), "Data preprocessing techniques for classification
    without discrimination", Knowledge and Information Systems 33.

    >>> rows = pd.DataFrame({"sex": list("ffmm"), "label": [0, 1, 1, 1]})
    >>> reweighing(rows, "sex").round(2).tolist()
    [0.5, 1.5, 0.75, 0.75]
    """
    known = rows[rows["label"].notna()]
    of_group = known[column].map(known[column].value_counts(normalize=True))
    of_label = known["label"].map(known["label"].value_counts(normalize=True))
    both = known.groupby([column, "label"])["label"].transform("size") / len(known)
    weight = of_group.astype(float) * of_label.astype(float) / both
    return weight.reindex(rows.index, fill_value=0.0)


def money_brl(rows: pd.DataFrame) -> pd.Series:
    """Return what each decision brings, in reais: a gain, a loss, or nothing for the refused.

    >>> rows = pd.DataFrame({"prediction": [1, 1, 0], "would_repay": [1, 0, 1],
    ...                      "amount_brl": [1000.0, 1000.0, 1000.0]})
    >>> money_brl(rows).tolist()
    [200.0, -600.0, 0.0]
    """
    return rows["prediction"] * rows["amount_brl"] * _per_real(rows["would_repay"])


def expected_brl(rows: pd.DataFrame) -> pd.Series:
    """Return what each decision brings on average, in reais, by the declared mechanism.

    No lender knows it: it needs the true probability, and leaves out each borrower's luck.

    >>> few = decided(asked(CURRENT_FROM, per_day=10, seed=1, n_days=7), lambda rows: rows.index)
    >>> bool(expected_brl(few)[few["prediction"].eq(0)].eq(0).all())
    True
    """
    true = credit.repayment_probability(rows)
    return rows["prediction"] * rows["amount_brl"] * _per_real(true)


def _per_real(repaid: pd.Series) -> pd.Series:
    return repaid * GAIN_SHARE - (1 - repaid) * LOSS_SHARE


def recall_by(rows: pd.DataFrame, column: str, *, label: str = "would_repay") -> pd.DataFrame:
    """Return, by group, which share of the payers was granted, with its interval (95 %).

    >>> rows = pd.DataFrame({"sex": list("ffff"), "prediction": [1, 1, 0, 0],
    ...                      "would_repay": [1, 1, 1, 0]})
    >>> recall_by(rows, "sex").round(2).to_dict("records")
    [{'group': 'f', 'value': 0.67, 'low': 0.21, 'high': 0.94, 'n': 3}]
    """
    payers = rows[rows[label].eq(1).fillna(False).astype(bool)]
    counted = payers.groupby(column)["prediction"].agg(["sum", "size"])
    low, high = wilson(counted["sum"].to_numpy(float), counted["size"].to_numpy(float), level=0.95)
    return pd.DataFrame(
        {
            "group": counted.index,
            "value": (counted["sum"] / counted["size"]).to_numpy(),
            "low": low,
            "high": high,
            "n": counted["size"].to_numpy(),
        }
    )


GAPS = ("selection_rate", "precision", "recall", "false_positive_rate")


def gaps_in_points(
    rows: pd.DataFrame, column: str, *, group: str, other: str, rng: np.random.Generator
) -> pd.DataFrame:
    """Return by how many percentage points a group has more of each of ``GAPS`` than another.

    Columns ``metric``, ``value``, ``low`` and ``high`` (95 %). It takes the labels that there are.

    >>> rows = pd.DataFrame({"event_time": CURRENT_FROM, "sex": ["f"] * 40 + ["m"] * 40,
    ...                      "prediction": [1, 0] * 20 + [1] * 40, "label": 1})
    >>> found = gaps_in_points(rows, "sex", group="f", other="m", rng=np.random.default_rng(1))
    >>> found.set_index("metric")["value"].round(6).to_dict()["selection_rate"]
    -50.0
    """
    found = fairness(rows, group_column=column, window=None, metrics=list(GAPS), rng=rng)
    found = found.set_index(["group", "metric"])[["value", "low", "high"]]
    own, others = (found.loc[each].loc[list(GAPS)] for each in (group, other))
    value, low, high = difference(
        *own.to_numpy().T,
        reference=others["value"].to_numpy(),
        reference_low=others["low"].to_numpy(),
        reference_high=others["high"].to_numpy(),
    )
    return pd.DataFrame(
        {"metric": GAPS, "value": 100 * value, "low": 100 * low, "high": 100 * high}
    )


def a_month(
    brl: pd.Series, times: pd.Series, *, rng: np.random.Generator, draws: int = 400
) -> dict[str, float]:
    """Return what a month of 30 days brings, and its interval (95 %) by a bootstrap over days.

    Days are taken as independent. ``brl`` has one amount a row and ``times`` when it was decided;
    a day without a row is not there.

    >>> times = pd.Series(pd.date_range("2024-01-01", periods=4, freq="12h", tz="UTC"))
    >>> a_month(pd.Series([1.0, 2.0, 3.0, 0.0]), times, rng=np.random.default_rng(1))
    {'value': 90.0, 'low': 90.0, 'high': 90.0}
    """
    by_day = brl.groupby(times.dt.floor("1D")).sum().to_numpy()
    again = rng.choice(by_day, size=(draws, len(by_day))).mean(axis=1) * 30
    low, high = np.quantile(again, [0.025, 0.975])
    return {"value": float(by_day.mean() * 30), "low": float(low), "high": float(high)}


# ------------------------------------------------------------------------------- reasons


def reasons_moved(
    ledger: pd.DataFrame, shares: pd.DataFrame, quiet: pd.DataFrame, *, n_windows: int = 4
) -> pd.DataFrame:
    """Return, by incident, the feature whose share of the importance moved most, and by how much.

    ``shares`` and ``quiet`` have ``window_start``, ``feature`` and ``value``, of a year of
    incidents and of quiet windows. ``change`` is the mean of the incident's windows less the quiet
    mean; ``in_quiet`` the greatest such change of ``n_windows`` quiet windows in a row. It does not
    tell whether the move harms.

    >>> quiet = pd.DataFrame({"window_start": pd.date_range("2024", periods=4, freq="7D", tz="UTC"),
    ...                       "feature": "debt", "value": [0.2, 0.3, 0.2, 0.3]})
    >>> ledger = pd.DataFrame([{"kind": "k", "harmful": False, "start": quiet["window_start"][0],
    ...                         "end": quiet["window_start"][2]}])
    >>> moved = reasons_moved(ledger, quiet.assign(value=0.4), quiet, n_windows=1)
    >>> moved.round(2).to_dict("records")
    [{'kind': 'k', 'harmful': False, 'feature': 'debt', 'change': 0.15, 'in_quiet': 0.05}]
    """
    usual, now = (
        each.pivot(index="window_start", columns="feature", values="value")
        for each in (quiet, shares)
    )
    in_quiet = (usual.rolling(n_windows).mean() - usual.mean()).abs().max()
    rows = []
    for each in ledger.itertuples():
        during = (now.index >= each.start) & (now.index < each.end)
        if not during.any():
            raise ValueError(f"shares: no window starts within {each.kind!r} from {each.start}")
        change = now[during].mean() - usual.mean()
        most = change.abs().idxmax()
        rows.append((each.kind, each.harmful, most, change[most], in_quiet[most]))
    return pd.DataFrame(rows, columns=["kind", "harmful", "feature", "change", "in_quiet"])


# ------------------------------------------------------------------------------- the lottery


def with_lottery(
    people: pd.DataFrame, rows: pd.DataFrame, *, share: float, rng: np.random.Generator
) -> pd.DataFrame:
    """Return decisions with a lottery: a share of the refused is granted by lot, and labelled.

    ``drawn`` says who; ``weight`` is how many refused people each of them stands for, 1 for those
    whom the score granted and 0 for those who stay without a loan.
    """
    if not 0 < share <= 1:
        raise ValueError(f"share={share!r}: must be in (0, 1]")
    drawn = rows["prediction"].eq(0) & (rng.random(len(rows)) < share)
    has_label = drawn | rows["prediction"].eq(1)
    return rows.assign(
        drawn=drawn,
        weight=np.where(drawn, 1 / share, rows["prediction"]),
        label=rows["would_repay"].astype("Int64").where(has_label),
        label_known_at=people["known_at"].reset_index(drop=True).where(has_label),
    )


def recall_with_lottery(
    rows: pd.DataFrame, *, rng: np.random.Generator, draws: int = 400
) -> dict[str, float]:
    """Return which share of the payers the score granted, each row counted by its ``weight``.

    The interval (95 %) is from a bootstrap over the rows.

    >>> rows = pd.DataFrame({"prediction": [1] * 8 + [0], "weight": [1.0] * 8 + [2.0], "label": 1})
    >>> recall_with_lottery(rows, rng=np.random.default_rng(1))["value"]
    0.8
    """
    pays = rows["label"].eq(1).fillna(False).to_numpy(float) * rows["weight"].to_numpy()
    granted = pays * rows["prediction"].to_numpy()
    again = rng.multinomial(len(rows), np.full(len(rows), 1 / len(rows)), size=draws)
    low, high = np.quantile((again @ granted) / (again @ pays), [0.025, 0.975])
    return {"value": float(granted.sum() / pays.sum()), "low": float(low), "high": float(high)}
