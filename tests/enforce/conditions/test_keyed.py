"""Claims that are looked up by a text of the request are read natively, as the evaluator reads them."""

from __future__ import annotations

import json

import pytest
from lowered import judge_natively, subject_of

from palisade import rego
from palisade.policy.providers import Provider
from palisade.testing.equivalence import Bed, Issuers, Request, Subject, Tally, Token, compare_many
from palisade.testing.equivalence.telling import lines, summary

HEAD = """package p
import input.attributes.request.http
claims := input.identity.claims
key := http.headers["x-key"]
roles_of[user] := roles if {
	user := key
	roles := {"a": ["dev", "GET"], "b": ["admin"], "0": ["GET"]}[user]
}
"""
IDIOMS = (
    *(
        f"claims.map[{key}]{below} {test}"
        for key in ("key", "input.parsed_path[0]", 'split(key, ".")[0]', "input.parsed_query.k[0]")
        for below, test in (("", '== "admin"'), ("", '!= "admin"'), (".role", 'in {"admin", "dev", 7, true}'))
    ),
    "claims.map[key]",
    "not claims.map[key]",
    "not claims.map[key].role",
    "claims.map.deep[key].role == 7",
    "claims[key] == true",
    'claims[key].a == "admin"',
    '"w" in claims.map[key]',
    'not "w" in claims.map[key]',
    'some each in claims.map[key].list; each in {"w", "r"}',
    "claims.map[key] == false",
    "claims.map[http.method] == 1.5",
    "claims.map[key][input.parsed_path[0]] == 7",
    'object.get(claims.map, key, "x") == "admin"',
    'object.get(claims.map, input.parsed_path[0], "x") == "x"',
    '"w" in object.get(claims.map, key, [])',
    'not "w" in object.get(claims.map, input.parsed_path[0], ["w"])',
    # Objects that rules make at such a key, and that are looked up there again.
    "roles_of[key][_] == http.method",
    'some role in roles_of[key]; role == "dev"',
    "not roles_of[key]",
    "not roles_of[input.parsed_path[0]]",
    "roles_of[input.parsed_path[0]][1] == `GET`",
)
OF_CLAIMS = (
    # Looked up by the token's own texts, as those of Keycloak are, or those of a body.
    *(
        f"claims.map[{key}]{below} {test}"
        for key in ("claims.by", "input.parsed_body.k")
        for below, test in (("", '== "admin"'), ("", '!= "admin"'), (".role", 'in {"admin", "dev", 7, true}'))
    ),
    '"w" in claims.map[claims.by]',
    'some each in claims.map[claims.by].list; each in {"w", "r"}',
    "not claims.map[claims.by]",
    "claims.map[claims.by][key] == `w`",
    # Texts and numbers that are found.
    'startswith(claims.map[key], "ad")',
    'not endswith(claims.map[claims.by], "min")',
    "claims.map[key].role == http.method",
    "claims.map[key] == claims.by",
    "startswith(http.path, claims.map[key].role)",
    "claims.map[http.method] >= 1.5",
    "claims.map[http.method] < 1",
    "not claims.map[key].a > 6",
    "7 <= claims.map[claims.by].a",
    "claims.map[key] > 3",
    "claims.map[http.method] >= input.parsed_body.k",
    "claims.map[claims.by] < claims.by",
)
MAP = {
    "a": "admin",
    "b": {"role": "dev", "list": ["r", 7], "a": 7},
    "c": ["w", 1],
    "deep": {"a": {"role": 7}},
    "no": False,
    "null": None,
    "0": "admin",
    "GET": 1.5,
    "": "admin",
    "o": {"x": "w"},
}
KEYS = ("a", "b", "c", "deep", "no", "null", "0", "", "o", "map", "yes", "gone", "a.b", "ü")


def _asked() -> list[Request]:
    tokens = [
        Token("corp", {"map": each, "yes": True, "a": "x", "name": "b"})
        for each in (MAP, ["admin", "w"], "a", None)
    ]
    found = [Request(), Request("GET", "/a", (("x-key", "a"),))]
    for each in KEYS:
        found.append(Request("GET", "/a", (("x-key", each),), tokens[0]))
        found.append(Request("GET", f"/{each}/x?k={each}".replace("ü", "%C3%BC"), (), tokens[0]))
    found += [
        Request("GET", "/a?k=a", (("x-key", key),), token) for token in tokens[1:] for key in ("0", "a")
    ]
    return found


def _asked_by_claims() -> list[Request]:
    found = []
    keys = [*((each, MAP) for each in KEYS)]
    for odd in (0, 0.0, -0.0, 1.5, True, None, ["a"], {"a": "b"}):
        keys += [(odd, each) for each in (MAP, ["admin", "w"], "a")]
    for at, (by, looked_up) in enumerate(keys):
        headers = (("x-key", KEYS[at % len(KEYS)]), ("content-type", "application/json"))
        token = Token("corp", {"map": looked_up, "by": by})
        found.append(Request("POST", ("/dev", "/admin")[at % 2], headers, token, json.dumps({"k": by})))
    return [*found, Request("POST", "/dev", headers, None, json.dumps({"k": "a"}))]


@pytest.mark.parametrize("providers", [1, 2], ids=("one", "two"), indirect=True)
def test_claims_at_a_key_of_the_request(bed: Bed, providers: tuple[Provider, ...], issuers: Issuers) -> None:
    """In objects, arrays and what is neither; of several providers those of the one whose token counts."""
    subjects = _subjects(IDIOMS, providers, issuers)
    bed.load(*subjects, reporting=True)
    for difference in compare_many(bed, subjects, _asked(), tally := Tally()):
        raise AssertionError("\n".join((summary(difference), difference.subject.name, *lines(difference))))
    assert all(r.native or r.conditional for each in subjects for r in each.enforcement.coverage)
    assert tally.residual < 0.1 * tally.pairs, tally


@pytest.mark.parametrize("providers", [1, 2], ids=("one", "two"), indirect=True)
def test_claims_at_a_key_of_the_token_or_the_body(
    bed: Bed, providers: tuple[Provider, ...], issuers: Issuers
) -> None:
    """A number finds a place in an array, and a text a key of an object: most keys here are no texts."""
    subjects = _subjects(OF_CLAIMS, providers, issuers)
    judge_natively(bed, subjects, [*_asked(), *_asked_by_claims()], residual=0.3)


def _subjects(idioms: tuple[str, ...], providers: tuple[Provider, ...], issuers: Issuers) -> list[Subject]:
    return [
        subject_of(rego.compile({"p.rego": f"{HEAD}allow if {{ {idiom} }}"}), providers, issuers)
        for idiom in idioms
    ]
