"""Envoy decides as the reference evaluator does: policies compiled, on a real Envoy, request by request."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from drawn_policies import policies
from drawn_requests import DATA, spelled
from effort import examples_asked
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from lowered import judge, subject_of
from policies_by_hand import DATA as HAND_DATA
from policies_by_hand import DEEP, MESH, POLICIES
from requests_by_hand import REQUESTS
from signed_tokens import EC, jwk, signed

from palisade import rego
from palisade.enforce.envoy.matchers.choices import MAX_LINEAR
from palisade.policy.providers import Provider
from palisade.rego.text import dumps
from palisade.testing.equivalence import Bed, Issuers, Request, Subject, Tally, compare
from palisade.testing.equivalence.telling import lines, summary

EXAMPLES = examples_asked(40)
"""How many batches of policies and requests are drawn; thousands for a long run."""

RELAXED = settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink),
)


def compiled(
    policies_: Sequence[rego.Policy], providers: tuple[Provider, ...], issuers: Issuers
) -> list[Subject]:
    """Half of them look everything up in maps, as they would with many rules."""
    return [
        subject_of(policy, providers, issuers, linear=MAX_LINEAR if at % 2 else 0)
        for at, policy in enumerate(policies_)
    ]


def _taken(source: str) -> rego.Policy | None:
    """None where types do not fit: of what is put together at random, an eighth."""
    try:
        return rego.compile({"p.rego": source}, DATA)
    except rego.CompileError:
        return None


def _compiling(sources: st.SearchStrategy[str]) -> st.SearchStrategy[rego.Policy]:
    """Another is drawn in place of what does not compile: one of five would throw the whole batch away."""
    found: st.SearchStrategy[Any] = sources.map(_taken).filter(lambda policy: policy is not None)
    return found


@pytest.mark.long
@pytest.mark.parametrize("providers", [1, 2], ids=("one", "two"), indirect=True)
def test_policies_written_by_hand(bed: Bed, providers: tuple[Provider, ...], issuers: Issuers) -> None:
    """The kinds of rules that people write, against requests made for them."""
    made = []
    for source in (*POLICIES, *MESH, *DEEP):
        try:
            made.append(rego.compile({"p.rego": f"package p\n{source}"}, HAND_DATA))
        except rego.CompileError as error:
            raise AssertionError(source) from error
    tally = Tally()
    judge(bed, compiled(made, providers, issuers), REQUESTS, tally)
    assert tally.allowed > 100, tally
    assert tally.residual < 0.03 * tally.pairs, tally


@RELAXED
@given(data=st.data())
def test_generated_policies(
    bed: Bed, providers: tuple[Provider, ...], issuers: Issuers, data: st.DataObject
) -> None:
    """Whatever rules are put together of, no request is decided otherwise.

    The first policy is put in force too: whoever decides, what comes of a request is what the policy says.
    """
    drawn = data.draw(st.lists(_compiling(policies()), min_size=2, max_size=5))
    asked = data.draw(st.lists(spelled, min_size=6, max_size=12))
    subjects = compiled(drawn, providers, issuers)
    judge(bed, subjects, asked, Tally())
    bed.load(subjects[0])
    for difference in compare(bed, subjects[0], asked, Tally()):
        raise AssertionError("\n".join((summary(difference), subjects[0].name, *lines(difference))))


def test_plain_conditions_are_native(bed: Bed, providers: tuple[Provider, ...], issuers: Issuers) -> None:
    """The test of agreement is worth something: of plain conditions Envoy decides nearly all."""
    tally = Tally()

    @settings(RELAXED, max_examples=max(10, EXAMPLES // 4), derandomize=True)
    @given(
        st.lists(_compiling(policies(rich=False)), min_size=4, max_size=8),
        st.lists(spelled, min_size=6, max_size=12),
    )
    def run(drawn: list[rego.Policy], asked: list[Request]) -> None:
        subjects = compiled(drawn, providers, issuers)
        judge(bed, subjects, asked, tally)

    run()
    assert tally.residual < 0.1 * tally.native, tally


_BEARER = """bearer := t if {
	startswith(http.headers.authorization, "Bearer ")
	t := substring(http.headers.authorization, 7, -1)
}"""
_CHECKS = (
    "claims := io.jwt.decode(bearer)[1] if io.jwt.verify_es256(bearer, {keys})",
    'claims := io.jwt.decode_verify(bearer, {{"cert": {keys}}})[2]',
    "claims := t if [true, _, t] = io.jwt.decode_verify("
    'split(http.headers.authorization, " ")[1], {{"cert": {keys}, "iss": "https://corp.example"}})',
    "claims := io.jwt.decode(bearer)[1]",
    "claims := t if [head, t, signature] := io.jwt.decode(bearer)",
    "claims := t if {{ [true, _, t] = io.jwt.decode_verify("
    'bearer, {{"cert": sets[said.iss], "iss": said.iss}}) }}',
    'claims := t if {{ some iss, set in sets; [true, _, t] = io.jwt.decode_verify(bearer, {{"cert": set, '
    '"iss": iss}}) }}',
    "claims := said if io.jwt.verify_es256(bearer, sets[said.iss])",
    "claims := said if {{ some set in sets; io.jwt.verify_es256(bearer, set) }}",
)
_SETS = """said := io.jwt.decode(bearer)[1]

sets := {{"https://corp.example": {keys}, "https://other.example": {others}}}"""
_OTHERS = dumps({"keys": [jwk(EC, kid="other")]})


def _of_another() -> list[Request]:
    """Requests with tokens of another issuer, some with the name of the first."""
    return [
        Request(headers=(("authorization", f"Bearer {signed(dumps(claims), key, alg, header)}"),))
        for key, alg in (("ec", "ES256"), ("ed", "EdDSA"))
        for header in ("{}", '{"kid": "other"}', '{"typ": 5}')
        for iss in ("https://other.example", "https://corp.example", "x")
        for claims in (
            {"iss": iss, "sub": "alice", "roles": ["admin"], "role": "admin"},
            {"iss": iss, "sub": 7},
        )
    ]


@pytest.mark.parametrize("providers", [1], ids=("one",), indirect=True)
@settings(RELAXED, max_examples=max(10, EXAMPLES // 4))
@given(data=st.data())
def test_generated_policies_that_verify_tokens(
    bed: Bed, providers: tuple[Provider, ...], issuers: Issuers, data: st.DataObject
) -> None:
    """Claims of a token that the policy verifies itself are as good as those of a provider's."""
    [issuer] = issuers.of(providers)
    check = f"{data.draw(st.sampled_from(_CHECKS))}\n{_SETS}"
    check = check.format(keys=dumps(issuer.jwks), others=dumps(_OTHERS))
    verified = policies().map(
        lambda source: source.replace("claims := input.identity.claims", f"{check}\n{_BEARER}")
    )
    asked = data.draw(st.lists(st.one_of(spelled, st.sampled_from(_of_another())), min_size=6, max_size=16))
    [subject] = compiled([data.draw(_compiling(verified))], providers, issuers)
    bed.load(subject)
    for difference in compare(bed, subject, asked, Tally()):
        raise AssertionError("\n".join((summary(difference), subject.name, *lines(difference))))
