"""Canaries: a secret in every place where one can be, on a platform that says each of them back in every way it can."""

from __future__ import annotations

import asyncio
import base64
import html
import json
import os
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, quote_plus

import pytest

from flowledger.emulator.core import Emulator
from flowledger.emulator.options import Options
from flowledger.emulator.server import Server, serve
from flowledger.emulator.wire import Request, Response
from tests.bench import EXAMPLE

CLIENT_SECRET = "canary-of-IMS/+\"q u&o%te's=é\\end"
SOURCE_SECRET = "canary-of-PayPal/+ \"&%\\=ü:x'end"


def spellings(secret: str) -> dict[str, bytes]:
    """How a secret may be written, each enough to know it by."""
    raw = secret.encode()
    found = {
        "as it is": raw,
        "as JSON": json.dumps(secret)[1:-1].encode(),
        "as JSON in UTF-8": json.dumps(secret, ensure_ascii=False)[1:-1].encode(),
        "as a Python repr": repr(secret)[1:-1].encode(),
        "in a URL": quote(raw, safe="").encode(),
        "in a path": quote(raw).encode(),
        "in a form": quote_plus(raw).encode(),
        "in a page": html.escape(secret).encode(),
        "its beginning": raw[:12],
    }
    for ahead in range(3):
        for coder, name in ((base64.b64encode, "base64"), (base64.urlsafe_b64encode, "base64 for URLs")):
            coded = coder(b"\0" * ahead + raw).rstrip(b"=")
            found[f"{name} after {ahead}"] = coded[4 : len(coded) - 2]
    return found


@dataclass
class EchoingPlatform:
    """An emulator that says the caller's secrets back: `echo` makes an answer of the right one and of all it heard."""

    emulator: Emulator
    url: str = ""
    heard: dict[str, str] = field(default_factory=dict)  # what each secret is, as far as it was sent
    echo: Callable[[Request, Response, dict[str, str]], Response] | None = None
    requests: list[Request] = field(default_factory=list)

    def handle(self, request: Request, right: Callable[[Request], Response]) -> Response:
        self.requests.append(request)
        self._hear(request)
        answer = right(request)
        if request.raw_path.endswith("/token/v3") and answer.status == 200:
            self.heard["token"] = json.loads(answer.body)["access_token"]
        return self.echo(request, answer, self.heard) if self.echo else answer

    def _hear(self, request: Request) -> None:
        if request.raw_path.endswith("/token/v3"):
            self.heard["client secret"] = parse_qs(request.body.decode())["client_secret"][0]
        if request.method == "POST" and request.raw_path.endswith("/connections"):
            params = json.loads(request.body).get("auth", {}).get("params", {})
            if "clientSecret" in params:
                self.heard["source secret"] = params["clientSecret"]


class Shell:
    """Somebody's shell in a folder of one's own; everything that was printed is kept."""

    def __init__(self, folder: Path, platform: EchoingPlatform) -> None:
        self.folder = folder
        self.journal = folder / "journal"
        self.printed = b""
        self.platform = platform
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "PYTHONIOENCODING": "utf-8",
            "FLOWLEDGER_JOURNAL": str(self.journal),
            "FLOWLEDGER_BASE_URL": platform.url,
            "FLOWLEDGER_CLIENT_ID": "local-client",
            "FLOWLEDGER_CLIENT_SECRET": CLIENT_SECRET,
            "FLOWLEDGER_ORG_ID": "LOCAL@AdobeOrg",
        }

    def spec(self, reference: str = "{file: secret}") -> str:
        """The example's spec, impatient, its secret at `reference`."""
        secret = self.folder / "secret"
        secret.write_text(SOURCE_SECRET + "\n")
        text = EXAMPLE.read_text().replace("{file: secrets/paypal-client-secret}", reference)
        text = text.replace("attempts: 6", "attempts: 2").replace("500ms", "1ms").replace("settle: 1s", "settle: 200ms")
        (self.folder / "spec.yaml").write_text(text)
        return "spec.yaml"

    async def run(self, *words: str) -> int:
        """Run `flowledger WORDS` to its end; what it ended with."""
        process = await self.start(*words)
        self.out, err = await process.communicate()
        self.printed += self.out + err
        assert process.returncode is not None
        return process.returncode

    async def start(self, *words: str) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            sys.executable, "-m", "flowledger", *words,
            cwd=self.folder, env=self.environment, stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip

    def hits(self, *, only: bytes | None = None) -> list[str]:
        """Each secret that was heard, in each spelling, in all that was printed or journaled (or in `only`)."""
        places = {"a printed text": self.printed} if only is None else {"the text": only}
        if only is None:
            for path in sorted(self.journal.rglob("*")):
                if path.is_file():
                    places[path.name] = path.read_bytes()
            assert len(places) > 1, "there is no journal to look into"
        found = []
        for name, secret in self.platform.heard.items():
            for spelling, data in spellings(secret).items():
                found += [
                    f"{name} {spelling} in {place}: {text[max(0, text.find(data) - 40) : text.find(data) + 60]!r}"
                    for place, text in places.items()
                    if data in text
                ]
        return found


@pytest.fixture
async def platform() -> AsyncIterator[EchoingPlatform]:
    emulator = Emulator(options=Options(client_secret=CLIENT_SECRET))
    echoing = EchoingPlatform(emulator)
    right = emulator.handle
    emulator.handle = lambda request: echoing.handle(request, right)  # type: ignore[method-assign] # in between
    server: Server = await serve(emulator)
    echoing.url = server.url
    yield echoing
    await server.close()
    emulator.close()


@pytest.fixture
def shell(tmp_path: Path, platform: EchoingPlatform) -> Shell:
    return Shell(tmp_path, platform)


def _everything(heard: dict[str, str]) -> dict[str, Any]:
    """Each secret in each spelling, in names, values and texts."""
    said: dict[str, Any] = {}
    for name, secret in heard.items():
        for spelling, data in spellings(secret).items():
            if spelling != "its beginning" and "base64" not in spelling:
                text = data.decode()
                said[f"{name} {spelling}"] = [text, {"deep": [f"before {text} after"]}]
        said[secret] = "a name"
        for user in ("", "a:", "ab:", "local-client:"):
            said[f"{name} of {user}"] = base64.b64encode(f"{user}{secret}".encode()).decode()
            said[f"{name} of {user} for URLs"] = base64.urlsafe_b64encode(f"{user}{secret}".encode()).decode()
        said[f"{name} twice"] = json.dumps({"inner": json.dumps({"it": secret})})
    return said


@pytest.fixture
def said_back() -> Callable[[dict[str, str]], dict[str, Any]]:
    """`said_back(heard)`: JSON with each secret in each spelling."""
    return _everything


@pytest.fixture
def with_headers() -> Callable[[Response, dict[str, str]], Response]:
    """The answer with every secret in headers that are kept."""

    def echoed(answer: Response, heard: dict[str, str]) -> Response:
        text = " ".join(quote(secret, safe="") for secret in heard.values())
        plain = " ".join(secret.encode("ascii", "ignore").decode() for secret in heard.values())
        more = {"etag": f'"{text}"', "x-request-id": text, "location": f"http://x/?s={text}", "x-echo": plain}
        return replace(answer, headers={**answer.headers, **more})

    return echoed
