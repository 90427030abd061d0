"""Folders, links and pyproject.toml say the same of the package, and the pins hold everything it needs."""

from __future__ import annotations

import re
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

#: The folders that lie at the top of the project and are imported as parts of `flowledger`.
TOP_LEVEL = ("emulator", "engine", "journal", "steps")


def packages_on_disk(root: Path) -> dict[str, str]:
    """Every importable folder: package name -> folder, as pyproject.toml spells it."""
    found = {"flowledger": "flowledger"}
    homes = {f"flowledger.{name}": root / name for name in TOP_LEVEL}
    homes["flowledger"] = root / "flowledger"
    for package, home in homes.items():
        for module in sorted(home.rglob("*.py")):
            relative = module.parent.relative_to(home)
            if any((home / link).is_symlink() for link in [relative, *relative.parents] if link != Path()):
                continue
            found[".".join([package, *relative.parts])] = (home / relative).relative_to(root).as_posix()
    return found


def test_every_folder_of_modules_is_a_package_that_pyproject_maps(root: Path, pyproject: dict[str, Any]) -> None:
    on_disk = packages_on_disk(root)
    tool = pyproject["tool"]["setuptools"]

    assert sorted(tool["packages"]) == sorted(on_disk)
    assert tool["package-dir"] == on_disk
    assert [folder for folder in on_disk.values() if not (root / folder / "__init__.py").is_file()] == []


def test_flowledger_links_to_every_top_level_folder(root: Path) -> None:
    links = {path.name: path for path in (root / "flowledger").iterdir() if path.is_symlink()}

    assert sorted(links) == sorted(TOP_LEVEL)
    assert {name: str(path.readlink()) for name, path in links.items()} == {name: f"../{name}" for name in TOP_LEVEL}


def test_no_top_level_folder_with_modules_is_forgotten(root: Path) -> None:
    packages = {path.parent.name for path in root.glob("*/__init__.py")}

    assert packages == {*TOP_LEVEL, "flowledger"}


def test_every_data_file_among_the_modules_is_packaged(
    root: Path, pyproject: dict[str, Any], tracked: list[Path]
) -> None:
    patterns = pyproject["tool"]["setuptools"]["package-data"]["*"]
    inside = [path for path in tracked if path.relative_to(root).parts[0] in (*TOP_LEVEL, "flowledger")]
    data = [path for path in inside if path.suffix != ".py"]

    assert root / "flowledger" / "py.typed" in data
    assert [path for path in data if not any(packaged(path, pattern) for pattern in patterns)] == []


def packaged(path: Path, pattern: str) -> bool:
    """Whether setuptools takes a data file along: it looks for the pattern from the folder of the package."""
    package = next(above for above in path.parents if (above / "__init__.py").exists())
    inside = path.relative_to(package)
    return len(inside.parts) == len(Path(pattern).parts) and inside.match(pattern)


def normalised(name: str) -> str:
    """A distribution's name as indexes compare it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def test_every_distribution_in_use_is_pinned_at_the_version_in_use(root: Path, pyproject: dict[str, Any]) -> None:
    pins = {}
    for line in (root / "constraints.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            name, version = line.split("==")
            pins[normalised(name)] = version
    project = pyproject["project"]
    waiting = [*project["dependencies"], *project["optional-dependencies"]["test"], "setuptools"]
    in_use: dict[str, str] = {}
    while waiting:
        requirement, _, condition = waiting.pop().partition(";")
        name = normalised(re.split(r"[^\w.-]", requirement.strip(), maxsplit=1)[0])
        if name in in_use or "extra" in condition or not applies_here(condition):
            continue
        in_use[name] = distribution(name).version
        waiting += distribution(name).requires or []

    assert in_use == pins


def applies_here(condition: str) -> bool:
    """Tell whether a requirement's condition holds on this Python and system."""
    from packaging.markers import Marker

    return not condition.strip() or Marker(condition).evaluate()
