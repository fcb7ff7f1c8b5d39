"""A policy that looks through a request without naming its body is given the body, as OPA-Envoy gives it."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from stand import Sent, Stand, in_memory

from palisade.enforce.envoy.bodies import mentions
from palisade.enforce.envoy.bodies.looking import Sight
from palisade.rego.policy import compile

HEAD = """package p

import input.attributes.request.http

request := input.attributes.request

named if walk(input, [_, "drop"])

has(value) if contains(json.marshal(value), "drop")

reads(value, name) := value[name]

"""
THROUGH = (
    'not contains(json.marshal(input), "drop")',
    "not named",
    "not has(input.attributes)",
    "not has(request)",
    'every _, value in http { not value == `{"op": "drop"}` }',
    'not object.subset(input, {"parsed_body": {"op": "drop"}})',
    'not json.filter(input, ["parsed_body/op"]) == {"parsed_body": {"op": "drop"}}',
    'not input[http.headers["x-k"]].op == "drop"',
    'not object.get(input, [http.headers["x-k"], "op"], "") == "drop"',
    'not reads(input, http.headers["x-k"]).op == "drop"',
)
PAST = (
    'object.get(input, ["attributes", "request", "http", "headers", "x-k"], "") == "a"',
    'object.get(http, "headers", {})["x-k"] == "a"',
    'request.http.headers[http.headers["x-k"]] == "a"',
    'reads(http.headers, http.headers["x-k"]) == "a"',
    "contains(json.marshal(input.parsed_query), http.host)",
)


@pytest.mark.parametrize("rule", THROUGH)
def test_it_is_given_the_body(stand: Stand, rule: str) -> None:
    """Without it nothing was found in any, and what is not to pass did."""
    stand.enforce(in_memory({"p.rego": f"{HEAD}allow if {{ {rule} }}\n"}), "p/allow")
    headers = (("content-type", "application/json"), ("x-k", "parsed_body"))
    sent = [Sent("POST", "/", headers, b'{"op": "%b"}' % each) for each in (b"read", b"drop")]
    assert [stand.send(each).status for each in sent] == [200, 403]


@pytest.mark.parametrize("rule", PAST)
def test_what_looks_elsewhere_is_not(stand: Stand, rule: str) -> None:
    """Bodies are waited for only where it takes them."""
    policy = in_memory({"p.rego": f"{HEAD}allow if {{ {rule} }}\n"})
    assert not stand.enforce(policy, "p/allow").body


def test_an_edit_has_its_own_rule_looked_at_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Others are known by what they were planned to: of ten thousand all were looked through at each edit, as
    the string that went with an edit made the table of strings another."""
    looked: list[object] = []
    sight = mentions.sight

    def counted(*asked: Any) -> Sight:
        looked.append(asked[0])
        return sight(*asked)

    monkeypatch.setattr(mentions, "sight", counted)
    policy, known, counts = None, None, []
    for path in ("/5", "/changed", "/5"):
        rules = "".join(f'allow if input.path == "{each}"\n' for each in ("/1", "/2", path, "/3"))
        policy = compile({"p.rego": f"package p\n\ndefault allow := false\n\n{rules}"}, previous=policy)
        known = mentions.mentions(policy.plan(["data.p.allow"]), known)
        counts.append(len(looked))
    assert counts[0] > 5
    assert [after - before for before, after in pairwise(counts)] == [2, 2]  # the rule, and what is asked
