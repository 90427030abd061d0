"""schemathesis against the emulator's own document: no 5xx, and no answer that the document does not know."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from flowledger.emulator.core import ROUTES
from flowledger.emulator.options import Options

Fuzz = Callable[..., Any]  # see conftest.fuzz

SLICE = "|".join(
    (
        r"^POST /ims/token/v3$",
        r"^GET /data/foundation/schemaregistry/tenant/schemas/\{id\}$",
        r"^POST /data/foundation/catalog/dataSets$",
        r"^POST /data/foundation/conversion/mappingSets$",
        r"^GET /data/foundation/flowservice/flowSpecs$",
        r"^POST /data/foundation/flowservice/(flows|runs)$",
        r"^PATCH /data/foundation/flowservice/flows/\{id\}$",
    )
)
OPERATIONS_OF_THE_SLICE = 8
CASES_OF_THE_SLICE = 800
CASES_OF_ALL = 19_000


def test_a_slice_of_the_document_holds_against_made_up_calls(fuzz: Fuzz, say: Callable[[str], None]) -> None:
    found = fuzz("--include-name-regex", SLICE, "--phases", "coverage,fuzzing", "--max-examples", "5", timeout=100)
    assert found.clean, found.text
    assert found.operations == OPERATIONS_OF_THE_SLICE
    assert found.cases >= CASES_OF_THE_SLICE
    say(f"schemathesis, a slice: {found.cases} cases of {found.operations} operations, no failure (seed {found.seed})")


def test_an_answer_that_the_document_does_not_know_is_found(fuzz: Fuzz) -> None:
    """The same emulator, its error codes now numbers: schemathesis must see it."""
    found = fuzz(
        "--include-path-regex",
        "/stats$",
        "--phases",
        "coverage",
        timeout=100,
        options=Options(integer_error_codes=True),
    )
    assert not found.clean
    assert "error_code" in found.text
    assert "Response violates schema" in found.text


@pytest.mark.long
@pytest.mark.timeout(900)
def test_the_whole_document_holds_against_made_up_calls(fuzz: Fuzz, say: Callable[[str], None]) -> None:
    """Every operation: its examples, the edges of each parameter, made-up calls, and chains of calls."""
    found = fuzz("--max-examples", "25", timeout=800)
    assert found.clean, found.text
    assert found.operations == len(ROUTES)
    assert found.cases >= CASES_OF_ALL
    say(f"schemathesis: {found.cases} cases of {found.operations} operations, no failure (seed {found.seed})")
