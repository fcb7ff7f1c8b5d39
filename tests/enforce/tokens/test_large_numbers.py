"""Numbers of a token that the policy takes apart itself have all digits in Rego, and are doubles in Envoy."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from lowered import judge_reading, subject_of
from signed_tokens import SECRET

from palisade import rego
from palisade.explain.sidecar import UnreadError, sight
from palisade.policy.providers import Header, InlineKeys, Provider
from palisade.rego.text import dumps
from palisade.testing.equivalence import Bed, Request, Tally, Token, compare
from palisade.testing.equivalence.tokens import Issuers

LARGE = 1 << 53
NUMBERS = [
    *(sign * (LARGE + more) for more in (-2, -1, 0, 1, 2, 3) for sign in (1, -1)),
    *(1 << 60, (1 << 60) + 1, 10**22, 10**22 + 1, 0, 7, -3, 1.5),
]

CONDITIONS = [
    *(f"claims.x {sign} {LARGE}" for sign in ("==", "!=", "<", "<=", ">", ">=")),
    *(f"claims.x {sign} {LARGE + 1}" for sign in ("==", "!=")),
    f"not claims.x == {-LARGE}",
    f"claims.x in {{1, {LARGE}, {1 << 60}}}",
    f"not claims.x in {{{LARGE}, {10**22}}}",
    "data.large[_] == claims.x",
    f"{LARGE} in claims.several",
    f"not {LARGE} in claims.several",
    f"claims.several[0] == {LARGE}",
    f"some each in claims.several; each > {LARGE}",
    f"claims.several == [{LARGE}, 1]",
    f'claims.held == {{"in": {LARGE}}}',
    f"claims.held.in == {LARGE}",
    "claims.x == claims.y",
    "claims.x != claims.y",
    "claims.x < claims.y",
    "claims.several[0] == claims.y",
    "claims.x % 2 == 1",
    f"claims.x + 1 == {LARGE}",
    f"to_number(claims.x) == {LARGE}",
    "claims.x == 1.5",
]
"""Beside them stands a text, of which the sidecar knows all."""

TOKEN = 'trim_prefix(http.headers.authorization, "Bearer ")'
VERIFIED = f"claims := found if [true, _, found] = io.jwt.decode_verify({TOKEN}, {dumps({'secret': SECRET})})"
DECODED = f"claims := io.jwt.decode({TOKEN})[1]"
CORP = Provider("corp", "corp", (), InlineKeys(""), (Header("authorization", "Bearer "),))


def _policy(claims: str) -> rego.Policy:
    rules = (
        f'allow if {{\n\thttp.path == "/{at}"\n\tclaims.text == "a"\n\t'
        + each.replace("; ", "\n\t")
        + "\n}\n"
        for at, each in enumerate(CONDITIONS)
    )
    head = f"package p\n\nimport input.attributes.request.http\n\ndefault allow := false\n\n{claims}\n\n"
    return rego.compile({"p.rego": head + "\n".join(rules)}, data={"large": [1, LARGE, LARGE + 2]})


def _claims() -> Iterator[dict[str, Any]]:
    for number in NUMBERS:
        for other in (LARGE, number):
            numbers = {"x": number, "y": other, "several": [number, 1], "held": {"in": number}}
            yield {"text": "a", **numbers}


@pytest.mark.parametrize("way", ["verified by the policy", "decoded, and verified by a provider"])
def test_a_large_number_is_the_one_that_the_token_names(bed: Bed, issuers: Issuers, way: str) -> None:
    """2^53 and 2^53 + 1 are one double: who had the one in his token passed for the other."""
    if way == "verified by the policy":
        subject = subject_of(_policy(VERIFIED), (), issuers)
        [signer] = subject.signers
    else:
        subject = subject_of(_policy(DECODED), (CORP,), issuers)
        signer = CORP.name
    requests = [
        Request("GET", f"/{at}", token=Token(signer, claims))
        for at in range(len(CONDITIONS))
        for claims in _claims()
    ]
    tally = Tally()
    bed.load(subject)
    found = compare(bed, subject, requests, tally)
    assert [(CONDITIONS[int(each.request.target[1:])], each.seen, each.wanted) for each in found] == []
    assert tally.native > len(requests) / 4  # what is not large needs no engine
    assert tally.allowed > len(requests) / 8


@pytest.mark.parametrize("way", ["verified by the policy", "decoded, and verified by a provider"])
def test_explain_reads_tokens_with_numbers_beyond_doubles_as_the_sidecar_does(
    bed: Bed, issuers: Issuers, way: str
) -> None:
    """Envoy takes nothing of a token with a number that is larger than all doubles, and asks the engine:
    `palisade explain` ended in an OverflowError."""
    text = 'allow if claims.text == "a"'
    claims, providers = (DECODED, (CORP,)) if way.startswith("decoded") else (VERIFIED, ())
    policy = rego.compile(
        {"p.rego": f"package p\nimport input.attributes.request.http\n{claims}\n{text}"}, {}
    )
    subject = subject_of(policy, providers, issuers)
    [signer] = subject.signers or [CORP.name]
    requests = [
        Request(token=Token(signer, {"text": "a", "x": held}))
        for number in (10**308, 10**309, -(10**400), Decimal("1e309"), Decimal("-1e400"), Decimal("1e-400"))
        for held in (number, [1, number], {"in": number})
    ]
    bed.load(subject)
    judge_reading(bed, subject, requests)
    assert {each.asked for each in bed.ask(requests) if each is not None} == {False, True}


@pytest.mark.parametrize("number", [10**400, Decimal("1e400"), Decimal("-1e309")])
def test_explain_says_that_it_cannot_read_claims_that_no_sidecar_has(issuers: Issuers, number: Any) -> None:
    """An input written by hand may have them; it ended in an OverflowError, or in a number of Envoy's that is
    infinite."""
    source = "package p\nallow if input.identity.claims.x > 1\n"
    asked = subject_of(rego.compile({"p.rego": source}, {}), (CORP,), issuers)
    document = {"identity": {"provider": CORP.name, "claims": {"x": [number]}}}
    with pytest.raises(UnreadError, match="larger than all"):
        sight(asked.enforcement.snapshot, document)
