"""Data Prep's functions, one row each: what they give, on null too, and what they refuse (platform-api.md §5)."""

from __future__ import annotations

from typing import Any

import pytest

from flowledger.emulator.dates import iso
from flowledger.emulator.expressions import Malformed, NotComputed, columns_of, faults_of, parse, value_of
from flowledger.emulator.functions import FUNCTIONS, NOT_COMPUTED, Surroundings

NOW_MS = 1_571_829_875_123
ROW = {
    "name": "Ada",
    "none": None,
    "amount": "12.50",
    "count": 7,
    "when": "2019-10-23 11:24",
    "odd column": "x",
    "a.b": "dotted",
    "nested": {"inner": {"city": "Paris"}, "odd name": 1},
    "orders": [{"price": 2, "tags": ["p", "q"]}, {"price": 3, "tags": []}],
    "big": 10**30,
}


def value(text: str) -> Any:
    around = Surroundings(now_ms=NOW_MS, new_uuid=lambda: "an-id", row=ROW)
    found = value_of(parse(text), around)
    return iso(found) if hasattr(found, "tzinfo") else found


# Adobe's own examples are among them; where its page has a slip (a quote, an index), what the words say counts.
GIVES: list[tuple[str, Any]] = [
    ("concat('Hi, ', 'there', '!')", "Hi, there!"),
    ("concat(name, none, count)", "Ada7"),
    ("explode('Hi, there!', ' ')", ["Hi,", "there!"]),
    ("explode('a,b')", ["a", "b"]),
    ("explode(none)", None),
    ("instr('adobe.com', 'com')", 6),
    ("instr('adobe.com', 'org')", -1),
    ("instr('banana', 'an', 2)", 3),
    ("instr('banana', 'an', 0, 2)", 3),
    ("replacestr('This is a string re test', 're', 'replace')", "This is a string replace test"),
    ("replacestr('aaa', '', 'b')", "aaa"),
    ("replacestr(none, 'a', 'b')", None),
    ("substr('This is a substring test', 7, 8)", " a subst"),
    ("substr('short', 3, 100)", "rt"),
    ("substr('short', 9, 2)", ""),
    ("substr(none, 0, 1)", None),
    ("lower('HeLLo')", "hello"),
    ("lcase('HeLLo')", "hello"),
    ("upper('HeLLo')", "HELLO"),
    ("ucase(none)", None),
    ("split('Hello world', ' ')", ["Hello", "world"]),
    ("split('a-b_c', '-_')", ["a", "b", "c"]),
    ("join(' ', to_array(true, 'Hello', 'world'))", "Hello world"),
    ("join('-', orders[*].price)", "2-3"),
    ("join(none, ['a'])", None),
    ("lpad('bat', 8, 'yz')", "yzyzybat"),
    ("rpad('bat', 8, 'yz')", "batyzyzy"),
    ("lpad('bat', 5, none)", "  bat"),
    ("rpad(none, 2, 'x')", "xx"),
    ("left('abcde', 2)", "ab"),
    ("right('abcde', 2)", "de"),
    ("right('abcde', 0)", ""),
    ("left(none, 2)", None),
    ("ltrim(' hello ')", "hello "),
    ("rtrim(' hello ')", " hello"),
    ("trim(' hello ')", "hello"),
    ("trim(none)", None),
    ("'string1'.equals('STRING1')", False),
    ("'string1'.equalsIgnoreCase('STRING1')", True),
    ("name.equals('Ada')", True),
    ("nested.inner.city.equals('Paris')", True),
    ("equals(none, 'a')", None),
    ("extract_regex('E259,E259B_009,1_1', '([^,]+),[^,]*,([^,]+)')", ["E259,E259B_009,1_1", "E259", "1_1"]),
    ("extract_regex('x', 'y')", []),
    ("matches_regex('E259,E259B_009,1_1', '([^,]+),[^,]*,([^,]+)')", True),
    ("matches_regex(none, 'a')", None),
    ("sha1('my text', 'UTF-8')", "c3599c11e47719df18a2448690840c5dfcce3c80"),
    ("sha256('my text')", "7330d2b39ca35eaf4cb95fc846c21ee6a39af698154a83a586ee270a0d372104"),
    ("md5('my text', 'UTF-8')", "d3b96ce8c9fb4e9bd0198d03ba6852c7"),
    ("crc32('my text', 'UTF-8')", "8df92e80"),
    ("size_of(sha512('my text'))", 128),
    ("md5(none)", None),
    ("get_url_protocol('https://platform.adobe.com/home')", "https"),
    ("get_url_host('https://platform.adobe.com/home')", "platform.adobe.com"),
    ("get_url_port('sftp://example.com//home/joe/employee.csv')", 22),
    ("get_url_port('https://example.com:8443/')", 8443),
    ("get_url_port('https://example.com:x/')", None),
    ("get_url_path('sftp://example.com//home/joe/employee.csv')", "//home/joe/employee.csv"),
    ("get_url_path('sftp://example.com//home/joe/employee.csv', false)", "employee.csv"),
    ("get_url_host('no url')", None),
    ("now()", "2019-10-23T11:24:35.123Z"),
    ("timestamp()", NOW_MS),
    ("date('2019-10-23 11:24')", "2019-10-23T11:24:00Z"),
    ("date(when, 'yyyy-MM-dd HH:mm')", "2019-10-23T11:24:00Z"),
    ("date(none, 'yyyy-MM-dd HH:mm')", None),
    ("date(none, 'yyyy-MM-dd HH:mm', now())", "2019-10-23T11:24:35.123Z"),
    ("date('23/Oct/19 3 PM +0200', 'dd/MMM/yy h a Z')", "2019-10-23T15:00:00+02:00"),
    ('date("2019-10-23T11:24:35.5Z", "yyyy-MM-dd\'T\'HH:mm:ss.SX")', "2019-10-23T11:24:35.500Z"),
    ("format(date('2019-10-23T11:24:35+00:00'), 'yyyy-MM-dd HH:mm:ss')", "2019-10-23 11:24:35"),
    ("format(none, 'yyyy')", None),
    ("format(date('2019-10-03'), 'EEEE, d MMMM yyyy h a')", "Thursday, 3 October 2019 12 AM"),
    ("dformat(1571829875000, \"yyyy-MM-dd'T'HH:mm:ss.SSSX\")", "2019-10-23T11:24:35.000Z"),
    ("dformat(0, 'yyyy-MM-dd')", "1970-01-01"),
    ("date_part('MM', date('2019-10-17 11:55:12'))", 10),
    ("date_part('quarter', date('2019-10-17'))", 4),
    ("date_part('year', none)", None),
    ("set_date_part('m', 4, date('2016-11-09T11:44:44'))", "2016-04-09T11:44:44Z"),
    ("make_date_time(2019, 10, 17, 11, 55, 12, 0, 'America/Los_Angeles')", "2019-10-17T11:55:12-07:00"),
    ("zone_date_to_utc(date('2019-10-17T11:55:12-08:00'))", "2019-10-17T19:55:12Z"),
    ("zone_date_to_zone(date('2021-10-26T13:43:59Z'), 'Europe/Paris')", "2021-10-26T15:43:59+02:00"),
    ("size_of([1, 2, 3, 4])", 4),
    ("size_of(none)", 0),
    ("size('four')", 4),
    ("is_empty([1, 2, 3])", False),
    ("is_empty(none)", True),
    ("is_empty(absent)", True),
    ("empty('')", True),
    ("to_object('firstName', 'John', 'lastName', none)", {"firstName": "John", "lastName": None}),
    ("str_to_object('firstName=John,lastName=Doe', '=', ',')", {"firstName": "John", "lastName": "Doe"}),
    ("str_to_object('a:1,b')", {"a": "1"}),
    ("contains_key('nested.inner.city')", True),
    ("contains_key('nested.absent')", False),
    ("is_set('name')", True),
    ("nullify()", None),
    ("get_keys(nested.inner)", ["city"]),
    ("get_values('firstName - John , lastName - Cena', 'firstName', '-', ',')", "John"),
    ("get_values('a:1', 'b')", None),
    ("coalesce(null, none, absent, 'first', 'second')", "first"),
    ("coalesce(none)", None),
    ("first('1', '2', '3')", "1"),
    ("last(['1', '2', '3'])", "3"),
    ("first(none)", None),
    ("add_to_array(['a', 'b'], 'c', none)", ["a", "b", "c", None]),
    ("join_arrays(['a', 'b'], ['c'], ['d', 'e'])", ["a", "b", "c", "d", "e"]),
    ("to_array(false, 1, null, 2, 3)", [1, 2, 3]),
    ("to_array(true, 1, null)", [1, None]),
    ("decode('pa', 'ca', 'California', 'pa', 'Pennsylvania', 'N/A')", "Pennsylvania"),
    ("decode('xx', 'ca', 'California', 'N/A')", "N/A"),
    ("decode(none, 'ca', 'California')", None),
    ("iif('s'.equalsIgnoreCase('S'), 'True', 'False')", "True"),
    ("iif(none, 1, 2)", 2),
    ("min(3, 1, 4)", 1),
    ("max(3, '10', none)", "10"),
    ("min(none)", None),
    ("max('b', 'a')", "b"),
    ("to_integer('12')", 12),
    ("to_integer(12.9)", 12),
    ("to_integer(none)", None),
    ("to_bigint('1000000.34')", 1000000.34),
    ("to_decimal('20.5')", 20.5),
    ("to_float('12')", 12.0),
    ('json_to_object(\'{"info": {"firstName": "John"}}\')', {"info": {"firstName": "John"}}),
    ("uuid()", "an-id"),
    ("guid()", "an-id"),
    # paths
    ("name", "Ada"),
    ("${odd column}", "x"),
    ("${a.b}", "dotted"),
    ("nested.inner.city", "Paris"),
    ("nested.${odd name}", 1),
    ("orders[1].price", 3),
    ("orders[*].tags[*]", [["p", "q"], []]),
    ("nested['inner'].city", "Paris"),
    # operators
    ("1 + 2 * 3", 7),
    ("(1 + 2) * 3", 9),
    ("7 / 2", 3),
    ("-7 / 2", -3),
    ("7.0 / 2", 3.5),
    ("-7 % 3", -1),
    ("7 mod 4", 3),
    ("amount * 2", 25.0),
    ("name + '!'", "Ada!"),
    ("1 + none", None),
    ("none > 1", None),
    ("count > '10'", False),
    ("count ge 7 and name eq 'Ada'", True),
    ("name == none", False),
    ("none == null", True),
    ("!true || not false", True),
    ("false && absent", False),
    ("-count", -7),
    ("count > 5 ? 'many' : absent", "many"),
    ("date('2019-01-01') < date('2020-01-01')", True),
]

