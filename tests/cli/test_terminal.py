"""On a terminal of 80 columns: progress in place, questions, and a report that fits."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.program import COLUMNS


def lines_of(shown: str) -> list[str]:
    """What a person saw, without the codes that move the cursor and colour."""
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown)
    return [line for line in re.split(r"[\r\n]+", plain) if line.strip()]


def test_progress_and_report_fit_a_terminal_of_80_columns(program: Any) -> None:
    code, shown = program.on_terminal("apply", program.spec(), "--local", NO_COLOR="1")
    lines = lines_of(shown)
    assert code == 0, shown
    assert max(map(len, lines)) <= COLUMNS
    assert any(re.match(r" ✓ source +5/5 create_source_connection", line) for line in lines)
    assert any("create_flow" in line and "created" in line for line in lines)
    assert not re.search(r"\x1b\[[0-9;]*3[0-7]m", shown), "NO_COLOR was not heeded"


@pytest.mark.parametrize(
    "arguments",
    [
        ("history", "paypal-products"),
        *(
            pytest.param(more, marks=pytest.mark.long)
            for more in (("status", "paypal-products"), ("runs",), ("journal", "verify"),
                         ("explain", "paypal-products"), ("resume", "paypal-products"))
        ),
    ],
    ids=" ".join,
)  # fmt: skip
def test_every_page_about_a_run_fits_a_terminal_of_80_columns(provisioned: Any, arguments: tuple[str, ...]) -> None:
    code, shown = provisioned.on_terminal(*arguments)
    assert code == 0, shown
    assert not [line for line in lines_of(shown) if len(line) > COLUMNS and str(provisioned.folder) not in line]


def test_a_question_is_asked_on_a_terminal_and_a_no_changes_nothing(provisioned: Any, emulator: Any) -> None:
    before = emulator.counts
    code, shown = provisioned.on_terminal("emulator", "reset", answer="n\n")
    assert code == 2
    assert "nothing was changed" in shown
    assert emulator.counts == before
    code, shown = provisioned.on_terminal("emulator", "reset", answer="y\n")
    assert code == 0, shown
    assert set(emulator.counts.values()) == {0}


def test_a_question_can_be_left_without_an_answer(provisioned: Any, emulator: Any) -> None:
    before = emulator.counts
    code, shown = provisioned.on_terminal("emulator", "reset", answer="\x04")
    assert code != 0
    assert "Traceback" not in shown
    assert emulator.counts == before


PAGES = [
    ("status", "paypal-products"), ("apply", "spec.yaml"), ("plan", "spec.yaml"), ("status", "nobody"),
    ("runs",), ("history", "paypal-products"), ("history", "paypal-products", "--event", "9"),
    ("explain", "paypal-products"), ("resume", "paypal-products"), ("resume", "paypal-products", "--plan"),
    ("resume", "--all"), ("drift", "paypal-products"), ("destroy", "paypal-products", "--plan"), ("doctor",),
    ("config", "show"), ("validate", "spec.yaml"), ("validate", "wrong.yaml"), ("init", "--list"), ("graph",),
    ("schema",), ("journal", "verify"), ("journal", "stats"), ("journal", "query", "--step", "create_flow"),
    ("journal", "prune", "--dry-run"), ("emulator", "faults", "list"), ("apply", "other.yaml"),
    ("destroy", "other", "--yes"),
]  # fmt: skip


def check_pages(provisioned: Any, pages: list[tuple[str, ...]]) -> None:
    provisioned.spec((r"^name: .*$", "name: other"), name="other.yaml")
    provisioned.spec((r"interval: 30", "interval: 3"), name="wrong.yaml")
    for arguments in pages:
        _, dumb = provisioned.on_terminal(*arguments, TERM="dumb")
        assert "\x1b" not in dumb, arguments
        assert dumb.strip(), arguments
    for arguments in pages:
        _, plain = provisioned.on_terminal(*arguments, NO_COLOR="1")
        assert not re.search(r"\x1b\[[0-9;]*(3[0-7]|9[0-7])m", plain), arguments


def test_a_dumb_terminal_gets_no_codes_and_no_color_is_heeded(provisioned: Any) -> None:
    check_pages(provisioned, PAGES[:1])


@pytest.mark.long
def test_no_page_of_any_verb_colours_a_dumb_terminal_or_one_that_wants_none(provisioned: Any) -> None:
    check_pages(provisioned, PAGES)


def test_a_terminal_that_may_show_colour_gets_some(provisioned: Any) -> None:
    _, shown = provisioned.on_terminal("status", "paypal-products")

    assert "\x1b[1m" in shown


QUIETABLE = [page for page in PAGES if page not in (("status", "nobody"), ("validate", "wrong.yaml"))]


@pytest.mark.parametrize("arguments", QUIETABLE, ids=" ".join)
def test_quiet_leaves_stderr_empty_and_the_data_where_it_is(provisioned: Any, arguments: tuple[str, ...]) -> None:
    provisioned.spec((r"^name: .*$", "name: other"), name="other.yaml")
    if arguments[0] == "destroy" and "other" in arguments:
        assert provisioned("apply", "other.yaml").code == 0

    ran = provisioned(*arguments, "-q")

    assert ran.code == 0, ran.err
    assert ran.err == ""
    assert ran.out or arguments[0] == "doctor"


@pytest.mark.parametrize("arguments", [page for page in QUIETABLE if page[0] not in ("apply", "destroy")], ids=" ".join)
def test_verbose_adds_to_stderr_alone(provisioned: Any, arguments: tuple[str, ...]) -> None:
    plain, told = provisioned(*arguments), provisioned(*arguments, "-vv")

    def data(text: str) -> str:
        return re.sub(r"just now|[0-9]+ seconds? ago|[0-9.]+ m?s\b|[0-9]+ events|[0-9]+ bytes|[0-9]{6,}", "", text)

    assert told.code == plain.code == 0
    if arguments[0] not in ("drift", "doctor"):  # which write what they see, and tell times
        assert data(told.out) == data(plain.out)
    assert "Traceback" not in told.err
