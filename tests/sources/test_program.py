"""The program with a source kind of somebody's own: `init`, emulators that serve it, runs without its file."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml


class Shell:
    """`flowledger` as a child process in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.env = {key: value for key, value in os.environ.items() if not key.startswith("FLOWLEDGER_")}

    def __call__(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "flowledger", *words],
            cwd=self.folder, env=self.env, capture_output=True, text=True, check=False,
        )  # fmt: skip

    def start(self, *words: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "flowledger", *words],
            cwd=self.folder,
            env=self.env,
            stdout=subprocess.PIPE,
            text=True,
        )


@pytest.fixture
def shell(tmp_path: Path, own: dict[str, Any]) -> Shell:
    (tmp_path / "our-ledger.yaml").write_text(yaml.safe_dump(own, sort_keys=False))
    shell = Shell(tmp_path)
    written = shell("init", "--kind-file", "our-ledger.yaml", "--emulator", "--style", "current")
    assert written.returncode == 0, written.stderr
    return shell


@pytest.mark.long
def test_its_spec_is_applied_on_the_local_emulator_and_later_runs_need_no_file(shell: Shell) -> None:
    applied = shell("apply", "our-ledger-entries.yaml", "--local", "--json")
    (shell.folder / "our-ledger.yaml").unlink()
    drift = shell("drift", "our-ledger-entries", "--local")
    resumed = shell("resume", "our-ledger-entries", "--local")

    assert (applied.returncode, json.loads(applied.stdout)["state"]) == (0, "provisioned")
    assert drift.returncode == 0, drift.stderr
    assert resumed.returncode == 0, resumed.stderr


@pytest.mark.long
def test_a_changed_kind_is_a_changed_spec_with_exit_3(shell: Shell) -> None:
    assert shell("apply", "our-ledger-entries.yaml", "--local").returncode == 0
    file = shell.folder / "our-ledger.yaml"
    file.write_text(file.read_text().replace("Our Ledger", "Their Ledger"))

    again = shell("apply", "our-ledger-entries.yaml", "--local")

    assert again.returncode == 3
    assert "source.definition.label: Our Ledger -> Their Ledger" in again.stderr


@pytest.mark.long
def test_an_emulator_that_was_started_with_it_serves_it(shell: Shell) -> None:
    process = shell.start("emulator", "start", "--port", "0", "--kinds", "our-ledger.yaml")
    try:
        assert process.stdout is not None
        url = process.stdout.readline().removeprefix("Ready. ").strip()
        shell.env |= {
            "FLOWLEDGER_BASE_URL": url, "FLOWLEDGER_IMS_URL": url, "FLOWLEDGER_CLIENT_ID": "local-client",
            "FLOWLEDGER_CLIENT_SECRET": "local-secret", "FLOWLEDGER_ORG_ID": "LOCAL@AdobeOrg",
            "FLOWLEDGER_SANDBOX": "prod",
        }  # fmt: skip
        applied = shell("apply", "our-ledger-entries.yaml")
    finally:
        process.terminate()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()

    assert applied.returncode == 0, applied.stderr
    assert "provisioned" in applied.stdout


def test_a_wrong_kind_file_is_exit_3_with_its_place(shell: Shell) -> None:
    file = shell.folder / "our-ledger.yaml"
    file.write_text(file.read_text().replace("secret: true", "secrte: true"))

    started = shell("emulator", "start", "--port", "0", "--kinds", "our-ledger.yaml")
    judged = shell("validate", "our-ledger-entries.yaml")

    assert (started.returncode, judged.returncode) == (3, 3)
    assert "our-ledger.yaml:" in started.stderr
    assert "unknown key; did you mean 'secret'?" in started.stderr
    assert "source.kind_file: " in judged.stderr
