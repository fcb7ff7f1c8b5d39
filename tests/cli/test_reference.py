"""The reference pages name every command, exit code and setting that there is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from cli_helpers import Run

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


def _anchors(page: Path) -> set[str]:
    """The places in a page that a link may name, as its headings are turned into them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", each.lower()).replace(" ", "-") for each in headings}


def test_links_between_pages_lead_somewhere() -> None:
    for page in [*DOCS.rglob("*.md"), DOCS.parent / "README.md"]:
        for target, anchor in re.findall(r"\]\(([^)#:]*)(?:#([^)]*))?\)", page.read_text()):
            found = page.parent / target if target else page
            assert found.exists(), f"{page.name}: {target}"
            assert not anchor or anchor in _anchors(found), f"{page.name}: {target}#{anchor}"


def test_the_way_from_opa_envoy_is_right(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Run) -> None:
    """The folder and the settings of the page, with the commands that it names."""
    page = (DOCS / "from-opa-envoy.md").read_text()
    settings = re.search(r"```yaml\n(.*?)```", page, re.DOTALL)
    assert settings is not None
    (tmp_path / "palisade.yaml").write_text(settings[1])
    for name in ("envoy", "users"):
        (tmp_path / "policies" / name).mkdir(parents=True)
    (tmp_path / "policies" / "users" / "data.json").write_text('{"k1": {"name": "ann"}}')
    (tmp_path / "policies" / "envoy" / "authz.rego").write_text(_OF_THE_PLUGIN)
    (tmp_path / "policies" / "envoy" / "authz_test.rego").write_text(_TEST_OF_THE_PLUGIN)
    monkeypatch.chdir(tmp_path)
    commands = re.findall(r"^palisade (\w+.*?)(?: +#.*)?$", page, re.MULTILINE)
    assert [each.split()[0] for each in commands] == ["check", "test", "compile", "verify"]
    for command in commands[:3]:
        ended = run(*command.split())
        assert ended.code == 0, ended.out + ended.err
    assert "coverage for people: 2 native" in ended.out
    assert run("explain", "GET /people/7", "--function", "people").code == 1
    assert run("explain", "GET /people/7", "--function", "people", "-H", "x-key: k1").code == 0


_OF_THE_PLUGIN = """\
package envoy.authz

import input.attributes.request.http

default allow := {"allowed": false, "http_status": 401, "body": "who are you?"}

allow := {"allowed": true, "headers": {"x-known": "yes"}} if {
	http.method == "GET"
	input.parsed_path[0] == "people"
	data.users[http.headers["x-key"]]
}
"""
_TEST_OF_THE_PLUGIN = """\
package envoy.authz_test

import data.envoy.authz

test_a_stranger if {
	not authz.allow.allowed with input as {"attributes": {"request": {"http": {"method": "GET"}}}}
}
"""
