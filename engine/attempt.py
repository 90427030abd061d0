"""Send a step's effect until its outcome is known: intent, send, outcome (protocol rules 1-3, 5, 7, 14)."""

from __future__ import annotations

import asyncio
from enum import Enum, auto

from flowledger.engine.context import StepContext
from flowledger.engine.events import IntentRecorded, Outcome, OutcomeRecorded
from flowledger.engine.evidence import answer_doc, call_doc
from flowledger.engine.reconcile import adopt_if_there, judge_title, reconcile
from flowledger.engine.retry import back_off
from flowledger.engine.run import Run
from flowledger.errors import TryLater, Unreachable
from flowledger.steps.answers import usable_id
from flowledger.steps.client.judge import (
    Verdict,
    clock_fault,
    fault_of,
    judge,
    not_served,
    refusal,
    retry_after,
    title_holder,
)
from flowledger.steps.client.port import Answer, Reach, reach_of
from flowledger.steps.client.redact import Redactor
from flowledger.steps.step import Outputs, Step, UnusableAnswer


class _Next(Enum):
    """What the outcome of one attempt asks for."""

    DONE = auto()
    RECONCILE = auto()
    RENEW_TOKEN = auto()
    BACK_OFF = auto()
    SEND_AT_ONCE = auto()
    JUDGE_TITLE = auto()
    GIVE_UP = auto()


async def attempt(run: Run, step: Step, ctx: StepContext) -> None:
    """Take the step's effect to its end, whatever earlier attempts left open. Returns once its outputs are durable.

    Raises what the step's last answer means for good (Rejected, Conflict, NotPermitted, NotThere) or TryLater when
    this sitting's patience is over; InDoubt while an unanswered attempt is left.
    """
    record = run.ledger.step(step.name)
    retry = run.spec.retry
    sent = 0
    renewed = False
    if record.unanswered and await reconcile(run, step, ctx):
        return
    await run.finish_wait(step)
    while True:
        run.check()
        if sent >= retry.attempts:
            raise _patience_over(run, step, sent)
        await ctx.read_secrets()
        await run.ready(step)
        answer = await _send_once(run, step, ctx)
        sent += 1
        match _next(run, step, answer, renewed=renewed):
            case _Next.DONE:
                return
            case _Next.RENEW_TOKEN:
                renewed = True
                run.platform.forget_token()
            case _Next.SEND_AT_ONCE:
                run.log.info("the send deadline was missed, nothing was sent", step=step.name)
            case _Next.GIVE_UP:
                raise not_served(answer, then=run.again)
            case _Next.RECONCILE:
                if await reconcile(run, step, ctx):
                    return
            case _Next.JUDGE_TITLE:
                if await judge_title(run, step, ctx, answer, title_holder(fault_of(answer))):
                    return
                if record.unanswered and await reconcile(run, step, ctx):
                    return
                await run.pause(step, back_off(retry, sent, None, run.chance), "back_off")
            case _Next.BACK_OFF:
                asked = retry_after(answer, run.clock.wall()) if answer.reach is Reach.ANSWERED else None
                # An earlier attempt in doubt stays in doubt whatever became of this one (protocol rule 6).
                await run.pause(
                    step, back_off(retry, sent, asked, run.chance), "back_off", doubt=bool(record.unanswered)
                )
                if record.unanswered and await reconcile(run, step, ctx):
                    return
            case None if step.otherwise(ctx, record.attempts[-1].code):
                run.log.info("refused; asking in another way", step=step.name, code=record.attempts[-1].code)
                sent -= 1  # not one try more of the same: with `attempts: 1` no resume would ever come to it
            case None:
                # A refusal that quotes our own marker may be about our own object: a call was delivered twice.
                if ctx.marker(step) in fault_of(answer).text and await adopt_if_there(run, step, ctx):
                    return
                said = refusal(answer, f"creating the {step.label}", run=run.ledger.run, step=step.name)
                said.hint = clock_fault(answer, run.clock.wall()) or said.hint
                raise said