REFUSES: list[tuple[str, str]] = [
    ("absent", "absent"),
    ("nested.absent", "nested.absent"),
    ("orders[9].price", "orders[9]"),
    ("upper(absent)", "absent"),
    ("to_integer('twelve')", "to_integer: 'twelve' is no number"),
    ("to_integer('1.5')", "no whole number"),
    ("to_integer('99999999999')", "does not fit"),
    ("to_decimal('1e999')", "out of range"),
    ("to_bigint(true)", "no number"),
    ("date('yesterday')", "date:"),
    ("date('2019-13-01', 'yyyy-MM-dd')", "month"),
    ("date('2019', 'YYYY')", "week years"),
    ("date('x', \"'open\")", "not closed"),
    ("dformat('x', 'yyyy')", "dformat:"),
    ("date_part('century', now())", "century"),
    ("zone_date_to_zone(now(), 'Mars/Base')", "Mars/Base"),
    ("make_date_time(2019, 2, 30, 0, 0, 0, 0, 'UTC')", "day"),
    ("substr('a', -1, 2)", "negative"),
    ("left('a', -1)", "negative"),
    ("lpad('a', 2000000, 'x')", "longer than"),
    ("matches_regex('a', '(')", "bad regular expression"),
    ("sha1('a', 'EBCDIC')", "EBCDIC"),
    ("join(',', 'no array')", "no array"),
    ("get_keys('text')", "no object"),
    ("to_object('odd')", "pairs"),
    ("json_to_object('{')", "no JSON"),
    ("iif('perhaps', 1, 2)", "neither true nor false"),
    ("1 / 0", "division by zero"),
    ("name * 2", "'Ada' is no number"),
    ("concat()", "1 arguments or more"),
    ("teleport(name)", "no function teleport"),
    ("ua_os_name(name)", "not computed"),
    ("date('0001-01-01T00:00:00+00:00').zone_date_to_zone('America/Los_Angeles')", "out of range"),
    ("100000000000000000 * " * 20 + "1", "out of range"),
]

