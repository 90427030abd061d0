"""What an answer means: whether the call took effect, what the platform says went wrong, and what a caller can do.

The rule is protocol rule 5: only two things prove "not done": nothing was handed to the kernel, or a 4xx other than
408 in the gateway's or a service's own body. Everything that proves neither "done" nor "not done" is in doubt.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import Any, Final, Literal
from urllib.parse import urlsplit

from flowledger.errors import FlowledgerError, NotPermitted, NotServed, NotThere, Rejected, Unreachable
from flowledger.steps.client.port import Answer, Reach

Layer = Literal["gateway", "service", "ims", "unknown"]

_OWN_TYPE = re.compile(r"https?://ns\.adobe\.com/aep/errors/([^/?#\s]+)")
_PLACEHOLDER_TYPE = "/placeholder/type/uri"  # the registry of 2020, still met for the content-type fault (§8.2)
_RESOURCE_ID = re.compile(r"https://ns\.adobe\.com/[\w.-]+/(?:classes|schemas|mixins|fieldgroups|datatypes)/\w+")
_TEXT_LIMIT = 2000
_LONGEST_WAIT: Final = 86_400.0  # no Retry-After beyond a day is believed


class Verdict(StrEnum):
    """What is known of a call's effect."""

    ACCEPTED = "accepted"  # a 2xx whose whole body could be read
    NOT_DONE = "not_done"  # certainly without effect
    IN_DOUBT = "in_doubt"  # may have taken effect, or still may


def judge(answer: Answer) -> Verdict:
    """Say what `answer` proves (protocol rule 5)."""
    if answer.reach is Reach.NOT_SENT:
        return Verdict.NOT_DONE
    if answer.ok:
        return Verdict.ACCEPTED
    refused = (
        answer.reach is Reach.ANSWERED
        and answer.status is not None
        and 400 <= answer.status < 500
        and answer.status != 408
        and not answer.json_fault
        and _layer(answer.json) in ("gateway", "service")
    )
    return Verdict.NOT_DONE if refused else Verdict.IN_DOUBT


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What an answer says went wrong. `text` is for people: nothing is decided by it."""

    layer: Layer
    status: int | None
    code: str  # like "FLOW-1439-404" or "401013", "" if the body names none
    text: str
    request_id: str
    detail: str = ""  # the body's `detail`, when `text` is another of its texts

    def __str__(self) -> str:
        parts = (str(self.status) if self.status is not None else "", self.code, self.text)
        return " ".join(part for part in parts if part)


def fault_of(answer: Answer) -> Fault:
    """Read an answer's error by the parser rule of platform-api.md §8.2; total, whatever the body is."""
    body: Mapping[str, Any] = answer.json if isinstance(answer.json, Mapping) else {}
    report: Mapping[str, Any] = body["report"] if isinstance(body.get("report"), Mapping) else {}
    own = _OWN_TYPE.fullmatch(_text(body.get("type")))
    texts = (
        report.get("detailed-message"),
        body.get("detail"),
        body.get("errorMessage"),
        body.get("message"),
        body.get("error_description"),  # OAuth's shape, IMS
        body.get("title"),
        body.get("error"),
    )
    said = next((text for text in map(_text, texts) if text), "")
    return Fault(
        layer=_layer(answer.json),
        status=answer.status,
        code=own[1] if own else _code(body.get("error_code")),
        text=said or answer.trouble or answer.json_fault,
        request_id=answer.headers.get("x-request-id", "")
        or _text(report.get("request-id"))
        or _text(report.get("registryRequestId")),
        detail=_text(body.get("detail")),
    )


def title_holder(fault: Fault) -> str | None:
    """The `$id` of the resource that has the title, from an XDM-1521-400; None if the answer is none or names none.

    The only place where a text is more than text (§2.5, §8.2).
    """
    if fault.code != "XDM-1521-400":
        return None
    found = _RESOURCE_ID.search(fault.text) or _RESOURCE_ID.search(fault.detail)
    return found[0] if found else None


def retry_after(answer: Answer, wall: float) -> float | None:
    """Seconds that the answer asks us to wait, None if it does not say or cannot be read; the caller caps it.

    `wall` is the present in seconds since the epoch, for the date form. The past and negative numbers give 0.
    """
    value = answer.headers.get("retry-after", "").strip()
    if not value:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            moment = parsedate_to_datetime(value)
            seconds = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() - wall
        except (ValueError, OverflowError):
            return None
    if math.isnan(seconds):
        return None
    return min(max(seconds, 0.0), _LONGEST_WAIT)


def date_of(answer: Answer) -> float | None:
    """When the server answered by its own clock, in epoch seconds to the second; None if it did not say."""
    try:
        return parsedate_to_datetime(answer.headers["date"]).timestamp()
    except (KeyError, ValueError, OverflowError):
        return None


