"""The JWT filter and the rules change one after the other: rules take no claims of other issuers."""

from __future__ import annotations

import json
from collections.abc import Iterator

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from stand import Sent, Stand, in_memory

from palisade.decide import verified
from palisade.enforce.envoy.compile import IDENTITY
from palisade.policy.sets import PolicySet

DECISION = "palisade/identity/allow"
KEY = ec.generate_private_key(ec.SECP256R1())
KEYS = json.dumps(
    {
        "keys": [
            {**jwt.algorithms.ECAlgorithm.to_jwk(KEY.public_key(), as_dict=True), "kid": "1", "alg": "ES256"}
        ]
    }
)


@pytest.fixture(scope="module")
def stand() -> Iterator[Stand]:
    with Stand() as started:
        yield started


PLACES = [{"header": "x-token"}, {"cookie": "session"}, {"query": "token"}]


def policies(*issuers: str, place: dict[str, str] | None = None, forward: bool = True) -> PolicySet:
    """Providers `a`, `b` and so on of these issuers, all with one key, and tokens at the place."""
    places = {"tokens": [place]} if place else {}
    providers = {
        name: {
            "issuer": issuer,
            "any_audience": True,
            "jwks": json.loads(KEYS),
            "forward": forward,
            **places,
        }
        for name, issuer in zip("ab", issuers, strict=False)
    }
    source = f"""package palisade.identity

providers := {json.dumps(providers)}

default allow := false

allow if input.identity.claims.role == "admin"

allow if {{
	not input.identity
	input.attributes.request.http.path == "/open"
}}
"""
    return in_memory({"allow.rego": source})


def bearing(issuer: str, **claims: object) -> tuple[tuple[str, str], ...]:
    own = {"iss": issuer, "role": "admin", "exp": 4_000_000_000, **claims}
    return (("authorization", f"Bearer {jwt.encode(own, KEY, algorithm='ES256', headers={'kid': '1'})}"),)


def deciders(stand: Stand, *requests: Sent) -> list[tuple[int, str]]:
    """The status of each and who decided."""
    found = []
    for each in requests:
        status = stand.send(each).status
        (entry,) = stand.log(1)
        found.append((status, entry["palisade"]["decider"]))
    return found


@pytest.mark.parametrize("place", PLACES, ids=str)
def test_no_token_is_overlooked_wherever_it_may_be(stand: Stand, place: dict[str, str]) -> None:
    """Where the JWT filter of the second revision has looked, the rules of the first see that it has."""
    [(kind, name)] = place.items()
    stand.enforce(policies("https://one", "https://zero", place=place), DECISION, keys={"a": KEYS, "b": KEYS})
    assert deciders(stand, Sent(path="/open")) == [(200, "native")]
    stand.swap(policies("https://two", place=place), DECISION, IDENTITY, keys={"a": KEYS})
    token = bearing("https://two")[0][1].removeprefix("Bearer ")
    spelled = {
        "header": [Sent(path="/open", headers=((name.upper(), token),))],
        "cookie": [Sent(path="/open", headers=(("cookie", f"a=b; {name}={token}"),))],
        "query": [Sent(path=f"/open?{each}={token}") for each in (name, f"%{ord(name[0]):x}{name[1:]}")],
    }[kind]
    assert {decider for _, decider in deciders(stand, *spelled)} == {"residual"}


def test_a_token_that_was_taken_away_is_not_taken_for_none(stand: Stand) -> None:
    """A provider that does not forward its token leaves the place empty."""
    stand.enforce(policies("https://one", "https://zero"), DECISION, keys={"a": KEYS, "b": KEYS})
    stand.swap(policies("https://two", forward=False), DECISION, IDENTITY, keys={"a": KEYS})
    assert deciders(stand, Sent(path="/open", headers=bearing("https://two"))) == [(200, "residual")]
    stand.enforce(
        policies("https://one", "https://zero", forward=False), DECISION, keys={"a": KEYS, "b": KEYS}
    )
    requests = [Sent(headers=bearing("https://one")), Sent(path="/open")]
    assert deciders(stand, *requests) == [(200, "native"), (200, "native")]


@pytest.mark.parametrize("issuers", [("https://one",), ("https://one", "https://two")])
def test_whatever_is_wrong_with_a_token_is_decided_in_the_sidecar(
    stand: Stand, issuers: tuple[str, ...]
) -> None:
    """The JWT filter has looked, and has found nothing: no question for the engine."""
    stand.enforce(policies(*issuers), DECISION, keys={"a": KEYS, "b": KEYS})
    cut = bearing("https://one")[0][1][:-3]
    requests = [Sent(headers=bearing(each)) for each in issuers]
    requests += [
        Sent(path="/open"),
        Sent(),
        Sent(headers=bearing("https://three")),
        Sent(headers=bearing("https://one", exp=1)),
        Sent(headers=(("authorization", cut),)),
        Sent(headers=(("authorization", "Bearer"),)),
        Sent(method="OPTIONS", headers=(("origin", "https://a"), ("access-control-request-method", "GET"))),
    ]
    statuses = [200] * len(issuers) + [200] + [403] * 6
    assert deciders(stand, *requests) == [(status, "native") for status in statuses]


def test_between_two_revisions_with_other_issuers_the_engine_is_asked(stand: Stand) -> None:
    """The rules of the first, the JWT filter of the second: no tokens count, nor that there are none."""
    stand.enforce(policies("https://one"), DECISION, keys={"a": KEYS})
    stand.swap(policies("https://two"), DECISION, IDENTITY, keys={"a": KEYS})
    found = deciders(
        stand,
        Sent(headers=bearing("https://one")),
        Sent(headers=bearing("https://two")),
        Sent(path="/open", headers=bearing("https://two", role="none")),
        Sent(path="/open"),
    )
    assert [decider for _, decider in found] == ["residual"] * 4


def test_a_renewed_key_changes_no_names(stand: Stand) -> None:
    """What a provider's own keys are is no setting: rotating them sends nobody to the engine."""
    stand.enforce(policies("https://one"), DECISION, keys={"a": KEYS})
    other = json.dumps({"keys": [*json.loads(KEYS)["keys"], {"kty": "oct", "k": "AAAA", "kid": "2"}]})
    stand.swap(policies("https://one"), DECISION, IDENTITY, keys={"a": other})
    assert deciders(stand, Sent(headers=bearing("https://one")), Sent()) == [(200, "native"), (403, "native")]


@pytest.mark.parametrize(
    ("names", "settings"),
    [
        ([], ""),
        (["corp"], ""),
        (["@0123456789ab", "@0123456789ab.header"], ""),
        (["corp!12"], "12"),
        (["@!12"], "12"),
        (["@corp!12.header", "corp!12"], "12"),
        (["@corp!12.header"], ""),
    ],
)
def test_names_tell_the_settings(names: list[str], settings: str) -> None:
    """Of providers' tokens, not of those that a policy verifies itself."""
    assert verified.settings_of(names) == settings


def test_names_of_providers_stay_in_order() -> None:
    """The first one by name counts, in the sidecar and in the engine."""
    names = ["a", "a-b", "a.b", "a0", "aB", "a_b", "ab"]
    assert names == sorted(names)
    left = [verified.name_of(name, "12") for name in names]
    assert left == sorted(left)
    assert [verified.provider_of(name) for name in left] == names
