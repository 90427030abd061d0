"""Every choice of the emulator can be made from the command line, and is named where people look."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from flowledger.cli.emulator import OWN, further_options
from flowledger.cli.emulator_options import DEFAULTS
from flowledger.emulator import options as module
from flowledger.emulator.options import Options
from flowledger.errors import UsageError

DOCS = Path(__file__).resolve().parents[2] / "docs"
SOURCE = inspect.getsource(module)


def open_point(name: str) -> str:
    """The U-number that options.py says of an option, "" when it names none."""
    line = re.search(rf"^    {name}: .*$", SOURCE, re.MULTILINE)
    assert line is not None
    found = re.search(r"#.*?\b(U[0-9]+)", line[0])
    return found[1] if found else ""


def said() -> Iterator[str]:
    """What --help must say of each option that --option takes."""
    for field in fields(Options):
        value = getattr(Options(), field.name)
        if field.name in OWN or isinstance(value, dict):
            continue
        shown = str(value).lower() if isinstance(value, bool) else value
        shown = ",".join(shown) if isinstance(shown, tuple) else shown
        point = open_point(field.name)
        yield f"{field.name}={shown}" + (f" ({point})" if point else "")


def test_help_lists_every_option_with_its_default_and_its_open_point() -> None:
    assert " ".join(DEFAULTS.split()).split(", ") == sorted(said())
    assert max(map(len, DEFAULTS.splitlines())) <= 76


def test_the_documentation_has_every_option_with_its_open_point() -> None:
    text = (DOCS / "emulator.md").read_text(encoding="utf-8")
    rows = [line for line in text.splitlines() if line.startswith("| `")]
    for field in fields(Options):
        if field.name in OWN or field.name == "client_id":
            continue
        row = next((line for line in rows if f"`{field.name}`" in line.split("|")[1]), None)
        assert row is not None, field.name
        assert open_point(field.name) in row, field.name


@pytest.mark.parametrize("written", [one.partition(" ")[0] for one in said()])
def test_every_option_takes_the_default_that_help_shows(written: str) -> None:
    name = written.partition("=")[0]
    assert further_options([written]) == {name: getattr(Options(), name)}


def test_a_list_is_written_with_commas() -> None:
    assert further_options(["inactive_sandboxes=new, newer"]) == {"inactive_sandboxes": ("new", "newer")}


@pytest.mark.parametrize("written", ["sandboxes=a", "client_secret=x", "page_size=many", "lax_delete=1", "no_such=1"])
def test_what_has_a_flag_of_its_own_or_no_sense_is_refused(written: str) -> None:
    with pytest.raises(UsageError):
        further_options([written])


def test_openapi_prints_the_document_of_an_emulator_with_these_options(program: Any) -> None:
    ran = program("emulator", "openapi", "--option", "client_id=our-key")
    assert ran.code == 0
    document = json.loads(ran.out)
    assert document["openapi"] == "3.1.0"
    assert document["info"]["title"].endswith("not Adobe's own document")
    assert '"our-key"' in ran.out


def test_openapi_refuses_an_option_that_there_is_not(program: Any) -> None:
    ran = program("emulator", "openapi", "--option", "colour=red")
    assert (ran.code, ran.out) == (2, "")
