"""What `palisade explain` reads off a sidecar's configuration is what a real Envoy does with it."""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Sequence

import jwt
import pytest
import texts_made
from calculations import CALCULATED, HEAD, SUMS
from drawn_policies import policies
from drawn_requests import DATA, requests
from effort import examples_asked
from envoy.extensions.common.matching.v3.extension_matcher_pb2 import ExtensionWithMatcher
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st
from lowered import PROVIDERS, subject_of
from policies_by_hand import DATA as HAND_DATA
from policies_by_hand import POLICIES
from requests_by_hand import REQUESTS

from palisade import rego
from palisade.enforce.envoy.compile import BODY
from palisade.enforce.envoy.matchers.choices import MAX_LINEAR
from palisade.explain.sidecar import decided, sight
from palisade.policy.providers import Provider
from palisade.testing.equivalence import Bed, Issuers, Request, Subject, Token

EXAMPLES = examples_asked(40)
TOGETHER = 24


def compare(
    bed: Bed,
    found: Sequence[rego.Policy],
    asked: Sequence[Request],
    providers: tuple[Provider, ...],
    issuers: Issuers,
    together: int = TOGETHER,
) -> Counter[str]:
    """Asks Envoy and the reading of its configuration. Raises AssertionError where they differ."""
    tally: Counter[str] = Counter()
    every = [
        subject_of(each, providers, issuers, linear=MAX_LINEAR if at % 2 else 0)
        for at, each in enumerate(found)
    ]
    for subject in filter(reads, every):
        tally += compare_alone(bed, subject, asked)
    subjects = [each for each in every if not reads(each)]
    for start in range(0, len(subjects), together):
        batch = subjects[start : start + together]
        batch = batch if len(batch) > 1 else batch * 2  # the bed reports of several
        bed.load(*batch, reporting=True)
        for request, seen in zip(asked, bed.ask(asked), strict=True):
            if seen is None or seen.refused or seen.input is None:
                continue
            for subject, reported in zip(batch, seen.decided, strict=True):
                snapshot = subject.enforcement.snapshot
                read = decided(snapshot, sight(snapshot, seen.input))
                assert read.name == reported.partition(",")[2], f"{request}\n{subject.name}"
                if reported.startswith("denied"):
                    assert (read.allowed, read.asks) == (False, False)
                tally[read.name if read.name == "residual" else reported.partition(",")[0]] += 1
    return tally


def reads(subject: Subject) -> bool:
    """Whether it reads bodies or headers and decides again: the bed tells of the first filter of several."""
    return subject.slot(BODY).Is(ExtensionWithMatcher.DESCRIPTOR)


def compare_alone(bed: Bed, subject: Subject, asked: Sequence[Request]) -> Counter[str]:
    """The same of all filters of one sidecar, the gate to the engine and all, by what becomes of requests."""
    tally: Counter[str] = Counter()
    snapshot = subject.enforcement.snapshot
    bed.load(subject)
    for request, seen in zip(asked, bed.ask(asked), strict=True):
        if seen is None or seen.refused or seen.input is None:
            continue
        read = decided(snapshot, sight(snapshot, seen.input))
        assert read.asks is seen.asked, f"{request}\n{subject.name}"
        assert read.asks or read.allowed is seen.reached, f"{request}\n{subject.name}"
        tally["residual" if read.asks else "allowed" if read.allowed else "denied"] += 1
    return tally


@pytest.mark.long
@pytest.mark.parametrize("providers", [1, 2], ids=("one", "two"), indirect=True)
def test_policies_written_by_hand(bed: Bed, providers: tuple[Provider, ...], issuers: Issuers) -> None:
    found = [rego.compile({"p.rego": f"package p\n{source}"}, HAND_DATA) for source in POLICIES]
    tally = compare(bed, found, REQUESTS[::3], providers, issuers)
    assert min(tally[each] for each in ("allowed", "denied", "residual")) > 50, tally


