"""A state that cannot be written any more: what was answered as done is done, what was not did not happen."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flowledger.emulator.caller import FLOW, Caller
from flowledger.emulator.core import Emulator
from flowledger.emulator.wire import Request

PATH = f"{FLOW}/connections"
LARGE = "x" * 20_000  # five pages of SQLite's


class Disk:
    """The room that the state of an emulator has: SQLite itself says that it is full, as on a real disk."""

    def __init__(self, emulator: Emulator) -> None:
        self._db = emulator.world.store._db

    def fill(self) -> None:
        """No page more than there are."""
        assert self._db is not None
        (pages,) = self._db.execute("PRAGMA page_count").fetchone()
        self._db.execute(f"PRAGMA max_page_count={pages + 3}")

    def free(self) -> None:
        """Room enough."""
        assert self._db is not None
        self._db.execute("PRAGMA max_page_count=1000000")


@pytest.fixture
def kept(tmp_path: Path, clock: Any) -> Iterator[Emulator]:
    emulator = Emulator(clock=clock, state=tmp_path)
    yield emulator
    emulator.close()


def test_what_cannot_be_written_is_answered_500_and_shown_to_nobody(
    kept: Emulator, tmp_path: Path, a_pass: Any
) -> None:
    caller, disk = Caller(kept), Disk(kept)
    first = caller.send("POST", PATH, a_pass.sink_body("first")).json["id"]
    disk.fill()

    refused = [caller.send("POST", PATH, {**a_pass.sink_body("second"), "description": LARGE}) for _ in range(3)]

    assert {(reply.status, reply.code) for reply in refused} == {(500, "500001")}
    assert "disk is full" in refused[0].json["message"]
    assert [item["id"] for item in caller.send("GET", PATH).items] == [first]
    assert [call["status"] for call in kept.requests()[-4:]] == [500, 500, 500, 200]
    numbers = [call["number"] for call in kept.requests()]
    assert numbers == list(range(1, len(numbers) + 1))
    disk.free()
    third = caller.send("POST", PATH, {**a_pass.sink_body("third"), "description": LARGE}).json["id"]
    kept.close()

    again = Emulator(state=tmp_path)
    assert [one["id"] for one in again.objects("connections")] == [first, third]
    again.close()


def test_a_change_that_cannot_be_written_is_undone(kept: Emulator, a_pass: Any) -> None:
    caller, disk = Caller(kept), Disk(kept)
    made = caller.send("POST", PATH, a_pass.sink_body("before")).json
    patch = [{"op": "add", "path": "/description", "value": LARGE}]
    disk.fill()

    changed = caller.send("PATCH", f"{PATH}/{made['id']}", patch, headers={"if-match": made["etag"]})

    assert changed.status == 500
    (item,) = caller.send("GET", f"{PATH}/{made['id']}").items
    assert (item["etag"], "description" in item) == (made["etag"], False)
    disk.free()
    assert caller.send("PATCH", f"{PATH}/{made['id']}", patch, headers={"if-match": made["etag"]}).status == 200


def test_faults_late_commits_and_ids_are_as_the_disk_has_them(kept: Emulator, clock: Any, a_pass: Any) -> None:
    """A fault that struck a call which could not be written strikes the next one; a late commit waits on."""
    caller, disk = Caller(kept), Disk(kept)
    large = {**a_pass.sink_body("large"), "description": LARGE}
    kept.faults.add("POST /connections", "late", after_ms=1000)
    caller.send("POST", PATH, large)
    kept.faults.add("GET /flows", "answer", status=503)
    disk.fill()
    clock.pass_ms(1000)

    during = [caller.send("GET", f"{FLOW}/flows").status for _ in range(2)]

    health = kept.handle(Request(method="GET", raw_path="/_emulator/health"))
    assert (during, health.status) == ([500, 500], 200)
    assert [fault["struck"] for fault in kept.faults.described()["faults"]] == [1, 0]
    assert len(kept.late) == 1
    disk.free()
    assert caller.send("GET", f"{FLOW}/flows").status == 503
    assert [one["name"] for one in kept.objects("connections")] == ["large"]
    ids = [caller.send("POST", PATH, a_pass.sink_body(f"n{number}")).json["id"] for number in range(3)]
    assert len({*ids, kept.objects("connections")[0]["id"]}) == 4


def test_advancing_the_clock_is_undone_with_what_it_could_not_write(kept: Emulator) -> None:
    store = kept.world.store
    before = kept.now_ms()

    def fails() -> None:
        with store.transaction():
            kept.advance(1000)
            raise sqlite3.OperationalError("disk I/O error")

    with pytest.raises(sqlite3.OperationalError):
        fails()

    assert kept.now_ms() == before
