"""What can happen to the bytes of a journal between two processes: a torn end, and a byte that is another."""

from __future__ import annotations

import re
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from flowledger.errors import JournalCorrupt
from flowledger.journal import InlineCommitter, Journal, repair, verify

SEGMENTS = re.compile(r"segment-\d+\.jsonl")
VOUCHED = 4  # records at the end that may be taken for a torn one


def tear_the_tail(world: Any, journal: Path, part: int) -> bool:
    """Only some of the bytes that were being written when the last process ended are there: cut, at a drawn byte, what
    was never synced; where all was, leave a part of a record that somebody had begun to write.

    False: there is nothing of a journal yet.
    """
    found = _segment(world, journal)
    if found is None:
        return False
    path, durable = found
    with world.disk.looked_at():
        file = world.disk.open(path, "write")
        size = file.size()
        if size > durable:
            file.truncate(durable + part % (size - durable + 1))
        else:
            last = file.read(size, 0).splitlines(keepends=True)[-1]
            file.write(last[: 1 + part % (len(last) - 1)], size)
        file.close()
    return True


def flip_a_byte(world: Any, journal: Path, at: int) -> bool:
    """A byte that later records vouch for becomes another. Every process says so (exit 9) and acts on nothing; what
    `repair` writes beside it is sound. Then the byte is as it was. False: there is too little to flip."""
    found = _segment(world, journal)
    if found is None:
        return False
    path, durable = found
    with world.disk.looked_at():
        file = world.disk.open(path, "write")
        lines = file.read(durable, 0).splitlines(keepends=True)
        vouched = sum(map(len, lines[:-VOUCHED]))
        if not vouched:
            file.close()
            return False
        at %= vouched
        right = file.read(1, at)
        file.write(bytes([right[0] ^ 0x20]), at)
        file.sync()
        with pytest.raises(JournalCorrupt) as raised:
            Journal.open(journal, fs=world.disk, committer=InlineCommitter(), wall=world.clock.wall).close()
        assert raised.value.exit_code == 9
        places = (Path(f"/mended-{number}") for number in count())
        mended = next(place for place in places if str(place) not in world.disk._directories)
        repair(journal, mended, fs=world.disk)
        assert verify(mended, fs=world.disk).damage is None
        file.write(right, at)
        file.sync()
        file.close()
    return True


def _segment(world: Any, journal: Path) -> tuple[Path, int] | None:
    """The segment that is being written, and how many of its bytes are on the medium."""
    names = world.disk._directories.get(str(journal))
    segments = sorted(name for name in names.seen if SEGMENTS.fullmatch(name)) if names else []
    if not segments:
        return None
    return journal / segments[-1], len(names.seen[segments[-1]].durable)
