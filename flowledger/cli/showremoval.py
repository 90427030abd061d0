"""What destroy and drift print for people."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from flowledger.cli.hints import as_typed
from flowledger.cli.printable import printable
from flowledger.cli.show import bold, table
from flowledger.words import counted, there_are

if TYPE_CHECKING:
    from flowledger.engine.destroy import DestroyPlan
    from flowledger.engine.driftcheck import DriftReport
    from flowledger.engine.report import Report


def destroy_plan_lines(plan: DestroyPlan, *, about_to: bool = False) -> list[str]:
    """What would go, in order; what would be looked for first; what would stay. `about_to`: a question follows."""
    if plan.state == "destroyed" and not plan.deletes:
        lines = [f"{bold(plan.run)}: nothing to do, the run is destroyed"]
        return lines + _stays((one["step"], one["id"], one["why"]) for one in plan.stays)
    lines = [
        f"{bold(plan.run)} is destroyed. Of what it left, a destroy deletes what is not in use:"
        if plan.state == "destroyed"
        else f"{bold(plan.run)} is {plan.state.replace('_', ' ')}. A destroy deletes, in this order:",
        "",
    ]
    rows = [(str(one.stage), one.label, printable(one.id)) for one in plan.deletes]
    lines += table(rows) or ["  nothing that is known"]
    if any(one.kind == "dataSets" for one in plan.deletes):
        lines += ["", "The dataset goes with all data in it. (--keep-dataset leaves it.)"]
    if plan.in_doubt:
        lines += ["", f"First it waits until no create without an answer can take effect: {', '.join(plan.in_doubt)}."]
    if plan.look_ups:
        lines += ["", f"Then it looks for {counted(len(plan.look_ups), 'marker')}; what carries one goes too."]
    lines += _stays((one["step"], one["id"], one["why"]) for one in plan.stays)
    if not about_to:
        lines += ["", "Nothing was sent and nothing was written."]
    return lines


def destroy_lines(report: Report, labels: Mapping[str, str]) -> list[str]:
    """What went, what is left, and what to type for that later."""
    from flowledger.engine.destroy import FOR_GOOD

    lines = [f"{bold(report.run)}  {report.state}  (sandbox {report.sandbox} of {report.org})"]
    if report.destroyed:
        deleted = [one for one in report.destroyed if one.id not in report.gone_before]
        before = [one for one in report.destroyed if one.id in report.gone_before]
        heads = (f"{there_are(len(deleted), 'object')} deleted:", "Gone already, so that nothing was sent:")
        for head, those in zip(heads, (deleted, before), strict=True):
            if those:
                lines += ["", head]
                lines += table((labels.get(one.step, one.step), printable(one.id)) for one in those)
    lines += _stays((one.step, one.id, one.why) for one in report.left)
    if any(one.why not in FOR_GOOD for one in report.left):
        again = as_typed(f"flowledger destroy {report.run}")
        lines += ["", "Once nothing refers to what was left any more, this deletes it:", f"  {again}"]
    return [*lines, ""]


def drift_lines(report: DriftReport, labels: Mapping[str, str]) -> list[str]:
    """What differs, the twins, and what to type next."""
    lines = [f"{bold(report.run)}  {report.state}"]
    if not report.differences and not report.twins:
        lines.append("No drift: everything is there, unedited, and once.")
    for drift in report.differences:
        lines += ["", f"{drift.step}:"]
        lines += [f"  {printable(difference)}" for difference in drift.differences]
    if report.twins:
        lines += ["", "Twins, further objects with this run's markers:"]
        lines += table(
            (
                labels.get(twin.step, twin.step),
                printable(twin.id),
                "removed" if twin.removed else printable(twin.why) or "nothing refers to it",
            )
            for twin in report.twins
        )
    if report.unfinished:
        lines += ["", f"Not looked at, because they are not done: {', '.join(report.unfinished)}"]
        lines.append(as_typed(f"Next: flowledger resume {report.run}"))
    if report.removable:
        lines += ["", as_typed(f"Next: flowledger drift {report.run} --remove-twins")]
    return lines


def _stays(staying: Iterable[tuple[str, str, str]]) -> list[str]:
    rows = [(step, printable(id), printable(why)) for step, id, why in staying]
    return ["", "Stays:", *table(rows)] if rows else []
