"""What `emulator start --option` takes, as its --help lists it: each with its default and its open point."""

from __future__ import annotations

from typing import Final

DEFAULTS: Final = """\
  absent_delete_404=false, allow_equal_descriptors=false (U22),
  allowed_hosts=, bare_flow_spec=false, bare_not_routed=false (U28),
  batches_kept=0, body_maximum=10485760, catalog_calls_201=false,
  class_usage_array=false, client_id=local-client,
  columns_without_xdm=false, connection_create_tested=false (U10),
  connection_patch_listed=false, connection_ready_ms=0,
  connection_test_bare=false, connection_test_refused=false (U10),
  connection_test_result=true (U10), delta_always=false,
  delta_end_inclusive=false (U25), descriptor_put_200=false,
  documented_filters_only=false (U9), draft_mode_supported=false,
  e_tag_only=false, error_chains=false (U7),
  flow_content_type_status=415 (U27), flow_create_without_etag=false,
  flow_delete_ms=0, flow_fails=, flow_finalized_by_caller=false,
  flow_options_name=options (U12), gateway_order= (U3),
  gateway_timeout_ms=0 (U18), inactive_sandboxes=,
  integer_error_codes=false, interval_of_prose=false,
  invalid_client_401=false (U1), keep_tutorial_names=true (U16),
  labelled_flows_hidden=false, lax_connection_delete=false (U24),
  lax_delete=false (U6), lax_references=false, lax_sandbox=false (U4),
  lax_target_dataset=false (U11), mapping_set_delete=true (U15),
  mapping_version_latest=false (U30), mapping_versions_kept=true (U14),
  newest_first=false, numeric_strings=true (U26), old_error_bodies=false,
  page_maximum=100 (U8), page_size=20 (U8), racy_titles=false,
  rate_limit_burst=0 (U20), rate_limit_per_s=0 (U20),
  rate_limit_retry_after=true (U20), references_of_prose=false,
  registry_2020_errors=false (U5), request_ids=true (U2),
  retrigger_answers_whole=false, run_create_answers_items=false,
  run_create_answers_whole=false, run_reference_spelling=false,
  run_window_unit=auto (U13), runs_kept=2000, runs_link_nested=false,
  runs_refuse_user_tokens=false, sandbox_admin=true, short_pages=false,
  short_registry_ids=false, sources_prefix=CONNECTOR- (U19),
  strict_mappings=false (U17), strict_sandbox=false (U4),
  titles_per_org=false, token_lifetime_in_ms=false,
  tokens_with_equals=false, unique_flow_names=false (U23),
  unique_mapping_names=false (U29), unknown_queries_ignored=false,
  unpublished_functions=false, url_maximum=2000"""
