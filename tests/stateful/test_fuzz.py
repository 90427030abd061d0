"""Everything that can go wrong, in any order and any number of times, and exactly one of everything after it.

The system is driven for real: each sitting is a process that applies or resumes. Rules arm what will happen to it.
The model is what strangers did; everything else is asked of the platform and the journal after each sitting. A failure
prints the script that leads to it, which belongs into test_regressions.py. `scripts/fuzz --minutes N` searches on.
"""

from __future__ import annotations

import errno
import os
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, event, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from crashmatrix.styles import STYLES
from flowledger.steps.client.inprocess import Fate, Moment
from tests.stateful.conftest import CREATES, JOURNAL, STEPS, Sitting, World
from tests.stateful.damage import flip_a_byte, tear_the_tail
from tests.stateful.telling import COLLECTIONS

step = st.sampled_from(STEPS)
READS = (
    "GET /stats", "GET /connections", "GET /connections/{id}", "GET /connections/{id}/test",
    "GET /connections/{id}/explore", "GET /tenant/classes", "GET /tenant/classes/{id}", "GET /tenant/schemas",
    "GET /tenant/schemas/{id}", "GET /tenant/fieldgroups", "GET /tenant/fieldgroups/{id}", "GET /sourceConnections",
    "GET /sourceConnections/{id}", "GET /targetConnections", "GET /targetConnections/{id}", "GET /dataSets",
    "GET /dataSets/{id}", "GET /mappingSets", "GET /mappingSets/{id}", "POST /mappingSets/validate", "GET /flowSpecs",
    "GET /flows", "GET /flows/{id}", "POST /ims/token/v3",
)  # fmt: skip
moments = st.sampled_from([moment.value for moment in Moment])
calls = st.sampled_from(
    [
        *STEPS,
        *(f"GET /{kind}{end}" for kind in sorted(COLLECTIONS) for end in ("", "/")),
    ]
)
OWN = ("gateway", "service")
FOREIGN = ("html", "empty", "malformed", "no_id")
RETRY_AFTER = (None, "0", "3", "59", "-5", "1e400", "NaN", "9" * 400, "soon", "Wed, 21 Oct 2015 07:28:00 GMT",
               "Fri, 31 Dec 9999 23:59:59 GMT", "")  # fmt: skip


def _faults() -> Iterator[tuple[str, tuple[str, dict[str, Any]]]]:
    """What can become of one create, by a name that says it."""
    for fate in Fate:
        if fate is not Fate.ANSWERED:
            yield fate.value, ("fate", {})
    for seconds in (0, 5, 30, 60):
        yield f"commits {seconds} s later", ("late", {"after_ms": seconds * 1000})
    for seconds in (1, 65, 120):
        yield f"answered {seconds} s later", ("slow", {"delay_ms": seconds * 1000})
    for status in (500, 502, 503, 504, 408, 200, 201, 202, 302):
        for shape in (*OWN, *FOREIGN):
            for when in ("before", "after"):
                yield f"{status} {shape} {when}", ("answer", {"status": status, "shape": shape, "when": when})
    for status in (400, 401, 403, 404, 409, 429):
        for shape in FOREIGN:  # a proxy's, say: that it came before the commit is not known to anybody
            for when in ("before", "after"):
                yield f"{status} {shape} {when}", ("answer", {"status": status, "shape": shape, "when": when})
        if status != 429:
            for shape in OWN:
                yield f"{status} {shape}", ("answer", {"status": status, "shape": shape})
    for wait in RETRY_AFTER:
        yield (
            f"429 retry-after {wait if wait is None else wait[:40]!r}",
            ("answer", {"status": 429, "retry_after": wait}),
        )
    yield "throttled eight times", ("answer", {"status": 429, "times": 8})
    yield "503 three times after", ("answer", {"status": 503, "when": "after", "times": 3})
    yield "token revoked", ("token", {})


FAULTS = dict(_faults())
several = st.lists(st.tuples(step, st.sampled_from(sorted(FAULTS))), min_size=1, max_size=6)
# What has happened in all examples of this process: `event()` shows it to people, this to the test of the statistics.
SEEN: Counter[str] = Counter()


def seen(what: str) -> None:
    event(what)
    SEEN[what] += 1


