"""No error that a program can catch holds a secret: not in its text, arguments or fields, nor anywhere in its chain."""

from __future__ import annotations

import asyncio
import json
import sys
import traceback
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from flowledger.emulator.wire import Request, Response
from flowledger.engine.specfile import load_spec, spec_from_mapping
from flowledger.errors import FlowledgerError, NotPermitted, SpecError
from flowledger.steps.client.clock import SystemClock
from flowledger.steps.client.http import HttpPort
from flowledger.steps.client.port import Host, Reach
from flowledger.steps.client.port import Request as Call
from flowledger.steps.client.secrets import resolve
from flowledger.steps.spec import SecretRef
from tests.bench import Bench, example

SECRET = "canary-0123456789-of-the-source"


def chain_of(error: BaseException) -> Iterator[BaseException]:
    """An error, what caused it, what it was raised beside, and the members of groups; hidden contexts too."""
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        one = waiting.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        waiting += [one.__cause__, one.__context__]
        if isinstance(one, BaseExceptionGroup):
            waiting += one.exceptions


def places_of(error: BaseException, secret: str) -> list[str]:
    """Where in its chain an error holds the secret."""
    found = []
    for one in chain_of(error):
        shown = {
            "text": str(one), "repr": repr(one), "arguments": repr(one.args), "fields": repr(vars(one)),
            "notes": repr(getattr(one, "__notes__", ())),
            "input": repr(one.errors()) if isinstance(one, ValidationError) else "",
        }  # fmt: skip
        found += [f"{type(one).__name__}'s {name}: {text}" for name, text in shown.items() if secret in text]
    whole = "".join(traceback.format_exception(error))
    return [*found, *([f"the traceback: {whole}"] if secret in whole else [])]


def test_the_search_finds_a_secret_wherever_it_is() -> None:
    """The guard of all below: each place is looked into."""

    def raised(error: BaseException) -> BaseException:
        try:
            try:
                raise error
            except (ValueError, ExceptionGroup):
                raise TypeError("beside") from None
        except TypeError as outer:
            return outer

    noted = ValueError("x")
    noted.add_note(SECRET)
    held = ValueError("x")
    held.hint = SECRET  # type: ignore[attr-defined] # as an error of ours has it
    undecodable = UnicodeDecodeError("utf-8", SECRET.encode(), 0, 1, "x")
    for error in (ValueError(SECRET), noted, held, undecodable, ExceptionGroup("x", [ValueError(SECRET)])):
        assert places_of(error, SECRET), repr(error)
        assert places_of(raised(error), SECRET), repr(error)
    assert places_of(ValueError("x"), SECRET) == []


# What the platform says


class Echoing(Bench):
    """A platform that refuses one call, and quotes the secrets while it does."""

    def __init__(self, folder: Path, method: str, path_end: str, status: int) -> None:
        super().__init__()
        (folder / "secret").write_text(SECRET)
        whole = example().model_dump(mode="json", by_alias=True)
        whole["source"]["connection"]["params"]["clientSecret"] = {"file": str(folder / "secret")}
        whole["retry"] |= {"attempts": 2, "deadline": 300.0}
        self.spec = type(example()).model_validate(whole)
        self.tokens: set[str] = set()
        right = self.emulator.handle

        def said(request: Request) -> Response:
            answer = right(request)
            self.tokens |= {request.headers["authorization"][7:]} if "authorization" in request.headers else set()
            if request.method != method or not request.raw_path.endswith(path_end):
                return answer
            told = "" if path_end == "/token/v3" else SECRET  # IMS never hears it
            heard = f"{told} local-secret {request.headers.get('authorization', '')}"
            body = {
                "type": "https://ns.adobe.com/aep/errors/FLOW-1400-400", "title": heard, "detail": heard,
                "error": heard, "report": {"request-id": heard, "detailed-message": heard},
            }  # fmt: skip
            headers = {**answer.headers, "x-request-id": heard, "location": heard}
            return replace(answer, status=status, body=json.dumps(body).encode(), headers=headers)

        self.emulator.handle = said  # type: ignore[method-assign] # in between


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 429])
@pytest.mark.parametrize(
    ("method", "path_end"), [("POST", "/connections"), ("GET", "/explore"), ("POST", "/flows"), ("POST", "/token/v3")]
)
def test_an_error_of_a_run_holds_nothing_of_what_the_platform_quotes(
    tmp_path: Path, method: str, path_end: str, status: int
) -> None:
    bench = Echoing(tmp_path, method, path_end, status)
    with pytest.raises(FlowledgerError) as caught:
        bench.apply()
    assert bench.tokens or path_end == "/token/v3"
    for secret in (SECRET, "local-secret", *bench.tokens):
        assert places_of(caught.value, secret) == []


