"""What can become of the calls of a run, by names that say it, and what has been seen in all examples of a search."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from hypothesis import event
from hypothesis import strategies as st

from flowledger.steps.client.inprocess import Fate, Moment
from tests.stateful.conftest import STEPS
from tests.stateful.telling import COLLECTIONS

step = st.sampled_from(STEPS)
READS = (
    "GET /stats", "GET /connections", "GET /connections/{id}", "GET /connections/{id}/test",
    "GET /connections/{id}/explore", "GET /tenant/classes", "GET /tenant/classes/{id}", "GET /tenant/schemas",
    "GET /tenant/schemas/{id}", "GET /tenant/fieldgroups", "GET /tenant/fieldgroups/{id}", "GET /sourceConnections",
    "GET /sourceConnections/{id}", "GET /targetConnections", "GET /targetConnections/{id}", "GET /dataSets",
    "GET /dataSets/{id}", "GET /mappingSets", "GET /mappingSets/{id}", "POST /mappingSets/validate", "GET /flowSpecs",
    "GET /flows", "GET /flows/{id}", "POST /ims/token/v3",
)  # fmt: skip
moments = st.sampled_from([moment.value for moment in Moment])
calls = st.sampled_from(
    [
        *STEPS,
        *(f"GET /{kind}{end}" for kind in sorted(COLLECTIONS) for end in ("", "/")),
    ]
)
OWN = ("gateway", "service")
FOREIGN = ("html", "empty", "malformed", "no_id")
RETRY_AFTER = (None, "0", "3", "59", "-5", "1e400", "NaN", "9" * 400, "soon", "Wed, 21 Oct 2015 07:28:00 GMT",
               "Fri, 31 Dec 9999 23:59:59 GMT", "")  # fmt: skip


def _faults() -> Iterator[tuple[str, tuple[str, dict[str, Any]]]]:
    """What can become of one create, by a name that says it."""
    for fate in Fate:
        if fate is not Fate.ANSWERED:
            yield fate.value, ("fate", {})
    for seconds in (0, 5, 30, 60):
        yield f"commits {seconds} s later", ("late", {"after_ms": seconds * 1000})
    for seconds in (1, 65, 120):
        yield f"answered {seconds} s later", ("slow", {"delay_ms": seconds * 1000})
    for status in (500, 502, 503, 504, 408, 200, 201, 202, 302):
        for shape in (*OWN, *FOREIGN):
            for when in ("before", "after"):
                yield f"{status} {shape} {when}", ("answer", {"status": status, "shape": shape, "when": when})
    for status in (400, 401, 403, 404, 409, 429):
        for shape in FOREIGN:  # a proxy's, say: that it came before the commit is not known to anybody
            for when in ("before", "after"):
                yield f"{status} {shape} {when}", ("answer", {"status": status, "shape": shape, "when": when})
        if status != 429:
            for shape in OWN:
                yield f"{status} {shape}", ("answer", {"status": status, "shape": shape})
    for wait in RETRY_AFTER:
        yield (
            f"429 retry-after {wait if wait is None else wait[:40]!r}",
            ("answer", {"status": 429, "retry_after": wait}),
        )
    yield "throttled eight times", ("answer", {"status": 429, "times": 8})
    yield "503 three times after", ("answer", {"status": 503, "when": "after", "times": 3})
    yield "token revoked", ("token", {})


FAULTS = dict(_faults())
several = st.lists(st.tuples(step, st.sampled_from(sorted(FAULTS))), min_size=1, max_size=6)
# What has happened in all examples of this process: `event()` shows it to people, this to the test of the statistics.
SEEN: Counter[str] = Counter()


def seen(what: str) -> None:
    event(what)
    SEEN[what] += 1
