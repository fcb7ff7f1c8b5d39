"""The protocol of a request, and what Envoy leaves empty in every one, are decided in the sidecar."""

from __future__ import annotations

import pytest
from lowered import judge, subject_of

from palisade import rego
from palisade.enforce.envoy import compile_sidecar
from palisade.explain.sidecar import decided, sight
from palisade.testing.equivalence import Bed, Issuers, Request, Tally, revision_of

HEAD = "package p\nimport input.attributes.request.http\n"
IDIOMS = (
    *('http.protocol == "HTTP/2"', 'http.protocol in {"HTTP/1.1", "HTTP/2"}', 'http.protocol != "HTTP/1.1"'),
    *('startswith(http.protocol, "HTTP/")', 'endswith(http.protocol, "/2")', "not http.protocol"),
    *('lower(http.protocol) == "http/2"', 'http.protocol == http.headers["x-p"]', "http.protocol.x"),
    *('split(http.protocol, "/")[1] == "2"', "is_string(http.protocol)", 'http.protocol == "http/2"'),
    *('http.query == "a=b"', "not http.query", 'http.fragment == ""', "not http.fragment", "http.query[_]"),
)
ASKED = tuple(
    Request("GET", target, headers, http2=http2)
    for target in ("/", "/a?a=b", "/?")
    for headers in ((), (("x-p", "HTTP/2"),), (("x-p", "HTTP/1.1"),))
    for http2 in (False, True)
)


def test_the_protocol_and_what_is_empty(bed: Bed, issuers: Issuers) -> None:
    """Over HTTP/1 and HTTP/2."""
    subjects = [
        subject_of(rego.compile({"p.rego": f"{HEAD}allow if {{ {each} }}"}), (), issuers) for each in IDIOMS
    ]
    judge(bed, subjects, ASKED, tally := Tally())
    assert tally.residual == 0, tally


@pytest.mark.parametrize("protocol", ["HTTP/1.1", "HTTP/2"])
def test_it_is_known_where_decisions_are_explained(protocol: str) -> None:
    """What Envoy does is told from its configuration, which has the protocol laid down."""
    policy = rego.compile({"p.rego": f'{HEAD}allow if http.protocol == "HTTP/2"'})
    revision = revision_of(policy, "p/allow", ())
    enforcement = compile_sidecar(revision, revision.inventory.functions["orders"], {})
    http = {"method": "GET", "path": "/", "host": "a", "scheme": "http", "protocol": protocol}
    document = {"attributes": {"request": {"http": http | {"headers": {":method": "GET", ":path": "/"}}}}}
    found = decided(enforcement.snapshot, sight(enforcement.snapshot, document))
    assert found.allowed is (protocol == "HTTP/2")
