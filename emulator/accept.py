"""What a registry call asks for in its Accept header (platform-api.md §2.1)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import product
from typing import Final

PREFIX: Final = "application/vnd.adobe."
FAMILIES: Final = ("xed", "xdm")  # Adobe's pages name xed, clients in use send xdm: one means the other here
LIST_FORMS: Final = {
    f"{family}{name}+json": form for family in FAMILIES for name, form in (("-id", "id"), ("", "stored"))
}
DESCRIPTOR_FORMS: Final = frozenset(
    {"xdm-id+json", "xdm-link+json", "xdm+json", "xdm-v2+json", "xdm-v2-id+json", "xdm-v2-link+json"}
)
VERSION: Final = re.compile(r"[1-9][0-9]*(\.[0-9]+)?")


class AcceptInvalid(Exception):
    """The header asks for nothing that this call can give. Its text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """How a media type shows a resource."""

    resolved: bool = False  # `$ref` and `allOf` merged into `properties`
    text: bool = True  # with titles and descriptions
    descriptors: bool = False
    flat: bool = False  # `properties` by path, without objects in between
    deprecated: bool = False  # deprecated fields are flagged


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """How a looked-up resource is shown. `version` is major, or major and minor, as asked for."""

    form: Form
    version: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Range:
    media: str  # lower case, without parameters
    version: str | None
    quality: float


def _views() -> dict[str, Form]:
    """Media type -> form: the documented ones, and those that a client puts together of parts."""
    views = {
        "-notext": Form(text=False),
        "-full-notext": Form(resolved=True, text=False),
        "-deprecatefield": Form(resolved=True, deprecated=True),
    }
    for full, desc, flat, deprecated in product(("-full", ""), ("-desc", ""), ("-flat", ""), ("-deprecated", "")):
        views[f"{full}{desc}{flat}{deprecated}"] = Form(
            resolved=bool(full or flat or deprecated),
            descriptors=bool(desc),
            flat=bool(flat),
            deprecated=bool(deprecated),
        )
    return {f"{family}{name}+json": form for family in FAMILIES for name, form in views.items()}


VIEWS: Final = _views()


def list_form(accept: str | None) -> str:
    """`id` or `stored`, for a list of anything but descriptors. Raises AcceptInvalid."""
    for range_ in _ranges(accept):
        form = LIST_FORMS.get(range_.media.removeprefix(PREFIX)) if range_.media.startswith(PREFIX) else None
        if form is not None:
            if range_.version is not None:
                raise AcceptInvalid("a list takes no version in the Accept header")
            return form
    raise AcceptInvalid(_why(accept))


def look_up_view(accept: str | None) -> View:
    """How to show one resource. Raises AcceptInvalid, also when no version is named."""
    for range_ in _ranges(accept):
        form = VIEWS.get(range_.media.removeprefix(PREFIX)) if range_.media.startswith(PREFIX) else None
        if form is not None:
            if range_.version is None or not VERSION.fullmatch(range_.version):
                raise AcceptInvalid("version must be supplied in the Accept header of a look-up, as in version=1")
            version = tuple(int(part) for part in range_.version.split("."))
            return View(form=form, version=version)
    raise AcceptInvalid(_why(accept))


def descriptor_form(accept: str | None) -> str:
    """The form of a list of descriptors, like `xdm-id`, `xdm-v2`. Raises AcceptInvalid."""
    for range_ in _ranges(accept):
        name = range_.media.removeprefix(PREFIX)
        if range_.media.startswith(PREFIX) and name in DESCRIPTOR_FORMS:
            return name.removesuffix("+json")
    raise AcceptInvalid(_why(accept))


def check_descriptor_look_up(accept: str | None) -> None:
    """A look-up of a descriptor needs no Accept, but one that names another format is refused. Raises AcceptInvalid.

    Plain JSON is what Adobe's own Postman collection asks for.
    """
    if any(range_.media not in ("*/*", "application/*", "application/json") for range_ in _ranges(accept)):
        descriptor_form(accept)


def _ranges(accept: str | None) -> list[_Range]:
    """The media ranges of the header, the most wanted first."""
    ranges = []
    for item in (accept or "").split(","):
        media, *parameters = (part.strip() for part in item.split(";"))
        if not media:
            continue
        named = {
            key.strip().lower(): value.strip().strip('"')
            for key, _, value in (parameter.partition("=") for parameter in parameters)
        }
        quality = named.get("q", "1")
        ranges.append(
            _Range(
                media=media.lower(),
                version=named.get("version"),
                quality=float(quality) if re.fullmatch(r"[01](\.[0-9]{0,3})?", quality) else 0.0,
            )
        )
    return sorted(ranges, key=lambda range_: -range_.quality)


def _why(accept: str | None) -> str:
    return f"Unknown Accept media supplied: {accept}" if accept else "Accept header parameter is required"
