"""`kill -9`, as a user or an operating system would, at any call; then `flowledger resume`."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

RUN = "paypal-products"
CREATES = [
    ("/connections", "auth"), ("/tenant/classes", ""), ("/tenant/schemas", "adhoc-schema"), ("/sourceConnections", ""),
    ("/tenant/fieldgroups", ""), ("/tenant/schemas", "target-schema"), ("/dataSets", ""), ("/connections", "-sink"),
    ("/targetConnections", ""), ("/mappingSets", ""), ("/flows", ""),
]  # fmt: skip


def test_a_run_provisions_everything_once_and_the_second_time_has_nothing_to_do(
    console: Any, platform: Any, example: str, made_once: dict[str, int]
) -> None:
    first = console.run("apply", example)
    assert first.returncode == 0, first.stderr
    assert platform.counts() == made_once
    calls = platform.calls

    second = console.run("apply", example)
    assert second.returncode == 0, second.stderr
    assert "nothing to do" in second.stdout.lower()
    assert platform.calls == calls


def kill_and_resume(console: Any, platform: Any, example: str, when: str, number: int) -> None:
    code = console.kill_at(when, number, "apply", example)
    # Killed before it had begun a run, there is nothing to resume: apply begins it.
    began = code == -9 and console.run("status", RUN).returncode == 0
    resumed = console.run("resume", RUN) if began else console.run("apply", example)
    assert resumed.returncode == 0, resumed.stderr
    assert console.run("journal", "verify").returncode == 0
    assert console.json("status", RUN)["state"] == "provisioned"


@pytest.mark.parametrize("seed", [0, 1])
def test_killed_at_any_call_a_run_is_resumed_to_exactly_one_of_everything(
    console: Any, platform: Any, example: str, made_once: dict[str, int], seed: int
) -> None:
    chance = random.Random(seed)
    kill_and_resume(console, platform, example, chance.choice(["before", "after"]), chance.randint(1, 20))
    assert platform.counts() == made_once


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", range(100, 152))
def test_random_kills_each_end_in_exactly_one_of_everything(
    console: Any, platform: Any, example: str, made_once: dict[str, int], seed: int
) -> None:
    chance = random.Random(seed)
    for _ in range(chance.randint(0, 2)):  # killed again while it resumes
        console.kill_at(chance.choice(["before", "after"]), chance.randint(1, 12), "apply", example)
    kill_and_resume(console, platform, example, chance.choice(["before", "after"]), chance.randint(1, 20))
    assert platform.counts() == made_once


@pytest.mark.long
@pytest.mark.parametrize(("path", "within"), CREATES)
def test_a_commit_that_lands_two_seconds_after_the_client_was_killed_is_still_the_only_one(
    console: Any, platform: Any, example: str, made_once: dict[str, int], path: str, within: str, tmp_path: Any
) -> None:
    # The settle window must outlast the platform's slowness: S > G + L (docs/spec.md, settle).
    spec = tmp_path / "spec.yaml"
    spec.write_text(Path(example).read_text().replace("window: 1s", "window: 4s"))
    assert "window: 4s" in spec.read_text()
    platform.emulator.faults.add(f"POST {path}", "late", after_ms=2000, where=within)

    killed = console.kill_when(path, within, "apply", str(spec))
    assert killed == -9
    assert console.run("resume", RUN).returncode == 0
    assert platform.counts() == made_once
    assert any(resource["how"] == "adopted" for resource in console.json("status", RUN)["resources"])
