"""A spec that comes through a pipe, what lies in a folder of specs, and columns that are named with blanks."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from flowledger.cli.fleet import spec_files
from flowledger.engine.api import apply_sync
from flowledger.engine.kindfile import KINDS_ENV, kinds_from
from flowledger.engine.specfile import load_spec, spec_from_mapping
from flowledger.engine.specyaml import MAX_BYTES
from flowledger.errors import SpecError, UsageError
from tests.bench import EXAMPLE

Piped = Callable[[bytes], Path]


@pytest.fixture
def piped() -> Any:
    """A path such as `<(...)` of a shell is, and what is written into it from elsewhere."""
    ends: list[int] = []
    writers: list[threading.Thread] = []

    def pipe(data: bytes, *, endless: bool = False) -> Path:
        reading, writing = os.pipe()
        ends.append(reading)

        def write() -> None:
            try:
                with os.fdopen(writing, "wb") as file:
                    file.write(data)
                    while endless:
                        file.write(data)
            except BrokenPipeError:
                pass  # the reader has seen enough

        writers.append(threading.Thread(target=write))
        writers[-1].start()
        return Path(f"/dev/fd/{reading}")

    yield pipe
    for end in ends:
        os.close(end)
    for writer in writers:
        writer.join()


def test_a_spec_comes_through_a_pipe(piped: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    spec = load_spec(piped(EXAMPLE.read_bytes())).spec
    assert spec == load_spec(EXAMPLE).spec
    assert spec.folder == str(tmp_path), "relative paths count from the working directory"


def test_a_dash_is_standard_input(piped: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    path = piped(EXAMPLE.read_bytes())
    before = os.dup(0)
    try:
        os.dup2(int(path.name), 0)
        assert load_spec("-").spec == load_spec(EXAMPLE).spec
    finally:
        os.dup2(before, 0)
        os.close(before)


def test_a_pipe_that_says_no_end_is_refused_at_a_files_bound(piped: Any) -> None:
    with pytest.raises(SpecError, match=f"larger than {MAX_BYTES >> 20} MiB"):
        load_spec(piped(b"a: b\n" * 1000, endless=True))


def test_faults_of_a_piped_spec_name_their_place(piped: Any) -> None:
    path = piped(EXAMPLE.read_bytes().replace(b"kind: paypal", b"kind: papyal"))
    with pytest.raises(SpecError) as caught:
        load_spec(path)
    assert caught.value.faults[0].startswith(f"{path}:")


def test_standard_input_is_one_spec(tmp_path: Path) -> None:
    assert spec_files([Path("-")]) == [Path("-")]
    with pytest.raises(UsageError, match="given twice"):
        spec_files([Path("-"), Path("-")])


def test_hidden_files_of_a_folder_are_no_specs_and_no_kinds(tmp_path: Path) -> None:
    for name in ("a.yaml", "._a.yaml", ".hidden.yml", "flowledger.toml", "b.toml"):
        (tmp_path / name).write_text("x")
    (tmp_path / ".#a.yaml").symlink_to("nobody@host.1")
    assert [path.name for path in spec_files([tmp_path])] == ["a.yaml", "b.toml"]
    (tmp_path / "a.yaml").unlink()
    (tmp_path / "b.toml").unlink()
    assert kinds_from({KINDS_ENV: str(tmp_path)}) == {}


@pytest.mark.parametrize(
    ("what", "said"), [("link", "leads to nothing"), ("folder", "is a folder"), ("pipe", "is no regular file")]
)
def test_what_is_named_like_a_spec_and_is_no_file_is_a_fault_with_its_name(
    tmp_path: Path, what: str, said: str
) -> None:
    (tmp_path / "a.yaml").write_text("x")
    odd = tmp_path / "b.yaml"
    if what == "link":
        odd.symlink_to("gone.yaml")
    elif what == "folder":
        odd.mkdir()
    else:
        os.mkfifo(odd)
    for read in (partial(spec_files, [tmp_path]), partial(kinds_from, {KINDS_ENV: str(tmp_path)})):
        with pytest.raises(SpecError) as caught:
            read()
        assert caught.value.faults[0].startswith(f"{odd}: ")
        assert said in caught.value.faults[0]


def test_a_link_to_a_spec_is_a_spec(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "a").write_text("x")
    (tmp_path / "in" / "a.yaml").symlink_to("../a")
    assert [path.name for path in spec_files([tmp_path / "in"])] == ["a.yaml"]


def test_a_column_may_begin_and_end_with_blanks() -> None:
    document = yaml.safe_load(EXAMPLE.read_text())
    document["mappings"] = {"Product_Id": "_id", " Gross": "product.name", "Net ": "product.type"}
    document["source"]["delta"] = " At"
    spec = spec_from_mapping(document)
    assert [mapping.source for mapping in spec.mappings] == ["Product_Id", " Gross", "Net "]
    assert spec.source.delta is not None
    assert spec.source.delta.column == " At"


@pytest.mark.parametrize("end", ["---\n", "---", "...\n---\n", "--- # nothing\n", "---\n...\n"])
def test_a_line_of_dashes_at_the_end_begins_no_second_document(tmp_path: Path, end: str) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(EXAMPLE.read_text() + end)
    assert load_spec(path).spec == load_spec(EXAMPLE).spec
    path.write_text(EXAMPLE.read_text() + "---\nname: another\n")
    with pytest.raises(SpecError, match="a second document begins here"):
        load_spec(path)


@pytest.mark.parametrize(
    ("odd", "said"),
    [("\u00a0", "a no-break space (U+00A0)"), ("\u2028", "a line separator (U+2028)"), ("\u0085", "a next line")],
)
def test_a_character_that_is_no_blank_to_yaml_is_named_with_its_line(tmp_path: Path, odd: str, said: str) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(f"name: x\n# a comment{odd}more\nsource:{odd}kind\n")
    with pytest.raises(SpecError) as caught:
        load_spec(path)
    assert f"line 2 holds {said}" in str(caught.value)


def test_the_hint_of_an_error_is_in_its_traceback() -> None:
    error = UsageError("it is wrong", hint="flowledger resume x")
    assert error.__notes__ == ["next: flowledger resume x"]
    error.hint = "flowledger watch x"
    assert error.__notes__ == ["next: flowledger watch x"]
    error.add_note("another")
    error.hint = ""
    assert error.__notes__ == ["another"]


def test_a_verb_that_is_awaited_without_asyncio_is_refused_in_words(tmp_path: Path) -> None:
    coroutine = apply_sync.__wrapped__(EXAMPLE, journal=tmp_path / "j")  # type: ignore[attr-defined] # the verb itself
    with pytest.raises(UsageError, match="asyncio"):
        coroutine.send(None)