def refusal(answer: Answer, what: str, *, run: str = "", step: str = "") -> FlowledgerError:
    """The error to raise when `answer` is final and not what was wanted.

    `what` names the call for people, like "creating the dataset". 401 and 403 give NotPermitted, 404 and an unknown
    sandbox NotThere, any other own 4xx Rejected; what a later try can change gives Unreachable.
    """
    fault = fault_of(answer)
    asked = f" (request id {fault.request_id})" if fault.request_id else ""
    message = f"{what}: {fault or 'no answer'}"
    status = answer.status or 0
    transient = answer.reach is not Reach.ANSWERED or status in (408, 429) or not 400 <= status < 500
    if transient or (status not in (401, 403, 404) and fault.layer == "unknown"):
        return Unreachable(f"{message}{asked}", hint=answer.advice or "try `flowledger resume` later")
    hint = _hint(fault)
    if status in (401, 403):
        return NotPermitted(f"{message}{asked}", hint=hint)
    if status == 404 or fault.code in _UNKNOWN_SANDBOX:
        return NotThere(f"{message}{asked}", hint=hint)
    return Rejected(message, run=run, step=step, request_id=fault.request_id, code=fault.code, hint=hint)


_UNKNOWN_SANDBOX: Final = frozenset({"FLOW-2100-404", "FLOW-2101-404", "FLOW-2103-404"})  # §8.4

_START_PASSED: Final = ("FLOW-1360-400", "CONNECTOR-1360-400")
SKEW: Final = 60.0  # seconds between a server's clock and ours that are worth a word
_HINTS: Final = {
    "401013": "the token was refused; check FLOWLEDGER_CLIENT_ID and FLOWLEDGER_CLIENT_SECRET",
    "403000": "set FLOWLEDGER_CLIENT_ID",
    "403003": "check FLOWLEDGER_CLIENT_ID: the platform does not know this API key",
    "403010": "the token did not arrive: something between here and the platform drops the Authorization header",
    "403025": "these credentials have no right on the organisation of FLOWLEDGER_ORG_ID: give them one, then "
    "`flowledger resume`; if another organisation was meant, set that, and give the spec another name, since a run "
    "keeps the organisation that it began with",
    "403027": "the credentials lack a right: ask an administrator of the org",
    "400003": "set FLOWLEDGER_ORG_ID",
    **dict.fromkeys(_START_PASSED, "the start lies in the past: give a later one with --start"),
    "FLOW-1418-400": "flows still use this connection: delete them first",
    "FLOW-1447-400": "active flows still contain this object: delete them first",
    "XDM-1521-400": "the title is taken by another resource of the org: rename or delete that one",
    **dict.fromkeys(
        _UNKNOWN_SANDBOX,
        "check FLOWLEDGER_SANDBOX: the platform does not know this sandbox, or it is not active. A run keeps the "
        "sandbox that it began with: for another one give the spec another name",
    ),
    **dict.fromkeys(
        ("FLOW-2118-403", "FLOW-2120-403", "FLOW-2121-403"),
        "the credentials lack a right in this sandbox: ask an administrator to add the API project to a role",
    ),
}


def clock_fault(answer: Answer, wall: float) -> str:
    """What to do about a start that was refused because this machine's clock is wrong; "" where it is not.

    `wall`: our clock's time in epoch seconds, held against the answer's Date header.
    """
    there = date_of(answer)
    if there is None or abs(wall - there) <= SKEW or fault_of(answer).code not in _START_PASSED:
        return ""
    side = "ahead of" if wall > there else "behind"
    return f"this machine's clock is {abs(wall - there):.0f} s {side} the platform's: set it, then `flowledger resume`"


def not_served(answer: Answer, **then: str) -> NotServed | NotPermitted:
    """The error of a hopeless call: a port of this machine refused it, or a setting is wrong; `then` as NotServed."""
    if answer.final:
        return NotPermitted(f"nothing was sent: {answer.trouble}", hint=answer.advice)
    return NotServed(answer.unserved, port=urlsplit(answer.unserved).port, **then)


def _hint(fault: Fault) -> str:
    if fault.code in _HINTS:
        return _HINTS[fault.code]
    if fault.status in (401, 403):
        return "check the FLOWLEDGER_ credentials, and the rights of the API project in this org and sandbox"
    if fault.code in ("404000", "405000") or (fault.status in (404, 405) and fault.layer == "unknown"):
        return "check FLOWLEDGER_BASE_URL: it is scheme and host, like https://platform.adobe.io"
    if fault.status == 404:
        return (
            "check the ids and names in the spec, and FLOWLEDGER_SANDBOX: ids of one sandbox are unknown in another, "
            "and a run keeps the sandbox that it began with"
        )
    return ""


def _layer(body: Any) -> Layer:
    """Whose body this is. Only the gateway's and the services' own count as proof (protocol rule 5)."""
    if not isinstance(body, Mapping):
        return "unknown"
    if _code(body.get("error_code")):
        return "gateway"
    kind = body.get("type")
    if isinstance(kind, str) and (_OWN_TYPE.fullmatch(kind) or kind == _PLACEHOLDER_TYPE):
        return "service"
    if isinstance(body.get("errorMessage"), str) and body["errorMessage"]:
        return "service"
    if isinstance(body.get("error"), str) and body["error"]:
        return "ims"
    return "unknown"


def _code(value: Any) -> str:
    """An `error_code` as text: a string in the guides, an integer in one reference (§1.3)."""
    return str(value) if isinstance(value, (str, int)) and not isinstance(value, bool) else ""


def _text(value: Any) -> str:
    """Printable text of a JSON string, at most 2000 characters; "" for anything else."""
    if not isinstance(value, str):
        return ""
    return "".join(char if char.isprintable() else " " for char in value[:_TEXT_LIMIT]).strip()
