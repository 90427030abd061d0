"""The authenticated client of the platform: one for a set of credentials, shared by all runs of a process."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, field, replace
from typing import Final, Protocol, runtime_checkable

from flowledger.errors import NotPermitted, Unreachable, UsageError
from flowledger.steps.client.clock import Clock
from flowledger.steps.client.judge import fault_of, not_served, retry_after
from flowledger.steps.client.limiter import Limiter
from flowledger.steps.client.paths import TOKEN
from flowledger.steps.client.port import Answer, Host, Port, Reach, Request
from flowledger.steps.client.quoting import in_quotes
from flowledger.steps.client.redact import Redactor

SCOPE: Final = "openid,session,AdobeID,read_organizations,additional_info.projectedProductContext"  # §1.2
RENEW_AHEAD: Final = 500.0  # seconds before the end, as the community client does (§1.2)
RENEW_AGAIN: Final = 30.0  # seconds between attempts to renew a token that is still good
TOKEN_TIMEOUT: Final = 30.0  # seconds
LARGEST_SECONDS: Final = 1_000_000  # an `expires_in` beyond is milliseconds (§1.2)
WRITES: Final = frozenset({"POST", "PUT", "PATCH"})

OnToken = Callable[[Answer], Awaitable[None]]


class SecretSource(Protocol):
    """Fetches the client secret. What it runs must not see the environment variables in `withhold`."""

    def __call__(self, *, withhold: Collection[str]) -> Awaitable[str]: ...


@runtime_checkable
class _Resting(Protocol):
    """A port with connections of one event loop."""

    async def rest(self) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """An OAuth server-to-server credential (platform-api.md §1.2) and the org it is used in.

    A secret that has to be fetched, by a command, is fetched when the first token is asked for.
    """

    client_id: str
    client_secret: str | SecretSource = field(repr=False)
    org: str
    scope: str = SCOPE


@dataclass(frozen=True, slots=True)
class _Token:
    text: str = field(repr=False)
    renew_at: float  # monotonic seconds: a call may start before it
    ends_at: float  # monotonic seconds


class Platform:
    """Adds what the gateway wants to each call: token, key, org, sandbox (§1.3). Repeats nothing.

    `sandbox` and `org` say where every call goes; `base_url` is what people and journals call the platform by. `slots`
    is what a caller holds around a call: whoever waits there has not begun one, so that the wait for a connection, or
    for the platform's limit of calls a second, is over before an intent is written and its send deadline runs (protocol
    rules 2 and 14).
    """

    def __init__(
        self,
        port: Port,
        credentials: Credentials,
        *,
        sandbox: str,
        clock: Clock,
        redactor: Redactor,
        base_url: str = "",
    ) -> None:
        self.sandbox = sandbox
        self.org = credentials.org
        self.base_url = base_url
        self.clock = clock
        self.redactor = redactor
        self.secret_variables: set[str] = set()  # of the environment, with secrets that no command needs to see
        self._port = port
        self._credentials = credentials
        self._token: _Token | None = None
        self.slots = Limiter(clock)
        self._refused: str | None = None  # the last token that a 401 was answered to
        self._flight: asyncio.Task[Answer] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None  # whose connections and tasks these are
        if isinstance(credentials.client_secret, str):
            redactor.register(credentials.client_secret)

    def __repr__(self) -> str:
        return f"Platform({self.base_url!r}, org={self.org!r}, sandbox={self.sandbox!r})"

    @property
    def secret_in_quotes(self) -> bool:
        """Whether the client secret, as far as it is known, has quotes around it that are probably not meant."""
        secret = self._credentials.client_secret
        return isinstance(secret, str) and in_quotes(secret)

    def enter(self) -> None:
        """Belong to the running event loop from now on. One after another is fine; the token is kept.

        Raises UsageError while another loop that has not been closed has it: connections and waits are one loop's.
        """
        loop = asyncio.get_running_loop()
        if self._loop is loop:
            return
        if self._loop is not None and not self._loop.is_closed():
            raise UsageError(
                "this Platform is used in another event loop, which is not closed",
                hint="make a Platform for each loop that runs at the same time",
            )
        if self._loop is not None:
            self._flight = None
            self.slots.enter()
        self._loop = loop

    async def rest(self) -> None:
        """Let go of what belongs to the running loop, which is about to end. The next call connects anew."""
        if self._loop is asyncio.get_running_loop() and isinstance(self._port, _Resting):
            await self._port.rest()

    async def ready(self, on_token: OnToken | None = None) -> None:
        """Make sure that a token is at hand which outlives the next call.

        Callers at the same time share one request to IMS. `on_token` is told IMS's answer, without the token, by the
        caller that began the request. A token near its end is renewed early; while it is still good, a renewal that
        fails is no error. Repeats nothing. Raises NotPermitted when IMS refuses or the client secret cannot be had,
        Unreachable when IMS gives no answer.
        """
        self.enter()
        token = self._token
        if token is not None and self.clock.monotonic() < token.renew_at:
            return
        flight = self._flight
        mine = flight is None
        if flight is None:
            flight = self._flight = asyncio.create_task(self._fetch(), name="flowledger-token")
            flight.add_done_callback(self._landed)
        # Shielded: a caller that is cancelled must not take the token from the others.
        answer = await asyncio.shield(flight)
        if mine and on_token is not None:
            await on_token(answer)
        token = self._token
        if token is None or self.clock.monotonic() >= token.ends_at:
            raise self._no_token(answer)

    def forget_token(self, used: str | None = None) -> None:
        """Have the next `ready` fetch a new token: call it after a 401.

        `send` has already marked the very token that the 401 was answered to, so that many calls which fail together
        cost one new token and not one each; without `used`, a token that came after the refused one is kept.
        """
        token = self._token
        if token is None:
            return
        if used is not None:
            if used == token.text:
                self._token = None
        elif self._refused is None or self._refused == token.text:
            self._token = None

    async def send(self, request: Request) -> Answer:
        """Send one call with the headers of §1.3; never repeats it. Without a token it answers NOT_SENT."""
        self.enter()
        token = self._token
        if request.host is Host.IMS:
            return await self._paced(request)
        if token is None:
            return Answer(reach=Reach.NOT_SENT, trouble="no token is at hand")
        headers = {
            "Authorization": f"Bearer {token.text}",
            "x-api-key": self._credentials.client_id,
            "x-gw-ims-org-id": self.org,
            "x-sandbox-name": self.sandbox,
        }
        if request.method in WRITES:
            headers["Content-Type"] = "application/json"
        answer = await self._paced(replace(request, headers={**headers, **request.headers}))
        if answer.status == 401:
            self._refused = token.text
            self.forget_token(token.text)
        # A success is for the steps to read as it is; everything else is for people, who must not find a secret in it.
        return answer if answer.ok else self._without_secrets(answer)

    async def close(self) -> None:
        """Let go of connections, and of a token request under way."""
        if self._flight is not None:
            self._flight.cancel()
            await asyncio.wait([self._flight])
        await self.slots.close()
        await self._port.close()

    async def _paced(self, request: Request) -> Answer:
        """Send, and let everybody's pace follow from what came back."""
        began = self.clock.monotonic()
        answer = await self._port.send(request)
        if answer.reach is Reach.ANSWERED:
            # Recognised by the status alone: services word it in different ways (platform-api.md §8.5).
            throttled = answer.status == 429
            asked = None if answer.ok else retry_after(answer, self.clock.wall())
            self.slots.answered(throttled=throttled, asked=asked, began=began)
        return answer

    def _landed(self, flight: asyncio.Task[Answer]) -> None:
        self._flight = None
        if not flight.cancelled():
            flight.exception()  # looked at, so that a request whose callers have all gone does not warn

    async def _fetch(self) -> Answer:
        """Ask IMS for a token, keep it, and answer without it. Raises NotPermitted if there is no client secret."""
        secret = self._credentials.client_secret
        if not isinstance(secret, str):
            secret = (await secret(withhold=self.secret_variables)).strip()
            self.redactor.register(secret)
            self._credentials = replace(self._credentials, client_secret=secret)
        request = Request(
            method="POST",
            path=TOKEN,
            host=Host.IMS,
            timeout=TOKEN_TIMEOUT,
            form={
                "grant_type": "client_credentials",
                "client_id": self._credentials.client_id,
                "client_secret": secret,
                "scope": self._credentials.scope,
            },
        )
        async with self.slots:
            began = self.clock.monotonic()
            answer = await self._paced(request)
        body = answer.json if answer.ok and isinstance(answer.json, dict) else {}
        text = body.get("access_token")
        if isinstance(text, str) and text and text.isascii() and text.isprintable():
            self.redactor.register(text)
            self._token = _token(text, body.get("expires_in"), began)
        elif self._token is not None:
            # Still good for a while: IMS's trouble must not slow each call down until then.
            later = min(self.clock.monotonic() + RENEW_AGAIN, self._token.ends_at)
            self._token = replace(self._token, renew_at=later)
        return self._without_secrets(answer)

    def _without_secrets(self, answer: Answer) -> Answer:
        """The answer as it may be journaled and shown."""
        return replace(
            answer,
            headers=self.redactor.redact(answer.headers),
            body=self.redactor.redact_text(answer.body.decode("utf-8", "surrogateescape")).encode(
                "utf-8", "surrogateescape"
            ),
            json=self.redactor.redact(answer.json),
            json_fault=self.redactor.redact_text(answer.json_fault),
            trouble=self.redactor.redact_text(answer.trouble),
        )

    def _no_token(self, answer: Answer) -> NotPermitted | Unreachable:
        fault = fault_of(answer)
        error = answer.json.get("error") if isinstance(answer.json, dict) else None
        why = self.redactor.redact_text(f"{error}: {fault.text}" if error and error != fault.text else str(fault))
        asked = f" (request id {fault.request_id})" if fault.request_id else ""
        refused = answer.status is not None and 400 <= answer.status < 500 and answer.status not in (408, 429)
        if refused and (answer.status in (404, 405) or fault.layer == "unknown"):
            return NotPermitted(
                f"nothing gives tokens at {TOKEN} of the IMS URL: HTTP {why or answer.status}{asked}",
                hint="check FLOWLEDGER_IMS_URL, or FLOWLEDGER_BASE_URL where that serves both: scheme and host, like "
                "https://ims-na1.adobelogin.com",
            )
        if refused:
            return NotPermitted(
                f"IMS refused a token for client {self._credentials.client_id!r}: {why}{asked}",
                hint="check FLOWLEDGER_CLIENT_ID and FLOWLEDGER_CLIENT_SECRET (OAuth server-to-server), then resume",
            )
        if answer.hopeless:
            return not_served(answer)
        if answer.ok:
            why = "it answered without a usable access_token"
        return Unreachable(
            f"IMS gave no token: {why or 'no answer'}{asked}",
            hint=f"{answer.advice or 'check FLOWLEDGER_IMS_URL and the network'}, then `flowledger resume`",
        )


def _token(text: str, expires_in: object, began: float) -> _Token:
    """A token and when to renew it; its life counts from before it was asked for."""
    try:
        seconds = float(expires_in) if isinstance(expires_in, (int, float, str)) else 0.0
    except ValueError:
        seconds = 0.0
    if not seconds > 0:
        seconds = 3600.0  # not said, or not readable: a 401 tells in time
    if seconds > LARGEST_SECONDS:
        seconds /= 1000
    # A token that lives shorter than twice the margin is renewed at half of its life.
    return _Token(text=text, renew_at=began + seconds - min(RENEW_AHEAD, seconds / 2), ends_at=began + seconds)
