"""Print data to stdout: JSON documents, and tables that read well at 80 columns without colour."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from flowledger.cli.hints import as_typed
from flowledger.cli.logs import coloured
from flowledger.cli.printable import printable, printable_json, printable_value
from flowledger.cli.streams import nowhere
from flowledger.words import counted, there_are

if TYPE_CHECKING:
    from tinydb.table import Document


def print_json(document: Any) -> None:
    """One JSON document, indented for people, in one piece."""
    import orjson

    try:
        _write(_encoded(document, orjson.OPT_INDENT_2))
    except BrokenPipeError:
        drop_stdout()  # the reader has gone; what the verb ends with is not its concern


def drop_stdout() -> None:
    """Send stdout nowhere from here on, so that nothing is flushed into a closed pipe at exit."""
    os.dup2(nowhere(), sys.stdout.fileno())


def print_json_line(document: Any) -> None:
    """One document a line, for streams."""
    _write(_encoded(document))


def _encoded(document: Any, option: int = 0) -> bytes:
    import orjson

    try:
        return orjson.dumps(document, option=option)
    except TypeError:  # a path of bytes that are no UTF-8: they are spelt, as for people
        return orjson.dumps(printable_value(document), option=option)


def _write(data: bytes) -> None:
    """A line of UTF-8, whatever the locale is: JSON has no other encoding."""
    sys.stdout.flush()
    sys.stdout.buffer.write(printable_json(data) + b"\n")
    sys.stdout.buffer.flush()


def print_lines(lines: Iterable[str]) -> None:
    """Text, a line each."""
    try:
        print("\n".join(lines))
    except BrokenPipeError:
        drop_stdout()  # as of a document


def table(rows: Iterable[Sequence[str]], *, head: Sequence[str] = (), indent: int = 2) -> list[str]:
    """Rows as lines: columns two spaces apart, as wide as their widest cell; the last one runs free."""
    body = [[*row] for row in rows]
    cells = [[*head], *body] if head else body
    if not cells:
        return []
    widths = [max(len(row[at]) for row in cells) for at in range(len(cells[0]) - 1)]
    lines = []
    for row in cells:
        line = "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[-1]])
        lines.append(" " * indent + line.rstrip())
    if head:
        lines[0] = dim(lines[0])
    return lines


def width() -> int:
    """Columns of the terminal, 80 where there is none."""
    return shutil.get_terminal_size((80, 24)).columns


def fitted(text: str, room: int) -> str:
    """The text, or its two ends around an ellipsis where it is longer than `room`."""
    if len(text) <= room or room < 8:
        return text
    tail = (room - 1) // 2
    return f"{text[: room - 1 - tail]}…{text[-tail:]}"


def on_terminal() -> bool:
    """Whether a person looks at stdout."""
    return sys.stdout.isatty()


def dim(text: str) -> str:
    """Quieter, where colour may be shown."""
    return f"\x1b[2m{text}\x1b[0m" if coloured(sys.stdout) else text


def bold(text: str) -> str:
    """Louder, where colour may be shown."""
    return f"\x1b[1m{text}\x1b[0m" if coloured(sys.stdout) else text


def moment(seconds: float) -> str:
    """A moment for people: local date and time."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds)) if seconds else "never"


def ago(seconds: float, *, now: float | None = None) -> str:
    """How long ago a moment was, in its largest unit."""
    past = max(0.0, (time.time() if now is None else now) - seconds)
    for unit, length in (("day", 86400.0), ("hour", 3600.0), ("minute", 60.0)):
        if past >= length:
            count = int(past // length)
            return f"{count} {unit}{'s' if count != 1 else ''} ago"
    return "just now" if past < 2 else f"{int(past)} seconds ago"


def lasting(seconds: float) -> str:
    """A duration for people."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    return f"{int(seconds // 60)} min {int(seconds % 60)} s"


def place(path: str | os.PathLike[str]) -> str:
    """A path as a person would type it from here; what would steer a terminal is spelt."""
    text = os.fspath(path)
    try:
        relative = os.path.relpath(text)
    except OSError:  # the working folder was removed
        relative = text
    return printable(relative if len(relative) < len(text) and not relative.startswith("..") else text)


def shown_documents(documents: Iterable[Document]) -> list[Document]:
    """Numbered events as a terminal may show them."""
    from tinydb.table import Document

    return [Document(printable_value(document), doc_id=document.doc_id) for document in documents]


def indented(value: Any, *, by: int = 2) -> str:
    """A JSON value over several lines, indented."""
    import orjson

    text = orjson.dumps(value, option=orjson.OPT_INDENT_2).decode("utf-8", "replace")
    return "\n".join(" " * by + line for line in text.splitlines())


def report_lines(report: Mapping[str, Any]) -> list[str]:
    """A run's report for people: what it is, each resource with its id and how, and where the journal is."""
    report = printable_value(report)
    state = str(report["state"])
    lines = [f"{bold(str(report['run']))}  {state}  (sandbox {report['sandbox']} of {report['org']})"]
    resources = report["resources"]
    if resources:
        lines.append("")
        narrow = on_terminal()
        names = max(len(resource["step"]) for resource in resources)
        room = width() - names - 15
        rows = []
        shortened = False
        for resource in resources:
            shown = fitted(resource["id"], room) if narrow else resource["id"]
            shortened = shortened or shown != resource["id"]
            rows.append((resource["step"], resource["how"], shown))
        lines += table(rows)
        if shortened:
            lines += ["", dim(as_typed(f"  ids in full: flowledger status {report['run']}") + " --json")]
    if report["duplicates"]:
        lines += ["", f"  {counted(len(report['duplicates']), 'more object')} with this run's marker:"]
        lines += [f"    {id}" for id in report["duplicates"]]
        if report["state"] not in ("destroying", "destroyed"):
            again = as_typed(f"flowledger drift {report['run']}")
            lines.append(f"  {again} --remove-twins removes those that nothing refers to")
    if report.get("destroyed"):
        lines += ["", f"  {there_are(len(report['destroyed']), 'object')} deleted, or gone"]
    if report.get("left"):
        lines += ["", "  left:"]
        lines += table(((left["step"], left["id"], left["why"]) for left in report["left"]), indent=4)
    if report.get("flow_run"):
        lines += ["", f"  {flow_run_text(report['flow_run'])}", *(f"    {one}" for one in report["flow_run"]["errors"])]
        lines += [f"    warning: {one}" for one in report["flow_run"]["warnings"]]
    lines.append("")
    return lines


def flow_run_text(seen: Mapping[str, Any]) -> str:
    """The latest run of a dataflow in a few words."""
    rows = ", ".join(
        f"{counted(seen[name], 'row')} {word}" if name == "rows_out" else f"{seen[name]} {word}"
        for name, word in (("rows_out", "arrived"), ("rows_failed", "rejected"))
        if seen[name] is not None
    )
    return f"latest flow run: {str(seen['state']).replace('_', ' ')}" + (f", {rows}" if rows else "")
