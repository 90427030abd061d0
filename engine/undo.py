"""Remove one object of a run: intent, send, outcome, and a read by its id wherever that leaves a doubt (rule 15)."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace

from flowledger.engine.attempt import abandoned
from flowledger.engine.borrowers import borrowers
from flowledger.engine.context import StepContext
from flowledger.engine.events import DeleteAnswered, DeleteIntended, ObjectGone, ObjectLeft, Outcome
from flowledger.engine.evidence import answer_doc, call_doc
from flowledger.engine.ledger import DELETE
from flowledger.engine.reconcile import AFTER_THE_END, shown_by
from flowledger.engine.retry import back_off
from flowledger.engine.run import Run
from flowledger.errors import Rejected, Unreachable
from flowledger.steps.client.judge import Verdict, fault_of, judge, not_served, refusal, retry_after
from flowledger.steps.client.port import Answer, Json, Reach, Request
from flowledger.steps.referrers import referrers
from flowledger.steps.step import Outputs, Step

FIRST_WAIT = 0.2  # seconds until an operation under way is looked at again, doubled at each look
LONGEST_WAIT = 10.0  # seconds

# What the platform says of an object that cannot be deleted yet (platform-api.md §8.4).
UNDER_WAY = frozenset(f"FLOW-{code}-400" for code in (1416, 1417, 1420, 1421, 1457, 1458))
IN_USE = frozenset({"FLOW-1418-400", "FLOW-1447-400"})
USED = "used by "  # begins the reason for which an object in use is left
OTHERWISE = "it carries this run's marker, but is not what this run makes"
HIDDEN = "the platform neither shows it nor lets it be deleted (403), as a flow whose labels these credentials lack"
UNMARKED = "it was found by its content, and nothing on it says whose it is"
STOPPED_ALREADY = frozenset({"FLOW-1409-400", "FLOW-1422-400"})  # of a stop: the flow is in no state to be stopped


@dataclass(frozen=True, slots=True, kw_only=True)
class Doomed:
    """An object to remove. `outputs` are what `Step.undo` needs; `why` is "destroy" or "twin"."""

    step: Step
    id: str
    outputs: Outputs
    why: str = "destroy"
    unseen: bool = False  # no read shows it, and it may be hidden: only an answered DELETE says that it is gone


class Kept(Exception):
    """The object stays, for a reason that sending again does not change."""


async def remove(run: Run, doomed: Doomed) -> bool:
    """Remove an object, whatever earlier sittings left open. False: it is left, and the journal says why.

    Raises Rejected for a refusal that nothing explains, NotPermitted, and TryLater when patience is over.
    """
    record = run.ledger.removal(doomed.step.name, doomed.id)
    ctx = StepContext(run, doomed.step)
    try:
        if not record.gone and not await _remove(run, ctx, doomed):
            return False
        if record.of(DELETE):
            await _outlived(ctx, doomed)
        return True
    except Kept as kept:
        await leave(run, doomed.step, doomed.id, str(kept))
        return False


async def leave(run: Run, step: Step, id: str, why: str) -> None:
    """Journal that an object is not deleted."""
    run.log.info("left", step=step.name, id=id, why=why)
    await run.keep(ObjectLeft(step=step.name, id=id, why=why))


async def _outlived(ctx: StepContext, doomed: Doomed) -> None:
    """Wait out a deletion that takes a while: what the object uses cannot be deleted before (platform-api.md §10)."""
    if len(doomed.step.undo(ctx, doomed.outputs)) > 1:
        await _at_rest(ctx, doomed, await doomed.step.fetch(ctx, doomed.id))


async def _remove(run: Run, ctx: StepContext, doomed: Doomed) -> bool:
    step, requests = doomed.step, doomed.step.undo(ctx, doomed.outputs)
    live = await _live(run, ctx, doomed)
    if live is None:
        return True
    if not requests:
        raise Kept(UNMARKED)
    *before, delete = requests
    for request in before:
        live = await _at_rest(ctx, doomed, live)
        if live is not None and step.at_work(live):
            await _send(run, ctx, doomed, request)
            live = await step.fetch(ctx, doomed.id)
    live = await _at_rest(ctx, doomed, live)
    if live is None:
        await run.keep(ObjectGone(step=step.name, id=doomed.id))
        return True
    await _refuse_what_is_used(run, ctx, doomed)
    await _send(run, ctx, doomed, delete)
    return True


async def _live(run: Run, ctx: StepContext, doomed: Doomed) -> Json | None:
    """The object by id, or None once its absence counts; then that it is gone is journaled.

    A 404 counts if the object was seen before, or if the platform has had the time to show it. Of what can be hidden
    only the answer to a DELETE counts, which is sent then. Raises Kept for what that answer says is there.
    """
    step, id = doomed.step, doomed.id
    live = await step.fetch(ctx, id)
    record, removal = run.ledger.step(step.name), run.ledger.removal(step.name, id)
    seen = removal.begun or bool(removal.left) or str((record.outputs or {}).get("id")) != id
    if live is None and not seen:
        left = shown_by(run, record) - run.clock.monotonic()
        if left >= 0:
            await run.settle(step, left + AFTER_THE_END, "lag")
            live = await step.fetch(ctx, id)
    if live is None and step.may_be_hidden:
        *_, delete = step.undo(ctx, doomed.outputs)
        await _send(run, ctx, replace(doomed, unseen=True), delete)
    elif live is None:
        await run.keep(ObjectGone(step=step.name, id=id))
    return live


async def _at_rest(ctx: StepContext, doomed: Doomed, live: Json | None) -> Json | None:
    """The object once no operation is under way on it any more; None if it has gone meanwhile."""
    wait = FIRST_WAIT
    while live is not None and not doomed.step.at_rest(live):
        await ctx.wait(wait, f"{doomed.step.label} {doomed.id} is on its way to another state")
        wait = min(2 * wait, LONGEST_WAIT)
        live = await doomed.step.fetch(ctx, doomed.id)
    return live


async def _refuse_what_is_used(run: Run, ctx: StepContext, doomed: Doomed) -> None:
    users = await users_of(run, ctx, doomed.step, doomed.id)
    if users:
        raise Kept(f"{USED}{', '.join(users)}")


async def users_of(run: Run, ctx: StepContext, step: Step, id: str) -> list[str]:
    """What refers to the object `id` of a step on the platform, and the runs of this journal that build on it."""
    gone = {id for (_, id), removal in run.ledger.removals.items() if removal.gone}
    # A mapping set of ours that has to stay does nothing, and holds nothing (platform-api.md §9), unless it is in use.
    idle = {
        removal.id for removal in run.ledger.removals.values() if removal.left and not removal.left.startswith(USED)
    }
    users = [
        str(user)
        for user in await referrers(ctx, step.kind, id, gone=gone)
        if user.kind != "mappingSets" or user.id not in idle
    ]
    if step.kind == "connections":
        others = (other for other in await borrowers(run.journal, id) if other != run.ledger.run)
        users += [f"run {other} of this journal" for other in others]
    return users


async def _send(run: Run, ctx: StepContext, doomed: Doomed, request: Request) -> None:
    """Send one call of the removal until its outcome is known. Raises Kept if the object is in use."""
    step, retry, op = doomed.step, run.spec.retry, _op(request)
    attempts = run.ledger.removal(step.name, doomed.id).of(op)
    sent, renewed, asked = 0, False, None
    await run.finish_wait(step)
    while True:
        run.check()
        if sent >= retry.attempts:
            last = attempts[-1]
            words = " ".join(part for part in (last.code, last.text) if part) or last.outcome
            if last.code in IN_USE:
                raise Kept(f"the platform says that it is in use: {words}")
            raise Unreachable(
                f"{run.ledger.run}/{step.name}: {op} {doomed.id}: sent {sent} times without success; the last time: "
                f"{words}" + (f" (request id {last.request_id})" if last.request_id else ""),
                hint=f"flowledger resume {run.ledger.run}",
            )
        await run.ready(step)
        answer = await _send_once(run, doomed, request, op)
        sent += 1
        asked = retry_after(answer, run.clock.wall()) if answer.reach is Reach.ANSWERED else None
        match judge(answer):
            case Verdict.ACCEPTED:
                return
            case Verdict.NOT_DONE if answer.reach is Reach.NOT_SENT:
                if answer.deadline_missed:
                    continue
                if answer.hopeless:
                    raise not_served(answer, then=run.again)
            case Verdict.NOT_DONE:
                if answer.status == 401 and not renewed:
                    renewed = True
                    run.platform.forget_token()
                    continue
                if answer.status != 429 and await _refused(run, ctx, doomed, op, answer):
                    return
        doubt = attempts[-1].unanswered
        await run.pause(step, back_off(retry, sent, asked, run.chance), "back_off", doubt=doubt)
        if doubt and await _has_happened(run, ctx, doomed, op):
            return


async def _has_happened(run: Run, ctx: StepContext, doomed: Doomed, op: str) -> bool:
    """Settle a call in doubt by reading the object: whether what it asked for is so.

    Of what no read shows a read tells nothing: its DELETE is sent again, until one is answered.
    """
    if doomed.unseen:
        return False
    live = await doomed.step.fetch(ctx, doomed.id)
    if live is None:
        await run.keep(ObjectGone(step=doomed.step.name, id=doomed.id))
        return True
    return op != DELETE and not doomed.step.at_work(live)


async def _refused(run: Run, ctx: StepContext, doomed: Doomed, op: str, answer: Answer) -> bool:
    """What a refusal in the platform's own words means. True: there is nothing left to do. False: try again.

    Raises Kept, or the refusal itself.
    """
    fault = fault_of(answer)
    if op != DELETE and fault.code in STOPPED_ALREADY:
        return True
    if fault.code in UNDER_WAY:
        return False
    if doomed.unseen and answer.status == 404 and fault.layer == "service":
        await run.keep(ObjectGone(step=doomed.step.name, id=doomed.id))
        return True
    if doomed.unseen and answer.status == 403 and fault.layer == "service":
        raise Kept(f"{HIDDEN}: {fault}")
    if answer.status not in (401, 403) and await _has_happened(run, ctx, doomed, op):
        return True
    if answer.status == 404 and fault.layer == "service":  # and yet it is there: not every part of the service knows
        return False
    if answer.status in (401, 403):
        raise refusal(answer, f"{op} of {doomed.step.label} {doomed.id}", run=run.ledger.run, step=doomed.step.name)
    if op == DELETE:
        await _refuse_what_is_used(run, ctx, doomed)
    if fault.code in IN_USE:  # by what lists do not show (yet, or any more)
        return False
    if doomed.step.kind == "mappingSets":  # no reference says that they can be deleted (U15)
        raise Kept(f"the platform does not let it go: {fault}")
    said = refusal(answer, f"{op} of {doomed.step.label} {doomed.id}", run=run.ledger.run, step=doomed.step.name)
    if isinstance(said, Rejected):
        raise said
    raise Rejected(
        said.message, run=run.ledger.run, step=doomed.step.name, code=fault.code, request_id=fault.request_id,
        hint=said.hint,
    )  # fmt: skip


async def _send_once(run: Run, doomed: Doomed, request: Request, op: str) -> Answer:
    """One intent, one send, one outcome."""
    step, redactor = doomed.step.name, run.platform.redactor
    async with run.slot():
        number = len(run.ledger.removal(step, doomed.id).of(op)) + 1
        deadline = run.clock.monotonic() + run.spec.settle.send_within
        timed = request.sent_within(deadline=deadline, timeout=run.spec.retry.timeout)
        asked = DeleteAnswered(step=step, id=doomed.id, op=op, attempt=number, outcome="in_doubt", answer={})
        sending = False
        try:
            await run.keep(
                DeleteIntended(
                    step=step,
                    id=doomed.id,
                    op=op,
                    attempt=number,
                    why=doomed.why,
                    call=call_doc(timed, redactor),
                    send_deadline=deadline,
                )
            )
            sending = True
            answer = await run.platform.send(timed)
        except (Exception, asyncio.CancelledError) as error:
            if len(run.ledger.removal(step, doomed.id).of(op)) == number:  # the intent is durable
                came, given_up = abandoned(error, sending=sending)
                await run.record(replace(asked, outcome=came, answer=given_up))
            raise
    fault, outcome = fault_of(answer), _OUTCOMES[judge(answer)]
    done = outcome == "done"
    await run.keep(
        replace(
            asked,
            outcome=outcome,
            answer=answer_doc(answer, redactor),
            code="" if done else redactor.redact_text(fault.code),
            text="" if done else redactor.redact_text(fault.text or answer.trouble),
            request_id=redactor.redact_text(fault.request_id),
        )
    )
    run.log.debug("call answered", step=step, id=doomed.id, op=op, status=answer.status, outcome=outcome)
    return answer


_OUTCOMES: dict[Verdict, Outcome] = {
    Verdict.ACCEPTED: "done",
    Verdict.NOT_DONE: "not_done",
    Verdict.IN_DOUBT: "in_doubt",
}


def _op(request: Request) -> str:
    """What a call of a removal does: "delete", or the action that comes before it."""
    return DELETE if request.method == "DELETE" else dict(request.query).get("op", request.method.lower())
