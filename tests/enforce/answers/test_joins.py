"""Members of claims joined to one text in answers are what the engine would put there."""

from __future__ import annotations

import random

import jwt
import pytest
from answering import compared, decider, place
from stand import Sent, Stand

BEARER = 'split(http.headers.authorization, " ")[1]'
VERIFIED = f'token := t if [true, _, t] = io.jwt.decode_verify({BEARER}, {{"secret": "{"s" * 64}"}})'
DECODED = f"token := io.jwt.decode({BEARER})[1]"
ANSWERS = """package p

import input.attributes.request.http

default allow := {"allowed": false, "http_status": 401}

allow := {
	"allowed": true,
	"headers": {
		"x-roles": concat(",", token.roles),
		"x-two": ["a", sprintf("<%s>", [concat("\\" \\\\ ", token.roles)])],
	},
	"response_headers_to_add": {"x-roles": concat("", token.roles)},
	"why": concat(", ", token.roles),
} if startswith(http.path, "/turn")

allow := {
	"allowed": true,
	"headers": {"x-roles": concat(",", {role | some role in token.roles})},
	"response_headers_to_add": {"x-sorted": concat(",", sort(token.roles))},
} if startswith(http.path, "/set")

allow := {
	"allowed": true,
	"headers": {
		"x-roles": concat(" ", [role | some role in token.roles]),
		"x-deep": concat(",", token.org.groups),
	},
} if startswith(http.path, "/deep")

allow := {
	"allowed": false,
	"http_status": 403,
	"body": json.marshal({"roles": concat("|", token.roles), "sub": token.sub}),
} if startswith(http.path, "/refusal")

"""
PATHS = ("/turn", "/set", "/deep", "/refusal", "/no")
PLAIN = (
    ["admin"],
    ["b", "a", "b", "B", "a b", "10", "9", "a"],
    ["a,b", "%REQ(x)%", "'", "-", "$1", "[x]", "{}"],
    [f"role{at}" for at in range(300)],
    [" x", "y "],
)
OTHERS = (
    *([], [""], ["a", ""], ["ü"], ["a", 7], ["a", None], [["a"]], [{"a": "b"}], [True], ['a"'], ["\\"]),
    *(["a<b"], ["&"], ["a\nb"], ["a\x00"], ["\x7f"], "a", '["a","b"]', 7, None, {"k": "a"}, {}),
)


@pytest.mark.parametrize("verified", [True, False], ids=["verified", "decoded"])
def test_joined_members_are_put_into_answers(stand: Stand, *, verified: bool) -> None:
    """For the client, the function and the log, of arrays of any length where Envoy verifies the token, and
    of up to 256 members where it is only decoded. What has other members than plain texts, a text that looks
    like such an array too, is the engine's; of a claim that is missing a set is empty."""
    asked: list[Sent] = []
    for at, roles in enumerate((*PLAIN, *OTHERS)):
        token = jwt.encode(
            {"sub": "u", "roles": roles, "org": {"groups": roles}}, "s" * 64, algorithm="HS256"
        )
        headers = (("authorization", f"Bearer {token}"), ("x-roles", "root"))
        asked += [Sent("GET", f"{path}?{at}", headers) for path in PATHS]
    many = jwt.encode({"roles": ["b", "a"] * 4500}, "s" * 64, algorithm="HS256")
    asked.append(Sent("GET", "/set?many", (("authorization", f"Bearer {many}"),)))
    missing = jwt.encode({"sub": "u"}, "s" * 64, algorithm="HS256")
    asked += [Sent("GET", f"{path}?", (("authorization", f"Bearer {missing}"),)) for path in PATHS]
    asked += [Sent("HEAD", f"{path}?") for path in PATHS]
    found = compared(stand, ANSWERS + (VERIFIED if verified else DECODED), asked)
    deciders = {place(each): decider(each) for each in found}
    for at, roles in enumerate(PLAIN):
        seen = {path: deciders[f"{path}?{at}", "GET"] for path in PATHS}
        by = "native" if verified or len(roles) <= 256 else "residual"
        assert seen == {**dict.fromkeys(PATHS, by), "/no": "native"}, roles
    assert deciders["/set?many", "GET"] == ("native" if verified else "residual")
    assert {deciders[f"{path}?", "GET"] for path in PATHS} == {"native"}
    for at, roles in enumerate(OTHERS, len(PLAIN)):
        if isinstance(roles, list) and verified:
            assert deciders[f"/set?{at}", "GET"] == "residual", roles


