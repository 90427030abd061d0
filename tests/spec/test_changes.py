"""A run's spec is journaled and compared as it was written: not a version's defaults, not a folder's absolute paths."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
import yaml

from flowledger.engine.events import RunStarted
from flowledger.engine.ledger import Ledger, RunState, ledger_of
from flowledger.engine.specchange import changes_since, complete, spec_diff
from flowledger.engine.specfile import load_spec, spec_from_mapping
from flowledger.errors import JournalError, SpecError
from flowledger.journal import Journal, JournalReader
from flowledger.steps import sources
from flowledger.steps.client.inprocess import Fate
from flowledger.steps.sources import known_kinds
from flowledger.steps.spec import Retry, Settle, Spec
from flowledger.testing import run_in_virtual_time
from tests.bench import EXAMPLE, Bench
from tests.golden.pair import JOURNAL, Pair

GOLDEN = Path(__file__).resolve().parents[1] / "golden"


def written(**changes: Any) -> dict[str, Any]:
    """The example without what has a default."""
    document: dict[str, Any] = yaml.safe_load(EXAMPLE.read_text())
    document["source"]["delta"] = "Create_Time"
    for key in ("retry", "style"):
        document.pop(key, None)
    document["source"]["connection"].pop("auth", None)
    document["source"]["connection"]["params"].pop("host", None)
    return {**document, **changes}


def with_params(**params: Any) -> dict[str, Any]:
    document = written()
    document["source"]["connection"]["params"].update(params)
    return document


def older(spec: Spec) -> Ledger:
    """The ledger of a run that an earlier version began: with all defaults and absolute paths in its journal."""
    ledger = Ledger(run=spec.name)
    started = RunStarted(nonce="n" * 10, spec=complete(spec), org="o", sandbox="s", base_url="http://127.0.0.1")
    document = started.doc(at=0.0, mono=0.0)
    ledger.fold(1, {key: value for key, value in document.items() if key not in ("as_written", "folder")})
    return ledger


def newer(spec: Spec) -> Ledger:
    """The ledger of a run that this version began."""
    ledger = Ledger(run=spec.name)
    started = RunStarted(
        nonce="n" * 10, spec=spec.written(), org="o", sandbox="s", base_url="http://127.0.0.1", as_written=True,
        folder=spec.folder,
    )  # fmt: skip
    ledger.fold(1, json.loads(json.dumps(started.doc(at=0.0, mono=0.0))))
    return ledger


@pytest.fixture
def next_version(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A later version, in which defaults of PayPal and of the model are others."""
    paypal = known_kinds()["paypal"]
    auth = paypal.auths[0]
    params = tuple(
        param.model_copy(update={"default": "api.paypal.com"}) if param.name == "host" else param
        for param in auth.params
    )
    changed = paypal.model_copy(
        update={
            "auths": (auth.model_copy(update={"params": params}), *paypal.auths[1:]),
            "delta_format": "yyyy-MM-dd'T'HH:mm:ss",
        }
    )
    kinds = MappingProxyType({**known_kinds(), "paypal": changed})
    monkeypatch.setattr(sources, "known_kinds", lambda: kinds)
    monkeypatch.setattr(Retry.model_fields["deadline"], "default", 600.0)
    Retry.model_rebuild(force=True)
    Spec.model_rebuild(force=True)
    yield
    monkeypatch.undo()
    Retry.model_rebuild(force=True)
    Spec.model_rebuild(force=True)


@pytest.mark.parametrize("begun_by", [older, newer], ids=["an earlier version", "this version"])
def test_a_default_that_a_later_version_corrects_is_no_changed_spec(begun_by: Any, request: Any) -> None:
    began = begun_by(spec_from_mapping(written()))
    request.getfixturevalue("next_version")
    assert changes_since(began, spec_from_mapping(written())) == []


def test_a_run_takes_the_defaults_of_the_version_that_reads_it(next_version: None) -> None:
    spec = newer(spec_from_mapping(written())).spec
    assert spec is not None
    assert complete(spec)["source"]["connection"]["params"]["host"] == "api.paypal.com"
    assert complete(spec)["source"]["delta"]["date_format"] == "yyyy-MM-dd'T'HH:mm:ss"


