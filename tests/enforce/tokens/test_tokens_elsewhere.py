"""Tokens in cookies and query parameters, and at several places, are where the policy takes them from."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from signed_tokens import PEM, SECRET, signed
from stand import Sent, Stand, in_memory

from palisade.rego.text import dumps

GOOD = signed('{"role": "guest"}', "secret", "HS256", "{}")
FORGED = signed('{"role": "guest"}', "wrong", "HS256", "{}")
OTHER = signed('{"role": "nobody"}', "secret", "HS256", "{}")
UNSIGNED = GOOD.rpartition(".")[0] + "."

POLICY = """package envoy.authz

import input.attributes.request.http

default allow := false

pairs := {{k: v | some part in split(http.headers.cookie, "; "); [k, v] := split(part, "=")}}

trimmed := {{k: v |
	some part in split(http.headers.cookie, ";")
	sign := indexof(trim_space(part), "=")
	sign > 0
	k := substring(trim_space(part), 0, sign)
	v := substring(trim_space(part), sign + 1, -1)
}}

looped := value if {{
	some part in split(http.headers.cookie, "; ")
	startswith(part, "token=")
	value := substring(part, 6, -1)
}}

payload := found if {{
	[valid, _, found] := io.jwt.decode_verify({taken}, {{"secret": {secret}}})
	valid
}}

allow if payload.role == "guest"

