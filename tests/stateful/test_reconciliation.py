"""What becomes of a create whose answer is not known: found again, waited for, sent again, never made twice."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from flowledger.errors import Conflict, Drifted
from flowledger.steps.client.inprocess import Fate, Moment
from tests.stateful.conftest import CREATES, EACH, World
from tests.stateful.process import Sitting
from tests.stateful.telling import id_of

TITLED = [(style, step) for style, step in EACH if CREATES[step].titled]
SILENT = [(style, step) for style, step in EACH if not CREATES[step].titled]
WINDOW, SEND_WITHIN = 90.0, 5.0  # of the world's spec
every_create = pytest.mark.parametrize(("style", "step"), EACH)


@pytest.fixture
def style() -> str:
    """Of a test that is not for both."""
    return "tutorial"


@pytest.fixture
def world(style: str) -> Iterator[World]:
    world = World(style=style)
    yield world
    world.close()


# A mapping set has one field only.
@pytest.mark.parametrize(("style", "step"), [one for one in EACH if one[1] != "create_mapping_set"])
@pytest.mark.parametrize("how", ["rename", "edit"])
def test_one_that_somebody_renames_or_describes_anew_while_it_is_in_doubt_is_not_made_twice(
    world: World, step: str, how: str
) -> None:
    """One of name and description is enough; of a unique title the description decides, and it is a conflict."""
    world.fates.append((step, Fate.ANSWER_LOST))
    done = world.sit(sitting=Sitting(call_actions={(step, Moment.COMMITTED): lambda: world.meddle(step, how)}))
    if CREATES[step].titled and how == "edit":
        assert isinstance(done.error, Conflict)
    else:
        assert done.report is not None
        assert world.ledger().step(step).how == "adopted"
        assert world.sent[step] == 1


@every_create
def test_one_that_somebody_deletes_while_it_is_in_doubt_is_made_again(world: World, step: str) -> None:
    world.fates.append((step, Fate.ANSWER_LOST))
    world.emulator.faults.set_list_lag("*", 15_000)  # the deleted one goes on being listed
    done = world.sit(sitting=Sitting(call_actions={(step, Moment.COMMITTED): lambda: world.meddle(step, "delete")}))
    assert done.report is not None
    assert world.sent[step] == 2
    assert len(world.ours(step)) == 1


@every_create
def test_a_settle_wait_that_is_killed_ends_when_it_would_have_ended(world: World, step: str) -> None:
    world.fates.append((step, Fate.LOST))
    sent_at: list[float] = []
    first = Sitting()

    def note() -> None:
        sent_at.append(world.time.monotonic())
        first.call_actions[f"GET /{CREATES[step].kind}", Moment.CONNECTED] = world.die

    first.call_actions[step, Moment.HANDED_OVER] = note
    assert world.sit(sitting=first).died
    world.time.advance(60)
    again = Sitting(call_actions={(step, Moment.HANDED_OVER): note})
    assert world.sit("resume", sitting=again).report is not None
    assert WINDOW + SEND_WITHIN < sent_at[1] - sent_at[0] < WINDOW + SEND_WITHIN + 1


@every_create
def test_after_another_boot_the_whole_window_is_waited_for_again(world: World, step: str) -> None:
    world.fates.append((step, Fate.ANSWERED))
    assert world.sit(sitting=Sitting(call_actions={(step, Moment.HANDED_OVER): world.die})).died
    world.time.advance(10_000)
    world.cut_power(0)
    world.clock.boot()
    began = world.time.monotonic()
    sent_at: list[float] = []
    again = Sitting(call_actions={(step, Moment.HANDED_OVER): lambda: sent_at.append(world.time.monotonic())})
    assert world.sit("resume", sitting=again).report is not None
    assert WINDOW < sent_at[0] - began < WINDOW + 1


@pytest.mark.parametrize(("style", "step"), SILENT)
@pytest.mark.parametrize("newest_first", [False, True])
def test_of_several_hits_the_oldest_is_adopted_and_the_others_are_reported(
    world: World, step: str, newest_first: bool
) -> None:
    world.beyond = True  # a gateway that delivers a call twice
    world.emulator.options.newest_first = newest_first
    world.deliver_first.append(step)
    world.stalls.append((step, Moment.HANDED_OVER, 1.0))
    world.fates.append((step, Fate.ANSWER_LOST))
    done = world.sit()
    assert done.report is not None
    older, newer = (id_of(item) for item in world.ours(step))
    assert world.ledger().step(step).outputs["id"] == older  # type: ignore[index] # it is done
    assert done.report.duplicates == (newer,)


@pytest.mark.parametrize(("style", "step"), [one for one in SILENT if one[1] != "find_or_create_sink"])
def test_a_namesake_that_belongs_to_something_else_does_not_hide_ours_that_lists_do_not_show_yet(
    world: World, step: str
) -> None:
    """Before the window's end a hit may be adopted, but that nothing fits is no conflict yet."""
    world.emulator.faults.set_list_lag("*", 8_000)
    world.squats.append(step)
    world.fates.append((step, Fate.ANSWER_LOST))
    world.stalls.append((step, Moment.CONNECTED, 4.0))  # the namesake is older, and is listed first
    done = world.sit()
    assert done.error is None, done.error
    assert world.ledger().step(step).how == "adopted"


