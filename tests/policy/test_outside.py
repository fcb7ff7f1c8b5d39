"""`palisade check` tells of hosts that policies may not reach, and of settings that they do not get."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from palisade.policy import revisions, sets, warnings

HEAD = 'package a\n\nbase := "https://api.example/v1/"\n\nform := "https://%s/x"\n\n'


def told(folder: Path, body: str, hosts: Sequence[str] | None, *, elsewhere: bool = False) -> list[str]:
    """The codes of the warnings on a rule with that body, and where they stand."""
    (folder / "p.rego").write_text(f"{HEAD}allow if {{\n\t{body}\n}}\n")
    loaded = sets.load(folder, shown="p")
    served, tested = revisions.compile_set(loaded), revisions.compile_set(loaded, tests=True)
    found = warnings.find(served, tested, loaded, hosts=hosts, elsewhere=elsewhere)
    return [f"{each.code} {each.row} {each.message.partition(':')[0]}" for each in found]


UNLISTED = "unlisted_host 8 http.send may not reach api.example"


@pytest.mark.parametrize(
    "body",
    [
        'http.send({"method": "GET", "url": "https://api.example/x"}).body.ok',
        'http.send({"method": "GET", "url": "https://API.example"}).body.ok',
        'http.send({"method": "GET", "url": "https://me:x@api.example:8443/x?y=z"}).body.ok',
        'http.send({"method": "GET", "url": sprintf("https://api.example/%s", [input.peer])}).body.ok',
        'http.send({"method": "GET", "url": concat("", [base, input.peer])}).body.ok',
        'url := base; http.send({"method": "GET", "url": url}).body.ok',
        'asked := {"method": "GET", "url": base}; http.send(asked).body.ok',
    ],
)
def test_a_host_that_nobody_listed_is_told(tmp_path: Path, body: str) -> None:
    """Each request that gets there is denied, and nothing else says so before."""
    rows = UNLISTED
    assert told(tmp_path, body, ()) == [rows]
    assert told(tmp_path, body, ("other.example", "*.api.example")) == [rows]
    assert told(tmp_path, body, ("api.example",)) == []
    assert told(tmp_path, body, ("*.example",)) == []
    assert told(tmp_path, body, None) == []  # of a set alone nobody knows
    assert told(tmp_path, body, (), elsewhere=True) == []


@pytest.mark.parametrize(
    "body",
    [
        'http.send({"method": "GET", "url": sprintf(form, [input.peer])}).body.ok',
        'http.send({"method": "GET", "url": sprintf("https://api.example%s", [input.peer])}).body.ok',
        'http.send({"method": "GET", "url": input.parsed_body.url}).body.ok',
        'http.send({"method": "GET", "url": "/x"}).body.ok',
        'http.send({"method": "GET", "url": "https://[x/"}).body.ok',
        "http.send(input.parsed_body).body.ok",
    ],
)
def test_of_a_host_that_the_request_names_nothing_is_said(tmp_path: Path, body: str) -> None:
    assert not [each for each in told(tmp_path, body, ()) if each.startswith("unlisted_host")]


@pytest.mark.parametrize("asked", ["env.REGION", 'env["REGION"]', "config.labels.id"])
def test_settings_of_the_engine_are_told_to_be_none(tmp_path: Path, asked: str) -> None:
    body = f'opa.runtime().{asked} == "eu"'
    part = asked.partition(".")[0].partition("[")[0]
    assert told(tmp_path, body, ()) == [f"no_runtime 8 opa.runtime().{part} is empty here"]
    assert told(tmp_path, body, (), elsewhere=True) == []


@pytest.mark.parametrize(
    "body",
    [
        'told.env.REGION == "eu"',
        'here := opa.runtime(); here.env.REGION == "eu"',
        'here = opa.runtime(); here["env"].REGION == "eu"',
    ],
)
def test_so_are_those_that_come_by_a_name(tmp_path: Path, body: str) -> None:
    """Policies that read a secret from the environment mostly give what is there a name first."""
    body = f"{body}\n}}\n\ntold := opa.runtime()\n\nother if {{\n\ttrue"
    assert told(tmp_path, body, ()) == ["no_runtime 8 opa.runtime().env is empty here"]


def test_what_is_only_called_env_is_none_of_them(tmp_path: Path) -> None:
    assert not told(tmp_path, "here := input.parsed_body; here.env", ())
    assert not told(tmp_path, "some here in [{}]; here.env", ())
