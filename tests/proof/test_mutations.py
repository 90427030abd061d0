"""The mutation check cannot rot unseen: every mutation still fits the tree, and the tests that it names exist."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.proof.mutations import MUTATIONS, Edit, Mutation

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "proof.md").read_text()
each_mutation = pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)


@each_mutation
def test_every_mutation_still_applies_and_gives_python(mutation: Mutation, tmp_path: Path) -> None:
    for file in {edit.file for edit in mutation.edits}:
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_text((ROOT / file).read_text())
    for edit in mutation.edits:
        edit.apply(tmp_path)
    for edit in mutation.edits:
        changed = (tmp_path / edit.file).read_text()
        compile(changed, edit.file, "exec")
        assert changed != (ROOT / edit.file).read_text()


def test_the_tests_that_are_to_catch_a_mutation_exist_with_their_parameters() -> None:
    named = sorted({test for mutation in MUTATIONS for test in mutation.tests})
    command = [sys.executable, "-m", "pytest", "-q", "--collect-only", "-p", "no:cacheprovider", *named]
    seen = subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert seen.returncode == 0, seen.stderr


@each_mutation
def test_the_page_says_which_test_catches_it(mutation: Mutation) -> None:
    [row] = [line for line in PAGE.splitlines() if line.startswith(f"| {mutation.name} |")]
    named = {test.partition("[")[0].replace("::", "` `") for test in mutation.tests}
    assert any(f"`{name}`" in row for name in named), f"docs/proof.md names none of {named}"


@pytest.mark.long
@pytest.mark.timeout(1500)
def test_every_rule_that_is_broken_is_noticed() -> None:
    command = [sys.executable, "-m", "tests.proof.mutate"]
    seen = subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert seen.returncode == 0, seen.stdout + seen.stderr
    assert f"{len(MUTATIONS)} of {len(MUTATIONS)} mutations were caught." in seen.stdout


def test_names_of_mutations_are_unique() -> None:
    assert len({mutation.name for mutation in MUTATIONS}) == len(MUTATIONS)


def test_a_text_that_is_gone_or_there_twice_is_an_error_and_not_a_mutation(tmp_path: Path) -> None:
    (tmp_path / "some.py").write_text("a = 1\nb = 1\n")
    for old in ("c = 1", " = 1"):
        with pytest.raises(LookupError, match=r"some\.py"):
            Edit(file="some.py", old=old, new="").apply(tmp_path)
    assert (tmp_path / "some.py").read_text() == "a = 1\nb = 1\n"
