"""What others do meanwhile, for every step: other platforms, a machine that stands still or whose clock jumps, a second
process, a third party that meddles with our object or has its name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

import orjson

from crashmatrix import living, verdict
from crashmatrix.cells import ONE_OF_EACH_KIND, Cell, Of, can_happen, per_step_points, single_cells
from crashmatrix.fates import FATES, REQUEST_FATES, SEND_WITHIN, WINDOW, Commits, LookUpFate
from crashmatrix.living import to_the_end
from crashmatrix.machine import DIRECTORY
from crashmatrix.points import Crash, Death
from crashmatrix.styles import EFFECTS, MADE_ONCE
from crashmatrix.world import World
from flowledger.emulator.wire import Request as CoreRequest
from flowledger.engine import api
from flowledger.errors import Conflict, Drifted, JournalHeld
from flowledger.journal import InlineCommitter, Journal
from flowledger.journal.opening import open_writer
from flowledger.steps.client.inprocess import Moment
from flowledger.steps.client.port import Request

#: Where an object of somebody else shows in look-ups as if it were ours: it is told of, and ours is taken.
_REPORTED: Final = LookUpFate(name="right", ends="reported")
#: What an object of somebody else refers to.
_ELSE: Final[dict[str, tuple[str, Any]]] = {
    "connections": ("connectionSpec", {"id": "ffffffff-0000-4000-8000-000000000000", "version": "1.0"}),
    "sourceConnections": ("baseConnectionId", "ffffffff-0000-4000-8000-000000000001"),
    "targetConnections": ("connectionSpec", {"id": "ffffffff-0000-4000-8000-000000000002", "version": "1.0"}),
    "dataSets": ("schemaRef", {"id": "https://ns.adobe.com/else/schemas/ff", "contentType": "x"}),
    "mappingSets": ("xdmSchema", "https://ns.adobe.com/else/schemas/ff"),
    "flows": ("sourceConnectionIds", ["ffffffff-0000-4000-8000-000000000003"]),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A cell, what is done to its world, and how it ends: "one", "conflict", or "drift"."""

    cell: Cell
    arm: Callable[[World], None] = lambda world: None
    ends: str = "one"
    must_hit: bool = True


def run_scene(scene: Scene) -> World:
    """Live through it, and check. AssertionError names the cell."""
    world, cell = living.prepared(scene.cell), scene.cell
    try:
        scene.arm(world)
        if scene.ends == "one":
            report = to_the_end(world, cell)
            if scene.must_hit:
                assert world.hits == list(cell.crashes), f"only met: {[str(hit) for hit in world.hits]}"
            verdict.check(world, report, cell)
        else:
            _ends_refused(world, scene)
    except AssertionError as failure:
        raise AssertionError(f"{cell}: {failure}") from failure
    return world


def _ends_refused(world: World, scene: Scene) -> None:
    """The run stops and says why, for as long as what is in its way is there; nothing is made beside it."""
    left, wanted = list(scene.cell.crashes), {"conflict": Conflict, "drift": Drifted}[scene.ends]
    outcome: Any = None
    for _ in range(len(left) + 3):
        hits = len(world.hits)
        outcome = world.sit(left[0] if left else None)
        if len(world.hits) > hits:
            left.pop(0)
            world.time.advance(scene.cell.fate.down)
    assert isinstance(outcome, wanted), f"no {scene.ends}: {outcome!r}"
    sent, kind = world.sends, EFFECTS[scene.cell.step].kind
    made = world.made[kind]
    assert isinstance(world.sit(), wanted)
    assert world.made[kind] == made, "something was made although it can help nothing"
    assert scene.ends != "drift" or world.sends == sent, "something was sent on top of what has drifted"
    made -= world.made_by_others[kind]
    assert made <= MADE_ONCE[scene.cell.style][kind], f"{made} {kind} were made"


def _deaths(step: str, *points: int | None) -> Iterator[tuple[Crash, ...]]:
    for point in points:
        yield (Crash(point=point, step=step),) if point else ()


# -- platforms that are otherwise where Adobe's documents are silent -------------------------------------------------


def racy_title_scenes(of: Of) -> Iterator[Scene]:
    """The title check is not atomic: a call that is still in flight makes a second object of our title. It is reported.

    Every death, with the one fate in which a second call is sent while the first may still take effect.
    """
    options = (("racy_titles", True),)
    yield Scene(cell=Cell(step=of.step, style=of.style, fate=FATES["commits later than G"], options=options))
    for point in per_step_points():
        for cell in single_cells(of, point):
            if cell.fate.name == "commits later than G":
                yield Scene(cell=replace(cell, options=options))


