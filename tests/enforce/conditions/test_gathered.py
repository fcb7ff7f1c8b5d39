"""Arrays of what a table says of each member of a claim: asked natively, and as the evaluator decides."""

from __future__ import annotations

import pytest
from lowered import judge_natively, subject_of

from palisade import rego
from palisade.policy.providers import Provider
from palisade.testing.equivalence import Bed, Issuers, Request, Token

HEAD = """package p
import input.attributes.request.http
claims := input.identity.claims
limits := [data.limits[role] | some role in claims.roles]
names := [name | some role in claims.roles; name := data.names[role]]
rows := [row.n | some role in claims.roles; some row in data.rows; row.of == role]
"""
DATA = {
    "limits": {"clerk": 1, "lead": 9, "boss": 50, "aid": 1},
    "names": {"clerk": "a", "lead": "b", "boss": "a"},
    "rows": [{"of": "clerk", "n": 2}, {"of": "lead", "n": 7}, {"of": "clerk", "n": 7}],
}
IDIOMS = (
    "max(limits) >= 9",
    "max(limits) == 9",
    "not max(limits) < 9",
    "min(limits) < 9",
    'to_number(http.headers["x-n"]) <= max(limits)',
    "max(limits) > claims.least",
    "count(limits) > 0",
    "count(names) < 1",
    "count(limits) == 0",
    "50 in limits",
    "limits[_] > 9",
    "every limit in limits { limit > 1 }",
    'not "b" in names',
    "some name in names; name == claims.least",
    "count({name | some name in names}) == 1",
    "7 in rows",
    "max(rows) < 7",
    "every n in rows { n > 2 }",
)
ROLES = (
    *([], ["clerk"], ["lead", "clerk"], ["clerk", "lead"], ["clerk", "clerk"], ["clerk", "aid"], ["boss"]),
    *(["x"], ["x", "lead", "boss"], "lead", None, 7, [["lead"], 9], ["lead"] * 3, ["Clerk", "clerk "]),
)


@pytest.mark.parametrize("providers", [1], ids=("one",), indirect=True)
def test_values_of_members_are_asked_natively(
    bed: Bed, providers: tuple[Provider, ...], issuers: Issuers
) -> None:
    """For an upload that is to be no larger than the largest of its roles allows, and the like."""
    subjects = [
        subject_of(rego.compile({"p.rego": f"{HEAD}allow if {{ {each} }}"}, DATA), providers, issuers)
        for each in IDIOMS
    ]
    asked = [Request(), Request(token=Token("corp", {}))]
    for roles in ROLES:
        for least, number in ((1, "9"), ("a", "10"), (40, "x")):
            token = Token("corp", {"roles": roles, "least": least})
            asked.append(Request("GET", "/", (("x-n", number),), token))
    judge_natively(bed, subjects, asked, residual=0.1)


SETS = """package p
import input.attributes.request.http
claims := input.identity.claims
roles := {role | some role in claims.roles}
groups := {group | some group in claims.groups}
asked := {role | some role in split(http.headers["x-roles"], ",")}
named := {"clerk", "lead"}
wanted := {role | some role in data.wanted[http.host]}
"""
WANTED = {"wanted": {"a.example": ["clerk"], "b.example": ["clerk", "lead"]}}
COMPARED = (
    "roles == groups",
    "roles != groups",
    "roles == asked",
    "roles == wanted",
    "object.subset(roles, groups)",
    "object.subset(asked, roles)",
    "object.subset(roles, named)",
    "object.subset(named, roles)",
    "not object.subset(roles, wanted)",
    "object.subset(wanted | groups, roles)",
)
OTHERS = ([], ["clerk"], ["clerk", "lead", "clerk"], ["lead", 7, "clerk"], "clerk", None)


@pytest.mark.parametrize("providers", [1], ids=("one",), indirect=True)
def test_sets_of_the_request_are_compared_natively(
    bed: Bed, providers: tuple[Provider, ...], issuers: Issuers
) -> None:
    """Whether a token has just the roles that are asked for, or none but those."""
    subjects = [
        subject_of(rego.compile({"p.rego": f"{SETS}allow if {{ {each} }}"}, WANTED), providers, issuers)
        for each in COMPARED
    ]
    asked = [Request(), Request(token=Token("corp", {}))]
    for roles in ROLES:
        for at, groups in enumerate(OTHERS):
            host = (("host", ("a.example", "b.example", "c.example")[at % 3]),)
            header = (("x-roles", ("clerk", "clerk,lead", "", "lead,clerk,lead,")[at % 4]),) if at else ()
            token = Token("corp", {"roles": roles, "groups": groups} if at else {"roles": roles})
            asked.append(Request("GET", "/", (*host, *header), token))
    judge_natively(bed, subjects, asked, residual=0.2)
