"""Both styles of a run: which of its steps have an effect, how the call of each is recognised, what a run makes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from crashmatrix.fates import SEND_WITHIN, WINDOW
from flowledger.engine.specfile import load_spec
from flowledger.engine.table import TABLES, Row, table_of
from flowledger.steps.client.port import Request
from flowledger.steps.spec import Settle, Spec

STYLES: Final = tuple(TABLES)
TUTORIAL: Final = "tutorial"
EXAMPLE_FILE: Final = Path(__file__).parents[3] / "examples" / "paypal-products.yaml"

# Titles are unique in the registry: what comes a second time is refused there, whoever sends it.
REGISTRY_KINDS: Final = ("classes", "schemas", "fieldgroups")


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """How a step's call is told from others, and where its object is kept. The same in both styles."""

    step: str
    path: str
    kind: str
    slug: str  # the end of its marker, which its body contains

    @property
    def within(self) -> str:
        """A text that its body holds, and that of another step on the same path does not."""
        return f"-{self.slug}"

    @property
    def titled(self) -> bool:
        """Its title must be unique."""
        return self.kind in REGISTRY_KINDS

    @property
    def of_flow_service(self) -> bool:
        """Its object is one of Flow Service, where names may be unique or not (U23)."""
        return self.kind in ("connections", "sourceConnections", "targetConnections", "flows")

    def is_in(self, request: Request) -> bool:
        """Whether the request is this step's effect."""
        return (
            request.effect
            and request.method == "POST"
            and request.path.endswith(self.path)
            and self.within in str(request.body)
        )


def _spec_of(style: str) -> Spec:
    """The example as a run of that style, with Adobe's settle window."""
    return load_spec(EXAMPLE_FILE).spec.model_copy(
        update={"style": style, "settle": Settle(window=WINDOW, send_within=SEND_WITHIN)}
    )


def row_of(style: str, step: str) -> Row:
    """A step's transition."""
    return table_of(style).row_of(step)


def _effects(style: str) -> dict[str, Effect]:
    found = {}
    for row in table_of(style).rows:
        step = row.step
        if step.kind:
            path = f"/tenant/{step.kind}" if step.kind in REGISTRY_KINDS else f"/{step.kind}"
            found[step.name] = Effect(step=step.name, path=path, kind=step.kind, slug=step.slug)
    return found


SPECS: Final[Mapping[str, Spec]] = {style: _spec_of(style) for style in STYLES}
STEPS_OF: Final[Mapping[str, tuple[str, ...]]] = {style: tuple(_effects(style)) for style in STYLES}
#: Every step of every style that has an effect.
EACH: Final = tuple((style, step) for style in STYLES for step in STEPS_OF[style])
EFFECTS: Final[Mapping[str, Effect]] = {step: effect for style in STYLES for step, effect in _effects(style).items()}
MADE_ONCE: Final[Mapping[str, Mapping[str, int]]] = {
    style: Counter(EFFECTS[step].kind for step in STEPS_OF[style]) for style in STYLES
}


def called(style: str, step: str) -> str:
    """A step's name in tables and test ids: the tutorial's go without their style."""
    return step if style == TUTORIAL else f"{style}-{step}"
