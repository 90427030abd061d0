"""The port to the platform: `send(Request) -> Answer`, and nothing else.

An answer is a value even when the network failed: it says how far the request got, because that decides
whether the request may be sent again (protocol: only "nothing was handed to the kernel" or a platform's own
4xx proves that nothing happened).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Protocol

Json = Any  # a JSON value, as the standard library's json would build it


class Reach(StrEnum):
    """How far a request got."""

    NOT_SENT = "not_sent"  # no byte of it was handed to the kernel: certainly not done
    SENT = "sent"  # some or all bytes were handed over, and no status line came back
    CUT = "cut"  # a status came back, but the body ended early or could not be read
    ANSWERED = "answered"  # status, headers and whole body are here


class Host(StrEnum):
    """Which base URL a path belongs to."""

    PLATFORM = "platform"
    IMS = "ims"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One HTTP call, before authentication.

    `path` starts with "/data/foundation/..." or "/ims/..." and is already percent-encoded; `query` is not.
    `body` is a JSON value, `form` is for IMS only. `send_deadline` is a reading of the injected monotonic clock
    in seconds: the adapter must not hand over the first byte after it. `effect` marks a call that changes
    something: no layer may repeat it, and giving up on it aborts the connection.
    """

    method: str
    path: str
    query: tuple[tuple[str, str], ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)  # may hold the token
    body: Json = field(default=None, repr=False)  # may hold the source's credentials
    form: Mapping[str, str] | None = field(default=None, repr=False)  # may hold the client secret
    host: Host = Host.PLATFORM
    effect: bool = False
    raw: bool = False  # a success is a file's bytes: never read as JSON, never shown, never journaled
    send_deadline: float | None = None
    timeout: float = 70.0  # seconds for the whole call, a little more than the gateway's 60 (platform-api.md §8.1)

    def sent_within(self, *, deadline: float, timeout: float) -> Request:
        """The same call with its send deadline (monotonic seconds) and its timeout (seconds)."""
        return replace(self, send_deadline=deadline, timeout=timeout)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came of one call. Header names are lower case.

    What a success says is kept as it is, for steps to read: it may quote what was sent. Everything else has gone
    through the redactor, and so must a success before it is kept or shown.
    """

    reach: Reach
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    json: Json = None  # None also when the body is empty or not strict JSON
    json_fault: str = ""  # why the body is not usable JSON, "" if it is or if it is empty
    trouble: str = ""  # the network's words when reach is not ANSWERED
    deadline_missed: bool = False  # NOT_SENT because the send deadline had passed
    unserved: str = ""  # NOT_SENT because nothing listens at this base URL of our own machine: no wait can help
    advice: str = ""  # which setting the network's trouble points at
    final: bool = False  # NOT_SENT, and no later try helps until the advice is followed
    duration: float = 0.0  # seconds

    @property
    def hopeless(self) -> bool:
        """Nothing was sent, and no wait can help: a person has to start or to set something."""
        return bool(self.unserved) or self.final

    @property
    def ok(self) -> bool:
        """A 2xx whose whole body was read and is JSON or empty."""
        return (
            self.reach is Reach.ANSWERED
            and self.status is not None
            and 200 <= self.status < 300
            and not self.json_fault
        )


def sent_nothing(error: BaseException) -> None:
    """Note on an error that ends a call that no byte of it was handed to the kernel: for `reach_of`."""
    setattr(error, _REACH, Reach.NOT_SENT)


def reach_of(error: BaseException) -> Reach:
    """How far the call got that this error has ended: NOT_SENT if its port is certain of it, else SENT."""
    reach = getattr(error, _REACH, Reach.SENT)
    return reach if isinstance(reach, Reach) else Reach.SENT


_REACH = "flowledger_reach"


class Port(Protocol):
    """Sends one call and answers with what came of it. Raises nothing but cancellation."""

    async def send(self, request: Request) -> Answer:
        """Send `request` once; never repeat it, never follow a redirect.

        What ends it from outside, a cancellation, is marked by `sent_nothing` where that is certain.
        """
        ...

    async def close(self) -> None:
        """Let go of connections. Calls after this answer NOT_SENT."""
        ...