def test_a_run_of_an_earlier_version_keeps_its_normalised_form(request: Any) -> None:
    began = older(spec_from_mapping(written()))
    request.getfixturevalue("next_version")
    assert began.spec is not None
    assert complete(began.spec)["source"]["connection"]["params"]["host"] == "api.sandbox.paypal.com"


@pytest.mark.parametrize("begun_by", [older, newer], ids=["an earlier version", "this version"])
@pytest.mark.parametrize(
    "same",
    [
        {"style": "tutorial"},
        {"retry": {"attempts": 6}, "settle": {"window": "1s"}},
        {"retry": {}},
        with_params(host="api.sandbox.paypal.com"),
    ],
    ids=["style", "times", "empty", "host"],
)
def test_a_default_that_is_written_out_changes_nothing(begun_by: Any, same: dict[str, Any]) -> None:
    plain, said = spec_from_mapping(written()), spec_from_mapping({**written(), **same})
    assert changes_since(begun_by(plain), said) == []
    assert changes_since(begun_by(said), plain) == []


@pytest.mark.parametrize("begun_by", [older, newer], ids=["an earlier version", "this version"])
def test_what_somebody_wrote_and_takes_out_or_changes_is_told(begun_by: Any) -> None:
    began = begun_by(spec_from_mapping({**with_params(host="api.paypal.com"), "retry": {"attempts": 9}}))
    assert changes_since(began, spec_from_mapping(written())) == [
        "source.connection.params.host: api.paypal.com -> api.sandbox.paypal.com",
        "retry.attempts: 9 -> 6",
    ]
    assert changes_since(begun_by(spec_from_mapping(written())), spec_from_mapping(written(verify_rows=True)))


def test_a_host_that_an_earlier_version_kept_and_that_is_written_now_is_the_same(request: Any) -> None:
    spec = with_params(host="api.sandbox.paypal.com")
    began = older(spec_from_mapping(spec))
    request.getfixturevalue("next_version")
    assert changes_since(began, spec_from_mapping(spec)) == []


@pytest.mark.parametrize("begun_by", [older, newer], ids=["an earlier version", "this version"])
@pytest.mark.parametrize("file", ["secrets/paypal", "./secrets/paypal", "../elsewhere/paypal", "~/paypal"])
def test_the_same_checkout_in_another_folder_is_the_same_spec(begun_by: Any, file: str, tmp_path: Path) -> None:
    document = with_params(clientSecret={"file": file})
    here, there = (spec_from_mapping(document, folder=tmp_path / name) for name in ("a/one", "b/two"))
    assert changes_since(begun_by(here), there) == []
    other = spec_from_mapping(with_params(clientSecret={"file": "secrets/another"}), folder=tmp_path / "a/one")
    assert len(changes_since(begun_by(here), other)) == 1


def test_an_absolute_secret_path_that_changes_is_a_changed_spec(tmp_path: Path) -> None:
    one, other = (spec_from_mapping(with_params(clientSecret={"file": f"/run/{name}/x"})) for name in ("a", "b"))
    for begun_by in (older, newer):
        assert changes_since(begun_by(one), other) == [
            "source.connection.params.clientSecret.file: /run/a/x -> /run/b/x"
        ]


def test_what_is_journaled_holds_no_default_and_no_folder(tmp_path: Path) -> None:
    bench = Bench()
    spec = spec_from_mapping(with_params(clientSecret={"file": "secrets/x"}), folder=tmp_path)
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "x").write_text("a made-up secret")
    assert bench.apply(spec).state is RunState.PROVISIONED
    started = bench.documents()[0]
    assert started["spec"]["source"]["connection"] == {
        "params": {"clientId": "my-paypal-client-id", "clientSecret": {"file": "secrets/x"}}
    }
    assert "retry" not in started["spec"]
    assert (started["as_written"], started["folder"]) == (True, str(tmp_path))


