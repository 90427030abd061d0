"""What a call changed before it failed is undone, in memory as on disk; and the state says its format."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from flowledger.emulator import core
from flowledger.emulator.caller import FLOW, Caller
from flowledger.emulator.core import STATE_FILE, Emulator
from flowledger.emulator.store import FORMAT, GRAVEYARD_MS, StateNewer, Store
from flowledger.emulator.wire import Request
from flowledger.emulator.world import Call

PATH = f"{FLOW}/connections"


class Broken(Exception):
    """What a handler raises in its middle."""


class Moment:
    def __init__(self) -> None:
        self.ms = 1_000_000_000

    def __call__(self) -> int:
        return self.ms


@pytest.fixture
def moment() -> Moment:
    return Moment()


@pytest.fixture(params=["in memory", "with a state"])
def store(request: pytest.FixtureRequest, tmp_path: Path, moment: Moment) -> Iterator[Store]:
    store = Store(None if request.param == "in memory" else tmp_path / "s.sqlite", now_ms=moment)
    yield store
    store.close()


def everything(store: Store, at_ms: int) -> dict[str, Any]:
    """What the store shows of `things`, graves that lagging lists still show included."""
    return {
        "all": list(store.all("things", "prod")),
        "lagging": store.as_listed("things", "prod", at_ms=at_ms, lag_ms=1000),
        "count": store.count("things", "prod"),
        "note": store.note("n"),
        "other note": store.note("m"),
    }


def failing(store: Store, work: Callable[[], None]) -> None:
    def half_way() -> None:
        with store.transaction():
            work()
            raise Broken

    with pytest.raises(Broken):
        half_way()


def filled(store: Store, moment: Moment) -> None:
    for name in "abcd":
        store.put("things", "prod", name, {"id": name})
    moment.ms += 2000
    store.delete("things", "prod", "b")
    store.write_note("n", {"before": 1})


def test_puts_replacements_deletes_and_notes_are_undone_together(store: Store, moment: Moment) -> None:
    filled(store, moment)
    before = everything(store, moment.ms)
    undone = []
    store.when_undone = lambda: undone.append(everything(store, moment.ms))

    def work() -> None:
        store.put("things", "prod", "new", {"id": "new"})
        store.put("things", "prod", "new", {"id": "new", "again": True})
        store.delete("things", "prod", "a")
        store.put("things", "prod", "a", {"id": "a", "reborn": True})
        store.delete("things", "prod", "new")
        store.put("things", "prod", "c", {"id": "c", "changed": True})
        store.delete("things", "prod", "c")
        store.write_note("n", {"after": 2})
        store.write_note("m", "made")
        store.put("others", "dev", "x", {"id": "x"})

    failing(store, work)

    assert everything(store, moment.ms) == before
    assert [one["id"] for one in store.all("things", "prod")] == ["a", "c", "d"]
    assert store.count("others", "dev") == 0
    assert undone == [before]


def test_what_comes_after_a_rollback_stands_behind_what_was_there(store: Store, moment: Moment, tmp_path: Path) -> None:
    filled(store, moment)
    failing(store, lambda: store.put("things", "prod", "lost", {"id": "lost"}))
    failing(store, lambda: (store.delete("things", "prod", "a"), None)[1])

    store.put("things", "prod", "e", {"id": "e"})

    assert [one["id"] for one in store.all("things", "prod")] == ["a", "c", "d", "e"]


def test_graves_that_were_pruned_in_a_rolled_back_call_are_shown_again(store: Store, moment: Moment) -> None:
    filled(store, moment)
    at_ms = moment.ms
    before = everything(store, at_ms)
    moment.ms += GRAVEYARD_MS

    failing(store, lambda: (store.delete("things", "prod", "d"), None)[1])

    assert everything(store, at_ms) == before
    assert "b" in [one["id"] for one in before["lagging"]]


def test_a_reset_that_fails_has_forgotten_nothing(store: Store, moment: Moment) -> None:
    filled(store, moment)
    before = everything(store, moment.ms)

    failing(store, store.clear)

    assert everything(store, moment.ms) == before


def test_after_rollbacks_the_disk_has_what_memory_has(tmp_path: Path, moment: Moment) -> None:
    store = Store(tmp_path / "s.sqlite", now_ms=moment)
    filled(store, moment)
    failing(store, lambda: (store.delete("things", "prod", "a"), None)[1])
    failing(store, store.clear)
    moment.ms += GRAVEYARD_MS
    failing(store, lambda: (store.delete("things", "prod", "c"), None)[1])
    before = everything(store, moment.ms)
    store.close()

    again = Store(tmp_path / "s.sqlite", now_ms=moment)
    assert everything(again, moment.ms) == before
    again.close()


def test_graves_older_than_lists_can_lag_are_forgotten(store: Store, moment: Moment, tmp_path: Path) -> None:
    for number in range(50):
        store.put("things", "prod", f"t{number}", {"id": f"t{number}"})
    for number in range(50):
        moment.ms += GRAVEYARD_MS // 5
        store.delete("things", "prod", f"t{number}")

    graves = store.as_listed("things", "prod", at_ms=moment.ms, lag_ms=1_000_000 * GRAVEYARD_MS)
    assert graves == []  # a list that lags so much shows none of them: they are younger than the lag
    assert len(store._gone["things", "prod"]) <= 5
    if store._db is not None:
        assert store._db.execute("SELECT count(*) FROM objects").fetchone()[0] <= 5


@pytest.mark.parametrize("kept", [False, True], ids=["in memory", "with a state"])
def test_a_call_that_fails_in_its_middle_changes_nothing_and_is_in_the_log(
    kept: bool, tmp_path: Path, clock: Any, a_pass: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def half(call: Call) -> Any:
        call.world.store.put("connections", call.sandbox, "half", {"id": "half", "createdAt": 1})
        call.world.store.delete("connections", call.sandbox, first)
        raise Broken("in the middle")

    routes = [*core.ROUTES, ("POST", f"{FLOW}/broken", half)]
    monkeypatch.setattr(core, "ROUTES", routes)
    emulator = Emulator(clock=clock, state=tmp_path if kept else None)
    caller = Caller(emulator)
    first = caller.send("POST", PATH, a_pass.sink_body("first")).json["id"]
    emulator.faults.add("GET /connections", "answer", status=503)
    emulator.faults.add("POST /broken", "slow")

    with pytest.raises(Broken):
        caller.send("POST", f"{FLOW}/broken", {}, headers={"x-request-id": "the-call"})

    assert [one["id"] for one in emulator.objects("connections")] == [first]
    assert [fault["struck"] for fault in emulator.faults.described()["faults"]] == [0, 0]
    last = emulator.requests()[-1]
    assert (last["status"], last["request_id"], last["path"]) == (500, "the-call", f"{FLOW}/broken")
    assert [caller.send("GET", PATH).status for _ in range(2)] == [503, 200]
    emulator.close()


def test_a_state_says_its_format_and_one_of_before_is_opened_and_stamped(tmp_path: Path, a_pass: Any) -> None:
    first = Emulator(state=tmp_path)
    made = Caller(first).send("POST", PATH, a_pass.sink_body("old")).json["id"]
    first.close()
    file = tmp_path / STATE_FILE
    assert version_of(file) == FORMAT
    with_version(file, 0)

    again = Emulator(state=tmp_path)
    assert [one["id"] for one in again.objects("connections")] == [made]
    again.close()
    assert version_of(file) == FORMAT


def test_a_state_of_a_later_format_is_refused_in_words_and_left_as_it_is(tmp_path: Path) -> None:
    Emulator(state=tmp_path).close()
    with_version(tmp_path / STATE_FILE, FORMAT + 1)

    with pytest.raises(StateNewer, match=f"format {FORMAT + 1}: a later version"):
        Emulator(state=tmp_path)

    assert version_of(tmp_path / STATE_FILE) == FORMAT + 1


def test_a_deleted_object_costs_no_look_at_the_others(tmp_path: Path, moment: Moment) -> None:
    """Counted by SQLite: steps of its machine a delete, with ten objects of the kind and with a thousand."""

    def steps(objects: int) -> int:
        store = Store(tmp_path / f"{objects}.sqlite", now_ms=moment)
        for number in range(objects):
            store.put("things", "prod", f"t{number}", {"id": f"t{number}"})
        store.delete("things", "prod", "t0")
        moment.ms += GRAVEYARD_MS
        count = 0

        def step() -> int:
            nonlocal count
            count += 1
            return 0

        assert store._db is not None
        store._db.set_progress_handler(step, 10)
        store.delete("things", "prod", "t1")
        store.close()
        return count

    assert steps(1000) <= 2 * steps(10) + 5


def version_of(file: Path) -> int:
    db = sqlite3.connect(file)
    (version,) = db.execute("PRAGMA user_version").fetchone()
    db.close()
    return int(version)


def with_version(file: Path, version: int) -> None:
    db = sqlite3.connect(file)
    db.execute(f"PRAGMA user_version = {version}")
    db.close()


def test_the_log_of_calls_is_bounded(emulator: Emulator) -> None:
    for _ in range(core.LOG_LENGTH + 50):
        emulator.handle(Request(method="GET", raw_path="/nothing"))

    assert len(emulator.requests()) == core.LOG_LENGTH
    assert emulator.requests()[-1]["number"] == core.LOG_LENGTH + 50