EXTRAS: list[tuple[str, Any]] = [
    ("length('abc')", 3),
    ("length(none)", None),
    ("replace('aab', 'a', 'c')", "ccb"),
    ("round(2.5)", 3),
    ("round(-2.5)", -3),
    ("round('2.345', 2)", 2.35),
    ("floor(-1.5)", -2),
    ("ceil('1.2')", 2),
    ("abs(-3)", 3),
    ("abs(none)", None),
    ("sum(1, '2', none)", 3),
    ("sum(orders[*].price)", 5),
    ("nvl(none, 'x')", "x"),
    ("nvl(absent, 'x')", "x"),
    ("to_string(true)", "true"),
    ("toString(none)", None),
    ("to_double('2')", 2.0),
    ("format_date(date('2020-02-01'), 'dd.MM.yyyy')", "01.02.2020"),
]


@pytest.mark.parametrize(("expression", "expected"), [*GIVES, *EXTRAS])
def test_an_expression_gives_its_value(expression: str, expected: Any) -> None:
    found = value(expression)

    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(("expression", "said"), REFUSES)
def test_what_cannot_be_computed_says_why(expression: str, said: str) -> None:
    with pytest.raises(NotComputed) as refused:
        value(expression)

    assert said in str(refused.value)


def test_every_function_has_a_row_here() -> None:
    tried = " ".join(text for text, _ in [*GIVES, *EXTRAS])

    assert [name for name in FUNCTIONS if f"{name}(" not in tried and name != "make_timestamp"] == []


