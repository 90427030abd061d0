"""Git keeps the links of the package, so that a fresh clone is a whole project."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.needs_system  # git


def test_a_clone_keeps_the_links_of_the_package(root: Path, tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    trusted = ["-c", f"safe.directory={root}", "-c", f"safe.directory={root / '.git'}"]
    subprocess.run(
        ["git", *trusted, "clone", "--quiet", "--no-hardlinks", str(root), str(clone)], check=True, timeout=60
    )

    for name in ("emulator", "engine", "journal", "steps"):
        link = clone / "flowledger" / name
        assert link.is_symlink(), name
        assert (link / "__init__.py").is_file(), name
    assert (clone / "scripts" / "demo").stat().st_mode & 0o111
