"""Ids of requests and predictions: time-ordered UUIDs, one after another within a request."""

from __future__ import annotations

import hashlib
import json
import time
import uuid
from random import Random

_RANDOM_BITS = 61
"""Of the last 62: with the first of them zero, rows are counted up without touching the variant."""

_random = Random()  # seeded by the system; ids need to differ, not to be secret


def uuid7(nanoseconds: int | None = None) -> uuid.UUID:
    """Return a new UUID of version 7 (RFC 9562, method 3): later ones sort after earlier ones.

    ``nanoseconds`` since 1970 is now, unless given; the order is kept to a quarter microsecond.

    >>> uuid7(1_000_000_000).version, uuid7(1_000_000) < uuid7(2_000_000)
    (7, True)
    """
    now = time.time_ns() if nanoseconds is None else nanoseconds
    milliseconds, rest = divmod(now, 1_000_000)
    fraction = rest * 4096 // 1_000_000
    high = milliseconds << 80 | 0x7 << 76 | fraction << 64 | 0b10 << 62
    return uuid.UUID(int=high | _random.getrandbits(_RANDOM_BITS))


_COUNTED_BITS = 40
"""The last bits of a key that follows from texts are zero: so many rows can be counted up."""


def key_of(*texts: str) -> uuid.UUID:
    """Return the key that follows from texts: the same ones give the same, others another.

    It is a UUID of version 8 (RFC 9562) of 82 bits of their SHA-256, from which 10¹² rows can be
    counted up without meeting those of another key.

    >>> key_of("a", "b") == key_of("a", "b"), key_of("a", "b") == key_of("ab")
    (True, False)
    """
    digest = hashlib.sha256(json.dumps(texts).encode()).digest()
    bits = int.from_bytes(digest[:16]) >> _COUNTED_BITS << _COUNTED_BITS
    bits = bits & ~(0xF << 76) | 0x8 << 76  # the version
    bits = bits & ~(0b11 << 62) | 0b10 << 62  # the variant
    return uuid.UUID(int=bits)


def prediction_ids(key: uuid.UUID, count: int, *, first: int = 0) -> list[str]:
    """Return the ids of the rows of a request: its key, counted up.

    >>> prediction_ids(uuid.UUID(int=7), 2)
    ['00000000-0000-0000-0000-000000000007', '00000000-0000-0000-0000-000000000008']
    """
    begin = key.int + first
    texts = (f"{number:032x}" for number in range(begin, begin + count))
    return [f"{t[:8]}-{t[8:12]}-{t[12:16]}-{t[16:20]}-{t[20:]}" for t in texts]


def parse_key(text: str) -> uuid.UUID:
    """Return the UUID in a text.

    Raises ``ValueError`` for anything else, and for a UUID of another variant than RFC 9562's.

    >>> parse_key("7")
    Traceback (most recent call last):
    ValueError: '7' is not a UUID
    """
    try:
        key = uuid.UUID(text)
    except ValueError:
        key = None
    if key is None or key.variant != uuid.RFC_4122:
        raise ValueError(f"{text[:40]!r} is not a UUID")
    return key
