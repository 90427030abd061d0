"""Numbers and nouns agree in what people read."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from flowledger.words import counted, there_are, with_article

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(("count", "said"), [(0, "0 rows are"), (1, "1 row is"), (2, "2 rows are")])
def test_a_noun_and_its_verb_agree_with_their_number(count: int, said: str) -> None:
    assert there_are(count, "row") == said
    assert counted(count, "row") == said.rpartition(" ")[0]


@pytest.mark.parametrize(("noun", "said"), [("ad hoc class", "an ad hoc class"), ("dataset", "a dataset")])
def test_a_noun_has_its_article(noun: str, said: str) -> None:
    assert with_article(noun) == said


def test_no_message_gives_a_bare_length_before_a_plural() -> None:
    """`{len(things)} objects` says "1 objects": `counted` is there for it."""
    bare = re.compile(
        r"\{len\([^{}]*\)\} (?:more )?(?:objects|rows|runs|specs|faults|twins|markers|mappings|duplicates)\b"
    )
    folders = ("engine", "steps", "flowledger/cli")
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for folder in folders
        for path in sorted((ROOT / folder).rglob("*.py"))
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if bare.search(line)
    ]

    assert found == []
