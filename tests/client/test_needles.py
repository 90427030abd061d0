"""What is looked for is found wherever it stands, however many other texts are looked for too."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowledger.steps.client.needles import FEW, Needles
from flowledger.steps.client.redact import Redactor

letters = st.text(st.sampled_from("abc"), min_size=1, max_size=5)


def needles(*texts: str) -> Needles[str]:
    found: Needles[str] = Needles()
    for text in texts:
        found.add(text)
    return found


OTHERS = [f"other-{number}-text" for number in range(2 * FEW)]


@given(looked_for=st.lists(letters, min_size=1, max_size=6), text=st.text(st.sampled_from("abcx"), max_size=40))
@pytest.mark.parametrize("others", [[], OTHERS], ids=["few", "many"])
def test_the_longest_at_each_place_is_replaced_as_a_pattern_would(
    others: list[str], looked_for: list[str], text: str
) -> None:
    pattern = re.compile("|".join(map(re.escape, sorted(looked_for, key=len, reverse=True))))
    found = needles(*looked_for[:3], *others, *looked_for[3:])
    assert found.replaced(text, lambda needle: f"<{needle}>") == pattern.sub(lambda match: f"<{match[0]}>", text)
    assert found.are_in(text) is (pattern.search(text) is not None)


def test_nothing_is_found_where_nothing_is_looked_for() -> None:
    assert not needles().are_in("a")
    assert needles().replaced("a", lambda needle: "") == "a"
    assert not needles("abc").are_in("ab")


def test_bytes_are_found_too() -> None:
    found: Needles[bytes] = Needles()
    for number in range(2 * FEW):
        found.add(b"needle-%d-end" % number)
    assert found.are_in(b"x needle-77-end y")
    assert not found.are_in(b"x needle-77-en")


def test_each_of_a_thousand_secrets_is_replaced_by_its_own_fingerprint() -> None:
    redactor = Redactor(salt=b"s")
    secrets = [f"secret/{number:04}+of a run" for number in range(1000)]
    for secret in secrets:
        redactor.register(secret)
    alone = Redactor(salt=b"s")
    alone.register(secrets[777])
    assert redactor.redact_text(f"x{secrets[777]}y") == alone.redact_text(f"x{secrets[777]}y") != f"x{secrets[777]}y"
    kept = str(redactor.redact({"items": [f"say {secret}" for secret in secrets], "id": "9" * 30}))
    assert [secret for secret in secrets if secret in kept] == []
    assert "9" * 30 in kept
