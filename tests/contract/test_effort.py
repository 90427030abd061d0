"""No pattern, filter or expression stops the emulator: time in patterns and sizes of values have limits.

Nothing is timed here. Time comes from a clock of the test, or a limit so small that any match reaches it.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Callable
from typing import Any

import orjson
import pytest

from flowledger.emulator import core, effort, patterns
from flowledger.emulator.caller import CATALOG, CONVERSION, FLOW, REGISTRY, Caller
from flowledger.emulator.conditions import wildcard
from flowledger.emulator.core import Emulator
from flowledger.emulator.effort import MOST_ENTRIES, Effort, TooMuch, bounded
from flowledger.emulator.expressions import NotComputed, parse, value_of
from flowledger.emulator.functions import Surroundings
from flowledger.emulator.patterns import compiled, like
from flowledger.emulator.row_filters import filter_of

EVIL = "(a|aa)+$"
TEXT = "a" * 60 + "!"
PROFILE = "https://ns.adobe.com/xdm/context/profile"


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Matches are stopped at the first look at the time."""
    monkeypatch.setattr(effort, "ONE_MATCH_S", 1e-9)


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The limits under which patterns are matched, instead of the matching: each takes as long as it may."""
    limits: list[float] = []
    now = [0.0]

    def match(self: Effort, run: Callable[[float], Any]) -> Any:
        def slow(timeout: float) -> Any:
            limits.append(timeout)
            now[0] += timeout
            raise TimeoutError

        return matched(self, slow)

    matched = Effort.match
    monkeypatch.setattr(Effort, "match", match)
    monkeypatch.setattr(core, "Effort", lambda: Effort(clock=lambda: now[0]))
    return limits


def evaluated(text: str, row: dict[str, Any] | None = None) -> Any:
    return value_of(parse(text), Surroundings(now_ms=0, new_uuid=lambda: "id", row=row or {}))


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("name", ["matches_regex", "extract_regex", "explode"])
def test_a_function_whose_pattern_takes_too_long_has_no_value(name: str) -> None:
    with pytest.raises(NotComputed, match=f"{name}: the regular expression takes too long"):
        evaluated(f"{name}(text, '{EVIL}')", {"text": TEXT * 300})


@pytest.mark.usefixtures("impatient")
def test_a_filter_whose_pattern_takes_too_long_is_refused_in_the_services_words(prod: Caller, a_pass: Any) -> None:
    a_pass.schema = a_pass.make_schema(TEXT * 20)
    a_pass.make_dataset(a_pass.schema, TEXT * 20)
    asked = [
        prod.send("GET", f"{CATALOG}/dataSets", query=[("property", f"name~{EVIL}")]),
        prod.send(
            "GET",
            f"{REGISTRY}/tenant/schemas",
            query=[("property", f"title~{EVIL}")],
            headers={"accept": "application/vnd.adobe.xed-id+json"},
        ),
    ]
    for reply in asked:
        assert reply.status == 400
        assert b"takes too long" in reply.response.body


def test_all_patterns_of_one_call_share_one_limit(counted: list[float], prod: Caller, a_pass: Any) -> None:
    schema = a_pass.make_schema("Target")
    mapping = {"sourceType": "EXPRESSION", "source": f"matches_regex(a, '{EVIL}')", "destination": "_id"}
    body = {"data": {"a": TEXT}, "mappingSet": {"xdmSchema": schema, "xdmVersion": "1.0", "mappings": [mapping] * 200}}

    reply = prod.send("POST", f"{CONVERSION}/mappingSets/preview", body)

    assert (reply.status, len(reply.json["errors"])) == (200, 200)
    assert "took all the time" in reply.json["errors"][-1]["exception"]
    assert sum(counted) <= effort.MATCHING_S + 1e-9
    assert max(counted) <= effort.ONE_MATCH_S
    prod.send("POST", f"{CONVERSION}/mappingSets/preview", body)
    assert sum(counted) > effort.MATCHING_S + 1e-9  # the next call has a limit of its own


def test_a_slow_match_is_taken_off_and_a_quick_one_is_free() -> None:
    now = [0.0]

    def taking(seconds: float) -> Callable[[float], str]:
        def run(_timeout: float) -> str:
            now[0] += seconds
            return "found"

        return run

    spent = Effort(matching_s=1.0, free_s=0.1, clock=lambda: now[0])
    for _ in range(1000):
        assert spent.match(taking(0.09)) == "found"
    for _ in range(2):
        assert spent.match(taking(0.5)) == "found"
    with pytest.raises(TooMuch, match="all the time"):
        spent.match(taking(0.0))


@pytest.mark.parametrize(
    "text",
    [
        "concat(lpad('a', 900000, 'x'), lpad('a', 900000, 'x'))",
        "lpad('a', 900000, 'x') + lpad('a', 900000, 'x')",
        "lpad('a', 1000000000, 'x')",
        "rpad('a', 1000001, 'x')",
        "replacestr(lpad('a', 900000, 'a'), 'a', 'bb')",
        "join(lpad('a', 900000, 'x'), to_array(true, 1, 2, 3))",
        "explode(lpad('a', 900000, ','))",
        "split(lpad('a', 900000, ','), ',')",
        "str_to_object(lpad('a', 900000, ','))",
        "add_to_array(explode(lpad('a', 99999, ',')), 1, 2, 3)",
        "join_arrays(explode(lpad('a', 60000, ',')), explode(lpad('a', 60000, ',')))",
        "matches_regex('a', lpad('a', 5000, 'a'))",
        "date('2020-01-01', lpad('a', 5000, '-'))",
        "date(concat(lpad('a', 3000, 'a'), '!'), 'MMMMEEEEz')",
        "format(date('2020-01-01'), lpad('', 5000, '-'))",
        "extract_regex(lpad('a', 900000, 'a'), '((((((((((.*))))))))))')",
        "lpad('a',900000,'x') == lpad('a',900000,'x') && " * 6 + "true",
        "+".join(["1"] * 1500),
        "to_bigint(lpad('9', 5000, '9'))",
        "to_float(lpad('9', 400, '9'))",
    ],
    ids=lambda text: text[:60],
)
def test_an_expression_that_would_grow_without_measure_has_no_value(text: str) -> None:
    with pytest.raises(NotComputed) as caught:
        evaluated(text)
    assert len(str(caught.value)) <= 500


def test_what_an_expression_reads_again_and_again_counts_too() -> None:
    row = {"a": ["x" * 10] * 10_000}
    with pytest.raises(NotComputed, match="reads and makes"):
        evaluated("concat(" + ",".join(["size_of(a)"] * 100) + ")", row)
    assert evaluated("concat(size_of(a), size_of(a))", row) == "1000010000"


def test_a_text_is_split_at_any_of_many_characters_without_a_regular_expression(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a set of so many characters takes seconds to compile")

    monkeypatch.setattr(re, "compile", refuse)
    monkeypatch.setattr(re, "split", refuse)
    separators = "".join(map(chr, range(0x4E00, 0x9000))) + "],^-\\"
    assert evaluated("split(a, b)", {"a": "1,2]3^4-5\\6\u4e007", "b": separators}) == list("1234567")


def test_no_more_is_made_than_may_be_before_it_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(effort, "MOST_ENTRIES", 10)
    monkeypatch.setattr(patterns, "MOST_ENTRIES", 10)
    assert len(compiled(",").split(",,,")) == 4
    with pytest.raises(TooMuch, match="more than 10 parts"):
        compiled(",").split("," * 50)
    with pytest.raises(TooMuch, match="more than 10 parts"):
        compiled("(,)()()").split("," * 50)


def test_a_call_has_its_own_effort_and_what_is_inside_of_it_shares_it() -> None:
    with bounded(Effort(work=10)) as outer:
        with bounded() as inner:
            assert inner is outer
        with bounded(Effort(work=5)) as other:
            assert effort.current() is other
        assert effort.current() is outer
        with pytest.raises(TooMuch):
            effort.current().spend(11)
    effort.current().spend(11)


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("(?:a{65535}){65535}", "repeats"),
        ("((a{200}){200})", "repeats"),
        ("a{30000}", "repeats"),
        ("a" * 501, "at most 500"),
        ("(?R)", "unknown extension"),
        ("(?1)(a)", "unknown extension"),
        ("(?|a|b)", "unknown extension"),
        ("(*FAIL)", "nothing to repeat"),
        (r"\L<names>", "not known"),
        (r"a\K", "not known"),
        ("(", "missing"),
        ("[", "unterminated"),
        ("*", "nothing to repeat"),
        ("a{3,1}", "min repeat"),
        ("\\", "bad escape"),
        (r"\p{Nope}", "unknown property"),
    ],
    ids=lambda text: str(text)[:30],
)
def test_a_pattern_that_is_none_or_too_large_is_refused(pattern: str, said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        compiled(pattern)


@pytest.mark.parametrize(
    ("pattern", "text", "found"),
    [
        ("(?=.*[0-9])(?!.*x)[a-z0-9]+", "abc1", True),
        (r"(?<=a{1,3})b", "aab", True),
        (r"(?<year>\d{4})-\k<year>", "2020-2020", True),
        ("a++b", "aab", True),
        ("(?>a+)a", "aaa", False),
        (r"\p{L}+", "\u00e4", True),
        ("a{e<=1}", "b", False),
        ("a{e<=1}", "a{e<=1}", True),
        ("^{.*}$", "{x}", True),
        ("[{]{2}", "{{", True),
        (r"[a-z]{1,64}@[a-z]{1,255}\.[a-z]{2,63}", "a@b.de", True),
        ("(?i)ADA", "ada", True),
        ("(?-i:a)", "A", False),
    ],
)
def test_patterns_mean_what_they_mean_to_java(pattern: str, text: str, found: bool) -> None:
    assert (compiled(pattern).search(text) is not None) is found


@pytest.mark.parametrize("asked", ["a*b", "*a*", "**", "a**b*", "*", "a", "", "*a*b*", "***"])
@pytest.mark.parametrize("text", ["", "a", "ab", "a*b", "aXb", "ba", "*", "a*", "axbxb", "a\nb"])
def test_wildcards_mean_what_their_regular_expression_means(asked: str, text: str) -> None:
    parts = [".*".join(re.escape(piece) for piece in literal.split("*")) for literal in asked.split("**")]
    meant = re.fullmatch(re.escape("*").join(parts), text, re.DOTALL) is not None
    assert wildcard(asked)(text) is meant


@pytest.mark.parametrize("asked", ["a%b", "%a_", "_", "__%", "%_b%a", "", "%", "a_c", "%b_d%", "%%x"])
@pytest.mark.parametrize("text", ["", "a", "ab", "abc", "abcd", "xbcdx", "aab", "x", "b\nda", "abxbya"])
def test_like_means_what_its_regular_expression_means(asked: str, text: str) -> None:
    meant = "".join({"%": ".*", "_": "."}.get(letter, re.escape(letter)) for letter in asked)
    look = {"nodeType": "fieldLookup", "fieldName": "f"}
    node = {"nodeType": "fnApply", "fnName": "like", "params": [look, {"nodeType": "literal", "value": asked}]}
    assert filter_of(node)({"f": text}) is (re.fullmatch(meant, text, re.DOTALL) is not None)


def test_wildcards_are_looked_for_once_each(monkeypatch: pytest.MonkeyPatch) -> None:
    """`*a*a*a...` on a text without its end would cost time without measure as a regular expression."""
    looked: list[str] = []
    found = patterns._found

    def counting(text: str, place: int, end: int, piece: str, any_one: str) -> int:
        looked.append(piece)
        return found(text, place, end, piece, any_one)

    monkeypatch.setattr(patterns, "_found", counting)

    assert not wildcard("*a" * 400 + "*b!")("a" * 5000 + "b")

    assert len(looked) <= 401


@pytest.mark.usefixtures("impatient")
def test_a_row_filter_that_takes_too_long_is_refused(prod: Caller, a_pass: Any) -> None:
    assert not like(["", "a_" * 200 + "b", ""], any_one="_")("")
    with pytest.raises(TooMuch):
        like(["", "a_" * 200 + "b", ""], any_one="_")("a" * 200_000)


def test_a_filter_of_any_form_is_answered(prod: Caller) -> None:
    for text in ("[", "x" * 600, "(" * 200, "a{9999}{9999}", "\\", "(?R)"):
        for path in (f"{CATALOG}/dataSets", f"{REGISTRY}/tenant/classes", f"{FLOW}/flows"):
            reply = prod.send(
                "GET",
                path,
                query=[("property", f"name~{text}")],
                headers={"accept": "application/vnd.adobe.xed-id+json"},
            )
            assert reply.status in (200, 400), (path, text)


def test_an_emulator_answers_others_after_a_pattern_that_takes_too_long(emulator: Emulator, a_pass: Any) -> None:
    """Not stopped by an injected limit: the real one, on the pattern that stopped the emulator for 23 seconds."""
    caller = Caller(emulator)
    schema = a_pass.make_schema("Target")
    sources = [f"{name}('{'a' * 28}!', '(a+)+$')" for name in ("matches_regex", "extract_regex", "explode")]
    sources += [f"{name}('{'a' * 60}!', '{EVIL}')" for name in ("matches_regex", "extract_regex", "explode")]
    mappings = [{"sourceType": "EXPRESSION", "source": source, "destination": "_id"} for source in sources * 20]
    body = {"data": {}, "mappingSet": {"xdmSchema": schema, "xdmVersion": "1.0", "mappings": mappings}}
    assert caller.send("POST", f"{CONVERSION}/mappingSets/preview", body).status == 200
    assert caller.send("GET", f"{FLOW}/flows").status == 200
    assert b64encode(orjson.dumps(body))


def test_arrays_may_have_as_many_entries_as_is_said() -> None:
    assert len(evaluated(f"explode(lpad('a', {MOST_ENTRIES // 2}, ','))")) == MOST_ENTRIES // 2
