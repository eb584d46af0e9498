"""Digests of events' keys, and compact tables of them: 16 bytes an event, looked up in lists. No Beam, no I/O.

TikTok deduplicates on (event_source_id, event, event_id). The digest of such a key is the XXH3-128 of the event id,
seeded with the XXH3-64 of the other two: an id alone is hashed in 0.1 µs, and among 10⁹ keys the chance that any two
have the same digest is 10⁻²¹. Personal data is in neither.
"""

import itertools
from collections.abc import Sequence
from typing import Self

import numpy as np
import numpy.typing as npt
import xxhash

# Bytes of a digest.
DIGEST_BYTES = 16

# Memory for each key of a table while it is built: its digest, its rank and a column that is being put in order.
BUILD_BYTES_PER_KEY = 2 * DIGEST_BYTES

Digests = npt.NDArray[np.uint64]

# A set of digests is at most so full, so that a look-up takes few steps.
_MOST_FULL = 0.5
_FIRST_SLOTS = 1 << 12


def seed(event_source_id: str, event: str) -> int:
    """Returns what the digests of one source and one event name begin with."""
    return int(xxhash.xxh3_64_intdigest(f"{event_source_id}\0{event}".encode()))


def digests(event_ids: Sequence[bytes], seeds: int | Sequence[int]) -> Digests:
    """Returns the digests of keys: two columns, one row a key.

    Args:
      event_ids: UTF-8.
      seeds: one for all of them, or one for each.
    """
    each = itertools.repeat(seeds) if isinstance(seeds, int) else seeds
    joined = b"".join(map(xxhash.xxh3_128_digest, event_ids, each))
    return np.frombuffer(joined, np.uint64).reshape(-1, 2)


class DigestTable:
    """Digests in order, each once: 17 to 18 bytes a key.

    Args:
      found: digests, possibly repeated; put in order in place.
      values: of each digest; where one is repeated the least is kept. None: there are no values.
    """

    def __init__(self, found: Digests, values: npt.NDArray[np.int64] | None = None) -> None:
        # By the first halves alone: of different keys they hardly ever are equal, and a look-up compares both.
        order = np.argsort(found[:, 0]) if values is None else np.lexsort((values, found[:, 1], found[:, 0]))
        # Column by column: each needs a second place only for a moment.
        found[:, 0] = found[order, 0]
        found[:, 1] = found[order, 1]
        values = None if values is None else values[order]
        del order
        is_repeated = np.zeros(len(found), bool)
        is_repeated[1:] = (found[1:] == found[:-1]).all(axis=1)
        if is_repeated.any():
            found = found[~is_repeated]
            values = None if values is None else values[~is_repeated]
        self._high, self._low, self._values = found[:, 0], found[:, 1], values
        # Where the digests that begin with the same bits begin: a look-up starts there, about two places too early.
        bits = max(1, len(found).bit_length() - 2)
        self._shift = np.uint64(64 - bits)
        counts = np.bincount((self._high >> self._shift).astype(np.int64), minlength=1 << bits)
        self._starts = np.concatenate([[0], np.cumsum(counts)[:-1]]).astype(np.uint32)

    @classmethod
    def empty(cls) -> Self:
        """Returns a table without keys."""
        return cls(np.empty((0, 2), np.uint64), np.empty(0, np.int64))

    def __len__(self) -> int:
        return len(self._high)

    def positions(self, wanted: Digests) -> npt.NDArray[np.int64]:
        """Returns the position of each digest, -1 for those that are not in the table."""
        found = np.full(len(wanted), -1, np.int64)
        if not len(self._high):
            return found
        high, low = wanted[:, 0], wanted[:, 1]
        places = self._starts[high >> self._shift].astype(np.int64)
        open_ = np.arange(len(wanted))
        while len(open_):
            # Digests are evenly spread, so this takes a few rounds, each over a list.
            open_ = open_[places[open_] < len(self._high)]
            at = places[open_]
            here, there = self._high[at], high[open_]
            hit = (here == there) & (self._low[at] == low[open_])
            found[open_[hit]] = at[hit]
            open_ = open_[(here <= there) & ~hit]
            places[open_] += 1
        return found

    def contains(self, wanted: Digests) -> npt.NDArray[np.bool_]:
        """Returns for each digest whether it is in the table."""
        return self.positions(wanted) >= 0

    def values(self, positions: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Returns the values at positions."""
        if self._values is None:
            raise ValueError("the table was built without values")
        return self._values[positions]


class DigestSet:
    """A set that grows, with open addressing: 32 to 64 bytes a key. Not thread-safe."""

    def __init__(self) -> None:
        self._count = 0
        self._allocate(_FIRST_SLOTS)

    def __len__(self) -> int:
        return self._count

    def _allocate(self, slots: int) -> None:
        self._slots = np.zeros((slots, 2), np.uint64)
        self._used = np.zeros(slots, bool)

    def add(self, new: Digests) -> npt.NDArray[np.bool_]:
        """Adds digests and returns for each whether it was there before, in the set or earlier in the list."""
        while self._count + len(new) > _MOST_FULL * len(self._used):
            old, used = self._slots, self._used
            self._allocate(2 * len(used))
            self._insert(old[used])
        is_repeated = self._insert(new)
        self._count += len(new) - int(is_repeated.sum())
        return is_repeated

    def _insert(self, new: Digests) -> npt.NDArray[np.bool_]:
        is_repeated = np.zeros(len(new), bool)
        mask = np.uint64(len(self._used) - 1)
        places = (new[:, 0] & mask).astype(np.int64)
        open_ = np.arange(len(new))
        while len(open_):
            at = places[open_]
            free = ~self._used[at]
            # Of several that want one free place, the first in the list gets it; the others look again.
            _, first = np.unique(at[free], return_index=True)
            takers = open_[free][first]
            self._slots[places[takers]] = new[takers]
            self._used[places[takers]] = True
            taken = np.zeros(len(new), bool)
            taken[takers] = True
            open_ = open_[~taken[open_]]
            at = places[open_]
            same = (self._slots[at] == new[open_]).all(axis=1)
            is_repeated[open_[same]] = True
            open_ = open_[~same]
            places[open_] = (places[open_] + 1) & int(mask)
        return is_repeated