class Provisioning(RuleBasedStateMachine):
    """What may happen within the documented limits: then nothing is ever made twice."""

    kept = True
    beyond = False

    @initialize(seed=st.integers(0, 3), style=st.sampled_from(STYLES))
    def begin(self, seed: int, style: str) -> None:
        self.world = World(seed, style=style, kept=self.kept)
        self.world.beyond = self.beyond

    # -- what the network does

    @rule(step=step, moment=st.sampled_from([moment.value for moment in Moment]), seconds=st.integers(1, 300))
    def stall(self, step: str, moment: str, seconds: int) -> None:
        """The process stands still, or the bytes wait. Once they are under way they may wait U = 10 s."""
        longest = 10 if moment in ("checked", "handed_over") else 300
        self.world.stalls.append((step, Moment(moment), min(seconds, longest)))

    # -- what the platform does

    def fault(self, step: str, kind: str, **how: Any) -> None:
        create = CREATES[step]
        self.world.emulator.faults.add(f"POST {create.path}", kind, where=create.within, **how)

    def arm(self, faults: list[tuple[str, str]]) -> None:
        for step, name in faults:
            kind, how = FAULTS[name]
            if kind == "fate":
                self.world.fates.append((step, Fate(name)))
            else:
                self.fault(step, kind, **how)

    @rule(faults=several)
    def disturb(self, faults: list[tuple[str, str]]) -> None:
        self.arm(faults)

    @rule(faults=several, verb=st.sampled_from(["apply", "resume"]))
    def sit_disturbed(self, faults: list[tuple[str, str]], verb: str) -> None:
        self.arm(faults)
        self.sit(verb)

    @rule(faults=several, moment=st.integers(1, 120))
    def sit_disturbed_and_be_killed(self, faults: list[tuple[str, str]], moment: int) -> None:
        self.arm(faults)
        self.sit("apply", Sitting(actions={moment: self.world.die}))

    @rule(
        step=step,
        fate=st.sampled_from(["lost", "answer_lost", "answer_cut"]),
        by_id=st.booleans(),
        status=st.sampled_from([200, 403, 404, 500]),
        shape=st.sampled_from(FOREIGN),
        times=st.integers(1, 12),
    )
    def lose_and_spoil_its_look_up(
        self, step: str, fate: str, by_id: bool, status: int, shape: str, times: int
    ) -> None:
        """A call in doubt, and look-ups that prove nothing."""
        self.world.fates.append((step, Fate(fate)))
        route = f"GET /{CREATES[step].kind}" + ("/{id}" if by_id else "")
        self.world.emulator.faults.add(route, "answer", status=status, shape=shape, times=times)

    @rule(
        route=st.sampled_from(READS),
        status=st.sampled_from([200, 400, 401, 403, 408, 429, 500, 503]),
        shape=st.sampled_from(OWN + FOREIGN),
        when=st.sampled_from(["before", "after"]),
        times=st.integers(1, 7),
    )
    def spoil_a_read(self, route: str, status: int, shape: str, when: str, times: int) -> None:
        self.world.emulator.faults.add(route, "answer", status=status, shape=shape, when=when, times=times)

    @rule(route=st.sampled_from(READS), kind=st.sampled_from(["drop", "cut"]), times=st.integers(1, 7))
    def break_a_read(self, route: str, kind: str, times: int) -> None:
        self.world.emulator.faults.add(route, kind, times=times)

    @rule(seconds=st.sampled_from([1, 30, 600, 86399]))
    def shorten_tokens(self, seconds: int) -> None:
        self.world.emulator.options.token_lifetime_s = seconds

    @rule(seconds=st.integers(0, 19))
    def lag_lists(self, seconds: int) -> None:
        self.world.emulator.faults.set_list_lag("*", seconds * 1000)

    @rule(newest_first=st.booleans(), page_size=st.sampled_from([1, 20]))
    def order_lists(self, newest_first: bool, page_size: int) -> None:
        self.world.emulator.options.newest_first = newest_first
        self.world.emulator.options.page_size = page_size

    # -- what others do

    @rule(step=step)
    def take_the_name_first(self, step: str) -> None:
        """Somebody's object with our title or name appears just before ours is asked for."""
        self.world.squats.append(step)
        event("a namesake is armed")

    @rule(step=step, how=st.sampled_from(["rename", "edit", "delete"]))
    def meddle(self, step: str, how: str) -> None:
        if self.world.meddle(step, how):
            seen(f"somebody did: {how}")

    @rule()
    def send_strangers_away(self) -> None:
        self.world.send_strangers_away()

    # -- what time does

    @rule(seconds=st.sampled_from([1, 5, 30, 89, 96, 1000, 90000]))
    def let_time_pass(self, seconds: int) -> None:
        self.world.time.advance(seconds)

    @rule(seconds=st.sampled_from([-1_000_000, -700, -3, 3, 700, 1_000_000]))
    def set_the_clock_wrong(self, seconds: int) -> None:
        self.world.clock.wrong_by = seconds

    @rule(survival=st.integers(0, 1000))
    def reboot(self, survival: int) -> None:
        self.world.cut_power(survival)
        self.world.clock.boot()

    # -- what becomes of the journal

    @rule(part=st.integers(0, 5000))
    def tear_the_tail(self, part: int) -> None:
        if tear_the_tail(self.world, JOURNAL, part):
            seen("a torn tail")

    @rule(call=st.integers(1, 90), part=st.integers(0, 5000))
    def sit_and_leave_a_torn_tail(self, call: int, part: int) -> None:
        """The process dies at the disk, and of what it was writing a part is there."""
        died = self.sit("apply", Sitting(disk_actions={call: self.world.die})).died
        if died and tear_the_tail(self.world, JOURNAL, part):
            seen("a torn tail after a death")

    @rule(at=st.integers(0, 100_000))
    def flip_a_byte(self, at: int) -> None:
        if flip_a_byte(self.world, JOURNAL, at):
            seen("a damaged journal")

    @precondition(lambda self: self.kept)
    @rule()
    def restart_the_platform(self) -> None:
        self.world.restart_emulator()

    # -- sittings

    def sit(self, verb: str, sitting: Sitting | None = None, start: str | None = None) -> Sitting:
        world = self.world
        if verb == "resume" and world.spec.name not in world.nonces:
            verb = "apply"
        done = world.sit(verb, start=start, sitting=sitting)
        seen("died" if done.died else type(done.error).__name__ if done.error else "provisioned")
        if done.report is not None:
            for step, record in world.ledger().steps.items():
                if record.how is not None and step in STEPS:
                    seen(str(record.how))
                    if record.how != "created":
                        seen(f"{record.how}: {step}")
                if record.duplicates:
                    seen("twins reported")
                if len([attempt for attempt in record.attempts if attempt.unanswered]) and len(record.attempts) > 1:
                    seen("sent again after doubt")
                    seen("last look" if not record.needs_last_look else "no last look")
            world.begin_another_run(STYLES[(STYLES.index(world.spec.style) + 1) % len(STYLES)])
        return done

    @rule(verb=st.sampled_from(["apply", "resume"]))
    def sit_undisturbed(self, verb: str) -> None:
        self.sit(verb)

    @rule(start=st.sampled_from(["+20m", "1900000000", "1"]))
    def resume_with_another_start(self, start: str) -> None:
        self.sit("resume", start=start)

    @rule(moment=st.integers(1, 120))
    def sit_and_be_killed(self, moment: int) -> None:
        sitting = Sitting(actions={moment: self.world.die})
        self.sit("apply", sitting)

    @rule(call=calls, moment=moments)
    def sit_and_be_killed_in(self, call: str, moment: str) -> None:
        self.sit("apply", Sitting(call_actions={(call, Moment(moment)): self.world.die}))

    @rule(call=calls, moment=moments, seconds=st.sampled_from([0, 60]))
    def sit_and_be_stopped_in(self, call: str, moment: str, seconds: int) -> None:
        """SIGTERM while a call is under way, which may hang after it."""

        async def stop() -> None:
            self.world.ask_to_stop()
            await self.world.time.sleep(seconds)

        self.sit("resume", Sitting(call_actions={(call, Moment(moment)): stop}))

    @rule(call=calls, moment=moments, start=st.sampled_from(["+20m", "1900000000"]))
    def resume_with_another_start_and_be_killed_in(self, call: str, moment: str, start: str) -> None:
        self.sit("resume", Sitting(call_actions={(call, Moment(moment)): self.world.die}), start=start)

    @rule(call=st.integers(1, 90))
    def sit_and_be_killed_at_the_disk(self, call: int) -> None:
        self.sit("apply", Sitting(disk_actions={call: self.world.die}))

    @rule(call=st.integers(1, 90), survival=st.integers(0, 1000))
    def sit_until_the_power_is_cut(self, call: int, survival: int) -> None:
        def cut() -> None:
            self.world.cut_power(survival)
            self.world.die()

        if self.sit("apply", Sitting(disk_actions={call: cut})).died:
            self.world.clock.boot()

    @rule(
        call=st.integers(0, 90),
        error=st.sampled_from(["EIO", "ENOSPC", "EROFS", "EINTR"]),
        done=st.booleans(),
        verb=st.sampled_from(["apply", "resume"]),
    )
    def sit_on_a_failing_disk(self, call: int, error: str, done: bool, verb: str) -> None:
        self.world.disk.fail(call, getattr(errno, error), done=done)
        self.sit(verb)
        self.world.disk.fail(1_000_000_000)

    @rule(room=st.integers(0, 40_000))
    def sit_on_a_disk_that_fills(self, room: int) -> None:
        self.world.disk.capacity = self.world.disk._used() + room
        self.sit("apply")
        self.world.disk.capacity = None

    @rule(moment=st.integers(1, 120), verb=st.sampled_from(["apply", "resume"]))
    def sit_and_be_stopped(self, moment: int, verb: str) -> None:
        self.sit(verb, Sitting(actions={moment: self.world.ask_to_stop}))

    @rule(moment=st.integers(1, 120))
    def sit_while_somebody_else_applies(self, moment: int) -> None:
        self.sit("apply", Sitting(actions={moment: self.world.apply_at_the_same_time}))

    @rule(moment=st.integers(1, 120), step=step, how=st.sampled_from(["rename", "edit", "delete"]))
    def sit_while_somebody_meddles(self, moment: int, step: str, how: str) -> None:
        def act() -> None:
            if self.world.meddle(step, how):
                seen(f"somebody did in the middle: {how}")

        self.sit("apply", Sitting(actions={moment: act}))

    @precondition(lambda self: self.kept)
    @rule(moment=st.integers(1, 120))
    def sit_while_the_platform_restarts(self, moment: int) -> None:
        self.sit("apply", Sitting(actions={moment: self.world.restart_emulator}))

    @rule(moment=st.integers(1, 120), seconds=st.sampled_from([-1_000_000, -700, 700, 1_000_000]))
    def sit_while_the_clock_jumps(self, moment: int, seconds: int) -> None:
        def jump() -> None:
            self.world.clock.wrong_by = seconds

        self.sit("apply", Sitting(actions={moment: jump}))

    def teardown(self) -> None:
        if not hasattr(self, "world"):
            return
        try:
            last = self.world.come_to_an_end()
            seen("ended" if last.report else f"ended: {type(last.error).__name__}")
        finally:
            self.world.close()


