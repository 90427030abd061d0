"""What the README shows is true."""

from __future__ import annotations

import re
from pathlib import Path

import flowledger
from flowledger.engine.specfile import load_spec

README = (Path(__file__).parents[2] / "README.md").read_text()


def test_the_readmes_spec_is_valid(tmp_path: Path) -> None:
    (block,) = re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)
    file = tmp_path / "spec.yaml"
    file.write_text(block)
    assert load_spec(file).spec.name == "paypal-products"


def test_the_readmes_names_of_the_package_exist() -> None:
    (block,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    names = set(re.findall(r"flowledger\.([A-Za-z_]+)", block))
    assert {"apply", "TryLater"} <= names
    assert all(hasattr(flowledger, name) for name in names)


def test_every_file_that_the_readme_links_to_is_there() -> None:
    root = Path(__file__).parents[2]
    links = re.findall(r"\]\(((?!http)[^)#]+)\)", README)
    assert links
    assert [link for link in links if not (root / link).exists()] == []
