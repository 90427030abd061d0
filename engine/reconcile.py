"""Ask the platform what became of a call whose answer is not known, and adopt what it made (protocol rules 4-9, 11)."""

from __future__ import annotations

from typing import Any

from flowledger.engine.context import StepContext
from flowledger.engine.events import LastLookTaken, LookedUp, StepAdopted
from flowledger.engine.ledger import StepRecord
from flowledger.engine.retry import look_ups
from flowledger.engine.run import Run
from flowledger.errors import Conflict, Unreachable
from flowledger.steps.answers import usable_id
from flowledger.steps.client.judge import fault_of
from flowledger.steps.client.port import Answer, Json
from flowledger.steps.step import Step

# A look-up that is started at the very end of the window does not decide: S > G + L must hold strictly (rule 4).
AFTER_THE_END = 0.001


def window_end(run: Run, step: Step) -> float:
    """When the settle window of the latest unanswered attempt ends, on this boot's monotonic clock.

    An attempt of another boot or host has no reading that compares: its window restarts when the lock was taken
    (protocol rule 13).
    """
    record = run.ledger.step(step.name)
    return max(_window_end(run, attempt.boot_id, attempt.send_deadline) for attempt in record.unanswered)


def _window_end(run: Run, boot_id: str, send_deadline: float) -> float:
    here = boot_id == run.clock.boot_id
    return (send_deadline if here else run.ledger.taken_up_at) + run.spec.settle.window


def shown_by(run: Run, record: StepRecord) -> float:
    """When, on this boot's monotonic clock, the platform must show what the step made: until then a 404 means nothing.

    For what was made in another boot or on another host that counts from when the run was taken up.
    """
    boot_id, completed = record.completed_at
    return (completed if boot_id == run.clock.boot_id else run.ledger.taken_up_at) + run.spec.settle.window


async def reconcile(run: Run, step: Step, ctx: StepContext) -> bool:
    """Settle what unanswered attempts of the step have done.

    True: an object was adopted and the step is done. False: a look-up that was started after the window's end found
    nothing, so the call may be sent again. Raises Conflict if what carries our marker is not what this run needs,
    TryLater when look-ups keep failing (a look-up that fails proves nothing).
    """
    waits = look_ups(run.spec.settle.window)
    while True:
        end = window_end(run, step)
        decides = run.clock.monotonic() > end
        live = await look_up(run, step, ctx, decides=decides)
        # A hit that fits may be adopted at once. That none fits is no conflict yet: lists may not show ours so far.
        if live and (decides or any(not step.references(ctx, there) for _, there in live)):
            await _adopt(run, step, ctx, live, why="looked up")
            return True
        if decides:
            run.log.info("nothing was found after the settle window, sending again", step=step.name)
            return False
        left = end - run.clock.monotonic() + AFTER_THE_END
        await run.settle(step, max(0.0, min(left, waits.pop(0) if waits else left)), "settle")


async def look_up(run: Run, step: Step, ctx: StepContext, *, decides: bool) -> list[tuple[str, Json]]:
    """Everything with our marker that is there when read by id, oldest first. Lists may show the deleted (rule 8)."""
    seen: list[dict[str, Any]] = []
    live: list[tuple[str, Json]] = []
    for hit in await step.find(ctx):
        if not usable_id(hit.id) or run.platform.redactor.holds_secret(hit.id):
            shown = run.platform.redactor.redact_text(hit.id)
            raise Unreachable(
                f"{run.ledger.run}/{step.name}: a list names {shown[:100]!r} with this run's marker, "
                "which is no id that could be asked for, so nothing in it is believed",
                hint=f"flowledger resume {run.ledger.run}",
            )
        there = await step.fetch(ctx, hit.id)
        marked = there is not None and step.marked(ctx, there)
        seen.append({"id": hit.id, "created_at": hit.created_at, "there": there is not None, "marked": marked})
        if marked:
            live.append((hit.id, there))
    run.note(LookedUp(step=step.name, decides=decides, hits=seen))
    return live


async def _adopt(run: Run, step: Step, ctx: StepContext, live: list[tuple[str, Json]], *, why: str) -> None:
    """Take the oldest object whose immutable references agree; count the others as duplicates."""
    disagreements = {id: step.references(ctx, there) for id, there in live}
    chosen = next(((id, there) for id, there in live if not disagreements[id]), None)
    if chosen is None:
        id, _ = live[0]
        raise Conflict(
            f"{step.label} {id} carries this run's marker {ctx.marker(step)} but is not what the run needs: "
            + "; ".join(str(difference) for difference in disagreements[id]),
            run=run.ledger.run,
            step=step.name,
            hint="somebody edited or copied it: remove its marker or the object, then flowledger resume "
            + run.ledger.run,
        )
    duplicates = [id for id, _ in live if id != chosen[0]]
    if duplicates:
        run.log.warning("duplicates found", step=step.name, ids=duplicates)
    await run.keep(StepAdopted(step=step.name, outputs=step.outputs(chosen[1]), why=why, duplicates=duplicates))
    run.log.info("adopted", step=step.name, id=chosen[0], why=why)


async def judge_title(run: Run, step: Step, ctx: StepContext, answer: Answer, holder: str | None) -> bool:
    """The registry says that the title is taken: by our own object, or by somebody else's (rule 11)?

    True: it is ours and was adopted, whichever attempt made it. False: whoever had it is gone again. Raises Conflict.
    """
    fault = fault_of(answer)
    if holder is None:
        live = await look_up(run, step, ctx, decides=False)
        if live:
            await _adopt(run, step, ctx, live, why="title holder")
            return True
        holder_words = "an object that the answer does not name"
    else:
        there = await step.fetch(ctx, holder)
        if there is None:
            return False
        if step.marked(ctx, there):
            await _adopt(run, step, ctx, [(holder, there)], why="title holder")
            return True
        holder_words = holder
    raise Conflict(
        f"the title of the {step.label} is taken by {holder_words}, which does not carry this run's marker",
        run=run.ledger.run,
        step=step.name,
        code=fault.code,
        request_id=fault.request_id,
        hint=f"look at {holder_words}; rename or remove it, then flowledger resume {run.ledger.run}",
    )


async def adopt_if_there(run: Run, step: Step, ctx: StepContext) -> bool:
    """The platform refuses a create in words that quote our marker: is that our own object, made by a second delivery?

    True: it is there, fits, and was adopted.
    """
    live = await look_up(run, step, ctx, decides=False)
    if all(step.references(ctx, there) for _, there in live):
        return False
    await _adopt(run, step, ctx, live, why="refused because of itself")
    return True


async def last_look(run: Run, step: Step, ctx: StepContext) -> None:
    """Look once more for a step that was sent again after an unanswered attempt, a full window after its last send's
    deadline (rule 9). Extra hits are reported and counted, never adopted: the journaled id stays (rule 8)."""
    record = run.ledger.step(step.name)
    last = record.attempts[-1]
    left = _window_end(run, last.boot_id, last.send_deadline) - run.clock.monotonic() + AFTER_THE_END
    if left > 0:
        await run.settle(step, left, "last_look")
    assert record.outputs is not None
    live = await look_up(run, step, ctx, decides=True)
    extra = [id for id, _ in live if id != record.outputs["id"]]
    await run.keep(LastLookTaken(step=step.name, duplicates=extra))
    if extra:
        run.log.warning("duplicates found by the last look", step=step.name, ids=extra)