@pytest.mark.parametrize("earlier", [False, True], ids=["this version", "an earlier version"])
def test_an_apply_from_another_folder_goes_on_with_the_secrets_there(tmp_path: Path, earlier: bool) -> None:
    bench = Bench()
    document = with_params(clientSecret={"file": "secrets/x"})
    here, there = (spec_from_mapping(document, folder=tmp_path / name) for name in ("here", "there"))
    started = (older if earlier else newer)(here)
    event = RunStarted(
        nonce="abcdefghij", spec=complete(here) if earlier else here.written(), org="LOCAL@AdobeOrg", sandbox="prod",
        base_url="http://127.0.0.1", as_written=not earlier, folder="" if earlier else here.folder,
    )  # fmt: skip
    assert started.spec is not None
    with bench.open_journal() as journal:
        run_in_virtual_time(bench.time, journal.append(here.name, event.doc(at=1.0, mono=1.0)))
    (tmp_path / "there" / "secrets").mkdir(parents=True)
    (tmp_path / "there" / "secrets" / "x").write_text("a made-up secret")
    bench.fate = lambda request: Fate.REFUSED if request.path.endswith("/flows") else Fate.ANSWERED
    with pytest.raises(Exception, match="flow"):
        bench.apply(there)
    bench.fate = lambda request: Fate.ANSWERED
    assert bench.resume().state is RunState.PROVISIONED, "and so does a resume, which has no file"
    assert bench.apply(there).state is RunState.PROVISIONED


def test_a_golden_run_of_an_earlier_commit_is_applied_as_the_same_spec(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PAYPAL_CLIENT_SECRET", "made-up-client-secret")
    shutil.copytree(GOLDEN / "in-doubt", tmp_path / "pair")
    pair = Pair(tmp_path / "pair")
    try:
        spec = spec_from_mapping(with_params(clientSecret={"env": "PAYPAL_CLIENT_SECRET"}))
        assert pair.apply(spec).state is RunState.PROVISIONED
        with pytest.raises(SpecError, match="has changed"):
            pair.apply(spec.model_copy(update={"settle": Settle(window=2.0)}))
    finally:
        pair.close()


def features(folder: Path) -> list[list[str]]:
    """What each segment's header names."""
    heads = [path.read_text().split("\n", 1)[0] for path in sorted(folder.glob("segment-*.jsonl"))]
    return [json.loads(head)["doc"]["features"] for head in heads]


def test_the_first_spec_kept_as_written_begins_a_segment_that_earlier_versions_do_not_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PAYPAL_CLIENT_SECRET", "made-up-client-secret")
    shutil.copytree(GOLDEN / "provisioned", tmp_path / "pair")
    journal = tmp_path / "pair" / JOURNAL
    pair = Pair(tmp_path / "pair")
    try:
        spec = spec_from_mapping(with_params(clientSecret={"env": "PAYPAL_CLIENT_SECRET"}))
        pair.drift()
        assert features(journal) == [[]], "a run of an earlier version goes on in its segment"
        assert pair.apply(spec.model_copy(update={"name": "second"})).state is RunState.PROVISIONED
        assert features(journal) == [[], ["segments", "changes"]]
    finally:
        pair.close()
    monkeypatch.setattr("flowledger.journal.scan.FEATURES", frozenset({"segments", "gaps"}))  # an earlier version
    with pytest.raises(JournalError, match="changes"):
        Journal.open(journal)
    with JournalReader.open(journal) as reader:
        assert reader.runs() == ["paypal-products", "second"]
        started = reader.events("second")[0]
    del started["as_written"], started["folder"]
    assert Spec.model_validate(started["spec"]).name == "second", "it reads the spec, too"
    assert ledger_of("second", [started]).spec is not None


def test_specs_of_two_folders_are_one_spec(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        shutil.copy(EXAMPLE, tmp_path / name / "s.yaml")
    one, other = (load_spec(tmp_path / name / "s.yaml").spec for name in ("a", "b"))
    assert one == other
    assert spec_diff(one, other) == []