class BeyondTheLimits(Provisioning):
    """What no client can make good: a platform slower than the settle window, and calls that are delivered twice.

    Then twins come; the last look reports those that are late by less than two windows.
    """

    beyond = True

    @rule(step=step, seconds=st.integers(91, 120))
    def commit_too_late(self, step: str, seconds: int) -> None:
        self.fault(step, "late", after_ms=seconds * 1000)

    @rule(seconds=st.integers(20, 55))
    def lag_lists_too_long(self, seconds: int) -> None:
        self.world.emulator.faults.set_list_lag("*", seconds * 1000)

    @rule(step=step)
    def deliver_twice(self, step: str) -> None:
        self.fault(step, "twice")
        # It strikes the next call of any run, so from here on any may have been doubled.
        self.world.doubled.update((run, step) for run in (*self.world.runs, *(f"run-{n}" for n in range(2, 60))))


def search(machine: type[Provisioning], *, examples: int, steps: int, shrink: bool = True) -> None:
    """Run a machine: the same examples each time, unless FLOWLEDGER_FUZZ_SEED says otherwise.

    `shrink`: make the script of a failure as short as possible, which may take minutes.
    """
    shrink = shrink or "FLOWLEDGER_FUZZ_SEED" in os.environ
    chosen = settings(
        max_examples=int(os.environ.get("FLOWLEDGER_FUZZ_EXAMPLES", examples)),
        stateful_step_count=steps,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        report_multiple_bugs=False,
        phases=[Phase.generate, *([Phase.shrink] if shrink else [])],
    )
    seeded = seed(int(os.environ.get("FLOWLEDGER_FUZZ_SEED", "0")))(type(machine.__name__, (machine,), {}))
    run_state_machine_as_test(seeded, settings=chosen)


