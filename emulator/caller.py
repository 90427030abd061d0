"""Plain calls to an emulator in the same process, for tests and for trying things out; knows no client of ours."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from flowledger.emulator.core import Emulator
from flowledger.emulator.wire import Delivery, Request, Response

FLOW = "/data/foundation/flowservice"
REGISTRY = "/data/foundation/schemaregistry"
CATALOG = "/data/foundation/catalog"
CONVERSION = "/data/foundation/conversion"


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer, with its JSON at hand."""

    response: Response

    @property
    def status(self) -> int:
        """The HTTP status."""
        return self.response.status

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers, names in lower case."""
        return self.response.headers

    @property
    def delivery(self) -> Delivery:
        """What becomes of the answer on its way."""
        return self.response.delivery

    @property
    def json(self) -> Any:
        """The body as JSON. Raises ValueError when it is none."""
        return json.loads(self.response.body)

    @property
    def items(self) -> list[dict[str, Any]]:
        """`items` of a Flow Service answer."""
        found: list[dict[str, Any]] = self.json["items"]
        return found

    @property
    def code(self) -> str:
        """The code of an error: last segment of `type`, else `error_code`, else "" (platform-api.md §8.2)."""
        if not self.response.body:
            return ""
        body = self.json
        if not isinstance(body, dict):
            return ""
        return str(body.get("type", "")).rpartition("/")[2] or str(body.get("error_code", ""))


class Caller:
    """Makes authenticated calls. A token is fetched at the first call and again after `forget_token`."""

    def __init__(self, emulator: Emulator, *, sandbox: str = "prod") -> None:
        self.emulator = emulator
        self.sandbox = sandbox
        self._token = ""

    def forget_token(self) -> None:
        """Fetch a new token before the next call."""
        self._token = ""

    @property
    def token(self) -> str:
        """The token in use."""
        if not self._token:
            self._token = self.ask_for_token().json["access_token"]
        return self._token

    def ask_for_token(self, *, version: str = "v3", **fields: str) -> Reply:
        """POST /ims/token with the right fields, each replaceable; a field given as "" is left out."""
        options = self.emulator.options
        form = {
            "grant_type": "client_credentials",
            "client_id": options.client_id,
            "client_secret": options.client_secret,
            "scope": "openid,session,AdobeID,read_organizations,additional_info.projectedProductContext",
            **fields,
        }
        return Reply(
            self.emulator.handle(
                Request(
                    method="POST",
                    raw_path=f"/ims/token/{version}",
                    headers={"content-type": "application/x-www-form-urlencoded"},
                    body=urlencode({name: value for name, value in form.items() if value}).encode(),
                )
            )
        )

    def headers(self) -> dict[str, str]:
        """The headers of a right call with a JSON body."""
        return {
            "authorization": f"Bearer {self.token}",
            "x-api-key": self.emulator.options.client_id,
            "x-gw-ims-org-id": self.emulator.options.org,
            "x-sandbox-name": self.sandbox,
            "content-type": "application/json",
        }

    def send(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        query: Iterable[tuple[str, str]] = (),
        headers: Mapping[str, str] | None = None,
        without: Iterable[str] = (),
    ) -> Reply:
        """One call. `path` is percent-encoded; `body` is JSON, or bytes as they are; `without` drops headers."""
        sent = {**self.headers(), **(headers or {})}
        for name in without:
            del sent[name]
        raw = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        return Reply(
            self.emulator.handle(Request(method=method, raw_path=path, query=tuple(query), headers=sent, body=raw))
        )
