"""Faults that the fuzz has found, each by its name: the script that led to it, and what holds since it was mended."""

from __future__ import annotations

import errno
from collections.abc import Iterator

import pytest

from flowledger.errors import Conflict, Interrupted, NotPermitted, Unreachable
from flowledger.steps.client.inprocess import Fate, Moment
from tests.stateful.conftest import CREATES, EACH, World
from tests.stateful.process import Sitting

TITLED = [(style, step) for style, step in EACH if CREATES[step].titled]


@pytest.fixture
def style() -> str:
    """Of a test that is not for both."""
    return "tutorial"


@pytest.fixture
def world(style: str) -> Iterator[World]:
    world = World(style=style)
    yield world
    world.close()


@pytest.mark.parametrize(("style", "step"), TITLED)
def test_a_strangers_resource_of_our_title_is_never_taken_however_well_it_would_fit(world: World, step: str) -> None:
    """The marker in the title says nothing, because the title is what collided: it once was enough to be adopted."""
    world.squats.append(step)
    assert isinstance(world.sit().error, Conflict)
    world.send_strangers_away()
    assert world.sit("resume").report is not None


@pytest.mark.parametrize("shape", ["empty", "no_id"])
@pytest.mark.parametrize(("style", "step"), EACH)
def test_a_read_by_id_that_shows_nothing_usable_does_not_prove_that_nothing_is_there(
    world: World, step: str, shape: str
) -> None:
    """The answer is lost, the list shows the object, and its read by id answers 200 without a word: it once counted as
    "not there", and the object was made a second time."""
    kind = CREATES[step].kind
    world.fates.append((step, Fate.ANSWER_LOST))
    world.emulator.faults.add(f"GET /{kind}/{{id}}", "answer", status=200, shape=shape, times=9)
    for _ in range(4):
        world.time.advance(100)
        world.sit()
    world.come_to_an_end()
    assert world.sent[step] == 1


def test_a_sink_that_is_only_still_listed_is_not_shared(world: World) -> None:
    """Lists lag, and somebody has just deleted the sink that they show: the run was once built on it."""
    assert world.sit().report is not None
    world.begin_another_run()
    world.emulator.faults.set_list_lag("connections", 15_000)
    world.time.advance(100)
    [sink] = world.ours("find_or_create_sink", world.runs[0])
    world.emulator.world.store.delete("connections", "prod", sink["id"])
    world.deleted.add(sink["id"])
    assert world.sit().report is not None
    assert len(world.ours("find_or_create_sink")) == 1


@pytest.mark.parametrize("start", ["1900000000", "+1h"])
@pytest.mark.parametrize("in_doubt", [False, True])
def test_a_new_start_for_a_flow_that_was_made_already_is_no_drift(world: World, start: str, in_doubt: bool) -> None:
    """The flow was made with the old start, and then compared with the start that a resume gave: drift, for ever."""
    if in_doubt:
        assert world.sit(sitting=Sitting(call_actions={("create_flow", Moment.COMMITTED): world.die})).died
        # Its look-up adopts the flow; the run dies in the next read, which waits until the flow is ready.
        reads = [lambda: None, world.die]
        look_up = Sitting()

        def next_read() -> None:
            action = reads.pop(0)
            look_up.call_actions["GET /flows/", Moment.CONNECTED] = next_read
            action()

        look_up.call_actions["GET /flows/", Moment.CONNECTED] = next_read
        assert world.sit("resume", start=start, sitting=look_up).died
    else:
        made = Sitting(call_actions={("GET /flows/", Moment.CONNECTED): world.die})
        assert world.sit(sitting=made).died
    assert world.ledger().step("create_flow").done
    resumed = world.sit("resume", start=start)
    assert resumed.report is not None, resumed.error


def test_a_stop_during_the_drift_check_ends_the_run_within_the_grace(world: World) -> None:
    """A call of the drift check may hang for its whole timeout; it once was waited for."""
    assert world.sit(sitting=Sitting(call_actions={("create_flow", Moment.CHECKED): world.die})).died

    async def hang() -> None:
        world.ask_to_stop()
        await world.time.sleep(60)

    stopped = world.sit("resume", sitting=Sitting(call_actions={("GET /dataSets/", Moment.HANDED_OVER): hang}))
    assert isinstance(stopped.error, Interrupted)


