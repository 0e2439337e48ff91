"""More machines, bigger ones, or fewer? Advice from what was measured, with the rule it follows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from scipy.special import gammaln, pdtr

from utils.monitors import windows
from utils.monitors.infrastructure import numbers_in, poisson
from utils.monitors.intervals import checked_level
from utils.text import number, percent, tr

Action = Literal["up", "down", "out", "in", "keep"]

SIZE = 2.0
"""How many times as fast and as dear the next bigger machine is taken to be."""

_MOST_REPLICAS = 10_000
_MOST_ROWS = 20_000


def waiting_probability(load: float, servers: int) -> float:
    """Return the probability that a request has to wait: Erlang's C formula.

    ``load`` is the work that arrives a second: arrivals a second times the seconds each takes. At a
    load of ``servers`` or more the queue grows without end, and everybody waits: 1.

    It holds for arrivals at random (Poisson) and service times of any length that are independent
    of one another, exactly where they are exponential, and near enough otherwise.

    Source: A. K. Erlang (1917), "Solution of some problems in the theory of probabilities of
    significance in automatic telephone exchanges".

    >>> round(waiting_probability(2.0, 3), 4)
    0.4444
    """
    if servers < 1 or load < 0:
        raise ValueError(
            f"servers={servers!r}, load={load!r}: 1 or more, and 0 or more, are needed"
        )
    if load >= servers:
        return 1.0
    if load == 0:
        return 0.0
    all_busy = np.exp(servers * np.log(load) - load - gammaln(servers + 1))
    blocked = all_busy / pdtr(servers, load)
    return float(blocked / (1 - load / servers * (1 - blocked)))


def slow_share(
    service_ms: np.ndarray, *, arrivals_per_s: float, servers: int, target_ms: float
) -> float:
    """Return the share of requests that would take longer than ``target_ms``, waiting included.

    ``service_ms`` are measured times that a request keeps a server busy. How long a request waits
    is taken to be exponential beyond Erlang's C, and longer in proportion to (1 + c²)/2, where c is
    the coefficient of variation of the service times (Allen and Cunneen). Exact for exponential
    times; for others within a few hundredths wherever servers are not nearly all busy.

    It does not know of arrivals in bursts shorter than the time over which ``arrivals_per_s`` is a
    mean, nor of servers that slow each other down.

    Source: A. O. Allen (1990), "Probability, Statistics and Queueing Theory", Academic Press.

    >>> times = np.array([10.0, 20.0, 30.0])
    >>> slow_share(times, arrivals_per_s=0.0, servers=1, target_ms=25.0).__round__(3)
    0.333
    """
    mean_s = float(np.mean(service_ms)) / 1000
    load = arrivals_per_s * mean_s
    if load >= servers:
        return 1.0
    variability = (1 + (np.std(service_ms) / np.mean(service_ms)) ** 2) / 2
    emptied_per_s = (servers / mean_s - arrivals_per_s) / variability
    room_s = (target_ms - service_ms) / 1000
    waits = waiting_probability(load, servers) * np.exp(-emptied_per_s * np.maximum(room_s, 0))
    return float(np.where(room_s < 0, 1.0, waits).mean())


@dataclass(frozen=True, kw_only=True)
class Advice:
    """What to do about the machines, why, and what it would cost.

    - ``action``: "out" (more replicas), "in" (fewer), "up" (bigger machines), "down" (smaller
      ones), or "keep"; ``reason`` says why, with the numbers, in the language in force.
    - ``enough``: whether there was enough to judge by; without, the action is "keep".
    - ``replicas`` now and ``replicas_needed``; ``size`` of the machine advised, 1 being today's.
    - ``peak_per_s``: requests a second in the busiest minute, with its interval; ``service_ms``:
      the mean time that one keeps a worker busy.
    - ``busy``: the share of the workers that is busy at the peak, ``busy_low`` to ``busy_high``;
      ``headroom`` is how much more traffic fits before ``busy_limit``, as a share of the peak (0.5:
      half as much again).
    - ``slow_before``, ``slow_after``: the share of requests over the target at the peak.
    - ``cost_before``, ``cost_after``: of a thousand predictions, in ``currency``.
    """

    action: Action
    reason: str
    enough: bool
    replicas: int
    replicas_needed: int
    size: float
    n_requests: int
    peak_per_s: float
    peak_low: float
    peak_high: float
    service_ms: float
    busy: float
    busy_low: float
    busy_high: float
    busy_limit: float
    headroom: float
    slow_before: float
    slow_after: float
    cost_before: float
    cost_after: float
    currency: str


@dataclass(frozen=True, kw_only=True)
class _Demand:
    """What was measured, and what is asked of the machines."""

    service_ms: np.ndarray
    peak_per_s: float
    peak_low: float
    peak_high: float
    workers: int
    target_ms: float
    percentile: float
    busy_limit: float

    def busy(self, replicas: int, *, size: float = 1.0, peak: float | None = None) -> float:
        per_s = self.peak_per_s if peak is None else peak
        load = per_s * float(self.service_ms.mean()) / 1000 / size
        return load / (replicas * self.workers)

    def slow(self, replicas: int, *, size: float = 1.0, peak: float | None = None) -> float:
        return slow_share(
            self.service_ms / size,
            arrivals_per_s=self.peak_per_s if peak is None else peak,
            servers=replicas * self.workers,
            target_ms=self.target_ms,
        )

    def alone(self, *, size: float = 1.0) -> float:
        """Return the share of requests that would be too slow with nobody else there."""
        return float((self.service_ms / size > self.target_ms).mean())

    def is_met(self, replicas: int, *, size: float = 1.0, peak: float | None = None) -> bool:
        return (
            self.busy(replicas, size=size, peak=peak) <= self.busy_limit
            and self.slow(replicas, size=size, peak=peak) <= 1 - self.percentile
        )

    def needed(self, least: int, *, size: float = 1.0, peak: float | None = None) -> int:
        """Return the fewest replicas that do: a higher number never does worse."""
        low, high = least - 1, least
        while not self.is_met(high, size=size, peak=peak):
            low, high = high, 2 * high
            if high > _MOST_REPLICAS:
                return high
        while high - low > 1:
            middle = (low + high) // 2
            if self.is_met(middle, size=size, peak=peak):
                high = middle
            else:
                low = middle
        return high


def advice(
    frame: pd.DataFrame,
    *,
    replicas: int,
    hourly_price: float,
    currency: str,
    target_ms: float,
    percentile: float = 0.95,
    workers: int = 1,
    busy_limit: float = 0.7,
    usage: pd.DataFrame | None = None,
    memory_limit: float = 0.85,
    least_replicas: int = 1,
    minimum: int = 1000,
    minimum_hours: float = 24,
    level: float = 0.95,
    time_column: str = "event_time",
    service_column: str = "latency_ms",
    memory_feature: str = "memory_share",
) -> Advice:
    """Return whether to scale up, down, out or in, or to keep what there is: and why.

    **The rule.** The load at the peak is the requests a second in the busiest minute times the mean
    of ``service_column``, the time that a request keeps one worker busy (waiting not included).
    Each of ``replicas`` machines has ``workers``. A number of machines is enough when no more than
    ``busy_limit`` of the workers are busy at the peak, *and* no more than 1 - ``percentile`` of the
    requests would take longer than ``target_ms``, waiting included (``slow_share``). Then, in this
    order:

    1. fewer than ``minimum`` requests, or ``minimum_hours`` from first to last: **keep**, and the
       reason says that this is too little to judge by;
    2. memory: the ``p95_use`` of ``memory_feature`` in ``usage`` is above ``memory_limit``: **up**,
       as each replica needs the same memory, however many there are;
    3. the service alone, with nobody waiting, is too slow: **up**, to a size at which it is not;
       more machines would not make one request faster. This takes a service that computes: one that
       waits for a database is not made faster by either. Where 16 times the size is not enough:
       **keep**, and make the model lighter;
    4. what is needed at the measured peak is more than there is: **out**;
    5. what is needed at the *upper bound* of the peak is less than there is: **in**, never to fewer
       than ``least_replicas``;
    6. at that least, a machine of half the size would do as well at the upper bound, and ``usage``
       shows that twice the share of the memory fits: **down**. Without ``usage`` the memory is not
       known, and it is kept;
    7. else **keep**.

    A machine twice as big is taken to be twice as fast and twice as dear. ``usage`` is a table of
    ``infrastructure.usage`` of the same period.

    **What it does not tell.** The peak is one that was seen: it knows of no campaign next month.
    Measured times hold at the load at which they were measured; workers that share a processor slow
    each other down beyond it. The busiest of many minutes is high by chance as well, so for little
    traffic the advice errs on the safe side. Intervals hold at ``level`` and are those of a Poisson
    count in that minute.

    Raises ``ValueError`` naming the argument, the value and the rule.

    >>> from utils.text import using
    >>> rng = np.random.default_rng(0)
    >>> frame = pd.DataFrame({
    ...     "event_time": pd.date_range("2024-01-01", periods=200_000, freq="500ms", tz="UTC"),
    ...     "latency_ms": rng.gamma(4, 200, 200_000)})
    >>> with using("en"):
    ...     found = advice(frame, replicas=2, hourly_price=0.5, currency="BRL", target_ms=2000)
    >>> print(found.action, found.replicas_needed, round(found.busy, 2))
    out 3 0.8
    """
    _check(
        replicas=replicas,
        workers=workers,
        least_replicas=least_replicas,
        minimum=minimum,
        hourly_price=hourly_price,
        target_ms=target_ms,
        currency=currency,
    )
    for argument, share in (
        ("percentile", percentile),
        ("busy_limit", busy_limit),
        ("memory_limit", memory_limit),
    ):
        if not 0 < share < 1:
            raise ValueError(f"{argument}={share!r}: a number between 0 and 1 is needed")
    checked_level(level)
    time = windows.times(frame, time_column, argument="time_column")
    service = _service(frame, service_column)
    n, hours = len(service), (float(np.ptp(time)) / 3.6e9 if len(time) else 0.0)
    about = {"replicas": replicas, "n_requests": n, "currency": currency, "busy_limit": busy_limit}
    if n < minimum or hours < minimum_hours:
        return _too_little(about, n=n, hours=hours, minimum=minimum, minimum_hours=minimum_hours)
    peak = np.bincount((time - time.min() // 60_000_000 * 60_000_000) // 60_000_000).max()
    low, high = poisson(peak, level=level)
    demand = _Demand(
        service_ms=_thinned(service),
        peak_per_s=float(peak) / 60,
        peak_low=float(low) / 60,
        peak_high=float(high) / 60,
        workers=workers,
        target_ms=target_ms,
        percentile=percentile,
        busy_limit=busy_limit,
    )
    memory = _memory(usage, memory_feature)
    action, wanted, size, reason = _decided(
        demand, replicas=replicas, least=least_replicas, memory=memory, memory_limit=memory_limit
    )
    per_thousand = 1000 * hourly_price * hours / len(time)
    busy = demand.busy(replicas)
    return Advice(
        action=action,
        reason=reason,
        enough=True,
        replicas_needed=wanted,
        size=size,
        peak_per_s=demand.peak_per_s,
        peak_low=demand.peak_low,
        peak_high=demand.peak_high,
        service_ms=float(service.mean()),
        busy=busy,
        busy_low=demand.busy(replicas, peak=demand.peak_low),
        busy_high=demand.busy(replicas, peak=demand.peak_high),
        headroom=busy_limit / busy - 1,
        slow_before=demand.slow(replicas),
        slow_after=demand.slow(wanted, size=size),
        cost_before=per_thousand * replicas,
        cost_after=per_thousand * wanted * size,
        **about,
    )


# ------------------------------------------------------------------------------ reading the data


def _check(*, currency: str, hourly_price: float, target_ms: float, **counts: int) -> None:
    for argument, count in counts.items():
        if not (count >= 1 and int(count) == count):
            raise ValueError(f"{argument}={count!r}: a whole number, 1 or more, is needed")
    for argument, value in (("hourly_price", hourly_price), ("target_ms", target_ms)):
        if not (value > 0 and np.isfinite(value)):
            raise ValueError(f"{argument}={value!r}: a number above 0 is needed")
    if not currency.strip():
        raise ValueError(f"currency={currency!r}: name the unit of the price, such as 'BRL'")


def _service(frame: pd.DataFrame, name: str) -> np.ndarray:
    service = numbers_in(frame, name, argument="service_column")
    service = service[~np.isnan(service)]
    odd = service[(service < 0) | ~np.isfinite(service)]
    if len(odd):
        raise ValueError(f"service_column={name!r} holds {odd[0]:g}: a time of 0 or more is needed")
    if len(service) and not service.any():
        raise ValueError(f"service_column={name!r} holds nothing but 0: no time was measured")
    return service


def _thinned(service: np.ndarray) -> np.ndarray:
    """Return quantiles in place of very many times: the same distribution, quick to go through."""
    if len(service) <= _MOST_ROWS:
        return service
    places = (np.arange(_MOST_ROWS) + 0.5) / _MOST_ROWS * len(service)
    return np.sort(service)[places.astype(np.int64)]


def _memory(usage: pd.DataFrame | None, feature: str) -> float | None:
    """Return the highest 95th percentile of the memory over the windows, where it is known."""
    if usage is None:
        return None
    rows = usage[(usage["metric"] == "p95_use") & (usage["feature"] == feature)]
    if rows.empty:
        raise ValueError(f"memory_feature={feature!r}: usage has no 'p95_use' of it")
    highest = rows["value"].max()
    return None if np.isnan(highest) else float(highest)


# -------------------------------------------------------------------------------------- deciding


def _decided(
    demand: _Demand, *, replicas: int, least: int, memory: float | None, memory_limit: float
) -> tuple[Action, int, float, str]:
    """Return the action, the replicas and the size that it leads to, and the reason."""
    if memory is not None and memory > memory_limit:
        wanted = max(replicas, demand.needed(least, size=SIZE))
        return "up", wanted, SIZE, _because_of_memory(memory, memory_limit)
    if demand.alone() > 1 - demand.percentile:
        for size in (SIZE**power for power in range(1, 5)):
            if demand.alone(size=size) <= 1 - demand.percentile:
                wanted = demand.needed(least, size=size)
                return "up", wanted, size, _because_of_one_request(demand, size)
        return "keep", replicas, 1.0, _because_no_machine_helps(demand)
    needed = demand.needed(least)
    if needed > replicas:
        return "out", needed, 1.0, _because_of_traffic(demand, replicas, needed)
    surely = demand.needed(least, peak=demand.peak_high)
    if surely < replicas:
        return "in", surely, 1.0, _because_of_idling(demand, replicas, surely)
    smaller = 1 / SIZE
    if replicas == least and demand.is_met(replicas, size=smaller, peak=demand.peak_high):
        if memory is None:
            return "keep", replicas, 1.0, _because_memory_is_unknown(demand, replicas)
        if memory * SIZE <= memory_limit:
            return "down", replicas, smaller, _because_half_is_enough(demand, replicas, memory)
    return "keep", replicas, 1.0, _because_it_fits(demand, replicas)


def _too_little(about: dict, *, n: int, hours: float, minimum: int, minimum_hours: float) -> Advice:
    unknown = dict.fromkeys(
        (
            *("peak_per_s", "peak_low", "peak_high", "service_ms", "busy", "busy_low"),
            *("busy_high", "headroom", "slow_before", "slow_after", "cost_before", "cost_after"),
        ),
        np.nan,
    )
    reason = tr(
        pt=f"Dados de menos para recomendar: {number(n)} requisições em {number(hours, digits=3)} "
        f"h; são precisas {number(minimum)} e {number(minimum_hours)} h.",
        en=f"Too little to advise by: {number(n)} requests in {number(hours, digits=3)} h; "
        f"{number(minimum)} and {number(minimum_hours)} h are needed.",
    )
    return Advice(
        action="keep",
        reason=reason,
        enough=False,
        replicas_needed=about["replicas"],
        size=1.0,
        **about,
        **unknown,
    )


def _peak(demand: _Demand, replicas: int) -> str:
    """Say how busy the workers are at the peak, and how many answers come too late."""
    per_s = number(demand.peak_per_s, digits=3)
    each = number(float(demand.service_ms.mean()), digits=3)
    busy, slow = percent(_rounded(demand.busy(replicas))), _late(demand.slow(replicas))
    target = number(demand.target_ms)
    return tr(
        pt=f"no pico, {per_s} requisições por segundo de {each} ms ocupam {busy} da capacidade, e "
        f"{slow} passam de {target} ms",
        en=f"at the peak, {per_s} requests a second of {each} ms keep {busy} of the capacity busy, "
        f"and {slow} take more than {target} ms",
    )


def _rounded(share: float) -> float:
    return float(f"{share:.3g}")


def _late(share: float) -> str:
    if share < 0.0001:
        least = percent(0.0001)
        return tr(pt=f"menos de {least}", en=f"less than {least}")
    return percent(_rounded(share))


def _allowed(demand: _Demand) -> str:
    limit, late = percent(demand.busy_limit), percent(_rounded(1 - demand.percentile))
    return tr(
        pt=f"os limites são {limit} e {late}",
        en=f"the limits are {limit} and {late}",
    )


def _because_of_memory(memory: float, limit: float) -> str:
    used, most = percent(_rounded(memory)), percent(limit)
    return tr(
        pt=f"Máquinas maiores: o percentil 95 da memória é {used}, acima de {most}; cada réplica "
        "precisa da mesma memória, por mais réplicas que haja.",
        en=f"Bigger machines: the 95th percentile of the memory is {used}, above {most}; each "
        "replica needs the same memory, however many there are.",
    )


def _alone(demand: _Demand) -> str:
    share, target = percent(_rounded(demand.alone())), number(demand.target_ms)
    late = percent(_rounded(1 - demand.percentile))
    return tr(
        pt=f"{share} das requisições levam mais de {target} ms só no serviço, sem fila, e o limite "
        f"é {late}; mais réplicas não aceleram uma requisição",
        en=f"{share} of the requests take more than {target} ms in the service alone, with no "
        f"queue, and the limit is {late}; more replicas do not make one request faster",
    )


def _because_of_one_request(demand: _Demand, size: float) -> str:
    times = number(size)
    return tr(
        pt=f"Máquinas {times} vezes maiores: {_alone(demand)}. Vale se o tempo é de cálculo, e não "
        "de espera por outro sistema.",
        en=f"Machines {times} times as big: {_alone(demand)}. This holds if the time goes into "
        "computing, and not into waiting for another system.",
    )


def _because_no_machine_helps(demand: _Demand) -> str:
    return tr(
        pt=f"Manter: {_alone(demand)}, e 16 vezes a máquina também não bastaria. O modelo precisa "
        "ficar mais leve, ou a meta mudar.",
        en=f"Keep: {_alone(demand)}, and 16 times the machine would not do either. The model has "
        "to become lighter, or the target has to change.",
    )


def _because_of_traffic(demand: _Demand, replicas: int, needed: int) -> str:
    return tr(
        pt=f"De {replicas} para {needed} réplicas: {_peak(demand, replicas)}; {_allowed(demand)}.",
        en=f"From {replicas} to {needed} replicas: {_peak(demand, replicas)}; {_allowed(demand)}.",
    )


def _because_of_idling(demand: _Demand, replicas: int, needed: int) -> str:
    high, late = _at_most(demand, needed)
    return tr(
        pt=f"De {replicas} para {needed} réplicas: {_peak(demand, replicas)}; mesmo no limite "
        f"superior do pico, {needed} bastam ({high} ocupados, {late} atrasadas).",
        en=f"From {replicas} to {needed} replicas: {_peak(demand, replicas)}; even at the upper "
        f"bound of the peak {needed} are enough ({high} busy, {late} late).",
    )


def _at_most(demand: _Demand, replicas: int, *, size: float = 1.0) -> tuple[str, str]:
    at = {"size": size, "peak": demand.peak_high}
    return percent(_rounded(demand.busy(replicas, **at))), _late(demand.slow(replicas, **at))


def _because_half_is_enough(demand: _Demand, replicas: int, memory: float) -> str:
    high, late = _at_most(demand, replicas, size=1 / SIZE)
    used = percent(_rounded(memory))
    return tr(
        pt=f"Máquinas com metade do tamanho: {_peak(demand, replicas)}; com a metade, {high} "
        f"ocupados e {late} atrasadas no limite superior do pico; a memória usada, {used}, cabe.",
        en=f"Machines of half the size: {_peak(demand, replicas)}; with half of it, {high} busy "
        f"and {late} late at the upper bound of the peak; the memory used, {used}, fits.",
    )


def _because_memory_is_unknown(demand: _Demand, replicas: int) -> str:
    return tr(
        pt=f"Manter: {_peak(demand, replicas)}. Metade da máquina bastaria para o tráfego, mas sem "
        "a medida da memória não se sabe se o modelo cabe nela.",
        en=f"Keep: {_peak(demand, replicas)}. Half the machine would do for the traffic, but "
        "without a measure of the memory nobody knows whether the model fits into it.",
    )


def _because_it_fits(demand: _Demand, replicas: int) -> str:
    return tr(
        pt=f"Manter: {_peak(demand, replicas)}; {_allowed(demand)}.",
        en=f"Keep: {_peak(demand, replicas)}; {_allowed(demand)}.",
    )