allow if {{
	http.method == "PUT"
	not payload
}}
"""

QUERIES = ("input.parsed_query.token[0]", 'object.get(input.parsed_query, "token", [""])[0]')
COOKIES = (
    "pairs.token",
    'trimmed["token"]',
    'object.get(pairs, "token", "none")',
    "regex.find_all_string_submatch_n(`token=([^;]+)`, http.headers.cookie, 1)[0][1]",
    "regex.find_all_string_submatch_n(`(?:^|; )token=([^;]+)`, http.headers.cookie, 1)[0][1]",
    "regex.find_all_string_submatch_n(`(^|;\\s*)token=([^; ]*)(?:;|$)`, http.headers.cookie, -1)[0][2]",
    'split(split(http.headers.cookie, "token=")[1], ";")[0]',
)


def _queries() -> Iterator[tuple[str, bool]]:
    """What follows the path, and whether the sidecar is to know by itself what that is."""
    for token in (GOOD, FORGED, UNSIGNED, OTHER):
        yield f"?token={token}", True
        yield f"?a=1&token={token}&b=%2F", True
    for query in (
        "",
        "?",
        "?a=1",
        "?token",
        "?token=",
        "?token=opaque",
        "?token=a.b&x=c",
        "?tokens=1",
        "?xtoken=a",
    ):
        yield query, True
    for first, second in ((GOOD, FORGED), (FORGED, GOOD), (GOOD, OTHER), (OTHER, GOOD), ("", GOOD)):
        yield f"?token={first}&token={second}", False
    for query in (
        f"?token={GOOD.replace('.', '%2E')}",
        f"?token=%{ord(GOOD[0]):x}{GOOD[1:]}",
        f"?%74oken={GOOD}&token={FORGED}",
        f"?%74oken={FORGED}&token={GOOD}",
        f"?token+={FORGED}&token={GOOD}",
        f"?token={FORGED};&token={GOOD}",
        f"?a;token={FORGED}&token={GOOD}",
        f"?token={GOOD};token={FORGED}",
        f"?token={GOOD}%",
        f"?token={GOOD}+",
        f"?token={GOOD}=",
        f"?token=={GOOD}",
        f"?Token={GOOD}",
        f"?token={GOOD}?",
        f"??token={GOOD}",
        f"?a=1?token={GOOD}",
        f"?&&token={GOOD}&",
        f"?token={GOOD}%00",
        f"?token={GOOD}&token%00={FORGED}",
    ):
        yield query, False


def _cookies() -> Iterator[tuple[tuple[str, ...], bool]]:
    for token in (GOOD, FORGED, UNSIGNED, OTHER):
        yield (f"token={token}",), True
        yield (f"a=1; token={token}; b=x",), True
    for value in ("", "a=1", "token=", "token=opaque", "a=1; token=a.b"):
        yield (value,), True
    yield (), True
    for first, second in ((GOOD, FORGED), (FORGED, GOOD), (GOOD, OTHER), (OTHER, GOOD)):
        for between in ("; ", ";", ", ", ",", " ", "; x", ";  "):
            yield (f"token={first}{between}token={second}",), False
        yield (f"token={first}", f"token={second}"), False
        yield (f'token="{first}"; token={second}',), False
        yield (f"token ={first}; token={second}",), False
        yield (f"a=token={first}; token={second}",), False
        yield (f"token={first}; xtoken={second}",), False
        yield (f"xtoken={first}; token={second}",), False
        yield (f"TOKEN={first}; token={second}",), False
        yield (f"token; token={first}",), False
    yield ("a=1", f"token={GOOD}"), False
    yield (f"token={GOOD}", "a=1"), False
    for value in (
        *(
            f'token="{GOOD}"',
            f" token={GOOD} ",
            f"token= {GOOD}",
            f"token={GOOD} ",
            f"token={GOOD};",
            f";token={GOOD}",
        ),
        *(
            f"a;token={GOOD}",
            f"a=1;token={GOOD}",
            f"a=1;  token={GOOD}",
            f"a=1;\ttoken={GOOD}",
            f"token\t={GOOD}",
        ),
        *(
            f"token={GOOD}=",
            f"token=={GOOD}",
            f"={GOOD}",
            f"token{GOOD}",
            f"a=1; a=2; token={GOOD}",
            f"token={GOOD}, a=1",
        ),
        *(
            f"a=1; token={GOOD}; a=2",
            f"token={GOOD}; \u00fc=1",
            f"token={GOOD}\u00fc",
            f"a; token={GOOD}",
            f"=; token={GOOD}",
        ),
    ):
        yield (value,), False


def _ask(stand: Stand, taken: str, asked: list[tuple[Sent, bool]], policy: str = POLICY) -> None:
    policy_set = in_memory({"p.rego": policy.format(taken=taken, secret=dumps(SECRET), pem=dumps(PEM))})
    requests = [request for request, _ in asked]
    wanted, seen, residual = stand.both_ways(policy_set, "envoy/authz/allow", requests)
    differ = [each for each, one, other in zip(requests, wanted, seen, strict=True) if one != other]
    assert not differ
    assert {200, 403} <= set(wanted)
    assert not [request for request, known in asked if known and request.path in residual]


@pytest.mark.parametrize("taken", QUERIES)
def test_a_token_in_the_query_is_the_first_of_its_name(stand: Stand, taken: str) -> None:
    """However a query is written: each request ends as the engine decides it, and plain ones need none."""
    asked = [
        (Sent(method, f"/{at}{query}"), known)
        for at, (query, known) in enumerate(_queries())
        for method in ("GET", "PUT")
    ]
    _ask(stand, taken, asked)


@pytest.mark.parametrize("taken", ["input.parsed_query.token[1]", "input.parsed_query.token[-1]"])
def test_a_token_in_the_query_that_is_not_the_first_is_the_engines(stand: Stand, taken: str) -> None:
    """Envoy takes the first: one that stands there alone is none to such a policy, valid as it is."""
    asked = [
        (Sent(method, f"/{at}{query}"), False)
        for at, (query, _) in enumerate(_queries())
        for method in ("GET", "PUT")
    ]
    _ask(stand, taken, asked)


@pytest.mark.long
@pytest.mark.parametrize("taken", COOKIES)
def test_a_token_in_a_cookie_is_the_one_that_the_policy_finds(stand: Stand, taken: str) -> None:
    """Whatever stands around it, be it a second one: Envoy takes the first, policies what they cut out."""
    asked = [
        (Sent(method, f"/{at}", tuple(("cookie", value) for value in values)), known)
        for at, (values, known) in enumerate(_cookies())
        for method in ("GET", "PUT")
    ]
    _ask(stand, taken, asked)


def test_a_token_in_a_cookie_that_a_loop_looks_for(stand: Stand) -> None:
    """The same of a rule that loops over all cookies, but that what is no valid token is the engine's."""
    asked = [
        (Sent(method, f"/{at}", tuple(("cookie", value) for value in values)), known)
        for at, (values, usual) in enumerate(_cookies())
        for known in [usual and (GOOD in str(values) or OTHER in str(values) or "token" not in str(values))]
        for method in ("GET", "PUT")
    ]
    _ask(stand, "looped", asked)


SEVERAL = """package envoy.authz

import input.attributes.request.http

default allow := false

first := trim_prefix(http.headers.authorization, "Bearer ")

second := {{k: v | some part in split(http.headers.cookie, "; "); [k, v] := split(part, "=")}}.token

{taken}

claims_of(token) := found if {{
	[valid, _, found] := io.jwt.decode_verify(token, {{"secret": {secret}}})
	valid
}}

allow if {{
	http.method == "GET"
	claims_of(token).role == "guest"
}}

allow if {{
	http.method == "PUT"
	claims_of(first).role == "guest"
	not claims_of(input.parsed_query.token[0])
}}

allow if {{
	http.method == "DELETE"
	not claims_of(first)
	not claims_of(second)
	claims_of(input.parsed_query.token[0])
}}
"""
FALLBACK = """token := first if first

token := second if {
	not first
	second
}

token := input.parsed_query.token[0] if {
	not first
	not second
}
"""