def test_a_stop_during_the_last_look_ends_the_run_within_the_grace(world: World) -> None:
    world.fates.append(("create_dataset", Fate.LOST))

    async def hang() -> None:
        world.ask_to_stop()
        await world.time.sleep(60)

    async def arm() -> None:
        armed.call_actions["GET /dataSets", Moment.HANDED_OVER] = hang

    armed = Sitting(call_actions={("GET /flows/", Moment.CONNECTED): arm})
    assert isinstance(world.sit(sitting=armed).error, Interrupted)


def test_nothing_of_a_failed_drift_check_goes_on_after_the_run_has_ended(world: World) -> None:
    """One read fails for good while others are under way: they once went on behind the caller's back."""
    assert world.sit(sitting=Sitting(call_actions={("create_flow", Moment.CHECKED): world.die})).died
    world.emulator.faults.add("GET /dataSets/{id}", "answer", status=403, shape="gateway")
    world.emulator.faults.add("GET /targetConnections/{id}", "answer", status=503, times=3)
    assert isinstance(world.sit("resume").error, NotPermitted)  # `sit` looks at what is left


def test_a_pace_rings_for_nobody_once_the_run_that_waited_has_been_stopped(world: World) -> None:
    """After a 429 calls wait for their turn; the alarm of the last one that waited once outlived the run."""
    world.emulator.faults.add(
        "POST /connections", "answer", status=429, shape="empty", when="after", where="base-connection"
    )

    async def stop() -> None:
        world.ask_to_stop()

    stopped = world.sit(sitting=Sitting(call_actions={("create_adhoc_class", Moment.CONNECTED): stop}))
    assert isinstance(stopped.error, Interrupted)  # `sit` looks at what is left


@pytest.mark.parametrize("call", [17, 30])
def test_a_disk_that_fails_while_a_run_reads_what_others_share_does_not_let_the_next_one_make_it_again(
    call: int,
) -> None:
    """What runs share was read from the journal once, also where half of it could not be read: the run that met the
    failure ended, and the next one made a second base connection."""
    world = World(together=3)
    assert world.sit().done
    world.begin_another_run()
    world.disk.fail(call, errno.EIO)
    assert sorted(world.sit().ends) == [
        "JournalUnavailable",
        "provisioned",
        "provisioned",
    ]  # `sit` looks at what they share
    assert world.sent["create_base_connection"] == 1
    world.close()


@pytest.mark.parametrize("together", [1, 3])
def test_a_sink_whose_run_is_being_destroyed_is_not_shared(together: int) -> None:
    """The destroy has died, its delete is on the way: the next run took the sink, which then went away under it."""
    world = World(together=together)
    assert world.sit().done
    world.emulator.faults.add("DELETE /connections/{id}", "late", after_ms=30_000, times=2)
    killed = Sitting()
    both = [lambda: None, world.die]  # the base connection and the sink are deleted at the same time

    def next_delete() -> None:
        killed.call_actions["DELETE /connections/", Moment.COMMITTED] = next_delete
        both.pop(0)()

    killed.call_actions["DELETE /connections/", Moment.COMMITTED] = next_delete
    *followers, maker = reversed(world.runs)
    for run in followers:
        assert world.sit("destroy", run=run).done
    assert world.sit("destroy", run=maker, sitting=killed).died
    world.begin_another_run()
    world.stalls.append(("create_dataset", Moment.CONNECTED, 60))
    assert world.sit().done
    world.destroy_to_the_end(maker)
    world.check()
    assert len(world.emulator.objects("connections")) == 2
    world.close()


@pytest.mark.parametrize("shape", ["html", "no_id"])
def test_a_404_that_is_not_the_services_own_does_not_prove_to_a_destroy_that_an_object_is_gone(
    world: World, shape: str
) -> None:
    """Any JSON with a 404 once did: the base connection was left behind, and the run called itself destroyed."""
    assert world.sit().report is not None
    [base] = world.ours("create_base_connection")
    world.emulator.faults.add("GET /connections/{id}", "answer", status=404, shape=shape, times=2)
    assert isinstance(world.sit("destroy", run="paypal-products").error, Unreachable)
    assert world.ours("create_base_connection") == [base]
    world.destroy_to_the_end("paypal-products")
