"""docs/native.md: each line of its tables is compiled, and is decided where the page says, or better."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from signed_tokens import EC, RSA, jwk

from palisade import rego
from palisade.enforce.envoy import compile_sidecar
from palisade.explain.coverage import Where, report
from palisade.policy.providers import InlineKeys, Provider
from palisade.rego.text import dumps
from palisade.testing.equivalence import revision_of

PAGE = (Path(__file__).parents[2] / "docs" / "native.md").read_text(encoding="utf-8")
(NAMES,) = re.findall(r"```rego\n(.*?)```", PAGE, re.S)
ROW = re.compile(r"^\| `(.+?)` \| (?:`(.+)`|(\w+)) \|", re.M)

PROVIDERS = (Provider("corp", "https://corp.example", ("orders",), InlineKeys("{}")),)
DATA = {
    "grants": {"reader": ["GET"], "clerk": ["GET", "POST"]},
    "users": {f"user{n}": {"roles": ["clerk", "reader"][: n % 3]} for n in range(200)},
    "limits": {"reader": 1, "clerk": 20},
    "inherits": {"boss": ["clerk"], "clerk": ["reader"], "reader": []},
    "roles": {"alice": "clerk", "bob": "reader"},
    "rights": {"reader": {"a.example": ["GET"]}, "clerk": {"a.example": ["GET", "POST"]}},
    "owners": {"orders": "alice", "carts": "bob"},
    "tenants": {"42": "active", "43": "closed"},
    "keys": {"k1": "alice", "k2": "bob"},
    "blocked": ["mallory", "eve"],
    "networks": ["10.0.0.0/8", "fd00::/8"],
    "hours": {"monday": {"from": 8, "to": 17}, "friday": {"from": 9, "to": 12}},
    "routes": [{"prefix": "/admin/", "role": "admin"}, {"prefix": "/", "role": "user"}],
    "secret": "not that secret",
    "digest": "00",
    "issuers": {"https://a.example": dumps(jwk(RSA)), "https://b.example": dumps(jwk(EC))},
}
TOLD = {"sidecar": Where.NATIVE, "nearly": Where.CONDITIONAL, "engine": Where.RESIDUAL}
BETTER = list(TOLD.values())


def decided(rule: str) -> Where:
    """Where the only rule of a decision is decided."""
    policy = rego.compile({"p.rego": f"package p\n\n{NAMES}\n{rule}\n"}, DATA)
    revision = revision_of(policy, "p/allow", PROVIDERS)
    function = revision.inventory.functions["orders"]
    (only,) = report(policy, "p/allow", compile_sidecar(revision, function, {"corp": '{"keys": []}'})).rules
    return only.where


def rule_of(written: str) -> str:
    answer = written.startswith("{")
    return f'allow := {written} if http.method == "GET"' if answer else f"allow if {{ {written} }}"


def promises() -> Iterator[tuple[str, str]]:
    for written, instead, where in ROW.findall(PAGE.replace(r"\|", "|")):
        yield written, where or "engine"
        if instead:
            yield instead, "nearly"


@pytest.mark.parametrize(("written", "where"), list(promises()))
def test_each_line_is_decided_where_the_page_says(written: str, where: str) -> None:
    """What becomes native later is no fault; the page is to say so then."""
    assert BETTER.index(decided(rule_of(written))) <= BETTER.index(TOLD[where])


def test_the_page_has_lines_of_each_kind() -> None:
    found = [where for _, where in promises()]
    assert {where: found.count(where) >= 10 for where in TOLD} == dict.fromkeys(TOLD, True)
