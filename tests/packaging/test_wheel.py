"""A wheel holds the package and nothing else, and works where there is no checkout."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.long, pytest.mark.timeout(300)]

#: Imports every module of the installed package and prints where each lies. `__main__` would run the program.
IMPORT_ALL = """
import importlib, pkgutil, flowledger
for found in pkgutil.walk_packages(flowledger.__path__, "flowledger."):
    if not found.name.endswith("__main__"):
        print(found.name, importlib.import_module(found.name).__file__)
"""


def runs(*command: str | Path, cwd: Path) -> str:
    """Run a program with an empty home and nothing on PATH; return its stdout."""
    outcome = subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env={"HOME": str(cwd), "PATH": "/usr/bin:/bin"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    assert outcome.returncode == 0, f"{command}\n{outcome.stdout}\n{outcome.stderr}"
    return outcome.stdout


@pytest.fixture(scope="module")
def source(copy_project: Callable[[Path], Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project to build from: a build writes into the tree it builds from."""
    return copy_project(tmp_path_factory.mktemp("source") / "flowledger")


@pytest.fixture(scope="module")
def wheel(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel of the project, built by the pinned setuptools, without network."""
    target = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel", "--no-deps", "--no-build-isolation"]
    runs(*build, "--no-index", "--wheel-dir", target, source, cwd=target)
    (built,) = target.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `bin` of an environment that holds the wheel, and reads the dependencies from the one the tests run in."""
    place = tmp_path_factory.mktemp("installed")
    environment = place / "environment"
    runs(sys.executable, "-m", "venv", "--without-pip", environment, cwd=place)
    python = environment / "bin" / "python"
    pip: list[str | Path] = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", python]
    runs(*pip, "install", "--no-deps", "--no-index", wheel, cwd=place)
    # A folder named in a .pth is searched, but .pth files in it are not read: the editable install stays out of sight.
    library = next(environment.glob("lib/python*/site-packages"))
    (library / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return environment / "bin"


def expected_files(source: Path, pyproject: dict[str, Any]) -> set[str]:
    """What the wheel must hold of the package: the modules and data of each mapped folder, under the import name."""
    folders: dict[str, str] = pyproject["tool"]["setuptools"]["package-dir"]
    return {
        f"{package.replace('.', '/')}/{path.name}"
        for package, folder in folders.items()
        for path in (source / folder).iterdir()
        if path.is_file()
    }


def test_the_wheel_holds_every_module_and_nothing_else(wheel: Path, source: Path, pyproject: dict[str, Any]) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}

    assert names == expected_files(source, pyproject)
    assert "flowledger/py.typed" in names


def test_the_wheel_carries_the_licence_and_both_ways_to_start(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        inside = {name.split(".dist-info/")[1]: name for name in archive.namelist() if ".dist-info/" in name}
        assert "licenses/LICENSE" in inside
        assert "flowledger = flowledger.cli:main" in archive.read(inside["entry_points.txt"]).decode()
        assert "Requires-Python: >=3.11" in archive.read(inside["METADATA"]).decode()


def test_the_installed_program_answers_in_an_empty_folder(installed: Path, tmp_path: Path) -> None:
    assert "resume" in runs(installed / "flowledger", "--help", cwd=tmp_path)
    assert "0.1.0" in runs(installed / "python", "-m", "flowledger", "--version", cwd=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_every_installed_module_imports_from_the_wheel(installed: Path, tmp_path: Path) -> None:
    lines = runs(installed / "python", "-W", "error", "-c", IMPORT_ALL, cwd=tmp_path).splitlines()
    places = dict(line.split(" ", 1) for line in lines)

    assert {"flowledger.engine.driver", "flowledger.steps.client.port", "flowledger.cli"} <= set(places)
    assert [name for name, place in places.items() if not place.startswith(str(installed.parent))] == []
