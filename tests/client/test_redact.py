"""No secret is kept or shown, whatever spelling it comes in; everything else stays."""

from __future__ import annotations

import base64
import json
import re
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowledger.steps.client.redact import _ENDINGS, _EXACT, Redactor, is_secret_key

SECRET = 'pa"ss/wörd+1 & \\more'


@pytest.fixture
def redactor() -> Redactor:
    redactor = Redactor(salt=b"salt")
    redactor.register(SECRET)
    return redactor


@pytest.mark.parametrize(
    "key",
    [
        "clientSecret", "client_secret", "CLIENT-SECRET", "accessToken", "access_token", "refreshToken", "password",
        "securityToken", "connectionString", "Authorization", "sasUri", "Cookie", "dbPassword", "jwt_token",
    ],
)  # fmt: skip
def test_what_stands_under_a_secrets_name_is_replaced_and_the_name_stays(key: str) -> None:
    kept = Redactor(salt=b"s").redact({"auth": {"params": {key: "hunter22", "host": "h"}}})
    params = kept["auth"]["params"]
    assert params["host"] == "h"
    assert "hunter22" not in json.dumps(kept)
    assert params[key].startswith(f"<redacted {key}, 8 characters, fingerprint ")


@pytest.mark.parametrize(
    "key", ["id", "continuationToken", "token_type", "expires_in", "name", "keyColumn", "secretary"]
)
def test_names_that_only_sound_secret_are_kept(key: str) -> None:
    assert Redactor().redact({key: "value-1"}) == {key: "value-1"}


def test_a_reference_below_a_secrets_name_is_shown_because_it_is_no_secret() -> None:
    ref = {"clientSecret": {"env": "PAYPAL_SECRET", "file": None}}
    assert Redactor().redact(ref) == ref


def test_a_json_patch_of_a_secret_is_redacted_by_its_path() -> None:
    patch = [{"op": "replace", "path": "/auth/params/clientSecret", "value": "hunter22"}]
    kept = Redactor().redact(patch)
    assert "hunter22" not in json.dumps(kept)
    assert kept[0]["path"] == "/auth/params/clientSecret"


@pytest.mark.parametrize(
    "spelt",
    [
        SECRET,
        quote(SECRET, safe=""),
        quote_plus(SECRET),
        json.dumps(SECRET)[1:-1],
        json.dumps(SECRET, ensure_ascii=False)[1:-1],
        repr(SECRET)[1:-1],
        base64.b64encode(SECRET.encode()).decode(),
    ],
)
def test_a_registered_secret_is_found_inside_texts_in_every_spelling(redactor: Redactor, spelt: str) -> None:
    kept = redactor.redact_text(f"before {spelt} after")
    assert spelt not in kept
    assert kept.startswith("before ")
    assert kept.endswith(" after")


