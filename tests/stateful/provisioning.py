"""Rules of what may happen to runs, within the documented limits: in each sitting, between two, and at the end."""

from __future__ import annotations

import errno
from typing import Any

from hypothesis import event
from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule

from crashmatrix.styles import STYLES
from flowledger.engine.ledger import Ledger
from flowledger.steps.client.inprocess import Fate, Moment
from tests.stateful.conftest import CREATES, JOURNAL, STEPS, World
from tests.stateful.damage import flip_a_byte, tear_the_tail
from tests.stateful.destroying import Destroying
from tests.stateful.disturbances import FAULTS, FOREIGN, OWN, READS, calls, moments, seen, several, step
from tests.stateful.process import Sitting


class Provisioning(Destroying):
    """What may happen within the documented limits: then nothing is ever made twice."""

    kept = True
    beyond = False
    together = 1  # runs that one process provisions

    @initialize(seed=st.integers(0, 3), style=st.sampled_from(STYLES), leave_nothing=st.booleans())
    def begin(self, seed: int, style: str, leave_nothing: bool) -> None:
        """`leave_nothing`: in the end everything is destroyed."""
        self.world = World(seed, style=style, kept=self.kept, together=self.together)
        self.world.beyond = self.beyond
        self.leave_nothing = leave_nothing

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
        for of, name in faults:
            kind, how = FAULTS[name]
            if kind == "fate":
                self.world.fates.append((of, Fate(name)))
            else:
                self.fault(of, kind, **how)

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
        self.sit("apply", Sitting(actions={moment * self.together: self.world.die}))

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

    @rule(answers=st.integers(1, 30))
    def call_json_something_else(self, answers: int) -> None:
        """The next answers say that they are HTML, and hold what they would have held."""
        self.world.mislabels = answers

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
        if verb == "resume" and not any(run in world.nonces for run in world.group):
            verb = "apply"
        if start and world.group[0] not in world.nonces:  # begun alone it would share nothing
            start = None
        done = world.sit(verb, start=start, sitting=sitting, run=world.group[0] if start else "")
        for end in done.ends:
            seen(end)
        for what in +world.met:
            seen(what)
        world.met.clear()
        if done.done and not start:
            for ledger in world.ledgers(world.group).values():
                self.look_at(ledger)
            world.begin_another_run(STYLES[(STYLES.index(world.spec.style) + 1) % len(STYLES)])
        return done

    def look_at(self, ledger: Ledger) -> None:
        """Which deep states the run went through."""
        for name, record in ledger.steps.items():
            if record.how is not None and name in STEPS:
                seen(str(record.how))
                if record.how != "created":
                    seen(f"{record.how}: {name}")
                if record.shared_from:
                    seen(f"shared: {name}")
            if record.duplicates:
                seen("twins reported")
            if len([attempt for attempt in record.attempts if attempt.unanswered]) and len(record.attempts) > 1:
                seen("sent again after doubt")
                seen("last look" if not record.needs_last_look else "no last look")

    @rule(verb=st.sampled_from(["apply", "resume"]))
    def sit_undisturbed(self, verb: str) -> None:
        self.sit(verb)

    @rule(start=st.sampled_from(["+20m", "1900000000", "1"]))
    def resume_with_another_start(self, start: str) -> None:
        self.sit("resume", start=start)

    @rule(moment=st.integers(1, 120))
    def sit_and_be_killed(self, moment: int) -> None:
        sitting = Sitting(actions={moment * self.together: self.world.die})
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
        self.sit(verb, Sitting(actions={moment * self.together: self.world.ask_to_stop}))

    @rule(moment=st.integers(1, 120))
    def sit_while_somebody_else_applies(self, moment: int) -> None:
        self.sit("apply", Sitting(actions={moment * self.together: self.world.apply_at_the_same_time}))

    @rule(moment=st.integers(1, 120), step=step, how=st.sampled_from(["rename", "edit", "delete"]))
    def sit_while_somebody_meddles(self, moment: int, step: str, how: str) -> None:
        def act() -> None:
            if self.world.meddle(step, how):
                seen(f"somebody did in the middle: {how}")

        self.sit("apply", Sitting(actions={moment * self.together: act}))

    @precondition(lambda self: self.kept)
    @rule(moment=st.integers(1, 120))
    def sit_while_the_platform_restarts(self, moment: int) -> None:
        self.sit("apply", Sitting(actions={moment * self.together: self.world.restart_emulator}))

    @rule(moment=st.integers(1, 120), seconds=st.sampled_from([-1_000_000, -700, 700, 1_000_000]))
    def sit_while_the_clock_jumps(self, moment: int, seconds: int) -> None:
        def jump() -> None:
            self.world.clock.wrong_by = seconds
            seen(f"the clock jumps {'forward' if seconds > 0 else 'back'}")

        self.sit("apply", Sitting(actions={moment * self.together: jump}))

    def teardown(self) -> None:
        if not hasattr(self, "world"):
            return
        try:
            for end in self.world.come_to_an_end().ends:
                seen(f"ended: {end}")
            if self.leave_nothing:
                self.world.leave_nothing()
                seen("nothing left")
        finally:
            self.world.close()
