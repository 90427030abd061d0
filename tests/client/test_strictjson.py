"""What is not plain JSON is said to be unusable, and nothing raises."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowledger.steps.client.strictjson import encode, parse


@pytest.mark.parametrize(
    "body",
    [
        b'{"a":1,"a":2}', b'{ "b": {"a":1, "a":1} }', b"NaN", b"[Infinity]", b"1e999", b"-1e999",
        b'"\xff"', b"\xff\xfe",
        b"\xef\xbb\xbf{}", b'"\\ud800"', b"{'a':1}", b"<html>", b"{} {}", b'{"a":1', b"[" * 300 + b"]" * 300,
        b"[" * 100_000, b"[ " * 900 + b"]" * 900, b"\x00", b'{"a":1,}',
    ],
)  # fmt: skip
def test_unusable_bodies_have_a_reason_and_no_value(body: bytes) -> None:
    value, fault = parse(body)
    assert value is None
    assert fault


@pytest.mark.parametrize("body", [b"", b" \r\n"])
def test_an_empty_body_is_no_fault(body: bytes) -> None:
    assert parse(body) == (None, "")


def test_numbers_beyond_64_bits_come_and_go_whole() -> None:
    large = {"n": 123456789012345678901234567890}
    assert parse(encode(large)) == (large, "")


def test_what_json_cannot_say_is_refused_before_it_is_sent() -> None:
    for value in ({"a": object()}, {1, 2}):
        with pytest.raises(TypeError):
            encode(value)
    with pytest.raises(ValueError, match="JSON"):
        encode({"large": 2**70, "nan": math.nan})


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


@given(value=values, indent=st.none() | st.just(2), ascii_only=st.booleans())
def test_every_json_value_is_read_as_the_standard_library_reads_it(
    value: object, indent: int | None, ascii_only: bool
) -> None:
    try:
        body = json.dumps(value, indent=indent, ensure_ascii=ascii_only).encode()
    except UnicodeEncodeError:
        return  # a lone surrogate, which no body in UTF-8 can hold
    read, fault = parse(body)
    if not fault:
        assert read == json.loads(body)


@given(st.binary(max_size=200))
def test_no_body_makes_the_parser_raise(body: bytes) -> None:
    value, fault = parse(body)
    assert value is None or not fault
