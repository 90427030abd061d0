"""State that outlives the emulator: objects, ids, tokens, faults, late commits; also after a kill -9."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from base64 import b64decode
from pathlib import Path
from typing import Any

import pytest

from flowledger.emulator.caller import FLOW, Caller
from flowledger.emulator.core import Emulator
from flowledger.emulator.store import StateInUse, Store
from flowledger.emulator.wire import Delivery, Request

PATH = f"{FLOW}/connections"


def test_the_same_seed_makes_the_same_ids_and_another_seed_others(clock: Any, a_pass: Any) -> None:
    def ids(seed: int) -> list[str]:
        caller = Caller(Emulator(clock=clock, seed=seed))
        return [caller.send("POST", PATH, a_pass.paypal_body()).json["id"] for _ in range(3)]

    assert ids(1) == ids(1)
    assert not set(ids(1)) & set(ids(2))


def test_everything_is_there_after_a_restart(tmp_path: Path, clock: Any, pass_of: Any) -> None:
    first = Emulator(clock=clock, state=tmp_path)
    caller = Caller(first)
    ready = pass_of(caller).upto_flow()
    flow = ready.make_flow()
    token = caller.token
    collections = ("connections", "sourceConnections", "targetConnections", "flows", "schemas", "dataSets")
    before = {kind: first.objects(kind) for kind in (*collections, "mappingSets")}
    first.close()

    second = Emulator(clock=clock, state=tmp_path)
    again = Caller(second)

    assert {kind: second.objects(kind) for kind in before} == before
    headers = {"authorization": f"Bearer {token}"}
    assert again.send("GET", f"{FLOW}/flows/{flow}", headers=headers).items[0]["id"] == flow
    second.close()


def test_ids_and_request_ids_go_on_after_a_restart(tmp_path: Path, clock: Any, a_pass: Any) -> None:
    made: list[str] = []
    asked: list[str] = []
    for _ in range(3):
        emulator = Emulator(clock=clock, state=tmp_path)
        caller = Caller(emulator)
        for _ in range(2):
            reply = caller.send("POST", PATH, a_pass.paypal_body())
            made.append(reply.json["id"])
            asked.append(reply.headers["x-request-id"])
        emulator.close()

    assert len(set(made)) == len(set(asked)) == 6


def test_a_late_commit_survives_a_restart_and_takes_effect_at_its_time(tmp_path: Path, clock: Any, a_pass: Any) -> None:
    first = Emulator(clock=clock, state=tmp_path)
    caller = Caller(first)
    first.faults.add("POST /connections", "late", after_ms=5000)
    assert caller.send("POST", PATH, a_pass.paypal_body("late")).delivery is Delivery.DROPPED
    first.close()

    clock.pass_ms(4999)
    second = Emulator(clock=clock, state=tmp_path)
    assert second.count("connections") == 0
    second.close()
    clock.pass_ms(60_000)
    third = Emulator(clock=clock, state=tmp_path)

    (made,) = third.objects("connections")
    assert made["name"] == "late"
    assert made["createdAt"] == int(clock.now * 1000) - 64_999 + 5000
    third.close()
    fourth = Emulator(clock=clock, state=tmp_path)
    assert fourth.count("connections") == 1
    fourth.close()


def test_no_credentials_are_kept_with_a_late_commit_or_a_token(tmp_path: Path, clock: Any, a_pass: Any) -> None:
    emulator = Emulator(clock=clock, state=tmp_path)
    caller = Caller(emulator)
    made = caller.send("POST", PATH, a_pass.paypal_body()).json
    for route in ("POST /connections", "PATCH /connections/{id}", "POST /ims/token/v3"):
        emulator.faults.add(route, "late", after_ms=5000)
    secret = {"op": "replace", "path": "/auth/params/clientSecret", "value": "the-secret"}
    whole = {"op": "replace", "path": "/auth/params", "value": a_pass.paypal_body()["auth"]["params"]}
    late = [
        caller.send("POST", PATH, a_pass.paypal_body("late")),
        caller.send("PATCH", f"{PATH}/{made['id']}", [secret, whole], headers={"if-match": made["etag"]}),
        caller.ask_for_token(),
    ]
    emulator.close()

    kept = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    again = Emulator(clock=clock, state=tmp_path)
    waiting = again.world.store.note("late")
    clock.pass_ms(5000)

    assert [reply.delivery for reply in late] == [Delivery.DROPPED] * 3
    assert len(waiting) == 2
    bodies = b"".join(b64decode(commit["body"]) for commit in waiting)
    for credential in (caller.token.encode(), b"the-secret", b"local-secret"):
        assert credential not in kept + bodies
    assert again.objects("connections")[0]["etag"] != made["etag"]
    assert again.count("connections") == 2
    again.close()


def test_faults_keep_their_counts_over_a_restart(tmp_path: Path, clock: Any, a_pass: Any) -> None:
    first = Emulator(clock=clock, state=tmp_path)
    first.faults.add("POST /connections", "answer", status=503, skip=1, times=2)
    first.faults.set_list_lag("flows", 700)
    caller = Caller(first)
    before = [caller.send("POST", PATH, a_pass.paypal_body()).status for _ in range(2)]
    described = first.faults.described()
    first.close()

    second = Emulator(clock=clock, state=tmp_path)

    assert second.faults.described() == described
    caller = Caller(second)
    after = [caller.send("POST", PATH, a_pass.paypal_body()).status for _ in range(2)]
    assert (before, after) == ([201, 503], [503, 201])
    second.close()


def test_lists_go_on_lagging_over_a_restart(tmp_path: Path, clock: Any, a_pass: Any) -> None:
    first = Emulator(clock=clock, state=tmp_path)
    first.faults.set_list_lag("connections", 1000)
    caller = Caller(first)
    deleted = caller.send("POST", PATH, a_pass.sink_body("deleted")).json["id"]
    clock.pass_ms(1000)
    caller.send("DELETE", f"{PATH}/{deleted}")
    caller.send("POST", PATH, a_pass.sink_body("new"))
    first.close()

    second = Emulator(clock=clock, state=tmp_path)
    caller = Caller(second)
    during = [item["name"] for item in caller.send("GET", PATH).items]
    clock.pass_ms(1000)
    afterwards = [item["name"] for item in caller.send("GET", PATH).items]

    assert (during, afterwards) == (["deleted"], ["new"])
    second.close()


def test_a_reset_empties_the_state_directory_too(tmp_path: Path, clock: Any, a_pass: Any) -> None:
    first = Emulator(clock=clock, state=tmp_path)
    Caller(first).send("POST", PATH, a_pass.paypal_body())
    first.handle(Request(method="POST", raw_path="/_emulator/reset"))
    first.close()

    second = Emulator(clock=clock, state=tmp_path)

    assert second.count("connections") == 0
    second.close()


def test_a_state_directory_has_one_emulator(tmp_path: Path) -> None:
    first = Emulator(state=tmp_path)

    with pytest.raises(StateInUse, match="another emulator"):
        Emulator(state=tmp_path)
    first.close()
    Emulator(state=tmp_path).close()


SCRIPT = """
import json, sys
from pathlib import Path
from flowledger.emulator.caller import Caller
from flowledger.emulator.core import Emulator

