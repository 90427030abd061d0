"""Draw the machine from its table, so that no diagram can disagree with what runs."""

from __future__ import annotations

from flowledger.engine.table import BRANCHES, ROWS, row_of, rows_of


def mermaid() -> str:
    """The machine as a Mermaid flowchart: a box a branch, an arrow a step, a dotted arrow what a step waits for."""
    lines = ["flowchart TB"]
    for branch in BRANCHES:
        lines.append(f"    subgraph {branch}")
        lines.append("        direction TB")
        lines.append(f"        {branch}.planned([planned])")
        for row in rows_of(branch):
            lines.append(f"        {branch}.{row.source} -->|{row.step.name}| {branch}.{row.dest}")
        lines.append("    end")
    for row in ROWS:
        for need in row.needs:
            other = row_of(need)
            lines.append(f"    {other.branch}.{other.dest} -. needed by {row.step.name} .-> {row.branch}.{row.dest}")
    return "\n".join(_named(line) for line in lines) + "\n"


def table() -> str:
    """The machine as a Markdown table: a row a step, in the order of the tutorial."""
    lines = [
        "| step | branch | from | to | once these are done | makes |",
        "|---|---|---|---|---|---|",
    ]
    for row in ROWS:
        needs = ", ".join(f"`{need}`" for need in row.needs)
        made = f"{row.step.label} (`{row.step.kind}`)" if row.step.kind else ""
        lines.append(f"| `{row.step.name}` | {row.branch} | {row.source} | {row.dest} | {needs} | {made} |")
    return "\n".join(lines) + "\n"


def _named(line: str) -> str:
    """Ids of nodes may not hold a dot; what is shown is the state alone."""
    words = []
    for word in line.split(" "):
        branch, dot, state = word.partition(".")
        if dot and branch in BRANCHES and state:
            bare = state.partition("([")[0]
            shape = f"([{bare}])" if bare == "planned" else f"[{bare}]"
            word = f"{branch}_{bare}{shape}"
        words.append(word)
    return " ".join(words)
