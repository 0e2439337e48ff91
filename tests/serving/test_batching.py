"""Requests that wait share a batch; one that finds nobody goes alone, at once."""

import asyncio
import threading
import time
from dataclasses import dataclass, field

import pytest

from utils.serving.batching import Batcher
from utils.serving.contract import Refused


@dataclass(frozen=True)
class Rows:
    count: int = 1


@dataclass(frozen=True)
class Asked:
    name: str
    rows: Rows = field(default_factory=Rows)


def asked(name, rows=1):
    return Asked(name, Rows(rows))


class Scorer:
    """Answers a batch when it is let; writes down which batches came."""

    def __init__(self, *, seconds=0.0):
        self.batches = []
        self.may_go = threading.Event()
        self.may_go.set()
        self._seconds = seconds

    def __call__(self, batch):
        self.batches.append([request.name for request in batch])
        self.may_go.wait(5)
        time.sleep(self._seconds)
        return [request.name.upper() for request in batch]


def run(main):
    return asyncio.run(asyncio.wait_for(main(), 20))


async def submitted(batcher, *requests):
    """Submit requests and let them wait."""
    tasks = [asyncio.create_task(batcher.submit(request)) for request in requests]
    await asyncio.sleep(0.05)
    return tasks


def test_what_comes_while_a_batch_is_scored_is_the_next_batch():
    async def main():
        scorer = Scorer()
        batcher = Batcher(scorer)
        scorer.may_go.clear()
        tasks = await submitted(batcher, asked("a"))
        tasks += await submitted(batcher, asked("b"), asked("c"), asked("d"))
        scorer.may_go.set()
        assert await asyncio.gather(*tasks) == ["A", "B", "C", "D"]
        assert scorer.batches == [["a"], ["b", "c", "d"]]
        batcher.close()

    run(main)


def test_one_caller_never_waits_for_others():
    async def main():
        scorer = Scorer(seconds=0.2)
        batcher = Batcher(scorer)
        waits = []
        batcher._others = counted(batcher._others, waits)
        for name in "abc":
            await batcher.submit(asked(name))
        assert scorer.batches == [["a"], ["b"], ["c"]]
        assert all(wait < 0.1 for wait in waits), "half of 0.2 s would be patience"
        batcher.close()

    run(main)


def counted(function, seconds):
    async def timed():
        started = time.monotonic()
        await function()
        seconds.append(time.monotonic() - started)

    return timed


def test_callers_who_come_back_together_are_waited_for():
    async def main():
        scorer = Scorer(seconds=0.3)
        batcher = Batcher(scorer)

        async def caller(name, times):
            for _ in range(times):
                await batcher.submit(asked(name))

        await asyncio.gather(*(caller(name, 4) for name in "abcd"))
        assert [len(batch) for batch in scorer.batches[1:]].count(4) >= 3
        batcher.close()

    run(main)


def test_a_batch_has_no_more_rows_than_allowed_but_one_request_is_never_cut():
    async def main():
        scorer = Scorer()
        batcher = Batcher(scorer, max_rows=10)
        scorer.may_go.clear()
        tasks = await submitted(batcher, asked("a"))
        tasks += await submitted(batcher, asked("b", 6), asked("c", 6), asked("d", 50), asked("e"))
        scorer.may_go.set()
        await asyncio.gather(*tasks)
        assert scorer.batches == [["a"], ["b"], ["c"], ["d"], ["e"]]
        batcher.close()

    run(main)


def test_a_batch_of_one_row_at_most_never_joins_requests():
    async def main():
        scorer = Scorer(seconds=0.01)
        batcher = Batcher(scorer, max_rows=1)
        await asyncio.gather(*await submitted(batcher, *map(asked, "abc")))
        assert scorer.batches == [["a"], ["b"], ["c"]]
        batcher.close()

    run(main)


def test_who_finds_too_many_waiting_is_told_to_come_back():
    async def main():
        scorer = Scorer()
        batcher = Batcher(scorer, max_waiting_rows=5)
        scorer.may_go.clear()
        tasks = await submitted(batcher, asked("a"))
        tasks += await submitted(batcher, asked("b", 5))
        with pytest.raises(Refused, match="5 rows are waiting already") as refused:
            await batcher.submit(asked("c"))
        assert refused.value.status == 503
        scorer.may_go.set()
        assert await asyncio.gather(*tasks) == ["A", "B"]
        batcher.close()

    run(main)


def test_each_gets_its_own_outcome():
    async def main():
        refused = Refused(400, "BAD_REQUEST", "no")
        batcher = Batcher(lambda batch: [refused if r.name == "b" else r.name for r in batch])
        tasks = await submitted(batcher, *map(asked, "abc"))
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        assert outcomes == ["a", refused, "c"]
        batcher.close()

    run(main)


def test_a_fault_fails_its_batch_and_not_the_next():
    async def main():
        calls = []

        def answer(batch):
            calls.append(batch)
            if len(calls) == 1:
                raise RuntimeError("a fault")
            return [request.name for request in batch]

        batcher = Batcher(answer)
        with pytest.raises(RuntimeError, match="a fault"):
            await batcher.submit(asked("a"))
        assert await batcher.submit(asked("b")) == "b"
        batcher.close()

    run(main)


def test_a_caller_who_has_gone_does_not_stop_the_others():
    async def main():
        scorer = Scorer()
        batcher = Batcher(scorer)
        scorer.may_go.clear()
        tasks = await submitted(batcher, asked("a"), asked("b"), asked("c"))
        tasks[1].cancel()
        scorer.may_go.set()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        assert [outcomes[0], outcomes[2]] == ["A", "C"]
        batcher.close()

    run(main)
