"""What `palisade check` says of policies that were written for other gateways and meshes."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.policy.warning_helpers import warned


@pytest.mark.parametrize(
    ("read", "meant"),
    [
        ('input.http_request.path == "/"', "input.attributes.request.http"),
        ("data.b.f(input.request)", "input.attributes.request"),
        ('input.action == "read"', "input.attributes.request.http.method"),
        ('startswith(input.resource, "/a")', "input.attributes.request.http.path, or its segments"),
        ('input.source.principal == "a"', "input.attributes.source"),
        ('input.principal.role == "a"', "input.peer, the function that calls, or a claim in"),
    ],
)
def test_what_other_gateways_call_it(tmp_path: Path, read: str, meant: str) -> None:
    """Who brings a policy over was told of what there is in all, and not of what is meant: by Gloo's
    `input.http_request`, or by the `input.action` of many a service."""
    helper = "package b\n\nf(x) if x\n"
    ((_, _, text),) = warned(tmp_path, a=f"package a\n\nallow if {read}\n", b=helper, decision=("a", "allow"))
    assert f"is undefined in all requests; a request has {meant}" in text
    assert warned(tmp_path) == []  # events and Kubernetes' reviews have such keys


def test_packages_that_the_deciding_one_refers_to(tmp_path: Path) -> None:
    """Their rules are asked about the same request: nothing was said of helpers that deny all."""
    source = "package a\n\nimport data.b\n\nallow if b.reads\n"
    helper = "package b\n\nreads if data.lib.c.action(1)\n"
    called = 'package lib.c\n\naction(x) if input.action == x\n\nb if input.event.kind == "x"\n'
    other = "package d\n\nevent if input.action == 1\n"
    found = warned(tmp_path, a=source, b=helper, c=called, d=other, decision=("a", "allow"))
    assert [(file, row) for file, row, _ in found] == [("p/c.rego", 3), ("p/c.rego", 5)]


def test_what_a_mesh_calls_the_functions(tmp_path: Path) -> None:
    """As policies for Istio have it: the comparison is false in all requests, and nothing said so."""
    source = """package a

import input.attributes.destination.principal as called

allow if called == "spiffe://cluster.local/ns/shop/sa/orders"

allow if data.services[called].open
"""
    services = 'package services["spiffe://x/a"]\n\nopen := true\n'
    ((file, row, text),) = warned(tmp_path, a=source, s=services)
    assert (file, row) == ("p/a.rego", 5)
    assert (
        "is spiffe://palisade.local/function/NAME, and nothing here is called so; compare input.function"
        in text
    )
    own = 'package b\n\nc if data.a.called == "spiffe://palisade.local/function/orders"\n'
    assert warned(tmp_path, b=own.replace("data.a.called", "input.attributes.destination.principal")) == []
    by_name = 'package a\n\nallow if endswith(input.attributes.destination.principal, "/orders")\n'
    assert warned(tmp_path, a=by_name, b="package b\n") == []


@pytest.mark.parametrize(
    ("rules", "told"),
    [
        (
            'allow := {"allow": true, "headers": {}} if input.function',
            'a decision that is an object without "allowed" denies each request that gets it; did you mean'
            ' "allowed" by "allow"?',
        ),
        ('default allow := {"reason": "none"}', 'say "allowed": true or false'),
        ('allow := x if {\n\tx := {"allow": false, "message": "no"}\n}', '"allowed" by "allow"?'),
        ('allow["allow"] := true if input.function', '"allowed" by "allow"?'),
        (
            'allow := {"allowed": false, "status": 418}',
            'nothing reads "status" of a decision; did you mean "http_status"?',
        ),
    ],
)
def test_answers_that_other_gateways_read(tmp_path: Path, rules: str, told: str) -> None:
    """Kong reads `allow` and `status` of a decision. Here all was denied, and nothing said why."""
    ((file, row, text),) = warned(tmp_path, a=f"package a\n\n{rules}\n", decision=("a", "allow"))
    assert (file, row) == ("p/a.rego", 3)
    assert told in text
    assert warned(tmp_path, decision=("a", "other")) == []


@pytest.mark.parametrize(
    "rules",
    [
        'allow := {"allowed": true, "status": 200, "http_status": 200, "id": 7}',
        'allow["allowed"] := true\n\nallow["reason"] := "a" if input.function',
        'allow := object.union({"allowed": true}, {"id": 1})',
        "allow[k] := v if some k, v in input.parsed_body",
        "allow := input.parsed_body",
        "allow(x) := {} if x",
    ],
)
def test_answers_that_are_read(tmp_path: Path, rules: str) -> None:
    assert warned(tmp_path, a=f"package a\n\n{rules}\n", decision=("a", "allow")) == []
