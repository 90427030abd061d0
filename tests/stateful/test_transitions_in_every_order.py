"""Fire transitions in every order, legal and illegal, with a crash and a replay between any two.

The model is a set of finished steps. The system is engine + journal + emulator, joined in one process in virtual time
on a simulated file system. Illegal orders are refused and change nothing; every legal order ends in the same platform
state, up to renaming of ids.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Coroutine
from functools import cache, partial
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import pytest
from hypothesis import HealthCheck, event, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from transitions import MachineError

from flowledger.engine.driver import Driver, replay
from flowledger.engine.events import RunStarted, RunTakenUp
from flowledger.engine.ledger import RunState, ledger_of
from flowledger.engine.run import Run
from flowledger.engine.specfile import load_spec
from flowledger.engine.table import TABLES
from flowledger.journal import InlineCommitter, Journal, SimulatedFileSystem
from flowledger.steps.client.port import Answer, Request
from flowledger.testing import VirtualTime, emulator_in_virtual_time, platform_in_process, run_in_virtual_time

T = TypeVar("T")
EXAMPLE = load_spec(Path(__file__).parents[2] / "examples" / "paypal-products.yaml").spec
VOLATILE = re.compile(
    "created|updated|modified|etag|version$|date$|startTime|basePath|viewId|registryMetadata|At$", re.I
)
KINDS = {
    "create_base_connection": "connections",
    "create_adhoc_class": "classes",
    "create_adhoc_schema": "schemas",
    "create_source_connection": "sourceConnections",
    "create_field_group": "fieldgroups",
    "create_target_schema": "schemas",
    "create_dataset": "dataSets",
    "find_or_create_sink": "connections",
    "create_target_connection": "targetConnections",
    "create_mapping_set": "mappingSets",
    "create_flow": "flows",
}


class RefusingPort:
    """A replay's platform: whoever sends is in the wrong."""

    async def send(self, request: Request) -> Answer:
        raise AssertionError(f"a replay sent {request.method} {request.path}")

    async def close(self) -> None:
        return


class World:
    """One run on one platform, and everything that outlives a crash: disk, platform, time."""

    def __init__(self, style: str, nonce: str = "abcdefghij") -> None:
        self.spec = EXAMPLE.model_copy(update={"style": style})
        self.time = VirtualTime()
        self.disk = SimulatedFileSystem()
        self.emulator = emulator_in_virtual_time(self.time)
        self.nonce = nonce
        self.sent = 0
        self.begin()

    def open_journal(self) -> Journal:
        return Journal.open(Path("/journal"), fs=self.disk, committer=InlineCommitter(), wall=self.time.wall)

    def run(self, main: Coroutine[Any, Any, T]) -> T:
        return run_in_virtual_time(self.time, main)

    def begin(self) -> None:
        """Take the run up from what is on disk, as a new process would."""
        self.journal = self.open_journal()
        ledger = ledger_of(self.spec.name, self.journal.events(self.spec.name))
        self.platform = platform_in_process(self.emulator, self.time)

        async def take_up() -> None:
            started = RunStarted(
                nonce=self.nonce,
                spec=self.spec.written(),
                as_written=True,
                folder=self.spec.folder,
                org=self.platform.org,
                sandbox="prod",
                base_url="http://127.0.0.1",
            )
            taken_up = RunTakenUp(pid=1, host="here", boot_id=self.time.boot_id, version="test")
            for item in (*([] if ledger.spec else [started]), taken_up):
                doc = item.doc(at=self.time.wall(), mono=self.time.monotonic())
                ledger.fold(await self.journal.append(self.spec.name, doc), doc)

        self.run(take_up())
        # The run itself belongs to one loop; between two loops only its ledger and journal carry on.
        self.ledger = ledger

    def driver(self, port: Any = None) -> Driver:
        platform = platform_in_process(self.emulator, self.time, port=port) if port else self.platform
        run = Run(ledger=self.ledger, journal=self.journal, platform=platform, clock=self.time, chance=random.Random(0))
        return Driver(run)

    def at(self, states: dict[str, str], main: Callable[[Driver], Coroutine[Any, Any, T]]) -> T:
        """Run `main` with a driver whose lanes stand at `states`."""

        async def body() -> T:
            driver = self.driver()
            for branch, state in states.items():
                driver.lanes[branch].state = state
            result = await main(driver)
            for branch in states:
                states[branch] = driver.lanes[branch].state
            await driver.run.flush()
            return result

        return self.run(body())

    def crash(self) -> None:
        """The process dies: what was not synced is lost, and nobody says goodbye."""
        self.disk.kill()

    def objects(self) -> dict[str, int]:
        return {kind: self.emulator.count(kind) for kind in set(KINDS.values())}

    def canonical(self) -> str:
        """The platform's whole state, with every id replaced by what it belongs to, and without times and etags."""
        names: dict[str, str] = {}
        for step, record in self.ledger.steps.items():
            for key, value in (record.outputs or {}).items():
                if isinstance(value, str) and key != "etag" and len(value) >= 8:
                    names[value] = f"<{step}.{key}>"
        state = {}
        for kind in sorted(set(KINDS.values())):
            objects = [json.dumps(_timeless(item), sort_keys=True) for item in self.emulator.objects(kind)]
            state[kind] = sorted(_renamed(text, names) for text in objects)
        return json.dumps(state, indent=1)


