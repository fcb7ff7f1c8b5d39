"""Lists made of the pieces of a text, whose members are looked up, counted and compared: native, and as the
evaluator decides."""

from __future__ import annotations

import pytest
from lowered import allowing, judge_natively

from palisade.policy.providers import Provider
from palisade.testing.equivalence import Bed, Issuers, Request, Token

HEAD = """package p
import input.attributes.request.http
claims := input.identity.claims
h := http.headers["x-t"]
xs := [trim_space(x) | some x in split(h, ",")]
cs := [lower(x) | some x in split(claims.t, " ")]
fs := [lower(x) | some x in split(h, ","); x != ""]
qs := [x | some x in split(split(http.path, "?")[0], "/"); x != ""]
gs := [x | some x in split(claims.t, " "); count(x) > 0]
ps := [x | x := split(http.path, "/")[_]]
ss := [x | some i, x in split(http.path, "/"); i > 0]
bs := [x | some x in split(http.path, "/"); trim_space(x) != ""]
ts := [t | some x in split(h, ","); t := trim_space(x); t != ""]
us := [x | some i, x in split(claims.t, " "); i >= 2]
rs := array.slice(split(http.path, "/"), 1, count(split(http.path, "/")))
zs := array.slice(split(h, ","), 1, 3)
"""
IDIOMS = (
    *(
        asked.replace("LIST", name)
        for name in ("xs", "cs", "ps", "fs", "qs", "gs", "ss", "bs", "ts", "us", "rs")
        for asked in (
            'LIST[0] == "a"',
            'LIST[1] in {"a", "b", ""}',
            'LIST[1] != "a"',
            'not LIST[1] == "a"',
            "not LIST[2]",
            'startswith(LIST[1], "a")',
            'LIST[count(LIST) - 1] == "b"',
            'not LIST[count(LIST) - 1] in {"a", ""}',
            'LIST[count(LIST) - 2] == "a"',
            'not LIST[count(LIST) - 2] in {"a", ""}',
            "not LIST[count(LIST) - 3]",
            "count(LIST) == 0",
            "count(LIST) > 0",
            "count(LIST) == 2",
            "count(LIST) < 3",
            "not count(LIST) > 1",
            'LIST == ["a", "b"]',
            'LIST != [""]',
            "LIST == []",
            '[one, other] := LIST; one == "a"; other in {"b", "c"}',
            '"a" in LIST',
            'LIST[0] == "a"; not "b" in LIST',
        )
    ),
    'xs[1] == http.headers["x-u"]',
    'xs == ["a", http.headers["x-u"]]',
    'ps[1] == http.headers["x-u"]; count(ps) == 2',
    "hops := [x | some x in split(h, `,`)]; hops[count(hops) - 1] == claims.t",
    "hops := [trim(x, ` `) | some x in split(h, `,`)]; net.cidr_contains(`10.0.0.0/8`, hops[0])",
    "net.cidr_contains(`10.0.0.0/8`, xs[count(xs) - 1])",
    "net.cidr_contains(`10.0.0.0/8`, fs[0])",
    "net.cidr_contains(`10.0.0.0/8`, xs[count(xs) - 2])",
    "qs[count(qs) - 2] == claims.t",
    'concat("/", ss) in {"a/b", "b/a"}',
    'concat("/", rs) in {"a/b", "b/a"}',
    "rs[0] == claims.t; count(rs) == 2",
    'zs[0] == "a"',
    'zs[1] == http.headers["x-u"]',
    "not zs[2]",
    'zs == ["a", http.headers["x-u"]]',
    'zs != ["a"]',
    'zs == ["a", "b", "c"]',
    "count(zs) == 2",
    "count(zs) < 2",
    '"b" in zs',
    'every x in rs { x != "b" }',
    # Up to a place that hardly any text reaches.
    'vs := array.slice(split(h, ","), 1, 100); vs[0] == "b"; count(vs) == 1',
    "vs := array.slice(split(h, `,`), 1, 100); count(vs) > 60",
    "vs := array.slice(split(h, `,`), 1, 100); count(vs) == 99",
    'vs := array.slice(split(split(http.path, "?")[0], "/"), 1, 100); vs[0] == claims.t; count(vs) < 3',
    'rs == ["users", claims.t]',
    'concat(" ", us) != "a b"',
    'concat("/", ps) == "/a/b"',
    "count(ss) - 1 > 0",
    "ss[0] == claims.t; count(ss) == 2",
    'bs[1] == http.headers["x-u"]',
    "ps[count(ps) - 2] == claims.t",
    'startswith(fs[count(fs) - 2], "a")',
    'split(claims.t, " ")[count(split(claims.t, " ")) - 2] != "a"',
    'xs[count(xs) - 2] == http.headers["x-u"]',
    'hs := split(h, ","); concat(",", array.slice(hs, count(hs) - 2, count(hs))) in {"a,b", "b", "b,"}',
    'hs := split(h, ","); concat(",", array.slice(hs, 0, count(hs) - 2)) in {"a", "a,b"}',
    'hs := split(claims.t, " "); concat(" ", array.slice(hs, count(hs) - 2, count(hs))) == "a b"',
    'fs[1] == http.headers["x-u"]',
    "qs[count(qs) - 1] == claims.t",
    'qs == ["a", http.headers["x-u"]]',
    '["a", id] = qs; id == http.headers["x-u"]',
    "regex.match(`^[a-c]$`, qs[1])",
    "ends := [x | some x in split(trim_suffix(lower(http.path), `/`), `/`); x != ``]; ends[1] in {`b`, `c`}",
    # The same, written by hand: of a text without any piece the first is empty.
    'split(trim(regex.replace(http.path, "[/]+", "/"), "/"), "/")[0] == ""',
    'not split(trim(regex.replace(http.path, "[/]+", "/"), "/"), "/")[0] == "a"',
    'split(trim(regex.replace(h, "[,]+", ","), ","), ",")[1] in {"a", "b"}',
    'hs := split(trim(regex.replace(h, "[,]+", ","), ","), ","); hs[count(hs) - 1] in {"", "b"}',
    'count(split(trim(regex.replace(h, "[,]+", ","), ","), ",")) == 1',
    # What is no list of all pieces, or depends on where a piece stands.
    'few := [x | some x in split(h, ","); x in {"a", "b"}]; count(few) > 0',
    'rest := [x | some i; x := split(h, ",")[i]; i > 0]; rest == []',
)
TEXTS = (
    *("", " ", ",", "a", "a,b", "a, b", " a , b ", "b,a", "a,,b", ",a", "a,", "a,b,c", "A,B", "a,\tb", "/"),
    *(",,", ",,a,,b", "a,,b,", ",,,a", "?a,b", "a?,b", "a,b?c,d", ",?,a"),
    *("10.1.2.3", "10.1.2.3, 11.0.0.1", "11.0.0.1 , 10.0.0.9", "a,b\u00fc", "a\u00a0,b"),
    *("a, ,b", " ,\t,a", "a,\u00a0,b", "\u00fc,b"),
    "a," * 70,
    "a," * 99,
    "a," * 120,
)


@pytest.mark.parametrize("providers", [1], ids=("one",), indirect=True)
def test_lists_of_pieces_are_asked_natively(
    bed: Bed, providers: tuple[Provider, ...], issuers: Issuers
) -> None:
    """Also where there is nothing to be split, and the list is empty."""
    asked = [Request("GET", "/"), Request("GET", "/", (("x-u", "a"),), Token("corp", {}))]
    for text in TEXTS:
        spaced = text.replace(",", " ")
        path = "/" + text.replace(",", "/").replace(" ", "").replace("\t", "")
        asked += [
            Request("GET", path, (("x-t", text), ("x-u", "b")), Token("corp", {"t": spaced})),
            Request("GET", path, (("x-u", "a"),), Token("corp", {"t": text})),
        ]
    for other in (7, None, ["a"], {"a": 1}):
        asked.append(Request("GET", "/", (("x-u", "a"),), Token("corp", {"t": other})))
    judge_natively(bed, allowing(IDIOMS, providers, issuers, head=HEAD), asked, residual=0.1)
