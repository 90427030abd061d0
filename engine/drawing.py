"""Draw the machine as an SVG picture: a lane a branch, a box a state, an arrow a step, dashes for what it waits for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from xml.sax.saxutils import escape

from flowledger.engine.graph import PLANNED
from flowledger.engine.table import Row, Table

# All in pixels. A character of the text is about 6.6 wide at 11 pixels of a monospaced face.
CHARACTER: Final = 6.6
BOX_HEIGHT: Final = 30
LANE_HEIGHT: Final = 84
LANE_LABEL: Final = 84
PADDING: Final = 10
GAP: Final = 26  # between two boxes, beyond the words on the arrow
MARGIN: Final = 16

STYLE: Final = (
    "text{font:11px ui-monospace,Menlo,Consolas,monospace;fill:#1c2733}"
    ".lane{fill:#f4f6f8}.lane.odd{fill:#fafbfc}.branch{font-weight:bold;fill:#51606f}"
    ".state{fill:#fff;stroke:#51606f}.start{fill:#e4e9ee;stroke:#51606f}.final{fill:#e2f4e6;stroke:#2f7d46}"
    ".step{stroke:#1c2733;fill:none}.waits{stroke:#b3661a;fill:none;stroke-dasharray:4 3}.word{fill:#51606f}"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Box:
    """Where a state stands: its left edge, its width, and the middle of its lane."""

    x: float
    width: float
    y: float

    @property
    def right(self) -> float:
        return self.x + self.width

    @property
    def middle(self) -> float:
        return self.x + self.width / 2


def svg(machine: Table) -> str:
    """A style's machine as one SVG document of its own: no script, no font or picture from elsewhere."""
    boxes = _placed(machine)
    width = max(box.right for box in boxes.values()) + MARGIN
    height = LANE_HEIGHT * len(machine.branches) + 2 * MARGIN
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height}" role="img" '
        f'width="{width:.0f}" height="{height}">',
        f"<title>The machine of a run, style {escape(machine.style)}</title>",
        f"<style>{STYLE}</style>",
        '<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0 0 8 4 0 8z" fill="context-stroke"/></marker></defs>',
    ]
    for at, branch in enumerate(machine.branches):
        top = MARGIN + at * LANE_HEIGHT
        odd = " odd" if at % 2 else ""
        parts.append(f'<rect class="lane{odd}" x="0" y="{top}" width="{width:.0f}" height="{LANE_HEIGHT}"/>')
        parts.append(f'<text class="branch" x="{MARGIN}" y="{top + LANE_HEIGHT / 2 + 4:.0f}">{escape(branch)}</text>')
    parts += [_waits(machine, boxes, row, need) for row in machine.rows for need in row.needs]
    for row in machine.rows:
        source, dest = boxes[row.branch, row.source], boxes[row.branch, row.dest]
        parts.append(
            f'<path class="step" marker-end="url(#head)" d="M{source.right:.0f} {source.y:.0f}H{dest.x:.0f}"/>'
            f'<text class="word" text-anchor="middle" x="{(source.right + dest.x) / 2:.0f}" '
            f'y="{source.y - 6:.0f}">{escape(row.step.name)}</text>'
        )
    for (branch, state), box in boxes.items():
        last = machine.rows_of(branch)[-1].dest == state
        look = "start" if state == PLANNED else "final" if last else "state"
        parts.append(
            f'<rect class="{look}" x="{box.x:.0f}" y="{box.y - BOX_HEIGHT / 2:.0f}" width="{box.width:.0f}" '
            f'height="{BOX_HEIGHT}" rx="6"/><text text-anchor="middle" x="{box.middle:.0f}" '
            f'y="{box.y + 4:.0f}">{escape(state)}</text>'
        )
    return "\n".join([*parts, "</svg>\n"])


def _placed(machine: Table) -> dict[tuple[str, str], _Box]:
    """The boxes, left to right. A step stands right of everything that it waits for, so that dashes lead forwards."""
    boxes: dict[tuple[str, str], _Box] = {}

    def place(branch: str, state: str, x: float) -> None:
        y = MARGIN + (machine.branches.index(branch) + 0.5) * LANE_HEIGHT
        boxes[branch, state] = _Box(x=x, width=len(state) * CHARACTER + 2 * PADDING, y=y)

    for branch in machine.branches:
        place(branch, PLANNED, MARGIN + LANE_LABEL)
    ahead = list(machine.rows)
    while ahead:
        for row in list(ahead):
            needed = [machine.row_of(need) for need in row.needs]
            known = all((need.branch, need.dest) in boxes for need in needed)
            if not known or (row.branch, row.source) not in boxes:
                continue
            room = len(row.step.name) * CHARACTER + GAP
            after = boxes[row.branch, row.source].right + room
            waits = [boxes[need.branch, need.dest].right + GAP for need in needed]
            place(row.branch, row.dest, max([after, *waits]))
            ahead.remove(row)
    return boxes


def _waits(machine: Table, boxes: dict[tuple[str, str], _Box], row: Row, name: str) -> str:
    """A dashed curve from the state that is waited for to the state that waits for it."""
    need = machine.row_of(name)
    here, there = boxes[need.branch, need.dest], boxes[row.branch, row.dest]
    down = there.y > here.y
    y1 = here.y + (BOX_HEIGHT / 2 if down else -BOX_HEIGHT / 2)
    y2 = there.y - (BOX_HEIGHT / 2 if down else -BOX_HEIGHT / 2)
    x1, x2 = here.right - PADDING, there.x + PADDING
    bend = (y1 + y2) / 2
    return (
        f'<path class="waits" marker-end="url(#head)" '
        f'd="M{x1:.0f} {y1:.0f}C{x1:.0f} {bend:.0f} {x2:.0f} {bend:.0f} {x2:.0f} {y2:.0f}">'
        f"<title>{escape(row.step.name)} waits for {escape(need.step.name)}</title></path>"
    )
