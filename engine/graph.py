"""Draw the machine from its table, so that no diagram can disagree with what runs."""

from __future__ import annotations

from typing import Final

from flowledger.engine.table import Table

PLANNED: Final = "planned"


def mermaid(machine: Table) -> str:
    """A style's machine as a Mermaid flowchart: a box a branch, an arrow a step, dotted what a step waits for."""
    lines = ["flowchart TB"]
    for branch in machine.branches:
        lines.append(f"    subgraph {branch}")
        lines.append(f"        {_node(branch, PLANNED)}([{PLANNED}])")
        for row in machine.rows_of(branch):
            dest = _node(branch, row.dest)
            lines.append(f"        {_node(branch, row.source)} -->|{row.step.name}| {dest}[{row.dest}]")
        lines.append("    end")
    for row in machine.rows:
        for need in map(machine.row_of, row.needs):
            lines.append(
                f"    {_node(need.branch, need.dest)} -.->|before {row.step.name}| {_node(row.branch, row.dest)}"
            )
    return "\n".join(lines) + "\n"


def table(machine: Table) -> str:
    """A style's machine as a Markdown table: a row a step, in the order of the tutorial."""
    lines = [
        "| step | branch | from | to | once these are done | makes |",
        "|---|---|---|---|---|---|",
    ]
    for row in machine.rows:
        needs = ", ".join(f"`{need}`" for need in row.needs)
        made = f"{row.step.label} (`{row.step.kind}`)" if row.step.kind else ""
        lines.append(f"| `{row.step.name}` | {row.branch} | {row.source} | {row.dest} | {needs} | {made} |")
    return "\n".join(lines) + "\n"


def _node(branch: str, state: str) -> str:
    """A node's id. Every branch begins in the state `planned`; all other states have names of their own."""
    return f"{branch}_{PLANNED}" if state == PLANNED else state
