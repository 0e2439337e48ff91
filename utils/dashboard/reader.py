"""One thread that reads, for however many look: counters, the store, alerts, every two seconds.

It asks the store for what is new since an id, so the work hangs on what came and not on what is
stored, nor on how many look. Viewers get what it made last.
"""

from __future__ import annotations

import gzip
import json
import math
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from utils.dashboard.figures import fed
from utils.dashboard.pages import Page, page
from utils.dashboard.snapshot import (
    WINDOWS,
    Alert,
    Drift,
    Performance,
    Snapshot,
    drift_of,
    performance_of,
)
from utils.dashboard.tallies import ANSWERS, Tallies
from utils.records import VigiaError, utc_now
from utils.serving.app import Metrics
from utils.serving.endpoint import Endpoint
from utils.text import using

PERIOD_S = 2.0
RECOUNT_S = 60.0
"""How long what is seldom read again may be old: the total, measurements, silences."""

COUNTED = ("/invocations", "/model", "/ground-truth")
"""The routes whose requests count; pings and scrapes do not."""


def by_status(metrics: Metrics) -> Counter:
    """Return the requests ever answered with each status, of the routes that count."""
    found: Counter = Counter()
    for family in metrics.requests.collect():
        for sample in family.samples:
            if sample.name.endswith("_total") and sample.labels["route"] in COUNTED:
                found[int(sample.labels["status"])] += sample.value
    return found


@dataclass(frozen=True, kw_only=True)
class Made:
    """A page, and the same as it is sent to whoever looks at an older one: JSON, gzipped."""

    page: Page
    sent: bytes


def made_of(page: Page) -> Made:
    """Return a page with what is sent of it."""
    plots = {
        name: fed(name, {each: _plain(column) for each, column in columns.items()})
        for name, columns in page.data.items()
    }
    told = {
        "version": page.version,
        "shape": page.shape,
        "parts": page.parts,
        "plots": plots,
        "drawn": page.drawn,
        "status": page.status,
    }
    text = json.dumps(told, allow_nan=False, ensure_ascii=False)
    return Made(page=page, sent=gzip.compress(text.encode(), compresslevel=1, mtime=0))


def _plain(column: list[Any]) -> list[Any]:
    """Return a column as JSON has it: what is no number is null."""
    return [
        None if isinstance(each, float) and not math.isfinite(each) else each for each in column
    ]


class Reader:
    """Reads in a thread of its own between ``start`` and ``stop``, and keeps the last snapshot.

    ``alerts`` returns the alerts of the deployment, or is ``None`` where nobody keeps any;
    ``runbooks`` names the runbooks that have a page here. ``clock`` tells the moment, ``seconds``
    seconds that never jump.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        metrics: Metrics,
        *,
        alerts: Callable[[], Sequence[Alert]] | None = None,
        runbooks: Collection[str] = (),
        clock: Callable[[], datetime] = utc_now,
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        self._endpoint = endpoint
        self._store = endpoint.store
        self._metrics = metrics
        self._alerts_of = alerts
        self._runbooks = runbooks
        self._clock = clock
        self._seconds = seconds
        self._tallies = Tallies()
        self._last_id = 0
        self._stored = 0
        self._recount_at: float | None = None
        self._mark: int | None = None
        self._performance, self._drift = Performance(), Drift()
        self._alerts: Sequence[Alert] = ()
        self._last_event = 0
        self._version = 0
        self._reading = threading.Lock()
        self._lock = threading.Lock()
        self._made: dict[str, Made] = {}
        self._asked: dict[str, float] = {}
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self.snapshot = self._now(trouble="")

    def start(self) -> None:
        """Begin to read."""
        self._thread = threading.Thread(target=self._run, name="vigia-monitoring", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Read no more, and wait until the last reading is over."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()

    @property
    def is_running(self) -> bool:
        """Whether the thread reads."""
        return self._thread is not None and self._thread.is_alive()

    def _run(self) -> None:
        while True:
            self.read()
            if self._stopping.wait(PERIOD_S):
                return

    def read(self) -> None:
        """Read once: take what is new, and make the snapshot and the pages that are looked at.

        Whoever cannot wait for the thread's next reading may call it, beside the thread too.
        """
        with self._reading:
            self._read()

    def _read(self) -> None:
        trouble = ""
        at = self._seconds()
        self._tallies.requests(by_status(self._metrics), at=at)
        try:
            self._read_store(at)
        except VigiaError as error:
            trouble = str(error)
        self.snapshot = self._now(trouble=trouble)
        self._version += 1
        for language, asked in list(self._asked.items()):
            if at - asked < RECOUNT_S:
                self._make(language)

    def _read_store(self, at: float) -> None:
        store, name = self._store, self._endpoint.deployment.name
        again = self._recount_at is None or at >= self._recount_at
        found = store.activity(name, after=self._last_id, limit=ANSWERS)
        self._tallies.answers(
            at=at,
            latencies_ms=found.latencies_ms,
            scores=found.scores,
            predictions=found.predictions,
            kind=found.kind,
            are_new=self._recount_at is not None,
        )
        self._last_id = found.last_id
        self._stored = store.count(name) if again else self._stored + found.n_new
        mark = store.last_measurement(name)
        if again or mark != self._mark:
            self._read_measurements()
            self._mark = mark
        if self._alerts_of is not None:
            news = store.events(f"alert/{name}", after=self._last_event)
            if again or news:
                self._alerts = list(self._alerts_of())
                self._last_event = news[-1].id if news else self._last_event
        if again:
            self._recount_at = at + RECOUNT_S

    def _read_measurements(self) -> None:
        name = self._endpoint.deployment.name
        starts = self._store.window_starts(name, newest=WINDOWS)
        if starts:
            table = self._store.measurements(name, start=starts[0])
            self._performance, self._drift = performance_of(table), drift_of(table)

    def _now(self, *, trouble: str) -> Snapshot:
        served = self._endpoint.deployment
        return Snapshot(
            deployment=served.name,
            model_name=served.model_name,
            model_version=served.model_version,
            at=self._clock(),
            stored=self._stored,
            traffic=self._tallies.traffic(at=self._seconds()),
            answers=self._tallies.distribution(),
            performance=self._performance,
            drift=self._drift,
            alerts=self._alerts,
            runbooks=self._runbooks,
            trouble=trouble,
        )

    def made(self, language: str) -> Made:
        """Return the newest page in a language, made once for all who look at it."""
        self._asked[language] = self._seconds()
        found = self._made.get(language)
        if found is None or found.page.version < self._version - 1:
            return self._make(language)
        return found

    def _make(self, language: str) -> Made:
        with self._lock, using(language):
            found = self._made.get(language)
            if found is None or found.page.version < self._version:
                found = self._made[language] = made_of(page(self.snapshot, version=self._version))
        return found
