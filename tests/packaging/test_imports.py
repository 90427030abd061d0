"""Imports point one way, and the modules keep the promises a reader relies on."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

#: What a part may import of ours, besides itself. `cli`, tests and benchmarks may import everything.
MAY_IMPORT = {
    "flowledger.errors": (),
    "flowledger.version": (),
    "flowledger.words": (),
    "flowledger.emulator": (),
    "flowledger.journal": ("flowledger.errors",),
    # The spec is plain data that lies in steps/ only because nothing lies below them both.
    "flowledger.steps.client": ("flowledger.errors", "flowledger.steps.spec"),
    "flowledger.steps": ("flowledger.errors", "flowledger.steps.client"),
    "flowledger.engine": (
        "flowledger.errors",
        "flowledger.steps",
        "flowledger.journal",
        "flowledger.version",
        "flowledger.words",
    ),
}

#: The emulator stands where Adobe stands: what provisions must not know of it. `testing` is for tests, and shipped.
MAY_IMPORT_THE_EMULATOR = ("flowledger.cli", "flowledger.testing", "flowledger.emulator")


def within(module: str, package: str) -> bool:
    """Tell whether a module is a package or lies in it."""
    return module == package or module.startswith(f"{package}.")


def module_name(path: Path, root: Path) -> str:
    """The import name of a module of ours."""
    parts = path.relative_to(root).with_suffix("").parts
    dotted = ".".join(parts if parts[0] == "flowledger" else ("flowledger", *parts))
    return dotted.removesuffix(".__init__")


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """Every import in a module, at its top or in a function: line and dotted name."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: a relative import"
            for alias in node.names:
                yield node.lineno, f"{node.module}.{alias.name}"


@pytest.fixture(scope="module")
def modules(root: Path, tracked: list[Path]) -> list[Path]:
    """The package's own modules."""
    parts = ("flowledger", "engine", "steps", "journal", "emulator")
    return [path for path in tracked if path.suffix == ".py" and path.relative_to(root).parts[0] in parts]


def test_imports_point_one_way(root: Path, modules: list[Path]) -> None:
    wrong = []
    for path in modules:
        name = module_name(path, root)
        part = max((part for part in MAY_IMPORT if within(name, part)), key=len, default=None)
        if part is None:
            continue
        wrong += [
            f"{path.relative_to(root)}:{line}: {imported}"
            for line, imported in imports(path)
            if within(imported, "flowledger") and not any(within(imported, own) for own in (part, *MAY_IMPORT[part]))
        ]

    assert wrong == []


def test_a_steps_client_module_is_held_to_the_client_s_rule_not_to_the_steps(root: Path) -> None:
    name = module_name(root / "steps" / "client" / "port.py", root)

    assert max((part for part in MAY_IMPORT if within(name, part)), key=len) == "flowledger.steps.client"


def test_only_the_command_line_and_tests_import_the_emulator(root: Path, modules: list[Path]) -> None:
    importers = {
        name
        for path in modules
        for name in [module_name(path, root)]
        for _, imported in imports(path)
        if within(imported, "flowledger.emulator") or imported == "flowledger.testing"
    }

    assert [name for name in importers if not any(within(name, part) for part in MAY_IMPORT_THE_EMULATOR)] == []


def test_folders_are_imported_by_their_full_names(root: Path, tracked: list[Path]) -> None:
    short = ("engine", "steps", "journal", "emulator")
    wrong = [
        f"{path.relative_to(root)}:{line}: {imported}"
        for path in tracked
        if path.suffix == ".py"
        for line, imported in imports(path)
        if any(within(imported, name) for name in short)
    ]

    assert wrong == []


def test_every_module_says_what_it_is_for(root: Path, modules: list[Path]) -> None:
    silent = [str(path.relative_to(root)) for path in modules if not ast.get_docstring(ast.parse(path.read_text()))]

    assert silent == []


def test_no_module_outgrows_one_idea(root: Path, modules: list[Path]) -> None:
    long = {
        str(path.relative_to(root)): lines for path in modules if (lines := len(path.read_text().splitlines())) > 500
    }

    assert long == {}


#: An exemption, and on the same line what is exempted and why.
EXEMPTION = re.compile(r"#\s*(noqa|type:\s*ignore|pyright:\s*ignore|pragma: no cover)\b(?P<rest>.*)")
REASONED = re.compile(r"^(:\s*[A-Z]+[0-9]+(,\s*[A-Z]+[0-9]+)*|\[[\w, -]+\])\s*#?\s*\S.{7,}")


def exemptions_without_reason(path: Path) -> list[str]:
    """The lines of a file whose exemption names no rule or gives no reason."""
    return [
        f"{path.name}:{number}: {line.strip()}"
        for number, line in enumerate(path.read_text().splitlines(), start=1)
        for exemption in EXEMPTION.finditer(line)
        if not REASONED.match(exemption["rest"])
    ]


def test_every_lint_and_type_exemption_names_its_rule_and_its_reason(root: Path, tracked: list[Path]) -> None:
    ours = Path(__file__).resolve()  # it speaks of exemptions
    wrong = [
        line for path in tracked if path.suffix == ".py" and path != ours for line in exemptions_without_reason(path)
    ]

    assert wrong == []


@pytest.mark.parametrize(
    ("line", "accepted"),
    [
        ("x = 1  # noqa: S603 the arguments are ours", True),
        ("x = 1  # noqa: S603, S607  # the arguments are ours", True),
        ("x = 1  # type: ignore[misc]  # the library ships no types", True),
        ("x = 1  # noqa", False),
        ("x = 1  # noqa: S603", False),
        ("x = 1  # type: ignore", False),
        ("x = 1  # type: ignore[misc]", False),
        ("x = 1  # type: ignore[misc] # no", False),
    ],
)
def test_an_exemption_without_a_reason_is_noticed(line: str, accepted: bool, tmp_path: Path) -> None:
    module = tmp_path / "module.py"
    module.write_text(line + "\n")

    assert (exemptions_without_reason(module) == []) is accepted


#: Hosts of package registries and paths of machines, taken apart so that this file may say them.
NOT_IN_THE_TREE = (
    "pypi" + ".org",
    "files.python" + "hosted.org",
    "registry.npm" + "js.org",
    "deb.debian" + ".org",
    "--index" + "-url",
    "--find" + "-links",
    "/ro" + "ot/",
    "/wo" + "rk/",
    ".py" + "env/versions",
)


def test_no_registry_host_and_no_machine_s_path_is_in_the_tree(root: Path, tracked: list[Path]) -> None:
    wrong = []
    for path in tracked:
        text = path.read_bytes().decode(errors="replace")
        wrong += [f"{path.relative_to(root)}: {word}" for word in NOT_IN_THE_TREE if word in text]

    assert wrong == []