def _renamed(text: str, names: dict[str, str]) -> str:
    for value in sorted(names, key=len, reverse=True):
        text = text.replace(value, names[value])
    # What is left are ids of parts (mappings, data sources) that nobody else refers to.
    return re.sub(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|[0-9a-f]{24,64}", "<id>", text)


def _timeless(item: Any) -> Any:
    if isinstance(item, dict):
        return {key: _timeless(value) for key, value in item.items() if not VOLATILE.search(key)}
    if isinstance(item, list):
        return [_timeless(value) for value in item]
    return item


def fire(step: str, driver: Driver) -> Coroutine[Any, Any, bool]:
    """Fire a step's trigger on its lane."""
    return driver.lanes[driver.table.row_of(step).branch].fire(step)


@cache
def reference(style: str) -> str:
    """The canonical platform state after firing all steps of a style in one legal order, branch by branch."""
    world, table = World(style), TABLES[style]
    states = dict.fromkeys(table.branches, "planned")
    for branch in ("tenant", "sink", "source", "target", "mapping", "lookup", "flow"):
        for row in table.rows_of(branch) if branch in table.branches else ():
            assert world.at(states, partial(fire, row.step.name)) is True
    return world.canonical()


class EveryOrder(RuleBasedStateMachine):
    """The model: which steps are finished, and so which state each branch is in."""

    table: ClassVar = TABLES["tutorial"]

    @property
    def steps(self) -> list[str]:
        return [row.step.name for row in self.table.rows]

    @initialize()
    def begin(self) -> None:
        self.world = World(self.table.style)
        self.states = dict.fromkeys(self.table.branches, "planned")
        self.finished: set[str] = set()
        self.crashes = 0

    def legal(self, step: str) -> bool:
        row = self.table.row_of(step)
        before = [other.step.name for other in self.table.rows_of(row.branch)]
        return (
            set(before[: before.index(step)]) <= self.finished
            and step not in self.finished
            and set(row.needs) <= self.finished
        )

    def in_place(self, step: str) -> bool:
        return self.states[self.table.row_of(step).branch] == self.table.row_of(step).source

    def fire(self, step: str) -> bool:
        return self.world.at(self.states, partial(fire, step))

    @rule(data=st.data())
    def fire_any(self, data: st.DataObject) -> None:
        self.try_to_fire(data.draw(st.sampled_from(self.steps)))

    def try_to_fire(self, step: str) -> None:
        before = (dict(self.states), self.world.objects(), self.world.ledger.events)
        if self.legal(step):
            assert self.fire(step) is True
            self.finished.add(step)
            event(f"finished {len(self.finished)} steps")
            return
        if self.in_place(step):
            assert self.fire(step) is False
        else:
            with pytest.raises(MachineError):
                self.fire(step)
        assert (dict(self.states), self.world.objects(), self.world.ledger.events) == before

    @precondition(lambda self: len(self.finished) < len(self.steps))
    @rule(data=st.data())
    def fire_a_legal_one(self, data: st.DataObject) -> None:
        self.try_to_fire(data.draw(st.sampled_from(sorted(step for step in self.steps if self.legal(step)))))

    @rule()
    def crash_and_replay(self) -> None:
        self.world.crash()
        self.world.begin()
        self.crashes += 1
        event("crashed")

        async def replayed() -> dict[str, str]:
            return await replay(self.world.driver(RefusingPort()))

        assert self.world.run(replayed()) == self.states

    @rule(data=st.data())
    def fire_a_finished_one_again(self, data: st.DataObject) -> None:
        """A second process at an earlier state fires it again: the journal answers, the platform is not asked."""
        step = data.draw(st.sampled_from(self.steps))
        if step not in self.finished:
            return
        before = self.world.objects()
        states = {**self.states, self.table.row_of(step).branch: self.table.row_of(step).source}
        assert self.world.at(states, partial(fire, step)) is True
        assert self.world.objects() == before

    @invariant()
    def the_platform_has_exactly_what_is_finished(self) -> None:
        if not hasattr(self, "world"):
            return
        wanted = dict.fromkeys(KINDS.values(), 0)
        for step in self.finished & set(KINDS):
            wanted[KINDS[step]] += 1
        assert self.world.objects() == wanted

    def teardown(self) -> None:
        if not hasattr(self, "world"):
            return
        while len(self.finished) < len(self.steps):
            step = next(step for step in self.steps if self.legal(step))
            assert self.fire(step) is True
            self.finished.add(step)
        self.the_platform_has_exactly_what_is_finished()
        assert self.world.canonical() == reference(self.table.style)
        assert self.world.ledger.state in (RunState.PROVISIONING, RunState.PROVISIONED)


class EveryOrderOfCurrent(EveryOrder):
    """The same of the other style's machine."""

    table = TABLES["current"]


THOROUGHLY = settings(max_examples=40, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck))
TestEveryOrder = EveryOrder.TestCase
TestEveryOrder.settings = THOROUGHLY
TestEveryOrderOfCurrent = EveryOrderOfCurrent.TestCase
TestEveryOrderOfCurrent.settings = THOROUGHLY


def test_the_two_styles_end_in_different_platform_states() -> None:
    """Else one of them would be tested twice."""
    states = {style: json.loads(reference(style)) for style in TABLES}
    assert {style: len(state["classes"]) for style, state in states.items()} == {"tutorial": 1, "current": 0}
    assert {style: len(state["connections"]) for style, state in states.items()} == {"tutorial": 2, "current": 1}
