"""What the README says of crashes and emulators can be typed as it stands, and its numbers are those of the proof."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def readme(root: Path) -> str:
    return (root / "README.md").read_text()


def section(readme: str, heading: str) -> str:
    """The part of the README under a heading, up to the next of the same depth."""
    (found,) = re.findall(rf"^## {re.escape(heading)}\n(.*?)(?=^## )", readme, re.S | re.M)
    return str(found)


def test_it_begins_with_the_two_commands(readme: str) -> None:
    first = readme.index("```")
    assert readme[first:].splitlines()[1].startswith("scripts/demo ")
    assert readme[first:].splitlines()[2].startswith("scripts/test ")
    assert re.findall(r"^## (.*)$", readme, re.M)[0] == "Two commands"


def test_its_numbers_of_the_proof_are_those_of_the_proof(root: Path, readme: str) -> None:
    told = section(readme, "What happens at a crash")
    numbers = re.findall(r"\b\d{1,3}(?:,\d{3})+\b", told)
    proof = (root / "docs" / "proof.md").read_text()
    assert numbers
    assert [number for number in numbers if number not in proof] == []
    places = re.findall(r"^\| (\d+) ", (root / "docs" / "crash-points.md").read_text(), re.M)
    assert f"At each of the {max(map(int, places))} places" in " ".join(told.split())


#: In the place of `timeout -s KILL 4`: four seconds are the middle of the run on no machine that is busy.
KILL_IN_THE_MIDDLE = """#!{python}
import json, subprocess, sys, urllib.request

run = subprocess.Popen(sys.argv[4:])
while run.poll() is None:
    with urllib.request.urlopen("http://127.0.0.1:{port}/_emulator/counts") as answer:
        if json.load(answer).get("dataSets"):
            run.kill()
            break
sys.exit(run.wait() and 137)
"""


@pytest.mark.long
def test_what_it_shows_of_emulators_and_of_a_crash_happens_when_it_is_typed(
    root: Path, readme: str, tmp_path: Path
) -> None:
    blocks = [
        block
        for heading in ("Against the emulator, against Adobe", "What happens at a crash")
        for block in re.findall(r"```sh\n(.*?)```", section(readme, heading), re.S)
    ]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    script = (
        "\n".join(blocks).replace(":8480", f":{port}").replace("emulator start -d", f"emulator start -d --port {port}")
    )
    shutil.copytree(root / "examples", tmp_path / "examples")
    (tmp_path / "bin").mkdir()
    kill = tmp_path / "bin" / "timeout"
    kill.write_text(KILL_IN_THE_MIDDLE.format(python=sys.executable, port=port))
    kill.chmod(0o755)

    typed = subprocess.run(
        ["bash", "-v", "-c", script],
        cwd=tmp_path,
        env={
            "PATH": f"{kill.parent}:{Path(sys.executable).parent}:{os.environ['PATH']}",
            "HOME": str(tmp_path),
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )

    out = typed.stdout
    assert "Traceback" not in typed.stderr
    assert out.count("provisioned  (sandbox prod of LOCAL@AdobeOrg)") == 3, typed.stderr
    assert "No drift: everything is there, unedited, and once." in out
    assert "Next: flowledger resume paypal-products" in out, "it was killed while it was at work"
    counted = {kind: int(count) for kind, count in re.findall(r"^  (\w+) +(\d+)$", out, re.M)}
    assert counted.pop("connections") == 2  # PayPal's, and that of the datasets
    assert counted.pop("schemas") == 2  # the ad hoc one and the target's
    assert set(counted.values()) == {1}
    assert len(counted) == 7
