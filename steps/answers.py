"""Taking values out of answers: the ids that a step lives on, and the shapes in which APIs wrap an object."""

from __future__ import annotations

import math
import re
from typing import Final

from flowledger.errors import Unreachable
from flowledger.steps.client.judge import fault_of
from flowledger.steps.client.port import Answer, Json
from flowledger.steps.step import UnusableAnswer

# UUIDs, hexadecimal ids and `$id` URLs (platform-api.md §2-§5). Whatever would need an escape in a URL other than the
# slash, steps up a path or cannot be printed is no id: it comes from something that is broken, or that means harm.
_NO_COUNT: Final = 2**63
_LONGEST_TEXT: Final = 1000  # characters
_ID: Final = re.compile(r"[A-Za-z0-9._~:@/=+-]{1,1000}")


def usable_id(value: Json) -> bool:
    """Whether a value can be the id of an object: kept in the journal, shown, and asked for as part of a path."""
    return (
        isinstance(value, str)
        and _ID.fullmatch(value) is not None
        and not any(part in (".", "..") for part in value.split("/"))
    )


def needed_text(answer: Answer, key: str) -> str:
    """A non-empty text from the answer's JSON object. Raises UnusableAnswer: a 2xx without its id is in doubt."""
    body = answer.json
    value = body.get(key) if isinstance(body, dict) else None
    if not isinstance(value, str) or not value:
        raise UnusableAnswer(f"the answer has no usable {key!r}")
    return value


def text_or_none(live: Json, key: str) -> str | None:
    """A text from a JSON object, or None if there is none."""
    value = live.get(key) if isinstance(live, dict) else None
    return value if isinstance(value, str) else None


def short_text(live: Json, key: str) -> str:
    """A text from a JSON object that a step keeps, like an etag or a version; "" if there is none.

    A text of more than 1000 characters is none of these: kept in a journal it would only be in the way.
    """
    text = text_or_none(live, key) or ""
    return text if len(text) <= _LONGEST_TEXT else ""


def sole_item(body: Json) -> dict[str, Json] | None:
    """The one object of a Flow Service look-up, with or without its `items` wrapper (platform-api.md §4.1)."""
    if not isinstance(body, dict):
        return None
    if "items" not in body:
        return body or None
    items = body["items"]
    return items[0] if isinstance(items, list) and items and isinstance(items[0], dict) else None


def keyed(body: Json, id: str) -> dict[str, Json] | None:
    """The object `id` of a Catalog answer, with its id put into it: Catalog keys by it (platform-api.md §3.2)."""
    live = dig(body, id)
    return {**live, "id": id} if isinstance(live, dict) else None


def absent(answer: Answer) -> bool:
    """Whether a look-up by id says that there is no such object: a 404 in a service's own body, or in one that says it
    too, as its `status` (how Catalog's and Conversion's look is not documented: platform-api.md U7).

    Raises Unreachable for a 404 of the gateway or of somebody in between, JSON or not, which proves nothing: an object
    taken for gone on its word would be made a second time, or left behind by a destroy.
    """
    if answer.status != 404:
        return False
    fault = fault_of(answer)
    told = isinstance(answer.json, dict) and answer.json.get("status") == 404
    if fault.layer == "gateway" or not (told or fault.layer == "service"):
        raise Unreachable(
            f"a look-up was answered 404 by something else than the service: {fault}"
            + (f" (request id {fault.request_id})" if fault.request_id else ""),
            hint="check the base URL and any proxy, then resume",
        )
    return True


def read_by_id(answer: Answer, live: Json, id: str, key: str = "id") -> dict[str, Json] | None:
    """The object `id` as its look-up by id shows it (`live`, out of its wrapper), or None if the service says that
    there is none.

    Raises Unreachable for an answer that shows neither this object nor a 404: that an empty body, a stripped one or
    another object came back does not prove that nothing is there, and on its word it would be made a second time.
    """
    if absent(answer):
        return None
    if not isinstance(live, dict) or live.get(key) != id:
        request_id = answer.headers.get("x-request-id", "")
        raise Unreachable(
            f"a look-up of {id} was answered {answer.status} without that object"
            + (f" (request id {request_id})" if request_id else ""),
            hint="check the base URL and any proxy, then resume",
        )
    return live


def dig(live: Json, *keys: str | int) -> Json:
    """The value at a path of keys and indexes, or None as soon as one is missing."""
    for key in keys:
        if isinstance(live, dict) and isinstance(key, str):
            live = live.get(key)
        elif isinstance(live, list) and isinstance(key, int) and -len(live) <= key < len(live):
            live = live[key]
        else:
            return None
    return live


def number_of(value: Json) -> float:
    """A finite number, also when the platform spells it as a text (platform-api.md §4.7); 0 if it is none."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return 0.0
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return 0.0
    return number if math.isfinite(number) else 0.0


def count_of(value: Json) -> int | None:
    """A whole number from 0 on that fits into 64 bits, also as a text; None for anything else, like the -1 of a failed
    run (§11)."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = int(float(value))
    except (ValueError, OverflowError):
        return None
    return number if 0 <= number < _NO_COUNT else None
