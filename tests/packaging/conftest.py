"""What the tests of the package's shape share: where the project lies and which of its files count."""

from __future__ import annotations

import shutil
import subprocess
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

#: What tools leave behind; the same names as in .gitignore, for a tree without git.
LEFT_BEHIND = ("__pycache__", ".git", ".venv", ".venv.*", "build", "dist", "*.egg-info", ".flowledger", ".hypothesis")
CACHES = (".mypy_cache", ".pytest_cache", ".ruff_cache", ".benchmarks")


@pytest.fixture(scope="session")
def root() -> Path:
    """The project's folder."""
    return Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def pyproject(root: Path) -> dict[str, Any]:
    """pyproject.toml, parsed."""
    return tomllib.loads((root / "pyproject.toml").read_text())


@pytest.fixture(scope="session")
def tracked(root: Path) -> list[Path]:
    """Every file that git has or would take; where there is no git, every file that no tool left behind."""
    if shutil.which("git") and (root / ".git").exists():
        listing = [
            "git",
            "-c",
            f"safe.directory={root}",
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
        ]
        answer = subprocess.run(listing, cwd=root, check=True, capture_output=True)
        paths = [root / name for name in answer.stdout.decode().split("\0") if name]
    else:
        paths = [
            path
            for path in root.rglob("*")
            if not any(part.match(name) for part in _parts(path, root) for name in LEFT_BEHIND + CACHES)
        ]
    return sorted(path for path in paths if path.is_file() and not path.is_symlink())


def _parts(path: Path, root: Path) -> list[Path]:
    return [Path(part) for part in path.relative_to(root).parts]


@pytest.fixture(scope="session")
def copy_project(root: Path) -> Callable[[Path], Path]:
    """Copies the project as a clone would lay it: links kept as links, nothing that a tool left behind."""

    def copy(to: Path) -> Path:
        shutil.copytree(root, to, symlinks=True, ignore=shutil.ignore_patterns(*LEFT_BEHIND, *CACHES))
        return to

    return copy
