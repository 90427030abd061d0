"""A farm: a folder that stands for /srv/flowledger, an emulator for the platform, and the files of a recipe's page."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from tests.bench import MADE_ONCE
from tests.program import Ran

ROOT: Final = Path(__file__).resolve().parents[2]
RECIPES: Final = ROOT / "docs" / "recipes"
HOME: Final = "/srv/flowledger"
BLOCK: Final = re.compile(r"^```\w+ (\S+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# One send a sitting: a lost call ends it with 75 once the settle window has passed, and the next one mends it.
IMPATIENT: Final = {
    "attempts: 6": "attempts: 1",
    "deadline: 15m": "deadline: 8s",
    "settle: 1s": "settle: {window: 300ms, send_within: 500ms}",
}


@dataclass(frozen=True, slots=True)
class Farm:
    """The folder, and the platform it points at."""

    folder: Path
    url: str

    def ask(self, method: str, what: str, body: Any = None) -> Any:
        """Call one of the emulator's own routes."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}/_emulator/{what}", data=data, method=method)
        with urllib.request.urlopen(request, timeout=30) as answer:
            text = answer.read()
        return json.loads(text) if text else None

    def unpack(self, page: str, *, instead: Mapping[str, str] | None = None) -> dict[str, str]:
        """Write the files of a page into the folder, as they are printed but for the folder and the credentials.

        Returns their texts.
        """
        texts = {}
        for name, text in BLOCK.findall((RECIPES / page).read_text()):
            for printed, ours in {HOME: str(self.folder), **(instead or {})}.items():
                text = text.replace(printed, ours)
            (self.folder / name).write_text(text)
            texts[name] = text
        if "credentials.env" in texts:
            lines = [f"{name}={value}\n" for name, value in self.credentials.items()]
            (self.folder / "credentials.env").write_text("".join(lines))
        return texts

    @property
    def credentials(self) -> dict[str, str]:
        """What the page's credentials.env holds for Adobe, for the emulator."""
        return {
            "FLOWLEDGER_BASE_URL": self.url,
            "FLOWLEDGER_IMS_URL": self.url,
            "FLOWLEDGER_CLIENT_ID": "local-client",
            "FLOWLEDGER_CLIENT_SECRET_FILE": str(self.folder / "client-secret"),
            "FLOWLEDGER_ORG_ID": "LOCAL@AdobeOrg",
            "FLOWLEDGER_SANDBOX": "prod",
        }

    def run(self, *command: str, env: Mapping[str, str] | None = None, timeout: float = 100) -> Ran:
        """Run a command in the folder, with nothing in its environment but `env`."""
        done = subprocess.run(
            command, cwd=self.folder, env={**(env or {})}, capture_output=True, text=True, timeout=timeout, check=False
        )
        return Ran(done.returncode, done.stdout, done.stderr)

    def lose_one_call(self, route: str = "POST /data/foundation/flowservice/flows") -> None:
        """The next call of that route never arrives."""
        self.ask("POST", "faults", {"route": route, "kind": "drop", "when": "before"})

    def has_exactly_one_of_everything(self) -> bool:
        """Whether the platform has what one run makes, and no more."""
        return bool(self.ask("GET", "counts") == MADE_ONCE)


@pytest.fixture(scope="session")
def emulator_url() -> Iterator[str]:
    process = subprocess.Popen(
        [sys.executable, "-m", "flowledger", "emulator", "start", "--port", "0"],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    url = process.stdout.readline().rpartition(" ")[2].strip()
    assert url.startswith("http://127.0.0.1:")
    yield url
    process.terminate()
    process.wait(30)
    process.stdout.close()


@pytest.fixture
def farm(tmp_path: Path, emulator_url: str) -> Farm:
    """A folder with a spec, its secrets and an environment of Python, and an empty platform."""
    farm = Farm(tmp_path / "farm", emulator_url)
    farm.folder.mkdir()
    farm.ask("POST", "reset")
    example = (ROOT / "examples" / "paypal-products.yaml").read_text()
    for patient, impatient in IMPATIENT.items():
        assert patient in example
        example = example.replace(patient, impatient)
    (farm.folder / "dataflow.yaml").write_text(example)
    shutil.copytree(ROOT / "examples" / "secrets", farm.folder / "secrets")
    (farm.folder / "client-secret").write_text("local-secret")
    programs = farm.folder / ".venv" / "bin"
    programs.mkdir(parents=True)
    # Not a link: a program in an environment is found by where its Python is.
    program = programs / "flowledger"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m flowledger "$@"\n')
    program.chmod(0o755)
    return farm


def environment_of(folder: Path, *packages: str) -> Path:
    """Make an environment with these packages and flowledger in it; returns its folder of programs."""
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    # Python compiles what it runs of them by itself, and that is the smaller part.
    pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "-q", "--no-compile", "--disable-pip-version-check"]
    subprocess.run([*pip, *packages, str(ROOT)], check=True, timeout=900, env={**os.environ, "PIP_NO_INPUT": "1"})
    return folder / "bin"


@pytest.fixture(scope="session")
def airflow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Airflow's programs, installed for this session."""
    return environment_of(tmp_path_factory.mktemp("airflow"), "apache-airflow>=3,<4")


@pytest.fixture(scope="session")
def prefect(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Prefect's programs, installed for this session."""
    return environment_of(tmp_path_factory.mktemp("prefect"), "prefect>=3,<4")
