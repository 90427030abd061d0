"""The kinds of sources, as data: what differs between one table-like source and another (platform-api.md §14)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Param:
    """One parameter of a base connection's `auth.params`. A parameter without `default` must be given."""

    name: str
    meaning: str
    secret: bool = False  # True: the spec holds a reference to it, never the value
    default: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthSpec:
    """One way to authenticate: `name` is the platform's `auth.specName` (platform-api.md §4.4)."""

    name: str
    params: tuple[Param, ...]

    @property
    def plain_params(self) -> tuple[str, ...]:
        """Names of the parameters that may stand in the spec as they are."""
        return tuple(param.name for param in self.params if not param.secret)

    @property
    def secret_params(self) -> tuple[str, ...]:
        """Names of the parameters that must be references to secrets."""
        return tuple(param.name for param in self.params if param.secret)

    @property
    def defaults(self) -> dict[str, str]:
        """Values of the parameters that may be left out."""
        return {param.name: param.default for param in self.params if param.default is not None}


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceKind:
    """Everything that a table-like source of one kind does not share with the others."""

    kind: str  # the spec's word, like "paypal"
    label: str  # for people, like "PayPal"
    connection_spec_id: str  # platform-api.md §7
    connection_spec_version: str = "1.0"
    auths: tuple[AuthSpec, ...]  # the first is the default
    delta_format: str = "yyyy-MM-dd HH:mm:ss"  # of the delta column's values (platform-api.md §11)
    row_filters: bool = False  # whether the source connection takes `params.filters` (platform-api.md §4.5)
    sample_tables: tuple[str, ...] = field(default=())

    def auth(self, name: str | None = None) -> AuthSpec:
        """The way to authenticate that is called `name`, or the default for None. Raises KeyError."""
        if name is None:
            return self.auths[0]
        for auth in self.auths:
            if auth.name == name:
                return auth
        raise KeyError(name)


SOURCES: Final[Mapping[str, SourceKind]] = MappingProxyType(
    {
        source.kind: source
        for source in (
            SourceKind(
                kind="paypal",
                label="PayPal",
                connection_spec_id="221c7626-58f6-4eec-8ee2-042b0226f03b",
                auths=(
                    AuthSpec(
                        name="Client-Id-Secret Based Authentication",
                        params=(
                            Param(name="host", meaning="PayPal's API host", default="api.sandbox.paypal.com"),
                            Param(name="clientId", meaning="client id of the PayPal app"),
                            Param(name="clientSecret", meaning="client secret of the PayPal app", secret=True),
                        ),
                    ),
                ),
                sample_tables=("PayPal.Catalog_Products",),
            ),
        )
    }
)


def source_kind(kind: str) -> SourceKind:
    """What is known of a source kind. Raises KeyError for a kind that is not in the table."""
    return SOURCES[kind]
