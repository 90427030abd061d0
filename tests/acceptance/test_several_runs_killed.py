"""`kill -9` of a process that drives several runs; then `flowledger resume --all`.

The runs share their base connection and the sandbox's dataset base connection: of these there is one, made by whichever
run came first, and of everything else one a run.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flowledger.emulator.wire import Request
from flowledger.engine.api import read_ledgers
from flowledger.engine.ledger import Ledger, RunState
from flowledger.journal import verify

NAMES = ("orders-a", "orders-b", "orders-c")
SHARED = ("create_base_connection", "find_or_create_sink")
CREATES = [
    ("/connections", "auth"), ("/connections", "-sink"), ("/tenant/classes", ""), ("/tenant/schemas", "adhoc-schema"),
    ("/sourceConnections", ""), ("/tenant/fieldgroups", ""), ("/tenant/schemas", "target-schema"), ("/dataSets", ""),
    ("/targetConnections", ""), ("/mappingSets", ""), ("/flows", ""),
]  # fmt: skip
#: Each create is met before or after it takes effect, of what is shared both, of the others that of another run each.
DEATHS = [
    *((path, within, 1, when) for path, within in CREATES[:2] for when in ("before", "after")),
    *((path, within, 1 + turn % 3, ("after", "before")[turn % 2]) for turn, (path, within) in enumerate(CREATES[2:])),
]
IN_THE_FAST_CHECKS = (DEATHS[1], DEATHS[2])


@pytest.fixture
def specs(tmp_path: Path, example: str) -> list[str]:
    """Three specs that are equal but for their names."""
    text = Path(example).read_text()
    files = []
    for name in NAMES:
        file = tmp_path / f"{name}.yaml"
        file.write_text(text.replace("name: paypal-products", f"name: {name}"))
        files.append(str(file))
    return files


def at_create(path: str, within: str, number: int, when: str) -> Callable[[str, int, Request], bool]:
    """The moment before or after the platform takes the `number`-th create of its kind."""
    seen: Counter[str] = Counter()

    def here(moment: str, call: int, request: Request) -> bool:
        posted = request.method == "POST" and request.raw_path.endswith(path) and within.encode() in request.body
        seen[moment] += posted
        return posted and moment == when and seen[moment] == number

    return here


def ledgers(console: Any) -> list[Ledger]:
    """The runs as the disk tells them."""
    return read_ledgers(console.folder / ".flowledger" / "journal")


def check(console: Any, platform: Any, made_once: dict[str, int]) -> None:
    """One of what is shared, one of everything else a run, and the ids in the journal are those on the platform."""
    runs = ledgers(console)
    assert verify(console.folder / ".flowledger" / "journal").damage is None
    assert [(run.run, run.state, run.duplicates) for run in runs] == [
        (name, RunState.PROVISIONED, []) for name in NAMES
    ]
    named: dict[str, set[str]] = {}
    for run in runs:
        for row in run.table.rows:
            if row.step.kind:
                named.setdefault(row.step.kind, set()).add(str((run.step(row.step.name).outputs or {})["id"]))
    for step in SHARED:
        assert len({str((run.step(step).outputs or {})["id"]) for run in runs}) == 1, step
    there = {kind: {str(item.get("$id") or item["id"]) for item in platform.emulator.objects(kind)} for kind in named}
    assert there == named
    wanted = {kind: number * (1 if kind == "connections" else len(NAMES)) for kind, number in made_once.items()}
    assert platform.counts() == wanted


def ends_with_one_of_each(console: Any, platform: Any, made_once: dict[str, int], *specs: str) -> None:
    """`resume --all` ends what has begun, and a further one sends nothing. `specs`: of runs that may not have begun."""
    resumed = console.run(*(("apply", *specs) if specs else ("resume", "--all")))
    assert resumed.returncode == 0, resumed.stderr
    check(console, platform, made_once)
    calls = platform.calls
    again = console.run("resume", "--all")
    assert again.returncode == 0, again.stderr
    assert platform.calls == calls, "a further resume sent something"


def killed_and_resumed(console: Any, platform: Any, specs: list[str], made_once: dict[str, int], *death: Any) -> None:
    assert console._kill_where(at_create(*death), "apply", *specs, "--parallel", "3") == -9
    assert any(record.unanswered for run in ledgers(console) for record in run.steps.values())
    ends_with_one_of_each(console, platform, made_once)


@pytest.mark.parametrize(("path", "within", "number", "when"), IN_THE_FAST_CHECKS, ids=["committed", "sent"])
def test_several_runs_that_are_killed_at_once_are_resumed_to_one_of_what_they_share(
    console: Any, platform: Any, specs: list[str], made_once: dict[str, int], path: str, within: str, number: int,
    when: str,
) -> None:  # fmt: skip
    killed_and_resumed(console, platform, specs, made_once, path, within, number, when)


@pytest.mark.long
@pytest.mark.parametrize(
    ("path", "within", "number", "when"), [death for death in DEATHS if death not in IN_THE_FAST_CHECKS]
)
def test_several_runs_that_are_killed_at_any_create_are_resumed_to_one_of_what_they_share(
    console: Any, platform: Any, specs: list[str], made_once: dict[str, int], path: str, within: str, number: int,
    when: str,
) -> None:  # fmt: skip
    killed_and_resumed(console, platform, specs, made_once, path, within, number, when)


@pytest.mark.long
@pytest.mark.parametrize("number", [3, 11])
def test_several_runs_that_are_killed_again_while_they_are_resumed_end_with_one_of_what_they_share(
    console: Any, platform: Any, specs: list[str], made_once: dict[str, int], number: int
) -> None:
    """One of them was alone with what it had made when the first process died."""
    assert console._kill_where(at_create("/connections", "auth", 1, "after"), "apply", *specs) == -9
    assert console.kill_at("after", number, "resume", "--all") == -9
    assert console.kill_at("before", 5, "resume", NAMES[-1]) == -9
    ends_with_one_of_each(console, platform, made_once)


@pytest.mark.long
@pytest.mark.needs_system
@pytest.mark.parametrize(
    ("call", "number"),
    [("pwrite64", number) for number in (7, 9, 14)] + [("fdatasync", number) for number in (9, 12, 20)],
)
def test_several_runs_that_are_killed_at_the_disk_are_resumed_to_one_of_what_they_share(
    console: Any, platform: Any, specs: list[str], made_once: dict[str, int], call: str, number: int
) -> None:
    """Events of several runs are written together: killed when they are not written yet, or written and not synced."""
    assert console.kill_at_the_disk(call, number, "apply", *specs) == -9
    ends_with_one_of_each(console, platform, made_once, *specs)
