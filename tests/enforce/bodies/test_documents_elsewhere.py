"""Tokens that a policy only decodes, in cookies and in the query: read as by the engine, or by it."""

from __future__ import annotations

import pytest
from documents_asked import judge, token_of

from palisade.testing.equivalence import Bed, Issuers, Request, Tally

TOKEN, OTHER = (
    token_of(f'{{"a": "{each}", "roles": ["x"]}}').headers[0][1].removeprefix("Bearer ") for each in "xy"
)
COOKIES = (
    f"said={TOKEN}",
    f"a=b; said={TOKEN}",
    f"said={TOKEN}; theme=dark; c=d=e",
    f"said={OTHER}; b=1",
)
ODD_COOKIES = (
    *(f"said={TOKEN};a=b", f"a=b;said={TOKEN}", f" said={TOKEN}", f"said={TOKEN} ", f"said ={TOKEN}; a=b"),
    *(f"said={TOKEN}; said={OTHER}", f"said={OTHER}; said={TOKEN}", f"said={TOKEN}; said={TOKEN}"),
    *(f"mysaid={OTHER}; said={TOKEN}", f"said={TOKEN}; mysaid={OTHER}", f"mysaid={TOKEN}", "unsaid=1"),
    *(
        f'said="{TOKEN}"',
        f"said={TOKEN},b",
        f"said={TOKEN}; a",
        f"said={TOKEN}; =a",
        f"said={TOKEN}=",
        "said",
    ),
    *("said=", "said=; a=b", "a=b", "", "said=x.y.z", f"said={TOKEN}; \u00e9=1", f"said={TOKEN}; a=\u00e9"),
    *(f"a=1; a=2; said={TOKEN}", f"SAID={TOKEN}", f"said={TOKEN}\t; a=b", f"said={TOKEN}; a=said={OTHER}"),
)
TERMS = (
    'io.jwt.decode(split(split(http.headers.cookie, "said=")[1], ";")[0])[1]',
    "io.jwt.decode(cookies.said)[1]",
    'json.unmarshal(base64url.decode(split(cookies.said, ".")[1]))',
    "io.jwt.decode(regex.find_all_string_submatch_n(`(?:^|; )said=([^;]+)`, all, 1)[0][1])[1]",
    "io.jwt.decode(looped)[1]",
    'json.unmarshal(base64url.decode(split(trimmed, ".")[1]))',
    "io.jwt.decode(named)[1]",
)
QUERIES = (f"t={TOKEN}", f"b=1&t={TOKEN}&c=%41", f"t={OTHER}&t={TOKEN}", f"t={TOKEN}&t=")
ODD_QUERIES = (
    *(f"t={TOKEN};a=1", f"a=;&t={TOKEN}", f"%74={TOKEN}", f"t={TOKEN}%20", f"t=+{TOKEN}", f"t=%2E{TOKEN}"),
    *(f"t+={TOKEN}", f"T={TOKEN}", f"tt={TOKEN}", "t", "t=", f"t&t={TOKEN}", f"&&t={TOKEN}", f"=1&t={TOKEN}"),
    *("", "a=1", f"a=1?t={TOKEN}", f"t={TOKEN}#x", f"t={TOKEN}=", f"t={TOKEN.replace('.', '%2e')}"),
    *(f"a=%zz&t={TOKEN}", f"t={TOKEN}\u00e9", "t=x.y.z", f"a%20b=1&t={TOKEN}"),
)
HEAD = """all := http.headers.cookie

cookies := {k: v | some part in split(all, "; "); [k, v] := split(part, "=")}

looped := value if {
	some part in split(all, "; ")
	startswith(part, "said=")
	value := substring(part, count("said="), -1)
}

trimmed := trim_prefix(trim_space(part), "said=") if {
	some part in split(all, ";")
	startswith(trim_space(part), "said=")
}

named := value if {
	some part in split(all, "; ")
	[name, value] := split(part, "=")
	name == "said"
}

"""


@pytest.mark.long
@pytest.mark.parametrize("term", TERMS)
def test_tokens_in_cookies(bed: Bed, issuers: Issuers, term: str) -> None:
    """Usual cookies are read in the sidecar; of all others a policy's way to find the token decides."""
    usual = [Request("GET", "/", (("cookie", each),)) for each in COOKIES]
    usual += [Request("GET", "/"), Request("GET", "/", (("cookie", COOKIES[0]),), http2=True)]
    odd = [Request("GET", "/", (("cookie", each),)) for each in ODD_COOKIES]
    odd += [
        Request("GET", "/", (("cookie", "a=b"), ("cookie", COOKIES[0])), http2=way) for way in (False, True)
    ]
    for rule in (
        f'allow if {term}.a == "x"',
        f'allow if not {term}.a == "x"',
        f'allow if "x" in {term}.roles',
    ):
        tally = Tally()
        judge(bed, issuers, HEAD + rule, usual, tally)
        assert tally.residual == 0, rule
        judge(bed, issuers, HEAD + rule, odd, Tally())


def test_tokens_in_the_query(bed: Bed, issuers: Issuers) -> None:
    """Where the first value of the name stands there as it is; escapes and broken queries are the
    engine's."""
    usual = [Request("GET", f"/a?{each}") for each in QUERIES] + [Request("GET", "/a")]
    odd = [Request("GET", f"/a?{each}", (), http2=way) for each in ODD_QUERIES for way in (False, True)]
    for term in (
        "io.jwt.decode(input.parsed_query.t[0])[1]",
        'json.unmarshal(base64url.decode(split(input.parsed_query.t[0], ".")[1]))',
    ):
        for rule in (f'allow if {term}.a == "x"', f'allow if not {term}.a == "x"'):
            tally = Tally()
            judge(bed, issuers, rule, usual, tally)
            assert tally.residual == 0, rule
            judge(bed, issuers, rule, odd, Tally())
