"""Answers that lie about their effect: each create took effect, and its answer is unusable in its own way."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from typing import Any

import pytest

from flowledger.emulator.wire import Response

CREATES = ["/connections", "/tenant/classes", "/tenant/fieldgroups", "/dataSets", "/mappingSets", "/flows"]
DEEP = b'{"id":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
UNUSABLE = {
    "deep": DEEP,
    "huge": b'{"id":"' + b"a" * (33 * 1024 * 1024) + b'"}',
    "a name twice": b'{"id":"one","id":"two"}',
    "not UTF-8": b'{"id":"\xff\xfe\x80"}',
    "a lone surrogate": b'{"id":"\\ud800"}',
    "NaN": b'{"id":"one","size":NaN}',
    "infinite": b'{"id":"one","size":1e999}',
    "nothing": b"",
    "a list": b'["@/dataSets/"]',
    "a number": b"5",
    "two documents": b'{"id":"one"}{"id":"two"}',
    "an id that is a number": b'{"id":5,"$id":5}',
    "an id of control characters": json.dumps({"id": "a\r\nX-Evil: 1\x1b[2J", "$id": "a\nb"}).encode(),
    "an id that walks up": b'{"id":"..","$id":".."}',
    "an id that walks far": b'{"id":"../../../ims/token/v3","$id":"../../x"}',
    "an id with a query": b'{"id":"x?y=1#z","$id":"x?y=1#z"}',
    "an endless id": json.dumps({"id": "a" * 100_000, "$id": "a" * 100_000}).encode(),
    "an id with direction marks": json.dumps({"id": "a\u202eb", "$id": "a\u202eb"}).encode(),
}


QUICK = ("deep", "a name twice", "not UTF-8", "NaN", "an id of control characters", "an id that walks far")


@pytest.mark.parametrize(
    "body",
    [pytest.param(body, id=name, marks=() if name in QUICK else pytest.mark.long) for name, body in UNUSABLE.items()],
)
async def test_a_create_whose_answer_is_unusable_is_settled_by_looking(
    story: Any, platform: Any, made_once: dict[str, int], body: bytes
) -> None:
    platform.once("POST", "/flows", Response(status=201, body=body))
    await story.apply()
    assert story.error is None, story.error
    assert story.made() == made_once
    story.readable()


@pytest.mark.parametrize(
    "path", ["/dataSets", *(pytest.param(path, marks=pytest.mark.long) for path in CREATES if path != "/dataSets")]
)
async def test_every_kind_of_create_settles_an_id_that_could_not_be_asked_for(
    story: Any, platform: Any, made_once: dict[str, int], changed: Callable[..., Any], path: str
) -> None:
    def walking_up(right: Any) -> Any:
        if isinstance(right, list):  # Catalog answers with a list of references
            return ["@/dataSets/.."]
        return {**right, **{key: ".." for key in ("id", "$id", "@id", "meta:altId") if key in right}}

    platform.once("POST", path, changed(walking_up))
    await story.apply()
    assert story.error is None, story.error
    assert story.made() == made_once
    assert not any(b"/.." in request.split(b"\r\n")[0] for request in platform.seen)


async def test_a_bomb_of_gzip_is_not_unpacked_and_the_call_is_settled(
    story: Any, platform: Any, made_once: dict[str, int]
) -> None:
    bomb = gzip.compress(bytes(64 * 1024 * 1024), compresslevel=1)
    platform.once("POST", "/flows", Response(status=201, body=bomb, headers={"Content-Encoding": "gzip"}))
    await story.apply()
    assert story.error is None
    assert story.made() == made_once
    assert b"larger than" in story.readable()


@pytest.mark.parametrize(("name", "code"), [("deep", 75), ("nothing", 1)])
async def test_a_read_that_never_makes_sense_ends_in_one_clear_error(
    story: Any, platform: Any, name: str, code: int
) -> None:
    platform.once("GET", "/stats", Response(status=200, body=UNUSABLE[name]), times=0)
    await story.apply()
    assert story.error is not None
    assert story.error.exit_code == code, repr(story.error)
    assert "read_tenant" in str(story.error)
    story.readable()


LISTS = [
    ("GET", "/tenant/classes"), ("GET", "/dataSets"), ("GET", "/flowSpecs"), ("GET", "/explore"), ("GET", "/test"),
]  # fmt: skip


@pytest.mark.long
@pytest.mark.parametrize(("method", "path"), LISTS, ids=[path for _, path in LISTS])
@pytest.mark.parametrize(
    "shape",
    [
        b"[]", b"{}", b"[[[]]]", b'{"items":5}', b'{"items":[5,null,{}]}', b'{"results":{"a":1}}', b'{"":{"":[]}}',
        b'"text"', b"null", b'{"items":[{"id":".."}],"_links":{"next":{"href":"http://elsewhere.example/x"}}}',
    ],
)  # fmt: skip
async def test_json_of_another_shape_never_ends_in_an_error_of_our_own(
    story: Any, platform: Any, method: str, path: str, shape: bytes
) -> None:
    """Whatever is not ours to raise would come out of `apply` as it is."""
    platform.once(method, path, Response(status=200, body=shape), times=0)
    await story.apply(attempts=2)
    story.readable()
