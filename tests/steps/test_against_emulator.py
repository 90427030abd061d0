"""The steps against the emulator: accepted, found again, unedited until somebody edits, and gone without a trace."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from flowledger.emulator.core import Emulator
from flowledger.engine.table import TABLES
from flowledger.steps.base_connection import CreateBaseConnection
from flowledger.steps.client.judge import Verdict, judge, refusal
from flowledger.steps.client.port import Answer, Request
from flowledger.steps.spec import Spec, Target
from flowledger.steps.step import How, Outputs, Step
from flowledger.testing import VirtualTime, emulator_in_virtual_time, platform_in_process

KINDS = (
    "connections",
    "classes",
    "schemas",
    "fieldgroups",
    "dataSets",
    "sourceConnections",
    "targetConnections",
    "mappingSets",
    "flows",
)
FLOW_KINDS = ("connections", "sourceConnections", "targetConnections", "flows")
MAKING = [(style, row.step) for style, table in TABLES.items() for row in table.rows if row.step.kind]
# A mapping set of the tutorial's dialect has no second field for the marker.
RENAMABLE = [(style, step) for style, step in MAKING if (style, step.kind) != ("tutorial", "mappingSets")]
every_style = pytest.mark.parametrize("style", TABLES)


def named(case: Any) -> str:
    """A case of a style and a step, as part of a test's id."""
    return case if isinstance(case, str) else str(case.name)


every_making_step = pytest.mark.parametrize(("style", "step"), MAKING, ids=named)


class Provisioning:
    """The steps' context on a real client and an emulator; it walks the steps in the table's dependency order."""

    def __init__(self, spec: Spec, emulator: Emulator, time: VirtualTime, nonce: str = "k3x9q2w7ma") -> None:
        self.spec = spec
        self.run = spec.name
        self.nonce = nonce
        self.sandbox = "prod"
        self.emulator = emulator
        self.platform = platform_in_process(emulator, time)
        self.time = time
        self.facts: dict[str, Any] = {}
        self.outputs: dict[str, Outputs] = {}
        self.made: list[Step] = []

    async def ask(self, request: Request, *, allow: tuple[int, ...] = ()) -> Answer:
        assert not request.effect
        answer = await self.send(request)
        if answer.ok or answer.status in allow:
            return answer
        raise refusal(answer, f"{request.method} {request.path}", run=self.run)

    async def send(self, request: Request) -> Answer:
        await self.platform.ready()
        return await self.platform.send(request)

    async def wait(self, seconds: float, why: str) -> None:
        self.time.advance(seconds)

    def put_aside(self, **facts: Any) -> None:
        self.facts.update(facts)

    def outputs_of(self, step: type[Step]) -> Outputs:
        return self.outputs[step.name]

    def marker(self, step: Step) -> str:
        return f"fl-{self.nonce}-{step.slug}"

    def lendable(self, live: Any) -> bool:
        return True

    def wall(self) -> float:
        return self.time.wall()

    def secret(self, ref: Any) -> str:
        return "a secret that must not come back"

    async def take(self, step: Step) -> None:
        settled = await step.prepare(self)
        if settled is not None:
            self.outputs[step.name] = settled.outputs
            return
        answer = await self.send(step.request(self))
        assert judge(answer) is Verdict.ACCEPTED, answer.body
        self.outputs[step.name] = step.read(answer)
        self.made.append(step)

    async def all(self) -> Provisioning:
        table = TABLES[self.spec.style]
        left = list(table.rows)
        while left:
            row = next(row for row in left if all(before.step.name in self.outputs for before in table.before(row)))
            left.remove(row)
            await self.take(row.step)
        return self

    async def live(self, step: Step) -> Any:
        return await step.fetch(self, self.outputs[step.name]["id"])


def without_etag(outputs: Outputs) -> dict[str, Any]:
    return {key: value for key, value in outputs.items() if key != "etag"}


@pytest.fixture
def time() -> VirtualTime:
    return VirtualTime()


@pytest.fixture
def emulator(time: VirtualTime) -> Emulator:
    return emulator_in_virtual_time(time, seed=7)


@pytest.fixture
def style() -> str:
    """The style of the provisioned spec, where a test is about none in particular."""
    return "tutorial"


@pytest.fixture
async def provisioned(
    make_spec: Callable[..., Spec], emulator: Emulator, time: VirtualTime, style: str
) -> Provisioning:
    return await Provisioning(make_spec(style=style), emulator, time).all()


@every_style
async def test_every_step_is_accepted_and_makes_exactly_one_object(provisioned: Provisioning, style: str) -> None:
    more = {"tutorial": {"connections": 2, "schemas": 2}, "current": {"classes": 0}}
    assert {kind: provisioned.emulator.count(kind) for kind in KINDS} == {**dict.fromkeys(KINDS, 1), **more[style]}
    assert provisioned.outputs["await_flow"]["state"] == "enabled"


@every_making_step
async def test_what_a_create_told_is_what_a_look_up_tells(provisioned: Provisioning, step: Step) -> None:
    live = await provisioned.live(step)
    assert without_etag(step.outputs(live)) == without_etag(provisioned.outputs[step.name])
    assert step.marked(provisioned, live)
    assert step.references(provisioned, live) == []
    assert step.check(provisioned, live) == []