async def _send_once(run: Run, step: Step, ctx: StepContext) -> Answer:
    """One intent, one send, one outcome."""
    async with run.slot():
        answer, number = await _intend_and_send(run, step, ctx)
    redactor = run.platform.redactor
    outcome, outputs, why = _outcome(step, answer, redactor)
    fault = fault_of(answer)
    await run.keep(
        OutcomeRecorded(
            step=step.name,
            attempt=number,
            outcome=outcome,
            answer=answer_doc(answer, redactor),
            outputs=outputs,
            # What a created object says of itself, its title, is no fault.
            code="" if outcome == "done" else redactor.redact_text(fault.code),
            text="" if outcome == "done" else redactor.redact_text(why or fault.text),
            request_id=redactor.redact_text(fault.request_id),
        )
    )
    run.log.debug("call answered", step=step.name, attempt=number, status=answer.status, outcome=outcome)
    return answer


async def _intend_and_send(run: Run, step: Step, ctx: StepContext) -> tuple[Answer, int]:
    """Write the intent, send, and answer with the attempt's number. Whatever is to be waited for comes before."""
    redactor = run.platform.redactor
    number = len(run.ledger.step(step.name).attempts) + 1
    request = step.request(ctx)
    deadline = run.clock.monotonic() + run.spec.settle.send_within
    request = request.sent_within(deadline=deadline, timeout=run.spec.retry.timeout)
    sending = False
    try:
        await run.keep(
            IntentRecorded(
                step=step.name,
                attempt=number,
                marker=ctx.marker(step),
                call=call_doc(request, redactor),
                send_deadline=deadline,
                facts=dict(ctx.facts),
            )
        )
        sending = True
        answer = await run.platform.send(request)
    except (Exception, asyncio.CancelledError) as error:
        attempts = run.ledger.step(step.name).attempts
        if attempts and attempts[-1].number == number:  # the intent is durable: say what is known of its call
            outcome, given_up = abandoned(error, sending=sending)
            await run.record(OutcomeRecorded(step=step.name, attempt=number, outcome=outcome, answer=given_up))
        raise
    return answer, number


def abandoned(error: BaseException, *, sending: bool) -> tuple[Outcome, dict[str, str]]:
    """The outcome and the answer of a call that was given up because of `error`, for the journal.

    `sending`: the call had been handed to the platform's port. If not, or if the port knows that no byte of it left, it
    is certain that nothing was sent (protocol rule 5): no settle window has to be sat out for it.
    """
    reach = reach_of(error) if sending else Reach.NOT_SENT
    why = "the run was stopped" if isinstance(error, asyncio.CancelledError) else type(error).__name__
    if reach is Reach.NOT_SENT:
        return "not_done", {"reach": str(reach), "trouble": f"abandoned before it was sent: {why}"}
    return "in_doubt", {"reach": str(reach), "trouble": f"abandoned: {why} during the call"}


def _outcome(step: Step, answer: Answer, redactor: Redactor) -> tuple[Outcome, Outputs | None, str]:
    """Three values, and the outputs if done. Protocol rule 5: a 2xx without a usable id is in doubt."""
    match judge(answer):
        case Verdict.ACCEPTED:
            try:
                outputs = step.read(answer)
            except UnusableAnswer as error:
                return "in_doubt", None, str(error)
            if not usable_id(outputs["id"]) or redactor.holds_secret(outputs["id"]):
                return "in_doubt", None, "the answer's id is none that could be asked for"
            return "done", outputs, ""
        case Verdict.NOT_DONE:
            return "not_done", None, answer.trouble
        case _:
            return "in_doubt", None, answer.trouble


def _next(run: Run, step: Step, answer: Answer, *, renewed: bool) -> _Next | None:
    """What to do after an attempt; None: the platform's answer is final."""
    record = run.ledger.step(step.name)
    if record.done:
        return _Next.DONE
    if record.attempts[-1].unanswered:
        return _Next.RECONCILE
    if answer.hopeless:
        return _Next.GIVE_UP
    if answer.reach is Reach.NOT_SENT:
        return _Next.SEND_AT_ONCE if answer.deadline_missed else _Next.BACK_OFF
    if answer.status == 401 and not renewed:
        return _Next.RENEW_TOKEN
    if answer.status == 429:
        return _Next.BACK_OFF
    if record.attempts[-1].code == "XDM-1521-400":
        return _Next.JUDGE_TITLE
    return None


def _patience_over(run: Run, step: Step, sent: int) -> TryLater:
    last = run.ledger.step(step.name).attempts[-1]
    return Unreachable(
        f"{run.ledger.run}/{step.name}: sent {sent} times without success; the last time: "
        f"{' '.join(part for part in (last.code, last.text) if part) or last.outcome}"
        + (f" (request id {last.request_id})" if last.request_id else ""),
        hint=f"flowledger resume {run.ledger.run}",
    )
