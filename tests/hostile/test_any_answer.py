"""Every place in every answer of a run, holding something else than belongs there: the run says what is wrong.

It never ends in a fault of its own, whatever verb reads the answer, and never makes a second object.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from typing import Any, Final

import orjson
import pytest

from flowledger.emulator.wire import Request, Response
from flowledger.errors import FlowledgerError, InternalError
from flowledger.steps.client.strictjson import encode
from tests.bench import MADE_ONCE, Bench, example

Place = tuple[str | int, ...]

JUNK: Final[tuple[Any, ...]] = (None, 5, "x", [], {}, [5], {"x": 5}, 10**400, "1" * 5000, [None, "x", {"$ref": []}])
VERBS: Final = ("apply", "drift", "destroy")
DEEPEST: Final = 6
ID: Final = re.compile(r"[0-9a-f]{24,}|[0-9a-f-]{36}|https%3A[^/]+")


class Twisted(Bench):
    """A bench whose platform answers one call with something else than it should."""

    def __init__(self, style: str) -> None:
        super().__init__()
        self.spec = example().model_copy(
            update={"style": style, "retry": example().retry.model_copy(update={"attempts": 2, "deadline": 60.0})}
        )
        self.heard: list[tuple[str, Any]] = []
        self.twist: tuple[str, Place, Any] | None = None
        self.twisted = 0
        right = self.emulator.handle
        self.emulator.handle = lambda request: self._said(request, right(request))  # type: ignore[method-assign] # between

    def _said(self, request: Request, answer: Response) -> Response:
        call = f"{request.method} {ID.sub('ID', request.raw_path)}"
        body = orjson.loads(answer.body) if answer.body else None
        self.heard.append((call, body))
        if self.twist is None or self.twist[0] != call or not _is_there(body, self.twist[1]):
            return answer
        self.twisted += 1
        return replace(answer, body=encode(_with(body, *self.twist[1:])))


def _is_there(body: Any, place: Place) -> bool:
    inner: Any = body
    for part in place:
        try:
            inner = inner[part]
        except (KeyError, IndexError, TypeError):
            return False
    return True


def _with(body: Any, place: Place, junk: Any) -> Any:
    if not place:
        return junk
    copy: Any = dict(body) if isinstance(body, dict) else list(body)
    copy[place[0]] = _with(copy[place[0]], place[1:], junk)
    return copy


def _places(body: Any, at: Place = ()) -> Iterator[Place]:
    yield at
    if len(at) < DEEPEST and isinstance(body, dict):
        for name, value in body.items():
            yield from _places(value, (*at, name))
    elif len(at) < DEEPEST and isinstance(body, list) and body:
        yield from _places(body[0], (*at, 0))


@cache
def twists(style: str, verb: str) -> list[tuple[str, Place, Any]]:
    """Every place of every answer that a verb reads, with everything that could stand there instead."""
    bench = Twisted(style)
    if verb != "apply":
        bench.apply()
        bench.heard.clear()
    getattr(bench, verb)()
    places = {(call, place): None for call, body in bench.heard for place in _places(body)}
    return [(call, place, junk) for call, place in places for junk in JUNK]


def faults_of_our_own(style: str, verb: str, chosen: list[tuple[str, Place, Any]]) -> list[str]:
    """What ends otherwise than it should."""
    found = []
    for twist in chosen:
        bench = Twisted(style)
        if verb != "apply":
            bench.apply()
        bench.twist = twist
        said = f"{twist[0]} {'.'.join(map(str, twist[1]))} = {str(twist[2])[:20]}"
        try:
            getattr(bench, verb)()
        except InternalError as error:
            found.append(f"{said}: {error}")
        except FlowledgerError as error:
            if not error.message:
                found.append(f"{said}: an error without words")
        except Exception as error:  # noqa: BLE001 - exactly what must not come
            found.append(f"{said}: {type(error).__name__}: {error}")
        assert bench.twisted, "it was never answered"
        more = {kind: count for kind, count in bench.counts().items() if count > MADE_ONCE[kind]}
        if more:
            found.append(f"{said}: made {more}")
    return found


@pytest.mark.parametrize("style", ["tutorial", "current"])
@pytest.mark.parametrize("verb", VERBS)
def test_a_slice_of_odd_answers_ends_in_no_fault_of_our_own(verb: str, style: str) -> None:
    assert faults_of_our_own(style, verb, twists(style, verb)[::499]) == []


@pytest.mark.long
@pytest.mark.parametrize("style", ["tutorial", "current"])
@pytest.mark.parametrize("verb", VERBS)
def test_no_odd_answer_ends_in_a_fault_of_our_own(verb: str, style: str) -> None:
    assert faults_of_our_own(style, verb, twists(style, verb)[::61]) == []