def unique_name_scenes(of: Of) -> Iterator[Scene]:
    """Flow Service refuses a second object of one name (U23): every fate, and every death with those in which a second
    call can meet a first one that has taken effect."""
    options = (("unique_flow_names", True),)
    for fate in REQUEST_FATES:
        yield Scene(cell=Cell(step=of.step, style=of.style, fate=fate, options=options))
    for point in per_step_points():
        for cell in single_cells(of, point):
            if cell.fate.name in ("commits later than G", "delivered twice"):
                yield Scene(cell=replace(cell, options=options))
    yield Scene(
        cell=Cell(step=of.step, style=of.style, fate=FATES["answered"], options=options,
                  others="delivered twice, and the second delivery's refusal is the answer"),
        arm=lambda world: _deliver_first(world, of.step),
    )  # fmt: skip


def deliver(world: World, request: Request) -> None:
    """Have the platform take the call, past the faults that are armed: those are for the client's own."""
    headers = {name.lower(): value for name, value in request.headers.items()}
    body = orjson.dumps(request.body)
    call = CoreRequest(method="POST", raw_path=request.path, query=request.query, headers=headers, body=body)
    world.emulator._answer(call, world.emulator._router.find("POST", request.path))


def _deliver_first(world: World, step: str) -> None:
    """Something between us delivers the call once before the one that is answered."""

    def twice(moment: Moment, request: Request) -> None:
        if moment is Moment.HANDED_OVER and EFFECTS[step].is_in(request):
            world.on_moment_hook = None
            deliver(world, request)

    world.on_moment_hook = twice


# -- a machine that stands still, and one whose clock is set ---------------------------------------------------------


def stall_scenes(of: Of) -> Iterator[Scene]:
    """The process is stopped (SIGSTOP) for longer than D, and for longer than D + S, at each moment of its call."""
    names = ("answered", "lost before commit", "committed, answer lost", "commits at exactly G")
    for moment in (Moment.CONNECTED, Moment.CHECKED, Moment.COMMITTED, Moment.PARTLY_READ):
        for seconds in (SEND_WITHIN + 1, SEND_WITHIN + WINDOW + 1):
            for fate in map(FATES.__getitem__, names):
                if moment is Moment.PARTLY_READ and not fate.answers:
                    continue
                late = fate.commits is Commits.LATE
                if moment is Moment.COMMITTED and (late or fate.commits is Commits.NEVER):
                    continue
                # Sent so late that its window is over: nothing waits for it any more. The last look sees what came.
                twins = late and moment is Moment.CHECKED and seconds > WINDOW
                dies = 9 if late else 10 if fate.commits is Commits.NOW else 8
                points = (None, dies) if moment in (Moment.CONNECTED, Moment.CHECKED) else (None,)
                for crashes in _deaths(of.step, *points):
                    cell = Cell(
                        step=of.step, style=of.style, fate=fate, crashes=crashes, twins=twins,
                        others=f"stopped for {seconds:g} s when {moment}",
                    )  # fmt: skip
                    yield Scene(cell=cell, arm=_stop(of.step, moment, seconds))


def _stop(step: str, at: Moment, seconds: float) -> Callable[[World], None]:
    def arm(world: World) -> None:
        def stop(moment: Moment, request: Request) -> None:
            if moment is at and EFFECTS[step].is_in(request):
                world.on_moment_hook = None
                world.time.advance(seconds)

        world.on_moment_hook = stop

    return arm


def clock_scenes(of: Of) -> Iterator[Scene]:
    """The wall clock is set, forward and back, at the start, before the call is sent, or after it."""
    names = ("lost before commit", "committed, answer lost", "commits at exactly G", "429 with Retry-After")
    every = (-1_000_000.0, -700.0, 700.0, 1_000_000.0)
    for seconds in every if of.step in ONE_OF_EACH_KIND else every[1::2]:
        for moment in (None, Moment.CONNECTED, Moment.HANDED_OVER):
            for fate in map(FATES.__getitem__, names):
                dies = 14 if fate.waits else 9 if fate.commits is Commits.LATE else 12
                for crashes in _deaths(of.step, None, dies):
                    for echo_names in (True, False) if of.step == "create_mapping_set" else (True,):
                        cell = Cell(
                            step=of.step, style=of.style, fate=fate, crashes=crashes, echo_names=echo_names,
                            others=f"the clock jumps by {seconds:+.0f} s when {moment or 'it begins'}",
                        )  # fmt: skip
                        yield Scene(cell=cell, arm=_set_clock(of.step, moment, seconds))


