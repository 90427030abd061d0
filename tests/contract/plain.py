"""A client that is not ours: plain HTTP by the letter of the contract, out of the standard library alone."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit

FLOW = "/data/foundation/flowservice"
REGISTRY = "/data/foundation/schemaregistry"
CATALOG = "/data/foundation/catalog"
CONVERSION = "/data/foundation/conversion"
EXPORT = "/data/foundation/export"
SANDBOXES = "/data/foundation/sandbox-management"

Json = Any


@dataclass(frozen=True, slots=True)
class Heard:
    """An answer as it came over the socket. Header names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Json:
        """The body, which must say that it is JSON."""
        assert self.headers["content-type"].split(";")[0] == "application/json", self.headers
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """The code of a refusal: the last segment of `type`, else `error_code`, else `error` (§8.2)."""
        said = self.json if self.body else {}
        if not isinstance(said, dict):
            return ""
        of_type = str(said.get("type", "")).rpartition("/")[2]
        return of_type or str(said.get("error_code", said.get("error", "")))


class Plain:
    """One connection to a platform, and the headers that the guides tell everybody to send."""

    def __init__(self, url: str, *, sandbox: str = "prod") -> None:
        self._host = urlsplit(url).netloc
        self._connection = http.client.HTTPConnection(self._host, timeout=30)
        self.token = ""
        self.sandbox = sandbox

    def close(self) -> None:
        """Hang up."""
        self._connection.close()

    def ask_for_token(self, version: str = "v3", *, in_query: bool = False, **changed: str) -> Heard:
        """POST /ims/token: the fields in the form, or in the query; one given as "" is left out (§1.2)."""
        fields = {
            "grant_type": "client_credentials",
            "client_id": "local-client",
            "client_secret": "local-secret",
            "scope": "openid,session,AdobeID,read_organizations,additional_info.projectedProductContext",
            **changed,
        }
        written = urlencode({name: value for name, value in fields.items() if value})
        path = f"/ims/token/{version}" + (f"?{written}" if in_query else "")
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        return self.raw("POST", path, b"" if in_query else written.encode(), form)

    def log_in(self) -> None:
        """Take a token and keep it."""
        heard = self.ask_for_token()
        assert heard.status == 200, heard
        self.token = heard.json["access_token"]

    def headers(self) -> dict[str, str]:
        """What every call carries (§1.3)."""
        return {
            "Authorization": f"Bearer {self.token}",
            "x-api-key": "local-client",
            "x-gw-ims-org-id": "LOCAL@AdobeOrg",
            "x-sandbox-name": self.sandbox,
        }

    def call(
        self,
        method: str,
        path: str,
        body: Json = None,
        *,
        query: Iterable[tuple[str, str]] = (),
        headers: Mapping[str, str] | None = None,
        without: Iterable[str] = (),
    ) -> Heard:
        """One call of the platform. `body` is JSON, or bytes as they are; `without` leaves headers out."""
        sent = self.headers()
        if body is not None:
            sent["Content-Type"] = "application/json"
        sent |= headers or {}
        for name in without:
            sent.pop(name, None)
        raw = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        asked = list(query)
        return self.raw(method, path + (f"?{urlencode(asked)}" if asked else ""), raw, sent)

    def raw(self, method: str, target: str, body: bytes, headers: Mapping[str, str]) -> Heard:
        """What goes over the socket, and what comes back."""
        self._connection.request(method, target, body=body or None, headers=dict(headers))
        answer = self._connection.getresponse()
        return Heard(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())
