"""Texts that a builtin makes of others, as base64url.decode and lower do, are made in the sidecar."""

from __future__ import annotations

import json
import os

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from lowered import PROVIDERS, subject_of
from signed_tokens import SECRET, signed
from texts_made import (
    CREDENTIALS,
    HEAD,
    OF_PROVIDERS,
    POLICIES,
    base64_of,
    of_providers,
    requests,
    with_credentials,
)

from palisade import rego
from palisade.testing.equivalence import Bed, Issuers, Request, Subject, Tally, Token, compare
from palisade.testing.equivalence.telling import lines, summary

EXAMPLES = int(os.environ.get("PALISADE_EXAMPLES", "3"))


@pytest.mark.long
@settings(max_examples=EXAMPLES, phases=(Phase.explicit, Phase.reuse, Phase.generate))
@pytest.mark.parametrize("count", [0, 1, 2])
@given(data=st.data())
def test_of_headers_and_claims_of_providers(
    bed: Bed, issuers: Issuers, count: int, data: st.DataObject
) -> None:
    """Whoever of several providers signed, and with none: what is not there makes nothing."""
    asked = data.draw(st.lists(of_providers(), min_size=25, max_size=25))
    asked = [each for each in asked if count or each.token is None]
    for rule in OF_PROVIDERS:
        policy = rego.compile({"p.rego": f"{HEAD}said := input.identity.claims\n\n{rule}"})
        subject = subject_of(policy, PROVIDERS[:count], issuers)
        bed.load(subject)
        for difference in compare(bed, subject, asked, Tally()):
            raise AssertionError("\n".join((summary(difference), subject.name, *lines(difference))))


@pytest.mark.parametrize("rule", OF_PROVIDERS[:15])
def test_headers_and_claims_need_no_engine(bed: Bed, issuers: Issuers, rule: str) -> None:
    policy = rego.compile({"p.rego": f"{HEAD}said := input.identity.claims\n\n{rule}"})
    subject = subject_of(policy, PROVIDERS, issuers)
    headers = (("x-user", "Ann"), ("x-other", "ANN"), ("x-path", "/"), ("host", "ann"))
    bed.load(subject)
    tally = Tally()
    claims = {"c": "YW5u", "n": "Ann", "deep": {"c": "QW5u"}}
    tokens = [Token("corp", claims), Token("partner", claims), Token("corp", claims, spoiled=True), None]
    assert not compare(bed, subject, [Request("GET", "/", headers, each) for each in tokens], tally)
    assert (tally.native, tally.residual) == (4, 0)


@pytest.fixture(scope="module")
def loaded(issuers: Issuers) -> list[Subject]:
    return [subject_of(rego.compile({"p.rego": HEAD + each}), (), issuers) for each in POLICIES]


@pytest.mark.long
@settings(max_examples=EXAMPLES, phases=(Phase.explicit, Phase.reuse, Phase.generate))
@given(data=st.data())
def test_they_are_what_rego_makes_of_them(bed: Bed, loaded: list[Subject], data: st.DataObject) -> None:
    """Letters beyond ASCII, broken encodings, other types and tokens of others change no decision."""
    asked = data.draw(st.lists(requests(), min_size=25, max_size=25))
    for subject in loaded:
        bed.load(subject)
        for difference in compare(bed, subject, asked, Tally()):
            raise AssertionError("\n".join((summary(difference), subject.name, *lines(difference))))


@pytest.mark.parametrize(
    ("rule", "values"),
    [
        *((each, ("Ann", "bob")) for each in (*POLICIES[:6], *POLICIES[14:20])),
        *((each, ("YW5u", "QW5u")) for each in (*POLICIES[6:9], *POLICIES[10:14])),
    ],
)
def test_they_are_made_in_the_sidecar(bed: Bed, issuers: Issuers, rule: str, values: tuple[str, str]) -> None:
    """What is plain needs no engine."""
    subject = subject_of(rego.compile({"p.rego": HEAD + rule}), (), issuers)
    token = signed(json.dumps({"c": "YW5u", "n": "Ann"}), "secret", "HS256", "{}")
    headers = (("content-type", "application/json"), ("x-json", '{"a": "YTpi"}'), ("x-token", token))
    headers += (("authorization", f"Bearer {token}"),)
    bed.load(subject)
    tally = Tally()
    asked = [Request("POST", "/", headers, None, json.dumps({"a": each})) for each in values]
    assert not compare(bed, subject, asked, tally)
    assert (tally.native, tally.residual) == (2, 0)


@pytest.mark.parametrize(
    "proof",
    [
        f'io.jwt.verify_hs256(bearer, "{SECRET}")',
        f'io.jwt.decode_verify(bearer, {{"secret": "{SECRET}"}})[0]',
    ],
    ids=("verified", "decoded"),
)
def test_a_claim_of_a_token_that_is_verified_apart(bed: Bed, issuers: Issuers, proof: str) -> None:
    """The claims are decoded by one call and vouched for by another: they are those that Envoy verified."""
    rule = f"allow if {{ {proof}; lower(body.a) == base64url.decode(io.jwt.decode(bearer)[1].c) }}"
    subject = subject_of(rego.compile({"p.rego": HEAD + rule}), (), issuers)
    bed.load(subject)
    tally = Tally()
    claims = ('{"c": "YW5u"}', '{"c": "Ym9i"}', '{"c": 1}', "{}")
    asked = [
        Request(
            "POST",
            "/",
            (("content-type", "application/json"), ("authorization", f"Bearer {token}")),
            None,
            body,
        )
        for token in (signed(each, key, "HS256", "{}") for each in claims for key in ("secret", "wrong"))
        for body in ('{"a": "ANN"}', '{"a": "bob"}', "{}")
    ]
    assert not compare(bed, subject, asked, tally)
    assert (tally.native, tally.residual, tally.allowed) == (len(asked), 0, 2)


@pytest.mark.parametrize("rule", CREDENTIALS)
def test_the_user_of_http_basic_against_other_values(bed: Bed, issuers: Issuers, rule: str) -> None:
    """OPA's own tutorial has `user == path[1]`. Whatever stands in the header, the decision is Rego's; and of
    what programs send, and of no credentials at all, it is the sidecar's."""
    subject = subject_of(rego.compile({"p.rego": HEAD + rule}), (), issuers)
    bed.load(subject)
    assert not compare(bed, subject, with_credentials(), Tally())
    usual = [(), *((("authorization", f"Basic {base64_of(each)}"),) for each in ("ann:pw", "bob:x"))]
    tally = Tally()
    assert not compare(bed, subject, [Request("GET", "/ann", each, None) for each in usual], tally)
    assert tally.residual == 0


def test_a_password_stands_in_no_configuration(issuers: Issuers) -> None:
    """It is in the request's metadata beside the user, and still not compared with a constant there."""
    decoded = 'split(base64.decode(split(http.headers.authorization, " ")[1]), ":")'
    rules = (
        f"allow if {decoded}[0] == input.parsed_path[0]",
        f'allow if {decoded}[1] == "hunter2"',
        f'allow if {decoded} == ["ann", "hunter2"]',
    )
    subject = subject_of(rego.compile({"p.rego": HEAD + "\n\n".join(rules)}), (), issuers)
    sent = [
        each.SerializeToString()
        for named in subject.enforcement.snapshot.resources.values()
        for each in named.values()
    ]
    assert not [each for each in sent if b"hunter2" in each]