def test_tokens_at_several_places_are_not_taken_for_each_other(stand: Stand) -> None:
    """Where one is not valid Envoy looks at all of them: what it finds at one place says nothing of another,
    and a policy by which one place comes first does not fall back on the next."""
    other = signed('{"role": "guest", "iss": "x"}', "secret", "HS256", "{}")
    tokens = ("", GOOD, FORGED, OTHER, other, "opaque")
    asked = [
        (
            Sent(
                method,
                f"/{at}-{bt}-{ct}" + (f"?token={query}" if query else ""),
                (
                    *((("authorization", f"Bearer {header}"),) if header else ()),
                    *((("cookie", f"a=1; token={cookie}"),) if cookie else ()),
                ),
            ),
            {header, cookie, query} <= {"", GOOD, OTHER},
        )
        for at, header in enumerate(tokens)
        for bt, cookie in enumerate(tokens)
        for ct, query in enumerate(tokens[:4])
        for method in ("GET", "PUT", "DELETE")
    ]
    _ask(stand, FALLBACK, asked, SEVERAL)


CROSSED = """package envoy.authz

import input.attributes.request.http

default allow := false

bearer := trim_prefix(http.headers.authorization, "Bearer ")

first := found if {{
	[true, _, found] = io.jwt.decode_verify(bearer, {{"secret": {secret}}})
}}

second := found if {{
	[true, _, found] = io.jwt.decode_verify(http.headers["x-token"], {{"cert": {pem}}})
}}

third := found if {{
	[true, _, found] = io.jwt.decode_verify(input.parsed_query.token[0], {{"secret": "another"}})
}}

allow if {{
	http.method == "GET"
	first.role == "guest"
}}

allow if {{
	http.method == "PUT"
	second.role == "guest"
}}

allow if {{
	http.method == "DELETE"
	not first
	third.role == "guest"
	{taken}
}}
"""


def test_each_place_has_keys_of_its_own(stand: Stand) -> None:
    """A token that is valid at another place than where it stands is valid at neither."""
    by_rsa = signed('{"role": "guest"}', "rsa", "RS256", "{}")
    named = [signed(f'{{"role": "guest", "iss": "{each}"}}', *by, "{}") for each in "a" for by in _SIGNERS]
    tokens = ("", GOOD, FORGED, by_rsa, *named)
    asked = [
        (
            Sent(
                method,
                f"/{at}-{bt}-{ct}" + (f"?token={query}" if query else ""),
                (
                    *((("authorization", f"Bearer {header}"),) if header else ()),
                    *((("x-token", beside),) if beside else ()),
                ),
            ),
            header in ("", GOOD) and beside in ("", by_rsa) and not query,
        )
        for at, header in enumerate(tokens)
        for bt, beside in enumerate(tokens)
        for ct, query in enumerate(("", GOOD, by_rsa, signed('{"role": "guest"}', "another", "HS256", "{}")))
        for method in ("GET", "PUT", "DELETE")
    ]
    _ask(stand, "not second", asked, CROSSED)


_SIGNERS = (("secret", "HS256"), ("rsa", "RS256"))


PARTS = """package envoy.authz

import input.attributes.request.http

default allow := false

parts := io.jwt.decode_verify(trim_prefix(http.headers.authorization, "Bearer "), {{"secret": {secret}}})

allow if {{
	http.method == "GET"
	parts[{taken}].kid == "two"
}}

allow if {{
	http.method == "PUT"
	not parts[{taken}].kid
}}
"""


@pytest.mark.long
@pytest.mark.parametrize("taken", ["1", "2"])
def test_a_token_s_header_is_not_taken_for_its_claims(stand: Stand, taken: str) -> None:
    """Also where what is asked for stands in the other one alone."""
    tokens = [
        signed(claims, key, "HS256", headers)
        for claims in ("{}", '{"kid": "two"}', '{"kid": "one"}')
        for headers in ("{}", '{"kid": "two"}', '{"kid": "one"}')
        for key in ("secret", "wrong")
    ]
    asked = [
        (Sent(method, f"/{at}", (("authorization", f"Bearer {each}"),)), True)
        for at, each in enumerate(tokens)
        for method in ("GET", "PUT")
    ]
    _ask(stand, taken, asked, PARTS)
