"""The reference pages name every command, exit code and setting that there is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from palisade.cli.app import app
from palisade.cli.exit_codes import Exit
from palisade.policy.inventory_file import parse

DOCS = Path(__file__).parents[2] / "docs"


def table(page: str, first: str) -> list[str]:
    return re.findall(rf"^\| {first} \|", (DOCS / page).read_text(), re.MULTILINE)


def test_every_command_is_listed() -> None:
    names = {each.name for each in (*app.registered_commands, *app.registered_groups)}
    listed = set(re.findall(r"^\| `([a-z]+)[` ]", (DOCS / "reference" / "cli.md").read_text(), re.MULTILINE))
    assert listed == names


def test_every_exit_code_is_listed() -> None:
    assert table("reference/cli.md", r"(\d)") == [str(int(code)) for code in Exit]


def test_the_example_of_the_inventory_is_right_and_uses_known_settings(tmp_path: Path) -> None:
    page = (DOCS / "reference" / "palisade-yaml.md").read_text()
    example = re.search(r"```yaml\n(.*?)```", page, re.DOTALL)
    assert example is not None
    (tmp_path / "policies").mkdir()
    inventory = parse(example[1], tmp_path / "palisade.yaml")
    assert list(inventory.functions) == ["hello", "orders"]


@pytest.mark.parametrize(
    "setting",
    ["upstream", "listen", "failure", "labels", "protocol", "escaped_slashes", "trusted_hops", "tls"],
)
def test_every_setting_of_a_function_is_listed(setting: str) -> None:
    assert f"functions.NAME.{setting}" in (DOCS / "reference" / "palisade-yaml.md").read_text()


def test_links_between_pages_lead_somewhere() -> None:
    for page in [*DOCS.rglob("*.md"), DOCS.parent / "README.md"]:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"
