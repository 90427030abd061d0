"""Every page is listed and run, and its files are what they say they are."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

RECIPES = Path(__file__).resolve().parents[2] / "docs" / "recipes"
PAGES = sorted(page.name for page in RECIPES.glob("*.md") if page.name != "README.md")


def test_every_page_is_in_the_list() -> None:
    listed = (RECIPES / "README.md").read_text()
    assert [page for page in PAGES if f"]({page})" in listed] == PAGES


@pytest.mark.parametrize("page", PAGES)
def test_every_page_is_run_by_a_test_of_its_name(page: str) -> None:
    assert (Path(__file__).parent / f"test_{page.removesuffix('.md')}.py").exists()


@pytest.mark.parametrize("page", PAGES)
def test_what_a_page_prints_can_be_read_by_what_it_is_for(farm: Any, page: str) -> None:
    for name, text in farm.unpack(page).items():
        if name.endswith(".py"):
            ast.parse(text)
        elif name.endswith(".yaml"):
            for document in yaml.safe_load_all(text):
                kubernetes_validate.validate(document, "1.31", strict=True)
        elif name.endswith(".sh"):
            assert farm.run("/bin/sh", "-n", name).code == 0
