"""`flowledger resume --plan` tells what a resume would do, and changes nothing by telling."""

from __future__ import annotations

from pathlib import Path
from typing import Any

RUN = "paypal-products"


def disk(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Every file below a folder, with its content and when it was changed."""
    return {
        str(path.relative_to(folder)): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_a_plan_of_a_killed_run_writes_neither_to_the_platform_nor_to_the_journal(
    console: Any, platform: Any, example: str
) -> None:
    assert console.kill_when("/dataSets", "", "apply", example) == -9
    calls, objects, before = platform.calls, platform.counts(), disk(console.folder)
    assert before

    said = console.run("resume", RUN, "--plan")
    assert said.returncode == 0, said.stderr
    assert "dataset" in said.stdout
    actions = console.json("resume", RUN, "--plan")["actions"]

    assert {action["do"] for action in actions if action["step"] == "create_dataset"} == {"look_up"}
    assert platform.calls == calls
    assert platform.counts() == objects
    assert disk(console.folder) == before

    resumed = console.run("resume", RUN)
    assert resumed.returncode == 0, resumed.stderr
    assert console.json("resume", RUN, "--plan")["actions"] == []