def _set_clock(step: str, at: Moment | None, seconds: float) -> Callable[[World], None]:
    def arm(world: World) -> None:
        def jump(moment: Moment, request: Request) -> None:
            if at is None or (moment is at and EFFECTS[step].is_in(request)):
                world.on_moment_hook = None
                world.time.wrong_by = seconds

        world.on_moment_hook = jump

    return arm


# -- a second process ------------------------------------------------------------------------------------------------


def second_apply_scenes(of: Of) -> Iterator[Scene]:
    """Somebody types `apply` again while one runs: at each moment of the call. (After the end: that is every cell.)"""
    for moment in Moment:
        for name in ("answered", "committed, answer lost", "lost before commit"):
            fate = FATES[name]
            never, silent = fate.commits is Commits.NEVER, not fate.answers
            if (never and moment in (Moment.COMMITTED, Moment.PARTLY_READ)) or (
                silent and moment is Moment.PARTLY_READ
            ):
                continue
            cell = Cell(step=of.step, style=of.style, fate=fate, others=f"a second apply when {moment}")
            yield Scene(cell=cell, arm=_apply_again(of.step, moment))


def _apply_again(step: str, at: Moment) -> Callable[[World], None]:
    def arm(world: World) -> None:
        async def both() -> None:
            for again in (_in_this_process, _in_another):
                try:
                    await again(world)
                except JournalHeld:
                    continue
                raise AssertionError("the journal was given to two")

        def second(moment: Moment, request: Request) -> Any:
            if moment is at and EFFECTS[step].is_in(request):
                world.on_moment_hook = None
                return both()
            return None

        world.on_moment_hook = second

    return arm


async def _in_this_process(world: World) -> None:
    await api.apply(world.spec, **world.options)


async def _in_another(world: World) -> None:
    Journal.open(DIRECTORY, fs=world.disk, committer=InlineCommitter(), wall=world.time.wall).close()


def waiting_scenes(of: Of) -> Iterator[Scene]:
    """A second `apply` waits for the lock while the first lives, and dies at each point or ends; then it goes on."""
    for name in ("lost before commit", "committed, answer lost"):
        for point in per_step_points():
            if can_happen(point, FATES[name]) and Death.KILLED in point.deaths:
                crash = Crash(point=point.number, step=of.step)
                yield Scene(cell=_waiting(of, name, crash))
        yield Scene(cell=_waiting(of, name))


def _waiting(of: Of, fate: str, *crashes: Crash) -> Cell:
    others = "a second apply waits for the lock"
    return Cell(step=of.step, style=of.style, fate=FATES[fate], crashes=crashes, others=others)


def run_waiting(scene: Scene) -> World:
    """The second process begins to wait before the first has done anything, and takes the lock when that is gone."""
    world, cell = living.prepared(scene.cell), scene.cell
    waited = 0

    def sleep(seconds: float) -> None:
        nonlocal waited
        waited += 1
        world.time.advance(seconds)
        if waited > 1:
            raise _Waits

    def wait_for_the_lock() -> None:
        try:
            open_writer(
                DIRECTORY, fs=world.disk, committer=InlineCommitter(), lock_timeout=60.0, wall=world.time.wall,
                monotonic=world.time.monotonic, sleep=sleep,
            )  # fmt: skip
        except _Waits:
            return
        raise AssertionError("the journal was given to two")

    try:
        first = world.sit(*cell.crashes, meanwhile=wait_for_the_lock)
        assert world.hits == list(cell.crashes), f"the death was not met: {first!r}"
        assert waited > 1, "the second had not to wait"
        # What it does once it has the lock is what any process does: it reads then, not before.
        verdict.check(world, to_the_end(world, replace(cell, crashes=())), cell)
    except AssertionError as failure:
        raise AssertionError(f"{cell}: {failure}") from failure
    return world


class _Waits(Exception):
    """The second process would go on waiting."""


# -- third parties ---------------------------------------------------------------------------------------------------


