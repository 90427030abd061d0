"""Markers in names and descriptions: how an object is labelled as this run's, and recognised again."""

from __future__ import annotations

import re

from flowledger.steps.client.port import Json
from flowledger.steps.step import Context, Step

TAG = "flowledger"  # our own tag, where an API has tags: its value is the marker

# A name must survive every API's filter syntax (platform-api.md §9: no comma, quote, colon, slash, "*", "=").
_UNSAFE = re.compile(r"[^\w -]+")
_WORD = re.compile(r"[\w-]+")


def filter_safe(text: str) -> str:
    """The text with everything that a list filter could read as syntax replaced by a space."""
    return " ".join(_UNSAFE.sub(" ", text).split())


def name_of(ctx: Context, step: Step, title: str = "") -> str:
    """The name of a step's object: for people first, then the marker. The same on every attempt.

    `title` replaces the run's name and the step's label.
    """
    return f"{filter_safe(title) or f'{ctx.spec.name} {step.label}'} {ctx.marker(step)}"


def description_of(ctx: Context, step: Step, text: str = "") -> str:
    """The description of a step's object: it carries the marker too, because names are edited by people."""
    return f"{text or f'{step.label} of dataflow {ctx.spec.name}, made by flowledger'} [{ctx.marker(step)}]"


def words_of(live: Json) -> frozenset[str]:
    """The words of an object's name and description: the run that made it and its marker are among them (`name_of`,
    `description_of`), as long as nobody has edited both."""
    texts = (live.get("name"), live.get("description")) if isinstance(live, dict) else ()
    return frozenset(word for text in texts if isinstance(text, str) for word in _WORD.findall(text))


def carries(marker: str, *texts: Json) -> bool:
    """Whether one of the texts contains the marker as a whole word: `fl-x-flow` is not in `fl-x-flow-2`."""
    word = re.compile(rf"(?<![\w-]){re.escape(marker)}(?![\w-])")
    return any(isinstance(text, str) and word.search(text) is not None for text in texts)
