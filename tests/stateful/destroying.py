"""Rules of `destroy`: of any run at any time, disturbed, killed, carried on, and beside all that others do."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from crashmatrix.styles import EFFECTS
from flowledger.errors import UsageError
from flowledger.steps.client.inprocess import Fate, Moment
from tests.stateful.disturbances import FAULTS, READS, moments, seen
from tests.stateful.process import Sitting

if TYPE_CHECKING:
    from tests.stateful.conftest import World

#: The calls that remove something, and the route of each.
REMOVALS = {
    **{f"DELETE /{effect.kind}/": f"DELETE {effect.path}/{{id}}" for effect in EFFECTS.values()},
    "POST /flows/": "POST /flows/{id}/action",
}
#: What can become of one, but that the platform says it was done and it was not: no client can know better.
OF_REMOVALS = sorted(
    name
    for name, (kind, how) in FAULTS.items()
    if kind != "answer" or how["status"] >= 300 or how.get("when") == "after"
)
removals = st.lists(st.tuples(st.sampled_from(sorted(REMOVALS)), st.sampled_from(OF_REMOVALS)), min_size=1, max_size=6)
removal_calls = st.sampled_from([*sorted(REMOVALS), *(f"GET /{effect.kind}/" for effect in EFFECTS.values())])
which = st.integers(0, 50)


class Destroying(RuleBasedStateMachine):
    """Runs that are destroyed, between the sittings of others."""

    world: World

    def destroy(self, which: int, sitting: Sitting | None = None, *, keep_dataset: bool = False) -> Sitting | None:
        """Destroy a run, more often one whose destroy has begun. None if there is none yet."""
        world = self.world
        begun = [run for run in world.runs if run in world.nonces]
        if not begun:
            return None
        pending = [run for run in begun if run in world.doomed and not world.ledger(run).destroyed]
        run = (pending or begun)[which // 2 % len(pending or begun)] if which % 2 else begun[which // 2 % len(begun)]
        if run in pending:
            seen("a destroy is carried on")
        elif run not in world.doomed:
            seen(f"to be destroyed: {world.ledger(run).state}")
        done = world.sit("destroy", run=run, sitting=sitting, keep_dataset=keep_dataset)
        if done.report is not None:
            seen("destroyed")
            for left in done.report.left:
                seen(f"left: {left.why.split(' ')[0]}")
        else:
            seen(f"destroy: {done.ends[0]}")
        world.leave_the_doomed()
        return done

    def arm_removals(self, faults: list[tuple[str, str]]) -> None:
        for call, name in faults:
            kind, how = FAULTS[name]
            if kind == "fate":
                self.world.fates.append((call, Fate(name)))
            else:
                self.world.emulator.faults.add(REMOVALS[call], kind, **how)

    @rule(which=which, keep_dataset=st.sampled_from([False, False, False, True]))
    def destroy_undisturbed(self, which: int, keep_dataset: bool) -> None:
        self.destroy(which, keep_dataset=keep_dataset)

    @rule(which=which, faults=removals)
    def destroy_disturbed(self, which: int, faults: list[tuple[str, str]]) -> None:
        self.arm_removals(faults)
        self.destroy(which)

    @rule(which=which, faults=removals, moment=st.integers(1, 300))
    def destroy_disturbed_and_be_killed(self, which: int, faults: list[tuple[str, str]], moment: int) -> None:
        self.arm_removals(faults)
        self.destroy(which, Sitting(actions={moment: self.world.die}))

    @rule(which=which, route=st.sampled_from(READS), kind=st.sampled_from(["drop", "cut"]), times=st.integers(1, 7))
    def destroy_while_a_read_breaks(self, which: int, route: str, kind: str, times: int) -> None:
        self.world.emulator.faults.add(route, kind, times=times)
        self.destroy(which)

    @rule(which=which, call=removal_calls, moment=moments)
    def destroy_and_be_killed_in(self, which: int, call: str, moment: str) -> None:
        self.destroy(which, Sitting(call_actions={(call, Moment(moment)): self.world.die}))

    @rule(which=which, call=st.integers(1, 120), survival=st.one_of(st.none(), st.integers(0, 1000)))
    def destroy_and_die_at_the_disk(self, which: int, call: int, survival: int | None) -> None:
        """Killed, or the power is cut."""

        def die() -> None:
            if survival is not None:
                self.world.cut_power(survival)
            self.world.die()

        done = self.destroy(which, Sitting(disk_actions={call: die}))
        if done is not None and done.died and survival is not None:
            self.world.clock.boot()

    @rule(which=which, call=st.integers(0, 120), error=st.sampled_from(["EIO", "ENOSPC", "EROFS"]), done=st.booleans())
    def destroy_on_a_failing_disk(self, which: int, call: int, error: str, done: bool) -> None:
        self.world.disk.fail(call, getattr(errno, error), done=done)
        self.destroy(which)
        self.world.disk.fail(1_000_000_000)

    @rule(which=which, call=removal_calls, moment=moments, seconds=st.sampled_from([0, 60]))
    def destroy_and_be_stopped_in(self, which: int, call: str, moment: str, seconds: int) -> None:
        async def stop() -> None:
            self.world.ask_to_stop()
            await self.world.time.sleep(seconds)

        self.destroy(which, Sitting(call_actions={(call, Moment(moment)): stop}))

    @rule(which=which, verb=st.sampled_from(["apply", "resume"]))
    def turn_to_what_is_destroyed(self, which: int, verb: str) -> None:
        """A run whose destroy has begun can only be destroyed, and its name stays taken (decision 9)."""
        world = self.world
        doomed = [run for run in world.runs if run in world.doomed]
        if doomed:
            calls = world.requests
            run = doomed[which % len(doomed)]
            refused = world.sit(verb, run=run).error
            assert isinstance(refused, UsageError), f"{verb} of {run}, which is being destroyed: {refused!r}"
            assert world.requests == calls, "what is refused called somebody"
            seen("a destroyed name is refused")