def meddling_scenes(of: Of) -> Iterator[Scene]:
    """Somebody renames, edits or deletes our object: while it is in doubt, and once it is done."""
    effect = EFFECTS[of.step]
    for how in ("rename", "edit", "delete"):
        if how == "edit" and effect.kind == "mappingSets":
            continue  # it has no description
        if how == "rename" and effect.kind == "mappingSets" and of.style == "tutorial":
            in_doubt = "skip"  # its name is all that it has; in the other style it has a tag
        elif how == "edit" and effect.titled:
            in_doubt = "conflict"  # of a unique title the description says whose it is
        else:
            in_doubt = "one"
        if in_doubt != "skip":
            for crashes in _deaths(of.step, None, 10, 12):
                cell = Cell(
                    step=of.step, style=of.style, fate=FATES["committed, answer lost"], crashes=crashes,
                    others=f"somebody does to our object while it is in doubt: {how}",
                )  # fmt: skip
                yield Scene(cell=cell, arm=_meddle(of.step, how, Moment.COMMITTED), ends=in_doubt)
        cell = Cell(
            step=of.step, style=of.style, fate=FATES["answered"], crashes=(Crash(point=14, step=of.step),),
            others=f"somebody does to our object once it is done: {how}",
        )  # fmt: skip
        yield Scene(cell=cell, arm=_meddle_after_death(of.step, how), ends="drift")


def _meddle(step: str, how: str, at: Moment) -> Callable[[World], None]:
    def arm(world: World) -> None:
        def on_commit(request: Request) -> None:
            if EFFECTS[step].is_in(request):
                world.on_commit = None
                meddle(world, step, how)

        world.on_commit = on_commit

    return arm


def _meddle_after_death(step: str, how: str) -> Callable[[World], None]:
    def arm(world: World) -> None:
        def on_death() -> None:
            meddle(world, step, how)
            world.time.advance(2 * WINDOW)

        world.on_death = on_death

    return arm


def meddle(world: World, step: str, how: str) -> None:
    """Somebody renames, edits or deletes the step's object."""
    effect, store = EFFECTS[step], world.emulator.world.store
    key = "$id" if effect.titled else "id"
    [mine] = [found for found in world.emulator.objects(effect.kind) if effect.within in str(found)]
    if how == "delete":
        store.delete(effect.kind, "prod", mine[key])
        world.made_by_others[effect.kind] += 1  # that it was made twice is their doing
        return
    changed = orjson.loads(orjson.dumps(mine))
    changed["description" if how == "edit" else "title" if effect.titled else "name"] = "changed by hand"
    store.put(effect.kind, "prod", mine[key], changed)


def namesake_scenes(of: Of) -> Iterator[Scene]:
    """Somebody has our object's name, before the first attempt or between two, and it belongs to something else."""
    for attempt, name, ends, points in (
        (1, "committed, answer lost", "one", (None, 10, 12, 16)),
        (1, "lost before commit", "conflict", (None, 6, 8, 12, 18)),
    ):
        for crashes in _deaths(of.step, *points):
            cell = Cell(
                step=of.step, style=of.style, fate=FATES[name], crashes=crashes,
                others=f"a namesake of something else before attempt {attempt}",
                look_up=_REPORTED if ends == "one" else None,
            )  # fmt: skip
            yield Scene(cell=cell, arm=_squat(of.step, attempt), ends=ends)


def _squat(step: str, attempt: int) -> Callable[[World], None]:
    def arm(world: World) -> None:
        calls = 0

        def squat(moment: Moment, request: Request) -> None:
            nonlocal calls
            if moment is not Moment.CONNECTED or not EFFECTS[step].is_in(request):
                return
            calls += 1
            if calls == attempt:
                world.on_moment_hook = None
                squat_beside(world, step, request)

        world.on_moment_hook = squat

    return arm


def squat_beside(world: World, step: str, request: Request) -> None:
    """Somebody makes an object of our name: what differs is its description, and what it belongs to."""
    effect, store = EFFECTS[step], world.emulator.world.store
    before = {found["id"] for found in world.emulator.objects(effect.kind)}
    deliver(world, request)
    [theirs] = [found["id"] for found in world.emulator.objects(effect.kind) if found["id"] not in before]
    changed = store.get(effect.kind, "prod", theirs)
    assert changed is not None
    changed.update([_ELSE[effect.kind]])
    changed.pop("tags", None)
    if "outputSchema" in changed:
        changed["outputSchema"] = {"schemaRef": {"id": _ELSE["mappingSets"][1], "contentType": "x"}}
    if "description" in changed:
        changed["description"] = "mine"
    store.put(effect.kind, "prod", theirs, changed)
    world.made_by_others[effect.kind] += 1
    world.ids_of_others.add(theirs)
