"""What the emulator decides where Adobe's documents are silent, as settable options (platform-api.md §15)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True, kw_only=True)
class Options:
    """Choices of one emulator. Durations say their unit in their name; U-numbers are those of platform-api.md §15."""

    org: str = "LOCAL@AdobeOrg"
    client_id: str = "local-client"
    client_secret: str = field(default="local-secret", repr=False)
    tenant: str = "localtenant"
    sandboxes: tuple[str, ...] = ("prod", "dev")  # the first one is the default (production) sandbox
    allowed_hosts: tuple[str, ...] = ()  # names besides loopback that `Host` may say: those of a proxy before it

    token_lifetime_s: int = 86399
    latency_ms: int = 0  # added to every answer of the platform and IMS
    list_lag_ms: Mapping[str, int] = field(default_factory=dict)  # U21, by kind; "*" for every other kind

    runs_kept: int = 2000  # runs that are over: a sandbox keeps the newest, and the latest of each flow; 0: all
    batches_kept: int = 0  # batches: a dataset keeps the newest, with their rows on the disk; 0: all

    rate_limit_per_s: int = 0  # U20: the gateway lets that many calls a second through, the others get 429; 0: no limit
    rate_limit_burst: int = 0  # U20: so many may come at once after a quiet time; 0: those of one second
    rate_limit_retry_after: bool = True  # U20: the 429 says in `Retry-After` how many seconds to wait

    token_lifetime_in_ms: bool = False  # §1.2: expires_in counts milliseconds, as the retired exchange did
    invalid_client_401: bool = False  # U1: wrong credentials are 401, not 400
    request_ids: bool = True  # U2: answers carry x-request-id
    gateway_order: str = ""  # U3: the names of gateway.CHECKS in another order, with commas between them
    lax_sandbox: bool = False  # U4: Flow Service falls to the default sandbox too, as its reference says
    inactive_sandboxes: tuple[str, ...] = ()  # §1.4: exist, but are not active yet; calls to them are refused
    sandbox_admin: bool = True  # §1.4: the caller may read a single sandbox
    url_maximum: int = 2000  # §1.3: characters of path and query; the batch API documents this number
    body_maximum: int = 10 * 2**20  # bytes of a body; not documented
    error_chains: bool = False  # U7: Catalog, Conversion and sandbox management say no in the newer shape
    gateway_timeout_ms: int = 0  # U18: an answer that takes longer is a 504 then; the call took effect; 0: never
    integer_error_codes: bool = False  # §1.3: the gateway's error_code is a number, as in one OpenAPI file
    bare_not_routed: bool = False  # U28: an unknown path or method gets an empty body
    registry_2020_errors: bool = False  # §2.1, U5: the registry's Accept faults and malformed bodies as in 2020
    short_pages: bool = False  # §2.2: the registry takes limit for a hint, and its pages are half as long
    descriptor_put_200: bool = False  # §2.7: PUT of a descriptor answers 200, as the reference has it, not 201
    allow_equal_descriptors: bool = False  # U22: a second descriptor of the same place is accepted
    short_registry_ids: bool = False  # §2: the last part of a new `$id` has 32 digits, as older ones do, not 48
    class_usage_array: bool = False  # §2.3: classUsage of the stats is an array, as in the OpenAPI file
    references_of_prose: bool = False  # §3.1: Catalog's references are spelled @/datasets/, as its prose has them
    e_tag_only: bool = False  # §3.3: Catalog spells the header E-Tag only, as the guide does, not ETag too
    unknown_queries_ignored: bool = False  # §1.3: lists ignore query parameters that they do not have
    catalog_calls_201: bool = False  # §3.1: POST / of Catalog answers 201, as the reference has it
    absent_delete_404: bool = False  # §3.3: Catalog answers 404 to the delete of what is not there, not 200 with []
    mapping_versions_kept: bool = True  # U14: what a PUT of a mapping set replaced stays readable
    mapping_version_latest: bool = False  # U30: a mapping set read without version is the latest, not version 0
    mapping_set_delete: bool = True  # U15: Conversion has a DELETE at all
    keep_tutorial_names: bool = True  # U16: the tutorial's dialect of a mapping set keeps name and tags
    strict_mappings: bool = False  # U17: POST /mappingSets refuses unknown destinations without validate=true too
    unique_mapping_names: bool = False  # U29: a second mapping set of one name is refused, naming the first
    unpublished_functions: bool = False  # §5: expressions may also call functions that are not in Adobe's list

    strict_sandbox: bool = False  # U4: registry, catalog and conversion refuse a call without x-sandbox-name too
    titles_per_org: bool = False  # §9: a title is unique over all sandboxes of an organisation, not within one
    racy_titles: bool = False  # §9: the title check is not atomic: what takes effect late is not checked once more
    lax_delete: bool = False  # U6: a class or schema in use may be deleted
    unique_flow_names: bool = False  # U23: Flow Service refuses a second object of one name, naming the first
    page_size: int = 20  # U8: Flow Service's default page
    page_maximum: int = 100  # U8
    tokens_with_equals: bool = False  # §4.1: continuation tokens hold a `=`, at which a client in use cuts them
    newest_first: bool = False  # Flow Service lists begin with the newest object (the order is not documented)

    flow_ready_ms: int = 0  # a new flow is `pending` that long before it is `enabled`
    flow_fails: str = ""  # not empty: a new flow's lastOperation ends as failed with this message
    connection_ready_ms: int = 0  # a new base connection is `initializing` (and shows no etag) that long
    connection_test_result: bool = True  # U10: what GET /connections/{id}/test answers
    draft_mode_supported: bool = False  # §4.2: specs say isDraftModeSupported; CRMToAEP's published ones do not

    extra_sources: tuple[Mapping[str, Any], ...] = ()  # source kinds of the user's own, as in source_kinds.json
    columns_without_xdm: bool = False  # §14: explore names the columns' types only, as some guides show it
    documented_filters_only: bool = False  # U9: Flow Service lists are filtered by the fields that documents show only
    connection_test_refused: bool = False  # U10: a failing test is a 400 of the provider, not `{"result": false}`
    connection_create_tested: bool = False  # U10: creating a base connection tests its credentials too
    lax_references: bool = False  # §4.5: connections may name a base of another kind, or a schema that is not there
    lax_target_dataset: bool = False  # U11: a target connection may name a data set that is not there (yet)
    flow_options_name: str = "options"  # U12: how the wrapper of a flow's options is called; another is refused
    run_window_unit: str = "auto"  # U13: what run windows are counted in: "s", "ms", or by their size
    sources_prefix: str = "CONNECTOR-"  # U19: prefix of the codes of the sources catalogue
    lax_connection_delete: bool = False  # U24: source and target connections of a flow may be deleted
    delta_end_inclusive: bool = False  # U25: a run's window holds its end too
    numeric_strings: bool = True  # U26: "30" is taken where scheduleParams has a number
    interval_of_prose: bool = False  # §11: 15 is the least for every frequency, as the guides' prose says
    delta_always: bool = False  # §11: as the flow spec's schema has it, `once` needs a delta column too
    flow_content_type_status: int = 415  # U27: 415 of the sources catalogue, 400 of the guide, or 0: not checked
    labelled_flows_hidden: bool = False  # §4.2: a flow with labels is 404 to be read, 403 to be changed or deleted
    connection_patch_listed: bool = False  # §4.2: a PATCH of a source or target connection answers it in `items`
    old_error_bodies: bool = False  # §8.2: Flow Service says no in the shape of 2020
    flow_finalized_by_caller: bool = False  # §10: a changed flow rests in `enabled-finalizing` until it is finalized
    runs_refuse_user_tokens: bool = False  # §4.8: POST /runs answers 1427
    run_create_answers_whole: bool = False  # §4.8: POST /runs answers the whole run, as the guide showed it
    run_create_answers_items: bool = False  # §4.8: POST /runs answers `{"items": [{"id", "etag"}]}`, as in the guide
    retrigger_answers_whole: bool = False  # §4.8: a run triggered again is answered whole, as the reference has it
    run_reference_spelling: bool = False  # §4.1: runs say `eTag` and `activites`, as the reference spells them
    runs_link_nested: bool = False  # §4.7: a flow's `runs` is "/flows/{id}/runs", not "/runs?property=flowId=={id}"
    flow_create_without_etag: bool = False  # T16: POST /flows answers the id only, as in 2020
    flow_delete_ms: int = 0  # §10: a deleted flow is `delete-finalizing` that long before it is gone
    bare_flow_spec: bool = False  # §4.3: one flow spec found is answered without `items`, as the guides print it now
    connection_test_bare: bool = False  # §4.4: GET /connections/{id}/test answers true or false, as the prose has it

    @property
    def default_sandbox(self) -> str:
        """The sandbox of a call that names none, where that is allowed (U4)."""
        return self.sandboxes[0]