PICKED = (
    'concat(",", [role | some role in token.roles; startswith(role, "app:")])',
    'concat(" ", [trim_prefix(role, "app:") | some role in token.roles; startswith(role, "app:")])',
    'concat(",", {upper(r) | some r in token.roles; not r in {"x", "%"}; not startswith(r, ":")})',
    'concat("", [split(role, ":")[1] | some role in token.roles])',
    'concat(",", [split(r, ":")[0] | some r in token.roles; endswith(r, "w"); not contains(r, "-")])',
    'concat("|", sort({trim_space(substring(role, 2, -1)) | some role in token.roles; role != "app:"}))',
    'concat("|", sort([replace(role, "a", "") | some role in token.roles; not endswith(role, "a")]))',
    'concat(",", sort([role | some role in mine]))',
    'json.marshal({"in": concat(";", [urlquery.encode(r) | some r in token.roles; contains(r, "a")])})',
    'concat(",", {sprintf("%s=%s\\"", ["role", r]) | some r in token.roles})',
    'concat(",", [trim(concat("-", ["", lower(r), "-a"]), "-:a") | some r in token.roles])',
    'concat("|", [sprintf("<%v>", [split(r, ":")[0]]) | some r in token.roles; r != "x"])',
)
ROLES = (
    *("app:r", "app:", "app:w", "app:r:w", "x", "d-a", "d-app:w", ":", "a", "aa", " app:w ", "%", "Aw"),
    *("ü", "", 7),
)


@pytest.mark.long
def test_members_that_are_picked_are_joined(stand: Stand) -> None:
    """Those of which a loop asks something, and what it makes of each; where none is picked, or of all no
    text is made, the engine answers."""
    chance = random.Random(1)
    for at in range(0, len(PICKED), 3):
        rules = "\n".join(
            f'allow := {{"allowed": {str(number % 2 == 0).lower()}, "headers": {{"x-made": {text}}}}} if '
            f'startswith(http.path, "/{number}")'
            for number, text in enumerate(PICKED[at : at + 3])
        )
        policy = f"""package p
import input.attributes.request.http
{VERIFIED}
mine contains role if {{ some role in token.roles; not startswith(role, "d-") }}
{rules}
"""
        asked: list[Sent] = []
        for number in range(60):
            roles = [chance.choice(ROLES[: 13 if number % 3 else None]) for _ in range(chance.randrange(7))]
            token = jwt.encode({"roles": roles}, "s" * 64, algorithm="HS256")
            path = f"/{number % 3}?{number}"
            asked.append(Sent("GET", path, (("authorization", f"Bearer {token}"),)))
        found = [(place(each)[0][1], decider(each)) for each in compared(stand, policy, asked)]
        assert all(found.count((number, "native")) > 4 for number in "012"), PICKED[at : at + 3]


LISTED = (
    "sort([lower(role) | some role in mine])",
    'sort([split(role, ":")[0] | some role in mine])',
    'sort([sprintf("<%s>", [role]) | some role in mine])',
)


def test_texts_that_two_members_of_a_set_become_are_joined_twice(stand: Stand) -> None:
    """A set that is listed has each member once, and the list has what is made of each."""
    rules = "\n".join(
        f'allow := {{"allowed": true, "headers": {{"x-made": concat(",", {text})}}}} if '
        f'startswith(http.path, "/{number}")'
        for number, text in enumerate(LISTED)
    )
    policy = f"""package p
import input.attributes.request.http
{VERIFIED}
mine contains role if some role in token.roles
{rules}
"""
    asked: list[Sent] = []
    for number, roles in enumerate((["a", "A"], ["b:x", "b:y", "a"], ["a", "a"], ["B", "a", "b"])):
        token = jwt.encode({"roles": roles}, "s" * 64, algorithm="HS256")
        sent = (("authorization", f"Bearer {token}"),)
        asked += [Sent("GET", f"/{at}?{number}", sent) for at in range(len(LISTED))]
    found = [(place(each)[0][1], decider(each)) for each in compared(stand, policy, asked)]
    assert found.count(("2", "native")) == 4