@pytest.mark.parametrize("ahead", ["", "i", "id", "id:", "client"])
def test_base64_of_a_text_that_holds_the_secret_does_not_show_it(redactor: Redactor, ahead: str) -> None:
    coded = base64.b64encode(f"{ahead}{SECRET}:tail".encode()).decode()
    kept = re.sub("<redacted [^>]*>", " ", redactor.redact_text(f"x {coded}"))
    raw = SECRET.encode()
    for run in re.findall(r"[A-Za-z0-9+/]{4,}", kept):
        for shift in range(4):
            part = run[shift : shift + (len(run) - shift) // 4 * 4]
            assert not any(raw[at : at + 4] in base64.b64decode(part) for at in range(len(raw) - 3))


def test_secrets_are_found_in_keys_too_and_longest_first() -> None:
    redactor = Redactor(salt=b"s")
    redactor.register("abcdef")
    redactor.register("abcdefghij")
    kept = json.dumps(redactor.redact({"abcdefghij": ["xabcdefghijx"], "n": 1, "t": True, "z": None}))
    assert "abcdef" not in kept
    assert "ghij" not in kept
    assert '"n": 1' in kept


def test_a_very_short_secret_is_replaced_only_where_it_is_the_whole_text() -> None:
    redactor = Redactor()
    redactor.register("ab")
    assert redactor.redact_text("ab") != "ab"
    assert redactor.redact_text("about") == "about"


@pytest.mark.parametrize(
    "text",
    [
        "POST body client_secret=hunter22&grant_type=x",
        '{"access_token": "hunter22"}',
        "{'clientSecret': 'hunter22'}",
        r"{\"password\":\"hunter22\"}",
        "Server=s;Pwd=hunter22;Port=1",
        "Authorization: Bearer hunter22",
    ],
)
def test_unregistered_secrets_are_recognised_in_texts_by_what_stands_before_them(text: str) -> None:
    kept = Redactor().redact_text(text)
    assert "hunter22" not in kept
    assert "<redacted 8 characters" in kept


def test_the_fingerprint_tells_equal_from_different_and_depends_on_the_salt() -> None:
    one, other = Redactor(salt=b"1"), Redactor(salt=b"2")
    assert one.redact({"password": "a-secret"}) == one.redact({"password": "a-secret"})
    assert one.redact({"password": "a-secret"}) != one.redact({"password": "b-secret"})
    assert one.redact({"password": "a-secret"}) != other.redact({"password": "a-secret"})


def test_redacting_twice_changes_nothing_more(redactor: Redactor) -> None:
    once = redactor.redact({"password": "p4ssw0rd", "text": f"client_secret={quote(SECRET, safe='')}"})
    assert redactor.redact(once) == once


def test_the_original_is_not_touched_and_the_repr_shows_no_secret(redactor: Redactor) -> None:
    value = {"password": "p", "list": [SECRET]}
    redactor.redact(value)
    assert value == {"password": "p", "list": [SECRET]}
    assert SECRET not in repr(redactor)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(
    value=json_values, secret=st.text(st.characters(codec="utf-8", exclude_characters="<> ,"), min_size=12, max_size=30)
)
def test_no_json_value_carries_a_registered_secret_out(value: object, secret: str) -> None:
    redactor = Redactor(salt=b"s")
    redactor.register(secret)
    kept = json.dumps(redactor.redact({"a": [value, f"x{secret}y"], f"k{secret}": value}), ensure_ascii=False)
    assert secret not in kept
    assert json.dumps(secret, ensure_ascii=False)[1:-1] not in kept


def test_a_secret_of_digits_is_found_in_a_number_and_a_number_alone_stays_one() -> None:
    redactor = Redactor(salt=b"s")
    redactor.register("123456789012")
    kept = redactor.redact({"id": 123456789012, "longer": [91234567890129], "created": 1732456789012, "yes": True})
    assert "123456789012" not in json.dumps(kept)
    assert kept["created"] == 1732456789012
    assert kept["yes"] is True


odd_keys = st.sampled_from([*_EXACT, *_ENDINGS]).flatmap(
    lambda name: st.lists(st.sampled_from('_-. \\n\\té·"'), max_size=3).map(
        lambda marks: "".join(a + b for a, b in zip(name.upper(), [*marks, *[""] * len(name)], strict=False))
    )
)
odd_values = st.recursive(
    st.text(max_size=8) | st.integers() | st.sampled_from(["Bearer abcdefghij", 'say "token=abcdefgh"', "pwd=x", "é"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(odd_keys | st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


@given(value=odd_values, registered=st.lists(st.text(min_size=1, max_size=9), max_size=2))
def test_the_quick_look_never_lets_through_what_the_thorough_one_replaces(value: object, registered: list[str]) -> None:
    redactor = Redactor(salt=b"s")
    for secret in registered:
        redactor.register(secret)
    assert redactor.redact(value) == redactor._redacted(value)


def test_most_bodies_are_cleared_by_the_quick_look() -> None:
    redactor = Redactor(salt=b"s")
    redactor.register("some-registered-secret")
    body = {"id": "1", "etag": '"0a00"', "items": [{"name": "Product_Id", "type": "string"}], "_links": {"next": None}}
    assert redactor.redact(body) is body


def test_key_names_are_compared_without_case_and_punctuation() -> None:
    assert is_secret_key("Client.Secret")
    assert not is_secret_key("clientId")