@every_making_step
async def test_it_is_found_again_by_its_marker_and_a_strangers_is_not(
    provisioned: Provisioning, make_spec: Callable[..., Spec], step: Step
) -> None:
    spec = make_spec(name="another", style=provisioned.spec.style)
    await Provisioning(spec, provisioned.emulator, provisioned.time, nonce="zzzzzzzzzz").all()
    [hit] = await step.find(provisioned)
    assert hit.id == provisioned.outputs[step.name]["id"]
    assert hit.created_at > 0
    assert step.marked(provisioned, hit.live)
    assert step.references(provisioned, hit.live) == []


@pytest.mark.parametrize(("style", "step"), RENAMABLE, ids=named)
async def test_it_is_found_again_after_a_third_party_renamed_it(provisioned: Provisioning, step: Step) -> None:
    await edit_text(provisioned, step, "title" if step.kind in ("classes", "schemas", "fieldgroups") else "name")
    [hit] = await step.find(provisioned)
    assert hit.id == provisioned.outputs[step.name]["id"]


@every_making_step
async def test_an_edit_by_a_third_party_is_seen_as_drift_where_it_was_made(
    provisioned: Provisioning, step: Step
) -> None:
    field = "title" if step.kind in ("classes", "schemas", "fieldgroups") else "name"
    await edit_text(provisioned, step, field)
    if step.kind == "mappingSets":  # the edit is another version: the flow's own, which is read, is as it was
        assert step.check(provisioned, await provisioned.live(step)) == []
        provisioned.emulator.options.mapping_version_latest = True
    differences = step.check(provisioned, await provisioned.live(step))
    assert [(difference.path, difference.found) for difference in differences] == [(field, "Renamed by hand")]


@every_making_step
async def test_an_object_that_is_not_there_is_none_and_no_error(provisioned: Provisioning, step: Step) -> None:
    id = str(provisioned.outputs[step.name]["id"])
    elsewhere = id[:-4] + ("0000" if not id.endswith("0000") else "1111")
    assert await step.fetch(provisioned, elsewhere) is None


@every_style
async def test_undoing_everything_in_reverse_leaves_nothing(provisioned: Provisioning) -> None:
    for step in reversed(provisioned.made):
        for request in step.undo(provisioned, provisioned.outputs[step.name]):
            answer = await provisioned.send(request)
            assert judge(answer) is Verdict.ACCEPTED, (step.name, answer.status, answer.body)
        assert await provisioned.live(step) is None
    assert {kind: provisioned.emulator.count(kind) for kind in KINDS} == dict.fromkeys(KINDS, 0)


async def test_a_second_run_shares_the_sink_and_makes_everything_else_anew(
    provisioned: Provisioning, make_spec: Callable[..., Spec]
) -> None:
    second = Provisioning(make_spec(name="another"), provisioned.emulator, provisioned.time, nonce="zzzzzzzzzz")
    await second.all()
    sink = "find_or_create_sink"
    assert second.outputs[sink]["id"] == provisioned.outputs[sink]["id"]
    assert sink not in [step.name for step in second.made]
    assert provisioned.emulator.count("connections") == 3
    assert provisioned.emulator.count("flows") == 2


async def test_a_base_connection_named_by_the_spec_is_used_and_not_remade(
    provisioned: Provisioning, make_spec: Callable[..., Spec]
) -> None:
    first = make_spec()
    named = provisioned.outputs["create_base_connection"]["id"]
    connection = first.source.connection.model_copy(update={"id": named, "params": {}})
    spec = make_spec(name="another", source=first.source.model_copy(update={"connection": connection}))
    second = Provisioning(spec, provisioned.emulator, provisioned.time, nonce="zzzzzzzzzz")
    settled = await CreateBaseConnection().prepare(second)
    assert settled is not None
    assert settled.how is How.FOUND
    await second.all()
    assert provisioned.emulator.count("connections") == 2


async def test_a_run_without_own_fields_makes_no_field_group(
    make_spec: Callable[..., Spec], emulator: Emulator, time: VirtualTime
) -> None:
    spec = make_spec(target=Target(), mappings=make_spec().mappings[:1])
    await Provisioning(spec, emulator, time).all()
    assert emulator.count("fieldgroups") == 0
    assert emulator.count("flows") == 1


async def test_the_secret_never_comes_back(provisioned: Provisioning) -> None:
    live = await provisioned.live(CreateBaseConnection())
    assert "a secret that must not come back" not in json.dumps(live)


# Third parties


async def patch(ctx: Provisioning, step: Step, changes: Any, *, method: str = "PATCH", headers: Any = None) -> None:
    [path] = [request.path for request in step.undo(ctx, ctx.outputs[step.name]) if request.method == "DELETE"]
    answer = await ctx.send(Request(method=method, path=path, body=changes, headers=headers or {}, effect=True))
    assert judge(answer) is Verdict.ACCEPTED, answer.body


async def edit_text(ctx: Provisioning, step: Step, field: str) -> None:
    """Rename an object as its owner in the user interface would."""
    replace = [{"op": "replace", "path": f"/{field}", "value": "Renamed by hand"}]
    if step.kind in FLOW_KINDS:
        live = await ctx.live(step)
        await patch(ctx, step, replace, headers={"If-Match": live["etag"]})
    elif step.kind == "dataSets":
        await patch(ctx, step, {field: "Renamed by hand"})
    elif step.kind == "mappingSets":
        await patch(ctx, step, {**await ctx.live(step), field: "Renamed by hand"}, method="PUT")
    else:
        await patch(ctx, step, replace)