@pytest.mark.parametrize(("expression", "expected"), EXTRAS)
def test_what_is_not_in_adobes_list_is_refused_unless_allowed(expression: str, expected: Any) -> None:
    assert faults_of(parse(expression)) != []
    assert faults_of(parse(expression), unpublished=True) == []


@pytest.mark.parametrize(("expression", "expected"), GIVES)
def test_what_is_in_adobes_list_is_accepted(expression: str, expected: Any) -> None:
    assert faults_of(parse(expression)) == []


def test_published_functions_that_are_not_computed_here_are_accepted() -> None:
    assert [faults_of(parse(f"{name}(a)")) for name in sorted(NOT_COMPUTED)] == [[]] * len(NOT_COMPUTED)


@pytest.mark.parametrize(
    ("expression", "faults"),
    [
        ("teleport(name)", ["there is no function teleport"]),
        ("upper()", ["upper takes 1 argument, got 0"]),
        ("upper(a, b)", ["upper takes 1 argument, got 2"]),
        ("concat(upper(), lpad('a', 1))", ["upper takes 1 argument, got 0", "lpad takes 3 arguments, got 2"]),
        ("'a'.equals()", ["equals takes 2 arguments, got 1"]),
        ("date()", ["date takes 1 to 3 arguments, got 0"]),
    ],
)
def test_calls_are_judged_before_there_is_a_row(expression: str, faults: list[str]) -> None:
    assert faults_of(parse(expression)) == faults


@pytest.mark.parametrize(
    "expression", ["new", "or", "a + if", "a.", "a[", "a[b]", "1" * 19, "not", "a eq", "x.f(", "!" * 200 + "a", "{}"]
)
def test_what_is_no_expression_is_refused(expression: str) -> None:
    with pytest.raises(Malformed):
        parse(expression)


def test_a_chain_of_a_thousand_operators_is_read_and_answered() -> None:
    chain = parse("+".join(["a"] * 2000))

    assert columns_of(chain) == ["a"]
    assert faults_of(chain) == []
    with pytest.raises(NotComputed):
        value("+".join(["count"] * 600))


def test_the_columns_of_an_expression_are_known_without_a_row() -> None:
    assert columns_of(parse("iif(b > 1, concat(a.x, ${c d}), b)")) == ["b", "a.x", "c d"]
