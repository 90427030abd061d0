"""What the emulator decides where Adobe's documents are silent, as settable options (platform-api.md §15)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(slots=True, kw_only=True)
class Options:
    """Choices of one emulator. Durations say their unit in their name; U-numbers are those of platform-api.md §15."""

    org: str = "LOCAL@AdobeOrg"
    client_id: str = "local-client"
    client_secret: str = field(default="local-secret", repr=False)
    tenant: str = "localtenant"
    sandboxes: tuple[str, ...] = ("prod", "dev")  # the first one is the default (production) sandbox

    token_lifetime_s: int = 86399
    latency_ms: int = 0  # added to every answer of the platform and IMS
    list_lag_ms: Mapping[str, int] = field(default_factory=dict)  # U21, by kind; "*" for every other kind

    rate_limit_per_s: int = 0  # U20: the gateway lets that many calls a second through, the others get 429; 0: no limit
    rate_limit_burst: int = 0  # U20: so many may come at once after a quiet time; 0: those of one second
    rate_limit_retry_after: bool = True  # U20: the 429 says in `Retry-After` how many seconds to wait

    strict_sandbox: bool = False  # U4: registry, catalog and conversion refuse a call without x-sandbox-name too
    lax_delete: bool = False  # U6: a class or schema in use may be deleted
    unique_flow_names: bool = False  # U23: Flow Service refuses a second object of one name, naming the first
    page_size: int = 20  # U8: Flow Service's default page
    page_maximum: int = 100  # U8
    newest_first: bool = False  # Flow Service lists begin with the newest object (the order is not documented)

    flow_ready_ms: int = 0  # a new flow is `pending` that long before it is `enabled`
    flow_fails: str = ""  # not empty: a new flow's lastOperation ends as failed with this message
    connection_ready_ms: int = 0  # a new base connection is `initializing` (and shows no etag) that long
    connection_test_result: bool = True  # U10: what GET /connections/{id}/test answers
    draft_mode_supported: bool = False  # §4.2: specs say isDraftModeSupported; CRMToAEP's published ones do not

    @property
    def default_sandbox(self) -> str:
        """The sandbox of a call that names none, where that is allowed (U4)."""
        return self.sandboxes[0]