def require_seen(*states: str) -> None:
    """A search means little if it never gets anywhere. Of a chosen seed only the search is wanted."""
    if "FLOWLEDGER_FUZZ_SEED" not in os.environ:
        assert [state for state in states if not SEEN[state]] == [], f"seen: {SEEN.most_common()}"


def test_whatever_happens_there_is_exactly_one_of_everything() -> None:
    SEEN.clear()
    search(Provisioning, examples=25, steps=25, shrink=False)
    require_seen(
        "provisioned",
        "died",
        "adopted",
        "sent again after doubt",
        "last look",
        "Drifted",
        "a torn tail",
        "a damaged journal",
    )


def test_a_platform_slower_than_the_settle_window_makes_twins_that_are_reported() -> None:
    search(BeyondTheLimits, examples=10, steps=25, shrink=False)


@pytest.mark.long
@pytest.mark.timeout(1000)
def test_a_longer_search_reaches_every_deep_state_and_there_is_exactly_one_of_everything() -> None:
    SEEN.clear()
    search(Provisioning, examples=150, steps=40)
    wanted = ["adopted", "found: find_or_create_sink", "sent again after doubt", "last look", "Conflict", "Drifted"]
    wanted += ["Rejected", "Interrupted", "DiskFull", "JournalError", "Unreachable", "ended: Drifted"]
    wanted += ["a torn tail", "a torn tail after a death", "a damaged journal"]
    require_seen(*wanted)


@pytest.mark.long
@pytest.mark.timeout(1000)
def test_a_longer_search_beyond_the_limits_reports_every_twin() -> None:
    SEEN.clear()
    search(BeyondTheLimits, examples=60, steps=30)
    require_seen("twins reported")
