"""The port that a connection came to: Envoy's own matchers know it, as the evaluator does."""

from __future__ import annotations

import pytest
from lowered import allowing, judge_natively, judge_reading
from stand import Sent, Stand, in_memory

from palisade.policy.providers import Provider
from palisade.testing.equivalence import Bed, Issuers, Request

PORT = "input.attributes.destination.address.socketAddress.portValue"
HEAD = f"""package p
import input.attributes.request.http
port := {PORT}
service := "shop" if port == 80
service := "other" if port != 80
"""
DATA = {"services": {"80": "shop", "443": "safe"}, "ports": [443, 80]}
RULES = (
    "port == 80",
    "not port == 80",
    "port == 8.0e1",
    "port != 443",
    "port in {443, 80}",
    "port in {-80, 80.5, 1e400, 8000, 180}",
    'port in {"80", true, null}',
    'port == "80"',
    "port",
    "not port",
    "is_number(port)",
    "is_string(port)",
    'not startswith(port, "8")',
    "some x in port",
    'type_name(port) == "number"',
    "port in data.ports",
    "data.services[port] == http.host",
    '{80: "a", 443: "b"}[port] == http.headers["x-tenant"]',
    'service == http.headers["x-tenant"]',
    'object.get(input.attributes, ["destination", "address", "socketAddress", "portValue"], 0) == 80',
    "input.attributes.destination.address",
    "is_object(input.attributes.destination.address.socketAddress)",
    "input.attributes.destination.address.socketAddress.portValue.x",
    "count([p | some p in [80, 443]; p == port]) == 1",
)
TENANTS = ("shop", "other", "a", "b", "80", "")


@pytest.mark.parametrize("providers", [0], ids=("none",), indirect=True)
def test_a_port_is_compared_as_the_evaluator_does(
    bed: Bed, providers: tuple[Provider, ...], issuers: Issuers
) -> None:
    """No request of such a rule was decided in the sidecar. Where the connection came to is port 80 here."""
    requests = [Request(headers=(("host", each),)) for each in ("shop", "safe:443")]
    requests += [Request(headers=(("x-tenant", each),)) for each in TENANTS]
    subjects = allowing(RULES, providers, issuers, head=HEAD, data=DATA)
    judge_natively(bed, subjects, requests, residual=0.01)
    bed.load(subjects[0])
    judge_reading(bed, subjects[0], requests)


@pytest.mark.parametrize("off", [0, 1])
def test_it_is_the_port_that_the_sidecar_listens_at(off: int) -> None:
    with Stand() as stand:
        policy = in_memory({"p.rego": f"package p\nallow if {PORT} == {stand.port + off}"})
        wanted, seen, residual = stand.both_ways(policy, "p/allow", [Sent()])
    assert seen == wanted == [403 if off else 200]
    assert not residual
