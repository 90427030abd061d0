"""How plans and explanations look on a page."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from flowledger.cli.hints import as_typed, named
from flowledger.cli.printable import printable
from flowledger.cli.show import bold, dim, indented, moment, table, width

if TYPE_CHECKING:
    from flowledger.engine.explain import Explanation
    from flowledger.engine.plan import Plan, ResumePlan


def plan_lines(plan: Plan) -> list[str]:
    """Every call by its stage, then what exists, then the chain."""
    from flowledger.engine.plan import TOKEN_CALL

    if not plan.changes:
        again = as_typed(f"flowledger status {plan.run}")
        return [f"{bold(plan.run)}: nothing to do, the run is provisioned ({again})"]
    lines = [
        f"{bold(plan.run)}: {plan.calls} calls to make, {plan.effects} of them change something (marked *)",
        "",
    ]
    method, _, path = TOKEN_CALL.partition(" ")
    rows = [("1", "-", "token", f"  {method:4} {path}")]
    planned = sorted(
        ((call.stage, step, call) for step in plan.steps for call in step.calls), key=lambda found: found[0]
    )
    for stage, step, call in planned:
        mark = "*" if call.effect else " "
        rows.append((str(stage), step.branch, step.step, f"{mark} {call.method:4} {call.path}"))
    lines += table(rows, head=("STAGE", "BRANCH", "STEP", "  CALL"), indent=0)
    there = [step for step in plan.steps if step.exists]
    if there:
        lines += ["", "Exists already:"]
        lines += table((step.step, step.how, printable(step.exists)) for step in there)
    notes = [step for step in plan.steps if step.note]
    if notes:
        lines += ["", "Notes:"]
        lines += table((step.step, printable(step.note)) for step in notes)
    if not plan.asked:
        lines += ["", "The platform was not asked what exists: only the journal was read."]
    lines += ["", f"Chain: {plan.chain} calls one after another in a whole run, the token included:"]
    lines += _wrapped(" → ".join(["token", *plan.critical]))
    lines += _wrapped(
        "Calls of one stage are made at the same time, so that a run takes about as long as its chain, "
        "not as long as all its calls."
    )
    return lines


def resume_plan_lines(plan: ResumePlan) -> list[str]:
    """What a resume would ask, adopt and send, one line each."""
    if not plan.actions:
        return [f"{bold(plan.run)}: nothing to do, the run is {plan.state}"]
    lines = [f"{bold(plan.run)} is {plan.state}. A resume would:"]
    for do, title in (
        ("check", "ask whether what is done is still there, unedited"),
        ("look_up", "look for what was sent and not answered"),
        ("send", "send"),
        ("read", "read"),
        ("last_look", "look once more"),
    ):
        actions = [action for action in plan.actions if action.do == do]
        if not actions:
            continue
        lines += ["", f"{title}:"]
        if do == "check":
            lines += table((action.step, printable(action.id)) for action in actions)
            continue
        for action in actions:
            lines += textwrap.wrap(
                printable(f"{action.step}: {action.text}"), _columns(), initial_indent="  ", subsequent_indent="    "
            )
    lines += ["", dim("Nothing was sent and nothing was written.")]
    return lines


def explanation_lines(explanation: Explanation) -> list[str]:
    """Which step, what was sent, what came back, what is known, what to type."""
    from flowledger.engine.history import answer_text, call_text

    lines = [f"{bold(explanation.run)} is {explanation.state}"]
    lines += _wrapped(explanation.headline)
    if explanation.step:
        lines += ["", f"Step: {explanation.step}"]
    sent = explanation.sent
    if sent is not None:
        attempt = f", attempt {sent['attempt']}" if "attempt" in sent else ""
        lines += ["", f"What was sent (event {sent['event']}{attempt}, {moment(sent['at'])}):"]
        lines.append(f"  {call_text(sent['call'])}")
        body = (sent["call"] or {}).get("body")
        if body is not None:
            lines.append(indented(body, by=4))
        lines += ["", "What came back:"]
        came = explanation.came_back
        if came is None:
            lines.append("  nothing is journaled")
        else:
            words = " ".join(str(came[name]) for name in ("code", "text") if came.get(name))
            lines.append(f"  {answer_text(came.get('answer'))}" + (f": {words}" if words else ""))
            if came.get("request_id"):
                lines.append(f"  request id: {came['request_id']}")
            answer = came.get("answer") or {}
            if "body" in answer:
                lines.append(indented(answer["body"], by=4))
            elif "body_text" in answer:
                lines += _wrapped(str(answer["body_text"])[:500], indent=4)
    if explanation.known:
        lines += ["", "What is known:"]
        for fact in explanation.known:
            lines += textwrap.wrap(f"- {as_typed(fact)}", _columns(), initial_indent="  ", subsequent_indent="    ")
    lines += ["", f"Next: {as_typed(named(explanation.next, explanation.run))}"]
    return lines


def _columns() -> int:
    return max(40, min(width(), 100))


def _wrapped(text: str, *, indent: int = 2) -> list[str]:
    return textwrap.wrap(
        text, _columns(), initial_indent=" " * indent, subsequent_indent=" " * indent, break_long_words=False
    )