@pytest.mark.parametrize(("style", "step"), [one for one in SILENT if one[1] != "find_or_create_sink"])
def test_only_a_namesake_that_belongs_to_something_else_after_the_window_is_a_conflict(world: World, step: str) -> None:
    world.squats.append(step)
    world.fates.append((step, Fate.LOST))
    assert isinstance(world.sit().error, Conflict)
    world.send_strangers_away()
    assert world.sit("resume").report is not None
    assert len(world.ours(step)) == 1


@pytest.mark.parametrize(("style", "step"), TITLED)
def test_a_title_that_our_own_first_attempt_took_is_adopted_when_something_sent_it_twice(
    world: World, step: str
) -> None:
    """The answer to the second delivery comes back: the title is taken, on a first attempt, by ourselves."""
    world.deliver_first.append(step)
    assert world.sit().report is not None
    assert world.ledger().step(step).how == "adopted"
    assert len(world.ours(step)) == 1


@pytest.mark.parametrize(("style", "step"), TITLED)
def test_a_title_that_a_stranger_took_between_two_attempts_is_a_conflict_on_the_second(world: World, step: str) -> None:
    world.fates.append((step, Fate.LOST))

    def squat_next_time() -> None:
        world.squats.append(step)

    done = world.sit(sitting=Sitting(call_actions={(step, Moment.HANDED_OVER): squat_next_time}))
    assert isinstance(done.error, Conflict)
    assert world.sent[step] == 2
    world.send_strangers_away()
    assert world.sit("resume").report is not None


@every_create
def test_a_twin_that_comes_after_the_window_is_reported_by_a_last_look_that_outlives_a_crash(
    world: World, step: str
) -> None:
    world.beyond = True
    create = CREATES[step]
    world.emulator.faults.add(f"POST {create.path}", "late", after_ms=100_000, where=create.within)
    killed = Sitting(call_actions={("GET /flows/", Moment.CONNECTED): world.die})
    assert world.sit(sitting=killed).died or step == "create_flow"
    done = world.sit("resume")
    assert done.report is not None
    known = world.ledger().step(step).outputs["id"]  # type: ignore[index] # it is done
    assert [id_of(item) for item in world.ours(step) if id_of(item) != known] == list(done.report.duplicates)
    assert len(done.report.duplicates) == (0 if CREATES[step].titled else 1)


def test_in_doubt_longer_than_the_sitting_may_last_is_waited_for_to_its_end(world: World) -> None:
    retry = world.spec.retry.model_copy(update={"deadline": 60.0})
    world.spec = world.spec.model_copy(update={"retry": retry})
    world.fates.append(("create_flow", Fate.LOST))
    assert world.sit().report is not None
    assert world.sent["create_flow"] == 2


@pytest.mark.parametrize(
    ("style", "step", "how"),
    # A mapping set has no description that could be edited.
    [
        (*one, how)
        for one in EACH
        for how in ("rename", "edit", "delete")
        if (one[1], how) != ("create_mapping_set", "edit")
    ],
)
def test_what_somebody_changed_between_two_sittings_is_drift_and_nothing_is_sent(
    world: World, step: str, how: str
) -> None:
    made = Sitting(call_actions={("GET /flows/", Moment.CONNECTED): world.die})
    assert world.sit(sitting=made).died
    assert world.meddle(step, how)
    world.time.advance(2 * WINDOW)
    sent = dict(world.sent)
    done = world.sit("resume")
    assert isinstance(done.error, Drifted)
    assert len(done.error.differences) == 1
    assert dict(world.sent) == sent
