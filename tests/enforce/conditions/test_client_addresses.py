"""The address of the client against what a token, a header or the path says: as the evaluator has it."""

from __future__ import annotations

from typing import Any

import pytest
from lowered import allowing, judge_natively, judge_reading
from stand import Sent, Stand, in_memory

from palisade.policy.providers import Provider
from palisade.testing.equivalence import Bed, Issuers, Request, Token

HEAD = """package p
import input.attributes.request.http
claims := input.identity.claims
source := input.attributes.source.address.socketAddress.address
"""
RULES = (
    "claims.ip == source",
    "claims.ip != source",
    "not claims.ip == source",
    "source in claims.ips",
    "not source in claims.ips",
    'http.headers["x-real-ip"] == source',
    'not http.headers["x-real-ip"] == source',
    "startswith(source, claims.ip)",
    'split(http.headers["x-forwarded-for"], ",")[0] == source',
    "input.parsed_path[0] == source",
    'sprintf("%s|%s", [claims.sub, source]) in claims.ips',
    "claims.named[source] == claims.sub",
)
SOURCES = ("127.0.0.1", "10.1.2.3", "10.1.2.33", "2001:db8::1", "::1", "::ffff:10.1.2.3", "fe80::1", "::")
VALUES: tuple[Any, ...] = (
    *SOURCES,
    *("", "10.1.2", "10.1.2.3:80", "010.1.2.3", "[::1]", "2001:DB8::1", "2001:db8:0::1", "ü", "x" * 4000),
    *(None, 0, 10.1, 1e2, True, [], ["10.1.2.3"], {"10.1.2.3": "10.1.2.3"}),
)


def _requests() -> list[Request]:
    found = [Request(source=each) for each in SOURCES]
    for at, value in enumerate(VALUES):
        for source in dict.fromkeys((value if value in SOURCES else SOURCES[at % 3], "10.1.2.3")):
            told = value if isinstance(value, str) else "10.1.2.3"
            own = {"sub": "alice", "ip": value, "ips": [VALUES[at - 1], value, f"alice|{told}"]}
            own["named"] = {told: "alice"} if at % 3 else value
            headers = [("x-real-ip", told), ("x-forwarded-for", f"{told},10.1.2.3")]
            headers += [("x-real-ip", source)] if at % 4 == 0 else []
            token = Token("corp", own)
            target = f"/{told[:60]}".replace("ü", "%C3%BC")
            found.append(Request("GET", target, tuple(headers), token, source=source))
    return found


@pytest.mark.parametrize("providers", [1], ids=("one",), indirect=True)
def test_the_address_is_compared_with_other_values_of_a_request(
    bed: Bed, providers: tuple[Provider, ...], issuers: Issuers
) -> None:
    """Also where a client says of itself in X-Forwarded-For that it is another."""
    subjects = allowing(RULES, providers, issuers, head=HEAD)
    judge_natively(bed, subjects, _requests(), residual=0.15)
    for each in subjects[:2]:
        bed.load(each)
        judge_reading(bed, each, _requests()[::4])


@pytest.mark.parametrize("hops", [0, 1])
def test_whom_a_trusted_proxy_names_is_not_taken_for_the_client(hops: int) -> None:
    """Envoy's expressions see its address as that of the client; policies see the connection's."""
    policy = in_memory({"p.rego": f'{HEAD}\nallow if http.headers["x-real-ip"] == source'})
    forwarded = ("10.0.0.1", "127.0.0.1", "127.0.0.1, 10.0.0.1", "10.0.0.1, 127.0.0.1", "")
    told = [(("x-forwarded-for", each),) for each in forwarded] + [()]
    requests = [
        Sent(path=f"/{at}", headers=(*headers, ("x-real-ip", ip)))
        for at, (headers, ip) in enumerate((each, ip) for each in told for ip in ("127.0.0.1", "10.0.0.1"))
    ]
    with Stand(hops=hops) as stand:
        wanted, seen, residual = stand.both_ways(policy, "p/allow", requests)
    assert seen == wanted
    assert set(wanted) == {200, 403}
    assert bool(residual) == bool(hops), residual
    assert len(residual) < len(requests)