# What somebody typed where it does not belong


PLACES: dict[str, Callable[[dict[str, Any]], None]] = {
    "the value": lambda spec: spec["source"]["connection"]["params"].update(clientSecret=SECRET),
    "another key": lambda spec: spec["source"]["connection"]["params"].update(clientSecret={"vault": SECRET}),
    "two references": lambda spec: spec["source"]["connection"]["params"].update(
        clientSecret={"env": SECRET, "file": SECRET}
    ),
    "a list": lambda spec: spec["source"]["connection"]["params"].update(clientSecret=[SECRET]),
    "an open quote": lambda spec: spec["source"]["connection"]["params"].update(
        clientSecret={"command": SECRET + "'"}
    ),
    "a definition's default": lambda spec: spec["source"].update(
        kind="own",
        definition={
            "kind": "own", "label": "Own", "connection_spec_id": "221c7626-58f6-4eec-8ee2-042b0226f03b",
            "auths": [{"name": "A", "params": [{"name": "p", "meaning": "m", "secret": True, "default": SECRET}]}],
            "tables": [{"path": "t", "columns": {"at": "date-time"}, "delta": "at"}],
        },
    ),
}  # fmt: skip


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("given", ["mapping", "file"])
def test_a_secret_typed_into_a_spec_is_in_no_error_about_it(tmp_path: Path, place: str, given: str) -> None:
    spec = yaml.safe_load((Path(__file__).parents[2] / "examples" / "paypal-products.yaml").read_text())
    PLACES[place](spec)
    file = tmp_path / "spec.yaml"
    file.write_text(yaml.safe_dump(spec))
    with pytest.raises(SpecError) as caught:
        spec_from_mapping(spec) if given == "mapping" else load_spec(file)
    assert places_of(caught.value, SECRET) == []


# What a reference leads to


async def test_a_secret_that_is_no_text_is_in_no_error_about_it(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_bytes(SECRET.encode() + b"\xff")
    says_it = f"import sys; sys.stdout.buffer.write({SECRET.encode()!r} + bytes([255]))"
    for ref in (SecretRef(file=str(file)), SecretRef(command=(sys.executable, "-S", "-c", says_it))):
        with pytest.raises(NotPermitted, match="not UTF-8") as caught:
            await resolve(ref)
        assert places_of(caught.value, SECRET) == []


# What the network says


async def test_the_words_of_a_broken_connection_hold_no_credentials_of_a_proxy_and_nothing_that_was_sent() -> None:
    listening = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0)
    address = listening.sockets[0].getsockname()
    port = HttpPort(
        base_url="https://platform.example",
        clock=SystemClock(),
        proxies={Host.PLATFORM: f"http://user:{SECRET}@127.0.0.1:{address[1]}"},
    )
    call = Call(method="POST", path="/x", body={"clientSecret": SECRET}, headers={"Authorization": SECRET}, effect=True)
    try:
        answer = await port.send(call)
    finally:
        await port.close()
        listening.close()
    assert answer.reach is Reach.NOT_SENT
    assert answer.trouble
    assert SECRET not in repr(answer) + repr(call)
