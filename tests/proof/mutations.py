"""The rules of the protocol, each broken alone: what to change in the tree, and which tests must notice.

A text that is no longer there, or is there twice, is an error: a mutation that changes nothing would seem to be missed,
and one that nobody applies would seem to be caught. tests/proof/test_mutations.py asserts that each still applies.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

SINGLE: Final = "tests/crash/test_single_deaths.py"
NO_DEATH: Final = f"{SINGLE}::test_a_step_without_a_death_is_taken_once_whatever_becomes_of_its_call"
SLICE: Final = f"{SINGLE}::test_after_a_death_anywhere_the_next_start_ends_with_exactly_one"
THREE: Final = "tests/crash/test_more_deaths.py::test_three_sends_that_each_end_in_a_death_make_exactly_one"
LOOK_UPS: Final = "tests/crash/test_look_ups.py::test_a_lost_answer_is_settled_whatever_the_look_ups_show"
DRIVER: Final = "tests/engine/test_driver.py"
DURABLE: Final = "tests/engine/test_durable.py"
OPEN: Final = "tests/crash/test_destroy.py::test_a_run_that_died_anywhere_is_destroyed_and_nothing_is_left"
DESTROYED: Final = "tests/crash/test_destroy.py::test_a_destroy_that_died_is_carried_on_by_the_next_and_nothing_is_left"
RECONCILIATION: Final = "tests/stateful/test_reconciliation.py"
REGRESSIONS: Final = "tests/stateful/test_regressions.py"
HALF_READ: Final = "test_a_disk_that_fails_while_a_run_reads_what_others_share_does_not_let_the_next_one_make_it_again"
ONCE: Final = "tests/client/test_http_once.py"


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """One exact text of a file and what takes its place."""

    file: str
    old: str
    new: str

    def apply(self, root: Path) -> None:
        """Change the file. Raises LookupError if the text is not there exactly once."""
        path = root / self.file
        text = path.read_text()
        if text.count(self.old) != 1:
            raise LookupError(f"{self.file} has {text.count(self.old)} times, and not once:\n{self.old}")
        path.write_text(text.replace(self.old, self.new))


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutation:
    """One rule, dropped. `rule` is its number in the protocol; `tests` are the narrow ones that should catch it."""

    name: str
    rule: str
    edits: tuple[Edit, ...]
    tests: tuple[str, ...]


MUTATIONS: Final = (
    Mutation(
        name="sent again without looking",
        rule="6",
        edits=(
            Edit(
                file="engine/attempt.py",
                old="    if record.unanswered and await reconcile(run, step, ctx):\n        return\n"
                "    await run.finish_wait",
                new="    await run.finish_wait",
            ),
            Edit(
                file="engine/attempt.py",
                old="            case _Next.RECONCILE:\n                if await reconcile(run, step, ctx):\n"
                "                    return\n",
                new="            case _Next.RECONCILE:\n                pass\n",
            ),
        ),
        tests=(f"{NO_DEATH}[create_dataset]", f"{SLICE}[create_dataset]"),
    ),
    Mutation(
        name="sent before the intent is durable",
        rule="1",
        edits=(
            Edit(
                file="engine/attempt.py",
                old="        await run.keep(\n            IntentRecorded(",
                new="        run.note(\n            IntentRecorded(",
            ),
        ),
        tests=(f"{DURABLE}::test_nothing_is_sent_before_its_intent_is_on_the_medium", f"{SLICE}[create_dataset]"),
    ),
    Mutation(
        name="acknowledged before the sync",
        rule="1",
        edits=(
            Edit(
                file="journal/tail.py",
                old="            raise self._not_written(error) from None\n        self._file.sync()\n",
                new="            raise self._not_written(error) from None\n",
            ),
        ),
        tests=(f"{SLICE}[create_dataset]", "tests/journal/test_power_cuts.py"),
    ),
    Mutation(
        name="a failed append is passed over",
        rule="1",
        edits=(
            Edit(
                file="engine/run.py",
                old="        if self._append_error is not None:\n            self.stop(",
                new="        if False:\n            self.stop(",
            ),
        ),
        tests=(
            f"{DURABLE}::test_a_full_disk_ends_the_sitting_and_sends_nothing_more",
            f"{DURABLE}::test_whichever_call_to_the_disk_fails_the_next_sitting_reads_what_is_there_and_carries_on",
        ),
    ),
    Mutation(
        name="a 5xx counts as not done",
        rule="5",
        edits=(
            Edit(
                file="steps/client/judge.py",
                old="        and 400 <= answer.status < 500\n        and answer.status != 408\n",
                new="        and 400 <= answer.status < 600\n        and answer.status != 408\n",
            ),
        ),
        tests=(f"{NO_DEATH}[create_dataset]",),
    ),
    Mutation(
        name="a 408 counts as not done",
        rule="5",
        edits=(Edit(file="steps/client/judge.py", old="        and answer.status != 408\n", new=""),),
        tests=(f"{NO_DEATH}[create_dataset]",),
    ),
    Mutation(
        name="anybody's 4xx counts as not done",
        rule="5",
        edits=(
            Edit(
                file="steps/client/judge.py",
                old='        and not answer.json_fault\n        and _layer(answer.json) in ("gateway", "service")\n',
                new="",
            ),
        ),
        tests=(f"{NO_DEATH}[create_dataset]",),
    ),
    Mutation(
        name="no settle window: first look decides",
        rule="4, 6",
        edits=(
            Edit(
                file="engine/reconcile.py",
                old="        decides = run.clock.monotonic() > end\n",
                new="        decides = True\n",
            ),
        ),
        tests=(f"{NO_DEATH}[create_dataset]",),
    ),
    Mutation(
        name="a settle window of nothing",
        rule="4",
        edits=(
            Edit(
                file="engine/reconcile.py",
                old="    return (send_deadline if here else run.ledger.taken_up_at) + run.spec.settle.window\n",
                new="    return send_deadline if here else run.ledger.taken_up_at\n",
            ),
        ),
        tests=(f"{NO_DEATH}[create_dataset]",),
    ),
    Mutation(
        name="a look-up that fails counts as empty",
        rule="6",
        edits=(
            Edit(
                file="engine/reconcile.py",
                old="    for hit in await step.find(ctx):\n",
                new="    try:\n        hits = await step.find(ctx)\n    except Unreachable:\n        hits = []\n"
                "    for hit in hits:\n",
            ),
        ),
        tests=("tests/proof/test_failed_look_ups.py",),
    ),
    Mutation(
        name="markers hold the attempt's number",
        rule="6",
        edits=(
            Edit(
                file="engine/context.py",
                old='        return f"fl-{self.nonce}-{step.slug}"\n',
                new="        attempts = len(self._run.ledger.step(step.name).attempts)\n"
                '        return f"fl-{self.nonce}-{step.slug}-{attempts}"\n',
            ),
        ),
        tests=(f"{NO_DEATH}[create_dataset]",),
    ),
    Mutation(
        name="window counted from the first attempt",
        rule="3",
        edits=(
            Edit(
                file="engine/reconcile.py",
                old="    return max(_window_end(",
                new="    return min(_window_end(",
            ),
        ),
        tests=(f"{THREE}[create_base_connection]", f"{THREE}[current-create_target_connection]"),
    ),
    Mutation(
        name="another boot's clock is believed",
        rule="13",
        edits=(
            Edit(
                file="engine/reconcile.py",
                old="    here = boot_id == run.clock.boot_id\n",
                new="    here = True\n",
            ),
        ),
        tests=(f"{RECONCILIATION}::test_after_another_boot_the_whole_window_is_waited_for_again",),
    ),
    Mutation(
        name="sent again under the old intent",
        rule="3",
        edits=(
            Edit(
                file="engine/attempt.py",
                old="        await run.keep(\n            IntentRecorded(",
                new="        async def under_the_old(event: object) -> None: ...\n\n"
                "        await (under_the_old if number > 1 else run.keep)(\n            IntentRecorded(",
            ),
        ),
        tests=(f"{NO_DEATH}[create_dataset]",),
    ),
    Mutation(
        name="the send deadline is not checked",
        rule="2",
        edits=(
            Edit(
                file="steps/client/http.py",
                old="        if self.deadline_missed or self.given_up:\n",
                new="        if self.given_up:\n",
            ),
        ),
        tests=(f"{ONCE}::test_after_its_deadline_not_one_byte_of_a_call_is_written",),
    ),
    Mutation(
        name="the library repeats calls",
        rule="7",
        edits=(
            Edit(
                file="steps/client/http.py",
                old="        session._retry_connection = False",
                new="        session._retry_connection = True",
            ),
        ),
        tests=(f"{ONCE}::test_a_call_on_a_reused_connection_that_drops_is_not_repeated",),
    ),
    Mutation(
        name="redirects are followed",
        rule="7",
        edits=(
            Edit(
                file="steps/client/http.py",
                old="            allow_redirects=False,\n",
                new="            allow_redirects=True,\n",
            ),
        ),
        tests=(f"{ONCE}::test_a_redirect_is_an_answer_and_carries_no_credentials_on",),
    ),
    Mutation(
        name="the lock is not taken",
        rule="7",
        edits=(
            Edit(
                file="journal/filesystem.py",
                old="            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)\n",
                new="            pass\n",
            ),
        ),
        tests=("tests/journal/test_lock.py",),
    ),
    Mutation(
        name="hits are not read by id",
        rule="8",
        edits=(
            Edit(
                file="engine/reconcile.py",
                old="        there = await step.fetch(ctx, hit.id)\n        marked",
                new="        there = hit.live\n        marked",
            ),
        ),
        tests=(f"{LOOK_UPS}[create_dataset]", f"{LOOK_UPS}[create_base_connection]"),
    ),
    Mutation(
        name="the newest hit is adopted",
        rule="8",
        edits=(
            Edit(
                file="engine/reconcile.py",
                old="    chosen = next(((id, there) for id, there in live if",
                new="    chosen = next(((id, there) for id, there in reversed(live) if",
            ),
        ),
        tests=(f"{RECONCILIATION}::test_of_several_hits_the_oldest_is_adopted_and_the_others_are_reported",),
    ),
    Mutation(
        name="references are not compared",
        rule="8",
        edits=(
            Edit(
                file="engine/reconcile.py",
                old="    disagreements = {id: step.references(ctx, there) for id, there in live}\n",
                new="    disagreements = {id: [] for id, there in live}\n",
            ),
        ),
        tests=(f"{LOOK_UPS}[create_dataset]",),
    ),
    Mutation(
        name="no last look",
        rule="9",
        edits=(
            Edit(
                file="engine/driver.py",
                old="            if self.run.ledger.step(row.step.name).needs_last_look:\n",
                new="            if False:\n",
            ),
        ),
        tests=(f"{NO_DEATH}[create_dataset]",),
    ),
    Mutation(
        name="an outcome is used before it is written",
        rule="10",
        edits=(
            Edit(
                file="engine/attempt.py",
                old="    fault = fault_of(answer)\n    await run.keep(\n        OutcomeRecorded(",
                new="    fault = fault_of(answer)\n\n    def put_off(event: OutcomeRecorded) -> None:\n"
                "        run.ledger.fold(0, event.doc(at=run.clock.wall(), mono=run.clock.monotonic()))\n"
                "        asyncio.get_running_loop().call_later(1.0, run.note, event)\n\n"
                "    put_off(\n        OutcomeRecorded(",
            ),
        ),
        tests=(f"{DURABLE}::test_what_was_made_is_on_the_medium_before_it_is_used", f"{SLICE}[create_dataset]"),
    ),
    Mutation(
        name="a title is judged by the attempt's number",
        rule="11",
        edits=(
            Edit(
                file="engine/reconcile.py",
                old="        if step.marked(ctx, there):\n",
                new="        if len(run.ledger.step(step.name).attempts) > 1:\n",
            ),
        ),
        tests=(
            f"{RECONCILIATION}::test_a_title_that_our_own_first_attempt_took_is_adopted_when_something_sent_it_twice",
            f"{RECONCILIATION}::test_a_title_that_a_stranger_took_between_two_attempts_is_a_conflict_on_the_second",
        ),
    ),
    Mutation(
        name="destroyed before the windows of its creates are over",
        rule="15",
        edits=(
            Edit(
                file="engine/destroy.py",
                old="    doubtful = [step for step in steps if run.ledger.step(step.name).unanswered]\n",
                new="    doubtful: list[Step] = []\n",
            ),
        ),
        tests=(f"{OPEN}[create_base_connection]",),  # what it refers to is there until the end
    ),
    Mutation(
        name="destroy is not journaled first",
        rule="15",
        edits=(
            Edit(
                file="engine/sitting.py",
                old="            if not ledger.destroying or (keep_dataset and not ledger.keep_dataset):\n",
                new="            if False:\n",
            ),
        ),
        tests=(f"{DESTROYED}[create_base_connection]",),
    ),
    Mutation(
        name="a delete is sent without its intent",
        rule="15",
        edits=(
            Edit(
                file="engine/undo.py",
                old="            await run.keep(\n                DeleteIntended(",
                new="            (\n                DeleteIntended(",
            ),
        ),
        tests=(f"{DESTROYED}[create_base_connection]",),
    ),
    Mutation(
        name="of twins all but the oldest go, the journal's too",
        rule="9",
        edits=(
            Edit(
                file="engine/driftcheck.py",
                old="for id, there in live.items() if id != _id(run, row)]\n",
                new="for id, there in list(live.items())[1:]]\n",
            ),
        ),
        tests=("tests/destroy/test_drift.py",),
    ),
    Mutation(
        name="what is shared is made by every run at once",
        rule="shared",
        edits=(
            Edit(
                file="engine/share.py",
                old="        if self._taken:\n            future:",
                new="        if False:\n            future:",
            ),
        ),
        tests=("tests/crash/test_fleet.py::test_several_runs_end_with_one_of_what_they_share",),
    ),
    Mutation(
        name="half of what runs share counts as all of it",
        rule="shared",
        edits=(
            Edit(
                file="engine/share.py",
                old="            self._newer.clear()\n",
                new="            self._newer.clear()\n            self._surveyed = True\n",
            ),
        ),
        tests=(f"{REGRESSIONS}::{HALF_READ}",),
    ),
    Mutation(
        name="what is being destroyed is lent",
        rule="15",
        edits=(
            Edit(
                file="steps/sink.py",
                old="            if ctx.lendable(live):\n",
                new="            if True:\n",
            ),
        ),
        tests=(f"{REGRESSIONS}::test_a_sink_whose_run_is_being_destroyed_is_not_shared",),
    ),
    Mutation(
        name="markers of the run's name, not its nonce",
        rule="12",
        edits=(
            Edit(
                file="engine/context.py",
                old='        return f"fl-{self.nonce}-{step.slug}"\n',
                new='        return f"fl-{self.run}-{step.slug}"\n',
            ),
        ),
        tests=("tests/proof/test_two_journals.py",),
    ),
    Mutation(
        name="answers are journaled as they came",
        rule="secrets",
        edits=(
            Edit(
                file="engine/evidence.py",
                old="        value = redactor.redact(bounded)\n",
                new="        value = bounded\n",
            ),
        ),
        tests=("tests/engine/test_evidence.py",),
    ),
)
