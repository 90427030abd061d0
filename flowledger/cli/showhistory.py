"""How `history` looks on a page: a line an event, or one event whole."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from flowledger.cli.hints import as_typed
from flowledger.cli.show import bold, dim, fitted, indented, lasting, moment, on_terminal, width

if TYPE_CHECKING:
    from flowledger.engine.history import Entry


def history_lines(entries: Sequence[Entry], *, name_runs: bool = False) -> list[str]:
    """Number, time, branch, step, attempt, status, duration; what happened follows where it says more.

    `name_runs`: they may be of several runs, so that each line says of which.
    """
    today = time.strftime("%Y-%m-%d")
    days = {time.strftime("%Y-%m-%d", time.localtime(entry.at)) for entry in entries}
    form = "%H:%M:%S" if days <= {today} else "%Y-%m-%d %H:%M:%S"
    rows: list[tuple[str, ...]] = [
        (
            str(entry.number),
            time.strftime(form, time.localtime(entry.at)),
            entry.branch or "-",
            entry.step or entry.kind,
            str(entry.attempt or ""),
            str(entry.status or ""),
            lasting(entry.duration_ms / 1000) if entry.duration_ms is not None else "",
            *([str(entry.doc.get("run", "-"))] if name_runs else []),
            entry.text + (f" [{entry.pair}]" if entry.pair and entry.kind == "outcome_recorded" else ""),
        )
        for entry in entries
    ]
    head = ("#", "TIME", "BRANCH", "STEP", "TRY", "HTTP", "TOOK", *(["RUN"] if name_runs else []), "WHAT")
    right = {0, 4, 5, 6}
    widths = [max(len(row[at]) for row in [head, *rows]) for at in range(len(head) - 1)]
    room = width() - sum(widths) - 2 * len(widths)
    lines = []
    for row in [head, *rows]:
        cells = [cell.rjust(widths[at]) if at in right else cell.ljust(widths[at]) for at, cell in enumerate(row[:-1])]
        what = row[-1]
        if on_terminal() and room >= 24:
            lines.append("  ".join([*cells, fitted(what, room)]).rstrip())
        elif on_terminal():
            # A narrow terminal: what happened goes below, so that no column is lost.
            lines.append("  ".join(cells).rstrip())
            if row is not head and what:
                lines.append(dim("      " + fitted(what, width() - 6)))
        else:
            lines.append("  ".join([*cells, what]).rstrip())
    if entries and on_terminal():
        run = str(entries[0].doc.get("run", "RUN"))
        lines += ["", dim(as_typed(f"one event whole: flowledger history {run}") + " --event N")]
    return lines


def entry_lines(entry: Entry) -> list[str]:
    """One event whole: what it is, its request and its response, each as far as it is journaled."""
    where = "/".join(part for part in (entry.branch, entry.step) if part)
    lines = [
        f"{bold(f'event {entry.number}')}  {entry.kind}  {where}  {moment(entry.at)}".rstrip(),
        f"  {entry.text}",
    ]
    intent, outcome = _halves(entry)
    call = (intent or entry.doc).get("call")
    if isinstance(call, Mapping):
        number = entry.pair if entry.kind == "outcome_recorded" else entry.number
        lines += ["", f"{bold('request')}  (event {number})", *_call_lines(call)]
        if intent is not None and intent.get("marker"):
            lines.append(f"  marker: {intent['marker']}")
    answer = (outcome or entry.doc).get("answer")
    if isinstance(answer, Mapping):
        number = entry.pair if entry.kind == "intent_recorded" else entry.number
        lines += ["", f"{bold('response')}  (event {number})", *_answer_lines(answer)]
    elif entry.kind == "intent_recorded":
        lines += ["", f"{bold('response')}  none is journaled: it is under way, or the process was killed"]
    shown = {"run", "kind", "at", "mono", "step", "call", "answer", "attempt", "marker"}
    rest = {name: value for name, value in entry.doc.items() if name not in shown and value not in ("", None, [], {})}
    if rest:
        lines += ["", bold("event"), indented(rest)]
    return lines


def _halves(entry: Entry) -> tuple[Mapping[str, Any] | None, Mapping[str, Any] | None]:
    if entry.kind == "intent_recorded":
        return entry.doc, entry.paired_doc
    if entry.kind == "outcome_recorded":
        return entry.paired_doc, entry.doc
    return None, None


def _call_lines(call: Mapping[str, Any]) -> list[str]:
    query = "&".join(f"{name}={value}" for name, value in call.get("query") or [])
    lines = [f"  {call.get('method')} {call.get('path')}{'?' if query else ''}{query}"]
    if "body" in call:
        lines += ["", indented(call["body"])]
    return lines


def _answer_lines(answer: Mapping[str, Any]) -> list[str]:
    status = f"HTTP {answer['status']}" if "status" in answer else f"none ({answer.get('reach')})"
    took = f" after {lasting(float(answer['duration_ms']) / 1000)}" if "duration_ms" in answer else ""
    lines = [f"  {status}{took}"]
    lines += [f"  {name}: {value}" for name, value in (answer.get("headers") or {}).items()]
    if answer.get("trouble"):
        lines.append(f"  {answer['trouble']}")
    for name, value in answer.items():
        if name.startswith("body"):
            lines += ["", indented(value) if name == "body" else f"  {name}: {value}"]
    return lines
