"""The data that specs are judged by: source kinds and bundled XDM resources, as platform-api.md has them."""

from __future__ import annotations

import re
from typing import get_args

import pytest

from flowledger.steps.sources import SOURCES, source_kind
from flowledger.steps.spec import FieldType
from flowledger.steps.xdm_paths import EXPERIENCE_EVENT, RESOURCES, offered, short_forms

PROFILE = "https://ns.adobe.com/xdm/context/profile"
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def test_paypal_is_as_the_contract_has_it() -> None:
    paypal = source_kind("paypal")

    assert paypal.connection_spec_id == "221c7626-58f6-4eec-8ee2-042b0226f03b"
    assert paypal.auth().name == "Client-Id-Secret Based Authentication"
    assert paypal.auth().plain_params == ("host", "clientId")
    assert paypal.auth().secret_params == ("clientSecret",)
    assert paypal.auth().defaults == {"host": "api.sandbox.paypal.com"}
    assert paypal.delta_format == "yyyy-MM-dd HH:mm:ss"
    assert not paypal.row_filters
    assert "PayPal.Catalog_Products" in paypal.sample_tables


def test_a_kind_or_a_way_to_authenticate_that_is_not_there_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        source_kind("stripe")
    with pytest.raises(KeyError):
        source_kind("paypal").auth("Basic Authentication")


def test_no_kind_has_a_default_for_a_secret_or_an_id_that_is_none() -> None:
    for kind in SOURCES.values():
        assert UUID.fullmatch(kind.connection_spec_id)
        for auth in kind.auths:
            assert not set(auth.defaults) & set(auth.secret_params)


def test_every_bundled_field_has_a_type_and_none_lies_below_another() -> None:
    for resource in RESOURCES.values():
        assert set(resource.fields.values()) <= set(get_args(FieldType))
        for path in resource.fields:
            assert not any(other.startswith(path + ".") for other in resource.fields)
        assert all(other in RESOURCES for other in resource.extends)


def test_the_profile_class_brings_the_record_and_the_audit_trail() -> None:
    leaves = offered(PROFILE, ()).leaves

    assert leaves["_id"] == "string"
    assert leaves["personID"] == "string"
    assert leaves["_repo.modifyDate"] == "date-time"
    assert "person.name.firstName" not in leaves


def test_field_groups_add_their_fields() -> None:
    known = offered(PROFILE, (PROFILE + "-person-details", PROFILE + "-personal-details"))

    assert known.foreign == ()
    assert known.leaves["person.birthDate"] == "date"
    assert known.leaves["person.birthYear"] == "integer"
    assert known.leaves["homeAddress.lastVerifiedDate"] == "date"
    assert known.leaves["faxPhone.primary"] == "boolean"
    assert {"person", "homeAddress", "personalEmail", "mobilePhone", "_repo", "_id"} <= known.tops


def test_what_is_not_bundled_is_foreign_once() -> None:
    foreign = "https://ns.adobe.com/acme/mixins/12"

    assert offered(PROFILE, (foreign, foreign)).foreign == (foreign,)


def test_short_forms_are_the_last_part_and_the_alternate_id() -> None:
    assert short_forms("class") == {
        "profile": PROFILE,
        "_xdm.context.profile": PROFILE,
        "experienceevent": EXPERIENCE_EVENT,
        "_xdm.context.experienceevent": EXPERIENCE_EVENT,
    }
    assert short_forms("field group")["profile-person-details"] == PROFILE + "-person-details"
