"""Calls that were accepted and take effect later, after their client has gone; kept over a restart."""

from __future__ import annotations

from base64 import b64decode, b64encode
from dataclasses import dataclass
from typing import Any

from flowledger.emulator.store import Store
from flowledger.emulator.wire import Request

NOTE = "late"
KEPT_HEADERS = ("accept", "content-type", "if-match", "pragma", "x-request-id")  # credentials are not needed again


@dataclass(frozen=True, slots=True, kw_only=True)
class LateCommit:
    """A call that passed the gateway and takes effect at `due_ms`."""

    due_ms: int
    request: Request
    sandbox: str
    org: str
    client_id: str


class LateCommits:
    """The calls still to take effect, by due time."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._waiting: list[LateCommit] = []
        self.load()

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, commit: LateCommit) -> None:
        """Remember the call."""
        self._waiting.append(commit)
        self._waiting.sort(key=lambda waiting: waiting.due_ms)
        self._keep()

    @property
    def next_due_ms(self) -> int | None:
        """When the next one takes effect; None when none waits."""
        return self._waiting[0].due_ms if self._waiting else None

    def take_due(self, now_ms: int) -> list[LateCommit]:
        """Those whose time has come, earliest first; they are remembered no longer."""
        if not self._waiting or self._waiting[0].due_ms > now_ms:
            return []
        due = [commit for commit in self._waiting if commit.due_ms <= now_ms]
        self._waiting = self._waiting[len(due) :]
        self._keep()
        return due

    def load(self) -> None:
        """Take over what the store kept."""
        self._waiting = [_from_json(kept) for kept in self._store.note(NOTE) or []]

    def _keep(self) -> None:
        self._store.write_note(NOTE, [_to_json(commit) for commit in self._waiting])


def _to_json(commit: LateCommit) -> dict[str, Any]:
    request = commit.request
    return {
        "due_ms": commit.due_ms,
        "method": request.method,
        "raw_path": request.raw_path,
        "query": [list(pair) for pair in request.query],
        "headers": {name: request.headers[name] for name in KEPT_HEADERS if name in request.headers},
        "body": b64encode(request.body).decode(),
        "sandbox": commit.sandbox,
        "org": commit.org,
        "client_id": commit.client_id,
    }


def _from_json(kept: dict[str, Any]) -> LateCommit:
    request = Request(
        method=kept["method"],
        raw_path=kept["raw_path"],
        query=tuple((name, value) for name, value in kept["query"]),
        headers=kept["headers"],
        body=b64decode(kept["body"]),
    )
    return LateCommit(
        due_ms=kept["due_ms"],
        request=request,
        sandbox=kept["sandbox"],
        org=kept["org"],
        client_id=kept["client_id"],
    )