caller = Caller(Emulator(state=Path(sys.argv[1])))
body = {"connectionSpec": {"id": "c604ff05-7f1a-43c0-8e18-33bf874cb11c", "version": "1.0"}}
for number in range(10**9):
    reply = caller.send("POST", "/data/foundation/flowservice/connections", {**body, "name": f"n{number}"})
    print(json.dumps(reply.json["id"]), flush=True)
"""


def test_what_was_answered_is_there_after_a_kill_9(tmp_path: Path) -> None:
    worker = subprocess.Popen([sys.executable, "-c", SCRIPT, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert worker.stdout is not None
    answered = [json.loads(worker.stdout.readline()) for _ in range(50)]
    os.kill(worker.pid, signal.SIGKILL)
    rest = worker.stdout.read().split("\n")
    worker.stdout.close()
    worker.wait()
    answered += [json.loads(line) for line in rest[:-1]]

    emulator = Emulator(state=tmp_path)

    made = [obj["id"] for obj in emulator.objects("connections")]
    assert made[: len(answered)] == answered
    assert len(made) - len(answered) <= 1  # made, and killed before it could say so
    emulator.close()


def test_a_transaction_that_fails_leaves_nothing_on_disk(tmp_path: Path) -> None:
    store = Store(tmp_path / "s.sqlite", now_ms=lambda: 1)
    store.put("things", "prod", "kept", {"id": "kept"})

    def put_and_fail() -> None:
        with store.transaction():
            store.put("things", "prod", "lost", {"id": "lost"})
            raise KeyError("half-way")

    with pytest.raises(KeyError):
        put_and_fail()
    store.close()

    again = Store(tmp_path / "s.sqlite", now_ms=lambda: 1)
    assert again.all("things", "prod") == [{"id": "kept"}]
    again.close()


def test_a_copy_that_was_read_can_be_changed_without_changing_the_store() -> None:
    store = Store(now_ms=lambda: 1)
    store.put("things", "prod", "a", {"id": "a", "deep": {"n": 1}})

    copied = store.get("things", "prod", "a")
    assert copied is not None
    copied["deep"]["n"] = 2

    assert store.get("things", "prod", "a") == {"id": "a", "deep": {"n": 1}}


def test_a_replaced_object_keeps_its_place() -> None:
    store = Store(now_ms=lambda: 1)
    for name in "abc":
        store.put("things", "prod", name, {"id": name})
    store.put("things", "prod", "a", {"id": "a", "new": True})

    assert [obj["id"] for obj in store.all("things", "prod")] == ["a", "b", "c"]
    assert store.delete("things", "prod", "a")
    assert not store.delete("things", "prod", "a")
