"""What policies calculate of claims, written by hand."""

from __future__ import annotations

HEAD = """package p
import input.attributes.request.http
claims := input.identity.claims
body := input.parsed_body
"""
SIGNS = ("<", "<=", ">", ">=", "==", "!=")
CALCULATED = (
    *(f"claims.a + 1 {sign} 4" for sign in SIGNS),
    *(f"claims.a * 2 {sign} claims.b" for sign in SIGNS),
    *(f"claims.b {sign} claims.a - claims.b" for sign in SIGNS),
    *(f"claims.a {sign} claims.b" for sign in SIGNS),
    *(f"claims.a {sign} {other}" for sign in SIGNS[:4] for other in ('"3"', 'http.headers["x-a"]')),
    "not claims.a + claims.b > 6",
    "not claims.a < claims.b",
    "claims.a / 2 > 1",
    "claims.a / 3 == 1",
    "claims.a * 0.1 <= 0.3",
    "claims.a + 0.1 == 0.4",
    "claims.a * 0 == 0",
    "claims.a - claims.a == 0",
    "not claims.a - claims.b",
    "3 >= claims.a * claims.b",
    *(f"claims.a * claims.a {sign} claims.b" for sign in SIGNS),
    "not claims.b > claims.a * claims.a",
    "claims.a * claims.b * claims.a < 28",
    *(
        f"{name}(claims.a) {sign} {limit}"
        for name in ("abs", "round", "ceil", "floor")
        for sign in ("==", "<", ">=")
        for limit in (0, 3)
    ),
    "abs(claims.a - claims.b) < 1",
    "not round(claims.a) == 3",
    "round(claims.a) + floor(claims.b) == 6",
    *(f"claims.a % 3 {sign} 1" for sign in ("==", ">", "!=")),
    "not claims.a % -2 == 1",
    "claims.a % 2",
    "count(claims.a) > count(claims.b)",
    "count(claims.a) * 2 == 4",
    "count(claims.a) <= claims.b",
    'input.parsed_path[0] >= "b"',
    'http.headers["x-a"] < claims.a',
)
SUMS = (
    *(f"sum(claims.a) {sign} 6" for sign in SIGNS),
    "sum(claims.a) <= claims.b",
    "not sum(claims.a) > 3",
    "sum([v | some v in claims.a]) <= 6",
    "sum([n | some v in claims.a; n := v.n]) == 3",
    "sum([n | some v in claims.a; n := v.n * v.m]) < 7.5",
    "not sum([v.n | some v in claims.a]) >= 3",
    "sum([v.n | some v in claims.a]) + claims.b > 6",
    "sum([n | some v in claims.a; n := v.n * claims.b]) > 6",
    "sum([v.n | some v in claims.a])",
    "max([v.n | some v in claims.a]) > 2",
    "sum([n | some v in claims.a; n := v.n * v.m]) <= claims.b",
    "h := sum([n | some v in claims.a; n := v.n * v.m]); not h > claims.b",
)
