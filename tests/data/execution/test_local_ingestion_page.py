"""The page "test your ingestion locally" is followed, command by command."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[3] / "docs" / "local-ingestion.md"


def commands(port: int) -> str:
    found = re.findall(r"^```sh\n(.*?)^```$", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    return "\n".join(found).replace("8480", str(port))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.long
@pytest.mark.needs_system  # curl, and GNU's date
def test_who_follows_the_page_sees_what_it_shows(tmp_path: Path) -> None:
    here = Path(sys.executable).parent
    environ = {name: value for name, value in os.environ.items() if not name.startswith("FLOWLEDGER_")}
    environ["PATH"] = f"{here}:{environ['PATH']}"
    script = "set -e\ntrap 'flowledger emulator stop || true' EXIT\n" + commands(free_port())
    done = subprocess.run(
        ["bash", "-c", script], cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=90, check=False
    )
    assert done.returncode == 0, done.stderr
    shown = re.findall(r"^```text\n(.*?)^```$", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    assert shown
    for text in shown:
        assert text in done.stdout
    assert done.stdout.count("1 run executed.") == 2
    assert "[{'_id': 'P-4'," in done.stdout
    assert '"status":"success"' in done.stdout


def test_the_page_has_commands_to_follow() -> None:
    text = commands(8480)
    for needed in ("flowledger emulator start", "flowledger apply", "flowledger emulator advance", "pq.read_table"):
        assert needed in text
