"""The program with a source kind of somebody's own: `init`, emulators that serve it, runs without its file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.program import Program, credentials


@pytest.fixture
def shell(tmp_path: Path, own: dict[str, Any]) -> Program:
    (tmp_path / "our-ledger.yaml").write_text(yaml.safe_dump(own, sort_keys=False))
    shell = Program(tmp_path)
    written = shell("init", "--kind-file", "our-ledger.yaml", "--emulator", "--style", "current")
    assert written.code == 0, written.err
    return shell


def test_its_spec_is_applied_on_the_local_emulator_and_later_runs_need_no_file(shell: Program) -> None:
    applied = shell("apply", "our-ledger-entries.yaml", "--local", "--json")
    (shell.folder / "our-ledger.yaml").unlink()
    drift = shell("drift", "our-ledger-entries", "--local")
    resumed = shell("resume", "our-ledger-entries", "--local")

    assert (applied.code, applied.json["state"]) == (0, "provisioned")
    assert drift.code == 0, drift.err
    assert resumed.code == 0, resumed.err


def test_a_changed_kind_is_a_changed_spec_with_exit_3(shell: Program) -> None:
    assert shell("apply", "our-ledger-entries.yaml", "--local").code == 0
    file = shell.folder / "our-ledger.yaml"
    file.write_text(file.read_text().replace("Our Ledger", "Their Ledger"))

    again = shell("apply", "our-ledger-entries.yaml", "--local")

    assert again.code == 3
    assert "source.definition.label: Our Ledger -> Their Ledger" in again.err


@pytest.mark.long
def test_an_emulator_that_was_started_with_it_serves_it(shell: Program) -> None:
    with shell.start("emulator", "start", "--port", "0", "--kinds", "our-ledger.yaml") as process:
        assert process.stdout is not None
        try:
            shell.env |= credentials(process.stdout.readline().removeprefix("Ready. ").strip())
            applied = shell("apply", "our-ledger-entries.yaml")
        finally:
            process.terminate()

    assert applied.code == 0, applied.err
    assert "provisioned" in applied.out


def test_a_wrong_kind_file_is_exit_3_with_its_place(shell: Program) -> None:
    file = shell.folder / "our-ledger.yaml"
    file.write_text(file.read_text().replace("secret: true", "secrte: true"))

    started = shell("emulator", "start", "--port", "0", "--kinds", "our-ledger.yaml")
    judged = shell("validate", "our-ledger-entries.yaml")

    assert (started.code, judged.code) == (3, 3)
    assert "our-ledger.yaml:" in started.err
    assert "unknown key; did you mean 'secret'?" in started.err
    assert "source.kind_file: " in judged.err
