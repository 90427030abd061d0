"""An option that cannot be meant is refused before anything serves."""

from __future__ import annotations

import re
from typing import Any

import pytest

from flowledger.emulator.core import Emulator
from flowledger.emulator.options import Options


@pytest.mark.parametrize(
    "wrong",
    [
        {"page_size": 0},
        {"page_size": -1},
        {"page_size": True},
        {"page_size": "20"},
        {"page_maximum": 0},
        {"run_window_unit": "minutes"},
        {"flow_content_type_status": 999},
        {"sandboxes": ()},
        {"sandboxes": ("prod", "prod")},
        {"sandboxes": ("a b",)},
        {"sandboxes": "prod"},
        {"tenant": "a/b c"},
        {"tenant": ""},
        {"org": "x\r\ny"},
        {"client_id": ""},
        {"token_lifetime_s": 0},
        {"url_maximum": 0},
        {"body_maximum": 0},
        {"latency_ms": -1},
        {"latency_ms": 0.5},
        {"flow_ready_ms": 10**30},
        {"list_lag_ms": {"*": -1}},
        {"list_lag_ms": {"*": "1"}},
        {"racy_titles": "false"},
        {"racy_titles": 1},
        {"allowed_hosts": ("http://gate",)},
        {"allowed_hosts": ("",)},
        {"gateway_order": "key"},
        {"flow_options_name": ""},
    ],
    ids=str,
)
def test_an_option_that_cannot_be_meant_is_refused_by_name(wrong: dict[str, Any]) -> None:
    (name,) = wrong
    with pytest.raises(ValueError, match=re.escape(name)):
        Emulator(options=Options(**wrong))


def test_a_secret_is_not_shown_when_it_is_refused() -> None:
    with pytest.raises(ValueError, match="client_secret") as caught:
        Emulator(options=Options(client_secret=b"hush-hush"))  # type: ignore[arg-type] # what is refused
    assert "hush" not in str(caught.value)


def test_the_defaults_are_taken() -> None:
    Emulator(options=Options()).close()
