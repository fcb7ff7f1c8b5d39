"""What rules put below a key of the request is looked up in the sidecar as the evaluator does."""

from __future__ import annotations

import base64

import pytest
from lowered import allowing, judge

from palisade.policy.providers import Provider
from palisade.testing.equivalence import Bed, Issuers, Request, Tally, Token

HEAD = """package p
import input.attributes.request.http
claims := input.identity.claims
h := http.headers["x-h"]
g := http.headers["x-g"]
roles := {"alice": ["dev"], "bob": ["dev", "admin"], "1": ["admin"], "\u00e9": ["dev"]}
basic := parsed if {
	[_, encoded] := split(http.headers.authorization, " ")
	[parsed, _] := split(base64url.decode(encoded), ":")
}
of_user[user][r] if { user := claims.sub; r := roles[user][_] }
of_basic[basic][r] if { r := roles[basic][_] }
of_data[user] contains r if { user := claims.sub; some r in data.users[user].roles }
of_header[h] contains r if { some r in {"dev", "admin"}; r in claims.roles }
needed[r] if { some r in {"GET": ["dev"], "PUT": ["admin"]}[http.method] }
two[h] := 1 if claims.sub
two[g] := 2 if http.method == "PUT"
"""
DATA = {
    "users": {f"user{n}": {"roles": ["dev", "admin"][: n % 3]} for n in range(30)} | {"1": {"roles": ["dev"]}}
}
BODIES = (
    "of_user[claims.sub].admin",
    "of_user[claims.sub][r]; needed[r]",
    "not of_user[claims.sub].dev",
    "of_user[h].dev",
    "count(of_user) == 0",
    "of_basic[basic][r]; needed[r]",
    '"admin" in of_data[claims.sub]',
    "not of_data[claims.sub]",
    'of_data["user2"]',
    '"dev" in of_header[h]',
    "two.a == 1",
    "two[g] == 2",
    "not two[h]",
)


def _asked() -> list[Request]:
    subjects = (
        "alice",
        "bob",
        "user1",
        "user2",
        "user3",
        "1",
        1,
        None,
        ["bob"],
        {},
        "\u00e9",
        "",
        "x" * 3000,
    )
    found: list[Request] = []
    for at, sub in enumerate(subjects):
        headers = (("x-h", ("a", "bob", "", "alice")[at % 4]), ("x-g", ("a", "k")[at % 2]))
        token = Token("corp", {"sub": sub, "roles": (["dev"], ["x", "admin"], "dev", [])[at % 4]})
        for method in ("GET", "PUT"):
            found += [Request(method, "/", headers, token), Request(method, "/", headers[:1], token)]
            found.append(Request(method, "/", (*headers, ("x-h", "b")), token))
    for user in ("alice", "bob", "1", "\u00e9", "", "nobody"):
        said = base64.urlsafe_b64encode(f"{user}:secret".encode()).decode()
        found += [Request(method, "/", (("authorization", f"Basic {said}"),)) for method in ("GET", "PUT")]
    return [*found, Request("GET", "/"), Request("GET", "/", (("authorization", "Basic"),))]


@pytest.mark.parametrize("providers", [1], ids=("one",), indirect=True)
def test_what_is_below_a_key(bed: Bed, providers: tuple[Provider, ...], issuers: Issuers) -> None:
    """Of users who are in the table and others, of keys that are no texts, and of two rules with one key."""
    judge(bed, allowing(BODIES, providers, issuers, head=HEAD, data=DATA), _asked(), tally := Tally())
    assert tally.native > 0.6 * tally.pairs, tally
