"""No secret shows anywhere: in no journal, log, traceback or document, whatever the platform says back."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import product
from typing import Any

import pytest

from flowledger.emulator.wire import Request, Response

RUN = "paypal-products"
SHAPES = ["service", "gateway", "page", "cut JSON", "long text", "id"]


async def everything_that_can_be_asked(shell: Any) -> None:
    """Every verb that shows a run, as text and as JSON."""
    for verb in ("status", "history", "history --json", "explain", "resume --plan --json"):
        words = verb.split()
        assert await shell.run(words[0], RUN, *words[1:]) == 0
    assert await shell.run("journal", "query", "--json") == 0


def echoing_everything(said_back: Any, with_headers: Any) -> Any:
    """Right answers, with every secret in every spelling beside what belongs there."""

    def echo(request: Request, right: Response, heard: dict[str, str]) -> Response:
        body = json.loads(right.body) if right.body else None
        if isinstance(body, dict):
            body = {**body, "echo": said_back(heard), "received": dict(request.headers), "form": request.body.decode()}
            body["etag"] = " ".join(heard.values())
        said = right if body is None else replace(right, body=json.dumps(body).encode())
        return with_headers(said, heard)  # type: ignore[no-any-return] # a fixture

    return echo


async def test_a_run_whose_every_answer_says_the_secrets_back_keeps_none(
    shell: Any, platform: Any, said_back: Any, with_headers: Any
) -> None:
    platform.echo = echoing_everything(said_back, with_headers)
    assert await shell.run("apply", shell.spec(), "-vv", "--debug") == 0, shell.printed.decode()
    assert await shell.run("apply", shell.spec(), "--json") == 0
    await everything_that_can_be_asked(shell)
    assert set(platform.heard) == {"client secret", "token", "source secret"}
    assert shell.hits() == []


ANSWERS = [
    ("service", 400), ("page", 400), ("long text", 400), ("id", 201),
    *(pytest.param(shape, status, marks=pytest.mark.long) for shape, status in product(SHAPES, [400, 403, 500, 201])),
]  # fmt: skip


@pytest.mark.parametrize(("shape", "status"), ANSWERS)
async def test_an_answer_to_a_create_that_quotes_the_secrets_shows_none(
    shell: Any, platform: Any, said_back: Any, with_headers: Any, status: int, shape: str
) -> None:
    def echo(request: Request, right: Response, heard: dict[str, str]) -> Response:
        if request.method != "POST" or not request.raw_path.endswith("/connections"):
            return right
        texts = "; ".join([*heard.values(), json.dumps(said_back(heard))])
        bodies = {
            "service": {
                "type": "https://ns.adobe.com/aep/errors/FLOW-1400-400",
                "title": texts,
                "detail": " ".join(heard.values()),
                "report": {"request-id": " ".join(heard.values()), **said_back(heard)},
            },
            "gateway": {"error_code": heard["source secret"], "message": " ".join(heard.values())},
            "long text": {
                "type": "https://ns.adobe.com/aep/errors/FLOW-1400-400",
                "detail": "x" * (2000 - 15) + heard["source secret"],  # texts are cut at 2000 characters
            },
            "id": {"id": heard["token"], "etag": heard["token"], "version": heard["client secret"]},
        }
        if shape in bodies:
            body = json.dumps(bodies[shape]).encode()
        else:
            body = f"<html>{texts}</html>".encode()
            body = body if shape == "page" else b'{"a":"' + body
        return with_headers(Response(status=status, body=body), heard)  # type: ignore[no-any-return] # a fixture

    platform.echo = echo
    await shell.run("apply", shell.spec(), "--json", "-vv", "--debug")
    assert "source secret" in platform.heard
    assert shell.hits() == []


@pytest.mark.parametrize("status", [400, *(pytest.param(status, marks=pytest.mark.long) for status in (200, 500))])
async def test_ims_can_quote_what_it_was_sent(shell: Any, platform: Any, said_back: Any, status: int) -> None:
    def echo(request: Request, right: Response, heard: dict[str, str]) -> Response:
        heard.pop("token", None)  # the client never gets one here
        body = {"error": f"bad {heard['client secret']}", "error_description": said_back(heard), "access_token": 5}
        return replace(right, status=status, body=json.dumps(body).encode())

    platform.echo = echo
    code = await shell.run("apply", shell.spec(), "-vv", "--debug", "--json")
    assert code == (4 if status == 400 else 75), shell.printed.decode()
    assert shell.hits() == []


async def test_a_token_that_arrives_in_broken_json_does_not_show(shell: Any, platform: Any) -> None:
    def echo(request: Request, right: Response, heard: dict[str, str]) -> Response:
        broken = right.body[:-1] if request.raw_path.endswith("/token/v3") else right.body
        return replace(right, body=broken)

    platform.echo = echo
    assert await shell.run("apply", shell.spec(), "-vv", "--debug") == 75
    assert "token" in platform.heard
    assert shell.hits() == []


@pytest.mark.parametrize(
    "command", ["apply", *(pytest.param(verb, marks=pytest.mark.long) for verb in ("validate", "plan --offline"))]
)
async def test_a_secret_typed_into_the_spec_is_not_shown_in_its_refusal(
    shell: Any, platform: Any, command: str
) -> None:
    platform.heard["source secret"] = "canary-typed-into-the-spec"
    spec = shell.spec("canary-typed-into-the-spec")
    verb, *more = command.split()
    assert await shell.run(verb, spec, *more, "--debug") == 3
    assert shell.hits(only=shell.printed) == []


async def test_what_replaces_a_secret_says_which_key_held_it_how_long_it_was_and_a_fingerprint(
    shell: Any, platform: Any
) -> None:
    assert await shell.run("apply", shell.spec()) == 0
    assert await shell.run("history", RUN, "--json") == 0
    intents = [event["event"] for event in json.loads(shell.out)["events"] if event["kind"] == "intent_recorded"]
    kept = next(event for event in intents if event["step"] == "create_base_connection")
    shown = kept["call"]["body"]["auth"]["params"]["clientSecret"]
    assert shown.startswith(f"<redacted clientSecret, {len(platform.heard['source secret'])} characters, fingerprint ")