@pytest.mark.long
@settings(max_examples=max(5, EXAMPLES // 8), deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_generated_policies(
    bed: Bed, providers: tuple[Provider, ...], issuers: Issuers, data: st.DataObject
) -> None:
    found = []
    for source in data.draw(st.lists(policies(), min_size=2, max_size=5)):
        try:
            found.append(rego.compile({"p.rego": source}, DATA))
        except rego.CompileError:
            assume(False)
    asked = data.draw(st.lists(requests, min_size=6, max_size=12))
    compare(bed, found, asked, providers, issuers)


SECRET = "a secret of thirty-two characters"
OTHER = "another one of thirty-two chars.."
_DECODED = """token := payload if {
	bearer := split(http.headers.authorization, " ")[1]
	[valid, _, payload] := io.jwt.decode_verify(bearer, {"secret": "SECRET"})
	valid
}
"""
_SEVERAL = """bearer := split(http.headers.authorization, " ")[1]

said := io.jwt.decode(bearer)[1]

secrets := {"a": "SECRET", "b": "OTHER"}

token := payload if {
	[valid, _, payload] := io.jwt.decode_verify(bearer, {"secret": secrets[said.iss], "iss": said.iss})
	valid
}
"""
ON_TOKENS_AND_TIMES = (
    _SEVERAL + 'allow if token.role == "admin"',
    _SEVERAL + "allow if not token.role",
    _DECODED + 'allow if token.role == "admin"',
    _DECODED + "allow if not token.role",
    'allow if io.jwt.verify_hs256(trim_prefix(http.headers.authorization, "Bearer "), "SECRET")',
    "allow if time.now_ns() > 1000",
    "allow if time.clock(time.now_ns())[0] < 25",
    'allow if time.weekday(time.now_ns()) in {"Saturday", "Sunday", "Monday"}',
    "allow if { [y, m, d] := time.date(time.now_ns()); y > 2000; m < 13; d != 0 }",
    "allow if time.now_ns() / 1000000000 < claims.exp",
    "allow if claims.nbf <= time.now_ns() / 1000000000",
    "allow if time.now_ns() / 1000000000 - claims.nbf > 60",
    "allow if { [h, m, _] := time.clock(time.now_ns()); h * 60 + m < 1441 }",
    "allow if claims.nbf + 0.5 < 2",
    "allow if { claims.nbf * 3 - 1 == 2; claims.nbf % 2 == 1 }",
    "allow if { round(claims.nbf) > 1; abs(claims.nbf) / 4 < 1 }",
    'allow if claims.nbf < "2"',
    "allow if claims.nbf <= claims.exp",
    'allow if regex.find_n(`[a-z]+`, http.headers.authorization, 1)[0] == "earer"',
    'allow if regex.find_all_string_submatch_n(`^(B)([a-z]+)`, http.headers.authorization, 1)[0][2] == "x"',
    "allow if claims[lower(http.method)] == 1\nallow if claims[http.headers.authorization]",
    'allow if trim_space(split(http.headers.authorization, ".")[0]) == "Bearer a"',
)


def test_tokens_that_the_policy_verifies_and_the_time(bed: Bed, issuers: Issuers) -> None:
    """What Envoy's JWT filter and its clock give is read as well."""
    head = "package p\nimport input.attributes.request.http\nclaims := input.identity.claims\n"
    sources = [
        head + source.replace("SECRET", SECRET).replace("OTHER", OTHER) for source in ON_TOKENS_AND_TIMES
    ]
    found = [rego.compile({"p.rego": source}) for source in sources]
    secrets = (SECRET, OTHER)
    bearers = [
        jwt.encode(claims, secret)
        for secret in secrets
        for claims in (
            {"role": "admin"},
            {"role": "x", "exp": 1},
            {"exp": 4_000_000_000},
            {"nbf": 4_000_000_000},
            {"iss": "a", "role": "admin"},
            {"iss": "b", "role": "admin"},
        )
    ]
    whole = bearers[0].split(".")
    unsigned = base64.urlsafe_b64encode(b'{"alg":"none"}').decode().rstrip("=")
    numbered = jwt.encode({"sub": "7"}, SECRET).split(".")
    bearers += ["a.b.c", "x", ".".join(whole[:2]) + ".", f"{unsigned}.{whole[1]}.{whole[2]}"]
    bearers += [f"{numbered[0]}.{whole[1]}.{numbered[2]}", f"{whole[0]}.{unsigned}.{whole[2]}"]
    asked = [Request(headers=(("authorization", f"Bearer {each}"),)) for each in bearers]
    asked += [Request(), *(Request(token=Token("corp", {"nbf": nbf})) for nbf in (1, 1.5, "1", None))]
    # Each with its own JWT filter.
    tally = compare(bed, found, asked, PROVIDERS[:1], issuers, together=1)
    assert min(tally[each] for each in ("allowed", "denied", "residual")) > 5, tally


@pytest.mark.long
@pytest.mark.parametrize("providers", [1], ids=("one",), indirect=True)
def test_what_is_calculated(bed: Bed, providers: tuple[Provider, ...], issuers: Issuers) -> None:
    """Expressions on doubles, and what is no number in them."""
    found = [rego.compile({"p.rego": f"{HEAD}allow if {{ {each} }}"}) for each in (*CALCULATED, *SUMS)]
    values = (0, 3, -2.5, 0.1, 2**53, "3", None, True, [1, 2, 3], [], [{"n": 1, "m": 2.5}] * 9, {"a": 1})
    asked = [Request(token=Token("corp", {"a": a, "b": b})) for a in values for b in (3, a)]
    tally = compare(bed, found, [*asked, Request()], providers, issuers)
    assert min(tally[each] for each in ("allowed", "denied", "residual")) > 50, tally


FORCED = (
    'default allow := true\nallow := false if http.method == "DELETE"',
    'default allow := false\nallow if http.path == "/public"',
    'allow := {"allowed": true, "headers": {"x-a": "1"}} if http.method == "GET"\n'
    'else := {"allowed": false, "http_status": 401} if http.method == "PUT"',
    "allow if crypto.sha256(http.path) == crypto.sha256(http.headers.path)",
    "default allow := true\nallow := false if crypto.sha256(http.path) == claims.sub",
)


@pytest.mark.parametrize("source", FORCED)
@pytest.mark.parametrize("providers", [1], ids=("one",), indirect=True)
def test_the_engine_is_asked_where_it_is_said_to_be(
    bed: Bed, providers: tuple[Provider, ...], issuers: Issuers, source: str
) -> None:
    """What a policy does when it is in force, the gate behind the native filter and all."""
    head = "package p\nimport input.attributes.request.http\nclaims := input.identity.claims\n"
    subject = subject_of(rego.compile({"p.rego": head + source}), providers, issuers)
    asked = [Request(method, path) for method in ("GET", "PUT", "DELETE") for path in ("/", "/public")]
    assert compare_alone(bed, subject, asked).total() == len(asked)


@pytest.mark.parametrize("providers", [1], ids=("one",), indirect=True)
def test_bodies_with_and_without_a_length(
    bed: Bed, providers: tuple[Provider, ...], issuers: Issuers
) -> None:
    """One without a length is the engine's, which over HTTP/2 nothing but the missing header tells."""
    subject = subject_of(
        rego.compile({"p.rego": HEAD + "allow if input.parsed_body.n == 1"}), providers, issuers
    )
    json = (("content-type", "application/json"),)
    asked = [
        Request("POST", "/", (*json, *more), body=f'{{"n":{n}}}', http2=http2, chunked=chunked)
        for n in (1, 2)
        for more, http2, chunked in (
            ((), False, False),
            ((), False, True),
            ((), True, False),
            ((("content-length", "7"),), True, False),
        )
    ]
    assert compare_alone(bed, subject, asked) == Counter(allowed=2, denied=2, residual=4)


ENTRIES = '{k: v | some p in split(http.headers["x-user"], ","); [k, v] := split(p, "=")}'
OF_ENTRIES = (
    f'allow if {{ c := {ENTRIES}; c.alice == "alice"; http.method == "GET" }}',
    f'allow if {{ object.keys(claims) - {{"role"}} == set(); c := {ENTRIES}; c.alice == "alice" }}',
    f"allow if {{ c := {ENTRIES}; not c.alice }}",
    f'allow if {{ c := {ENTRIES}; object.keys(c) - {{"bob", ""}} == set() }}',
)


@pytest.mark.parametrize("providers", [1, 2], ids=("one", "two"), indirect=True)
def test_what_is_read_of_headers(bed: Bed, providers: tuple[Provider, ...], issuers: Issuers) -> None:
    """What the first filter leaves to the engine, and the one behind the reader decides."""
    found = [rego.compile({"p.rego": HEAD + source}) for source in OF_ENTRIES]
    values = ("alice", "alice=alice", "alice=bob", "bob=1,alice=alice", "alice=1,alice=2", "bob", "=", "")
    asked = [Request(headers=(("x-user", each),), token=Token("corp", {})) for each in values]
    tally = compare(bed, found, [*asked, Request(), Request(token=Token("corp", {}))], providers, issuers)
    assert all(reads(subject_of(each, providers, issuers)) for each in found)
    assert min(tally[each] for each in ("allowed", "denied", "residual")) > 3, tally


@pytest.mark.long
@settings(max_examples=2, deadline=None, suppress_health_check=list(HealthCheck), phases=(Phase.generate,))
@given(st.lists(texts_made.requests(), min_size=20), st.lists(texts_made.of_providers(), min_size=20))
def test_texts_that_are_made_of_others(
    bed: Bed, issuers: Issuers, own: list[Request], others: list[Request]
) -> None:
    """What builtins make of headers, claims and fields is read as the script makes it."""
    tally: Counter[str] = Counter()
    basic = texts_made.with_credentials()[::2]
    drawn = ((texts_made.POLICIES, own), (texts_made.OF_PROVIDERS, others), (texts_made.CREDENTIALS, basic))
    for rules, asked in drawn:
        said = "said := input.identity.claims\n\n"
        found = [rego.compile({"p.rego": f"{texts_made.HEAD}{said}{rule}"}) for rule in rules]
        tally += compare(bed, found, asked, PROVIDERS, issuers)
    assert tally["allowed"] > 20, tally
