"""flowledger works from an archive: its data files are found there, and so is the program for the background."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import zipapp
from pathlib import Path

import pytest

from flowledger.version import VERSION


@pytest.fixture(scope="module")
def archive(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("zipapp")
    shutil.copytree(root / "flowledger", place / "tree" / "flowledger", ignore=shutil.ignore_patterns("__pycache__"))
    (place / "tree" / "__main__.py").write_text("from flowledger.cli import main\nmain()\n")
    zipapp.create_archive(place / "tree", place / "fl.pyz")
    return place / "fl.pyz"


@pytest.mark.parametrize(
    "verb",
    [
        ("--version",),
        ("emulator", "openapi"),
        ("init", "--list"),
        ("schema", "spec"),
        ("demo",),
    ],
    ids=" ".join,
)
def test_a_verb_works_from_an_archive(archive: Path, tmp_path: Path, verb: tuple[str, ...]) -> None:
    done = run(archive, tmp_path, *verb)
    assert done.returncode == 0, done.stderr
    if verb == ("--version",):
        assert done.stdout == f"flowledger {VERSION}\n"


def test_an_emulator_in_the_background_is_started_from_an_archive(archive: Path, tmp_path: Path) -> None:
    done = run(archive, tmp_path, "emulator", "start", "-d", "--port", "0")
    assert done.returncode == 0, done.stderr
    assert run(archive, tmp_path, "emulator", "status").returncode == 0
    assert run(archive, tmp_path, "emulator", "stop").returncode == 0


def run(archive: Path, folder: Path, *verb: str) -> subprocess.CompletedProcess[str]:
    # Without site-packages this checkout, which is installed there, is out of reach.
    packages = folder / "packages"
    if not packages.exists():
        packages.mkdir()
        for path in Path(sysconfig.get_path("purelib")).iterdir():
            if "flowledger" not in path.name and path.suffix != ".pth":
                (packages / path.name).symlink_to(path)
    return subprocess.run(
        [os.path.realpath(sys.executable), "-S", str(archive), *verb],
        cwd=folder, env={"PATH": os.environ["PATH"], "HOME": str(folder), "PYTHONPATH": str(packages)},
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
