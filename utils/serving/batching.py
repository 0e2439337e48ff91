"""Requests that wait while others are being answered are answered together, as the next batch.

A request that finds nobody before it, where nobody else was lately, goes at once and alone. Under
load the cost of a DataFrame, of a call of the model and of a commit is shared. Callers who wait for
their answers come back in a bunch right after a batch: so the next one waits for as many as there
were, for at most ``PATIENCE`` of the time that the batch took, which it saves.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from utils.serving.contract import Refused
from utils.serving.endpoint import Answer, Request, unavailable

MAX_BATCH_ROWS = 10_000
"""Rows answered together, at most; a single request may have more."""

MAX_WAITING_ROWS = 100_000
"""Rows that may wait; a request that finds more is told to come back."""


PATIENCE = 0.5
"""Of the time that the last batch took: waiting longer could cost more than a batch saved."""


class Batcher:
    """Answers requests of one event loop, batch after batch, in a thread of its own.

    ``answer`` takes a batch and returns an outcome for each request. A model whose answer for a
    row hangs on the rows beside it needs ``max_rows=1``: then no two requests share a batch.
    """

    def __init__(
        self,
        answer: Callable[[Sequence[Request]], Sequence[Answer | Refused]],
        *,
        max_rows: int = MAX_BATCH_ROWS,
        max_waiting_rows: int = MAX_WAITING_ROWS,
    ) -> None:
        self._answer = answer
        self._max_rows = max_rows
        self._max_waiting_rows = max_waiting_rows
        self._waiting: list[tuple[Request, asyncio.Future]] = []
        self._waiting_rows = 0
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="scoring")
        self._task: asyncio.Task | None = None
        self._expected = 1
        self._enough = asyncio.Event()
        self._patience_s = 0.0

    async def submit(self, request: Request) -> Answer:
        """Return the answer to a request, after it is committed, or raise its refusal.

        >>> from utils.serving.example import FLIGHTS, example_endpoint
        >>> async def ask(endpoint):
        ...     batcher = Batcher(endpoint.answer)
        ...     rows = endpoint.contract.rows_of(FLIGHTS)
        ...     answer = await batcher.submit(endpoint.request(rows, params={}, started=0.0))
        ...     batcher.close()
        ...     return answer.predictions
        >>> with example_endpoint() as endpoint:
        ...     asyncio.run(ask(endpoint))
        [10.0, -15.0]
        """
        if self._waiting_rows >= self._max_waiting_rows:
            raise unavailable(f"{self._waiting_rows} rows are waiting already")
        loop = asyncio.get_running_loop()
        outcome = loop.create_future()
        self._waiting.append((request, outcome))
        self._waiting_rows += request.rows.count
        if len(self._waiting) >= self._expected:
            self._enough.set()
        if self._task is None:
            self._task = loop.create_task(self._work())
        return await outcome

    async def run(self, write: Callable[[], Any]) -> Any:
        """Return what a function returns that writes to the store, run between two batches."""
        return await asyncio.get_running_loop().run_in_executor(self._worker, write)

    def close(self) -> None:
        """End the thread, when what was accepted is answered."""
        self._worker.shutdown()

    async def _work(self) -> None:
        """Answer what waits, batch after batch, until nothing does."""
        loop = asyncio.get_running_loop()
        while self._waiting:
            await self._others()
            batch = self._take()
            started = loop.time()
            requests = [request for request, _ in batch]
            answered = loop.run_in_executor(self._worker, self._answer, requests)
            await asyncio.wait([answered])
            self._patience_s = PATIENCE * (loop.time() - started)
            self._expected = len(batch) + len(self._waiting)
            failed = answered.exception()
            outcomes = [failed] * len(batch) if failed else answered.result()
            for (_, future), outcome in zip(batch, outcomes, strict=True):
                _settle(future, outcome)
        self._task = None

    async def _others(self) -> None:
        """Wait, while it pays, until as many requests are there as lately came together."""
        full = self._waiting_rows >= self._max_rows
        if full or len(self._waiting) >= self._expected:
            return
        self._enough.clear()
        try:
            await asyncio.wait_for(self._enough.wait(), self._patience_s)
        except TimeoutError:
            return

    def _take(self) -> list[tuple[Request, asyncio.Future]]:
        """Take the requests that come first, as many as a batch may have rows, but one at least."""
        count, rows = 0, 0
        for request, _ in self._waiting:
            if count and rows + request.rows.count > self._max_rows:
                break
            count, rows = count + 1, rows + request.rows.count
        batch, self._waiting = self._waiting[:count], self._waiting[count:]
        self._waiting_rows -= rows
        return batch


def _settle(future: asyncio.Future, outcome: Answer | Exception) -> None:
    if future.done():  # whoever waited for it has gone
        return
    if isinstance(outcome, Exception):
        future.set_exception(outcome)
    else:
        future.set_result(outcome)
