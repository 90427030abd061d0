"""What a program gets from `import flowledger`."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import flowledger
from flowledger import errors


def test_every_export_can_be_imported() -> None:
    for name in flowledger.__all__:
        assert getattr(flowledger, name) is not None, name


def test_a_type_checker_sees_the_very_names_that_are_exported() -> None:
    tree = ast.parse(Path(flowledger.__file__).read_text())
    block = next(node for node in tree.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING")
    seen = {
        alias.name: f"{node.module}" for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    assert set(seen) == set(flowledger.__all__) - {"__version__"}
    assert seen == flowledger._HOME_OF


def test_every_error_of_the_tree_is_exported() -> None:
    tree = {
        name
        for name, value in vars(errors).items()
        if inspect.isclass(value) and issubclass(value, errors.FlowledgerError)
    }
    assert tree <= set(flowledger.__all__)


def test_exports_are_sorted_and_listed() -> None:
    assert sorted(flowledger.__all__) == flowledger.__all__
    assert set(flowledger.__all__) <= set(dir(flowledger))


def test_a_name_that_does_not_exist_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'provision'"):
        flowledger.provision  # noqa: B018 - the look is the test


SYNC = sorted(name for name in flowledger.__all__ if name.endswith("_sync"))


@pytest.mark.parametrize("name", SYNC)
def test_a_sync_sibling_takes_what_its_verb_takes_and_says_what_it_says(name: str) -> None:
    sync, verb = getattr(flowledger, name), getattr(flowledger, name.removesuffix("_sync"))
    assert sync.__name__ == name
    assert inspect.signature(sync) == inspect.signature(verb)
    assert not inspect.iscoroutinefunction(sync)
    assert sync.__doc__


@pytest.mark.parametrize("name", [name for name in SYNC if name != "status_sync"])
async def test_a_sync_sibling_in_a_running_loop_names_the_verb_that_can_be_awaited(name: str) -> None:
    with pytest.raises(errors.UsageError, match=f"^{name} waits for its end") as caught:
        getattr(flowledger, name)("anything")
    assert caught.value.hint == f"await {name.removesuffix('_sync')}(...) instead"


def test_public_coroutines_and_classes_are_typed_and_documented() -> None:
    for name in ("apply", "resume", "status", "apply_sync", "resume_sync", "status_sync"):
        function = getattr(flowledger, name)
        assert function.__doc__, name
        assert inspect.signature(function).return_annotation == "Report", name
    assert inspect.iscoroutinefunction(flowledger.apply)
    assert not inspect.iscoroutinefunction(flowledger.apply_sync)
    assert (Path(flowledger.__file__).parent / "py.typed").exists()


def test_importing_the_package_loads_none_of_its_libraries() -> None:
    code = (
        "import sys, flowledger; "
        "print(sorted({'aiohttp', 'pydantic', 'structlog', 'rich', 'typer', 'tinydb', 'orjson'} & set(sys.modules)))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
