"""The coverage report: each rule, where it is decided, and the expression that keeps it from Envoy."""

from __future__ import annotations

from pathlib import Path

import pytest
from explain_helpers import covered

from palisade.explain.coverage import Residue, Where, of_any_member
from palisade.explain.places import UNPLACED, Place
from palisade.rego.errors import Location


def test_rules_that_envoy_decides_are_native_and_so_is_their_default(tmp_path: Path) -> None:
    report = covered(tmp_path, 'default allow := false\nallow if http.method == "GET"\n')
    assert [(each.location.row, each.where) for each in report.rules] == [
        (4, Where.NATIVE),
        (5, Where.NATIVE),
    ]
    assert (report.residual, report.conditional) == (False, False)


def test_a_default_whose_answer_is_the_engines_is_residual(tmp_path: Path) -> None:
    """All requests that no rule holds of go to the engine for it."""
    rules = 'default allow := {"allowed": true, "headers": {":path": "/x"}}\nallow if http.method == "GET"\n'
    report = covered(tmp_path, rules)
    assert [each.where for each in report.rules] == [Where.RESIDUAL, Where.NATIVE]
    assert "changes the header" in report.rules[0].residues[0].reason
    assert report.residual


def test_what_a_rule_makes_in_its_head_is_looked_into(tmp_path: Path) -> None:
    """A call there, and what stands in rules that only a head refers to, was told at like lines."""
    report = covered(
        tmp_path,
        "allow if {\n\tsome flag in flags\n\tflag\n\thttp.path != plain\n}\n\n"
        "plain := yaml.unmarshal(http.body).path\n\nflags := [odd, http.method]\n\n"
        'default odd := false\n\nodd if yaml.unmarshal(http.headers.odd) == "a"\n',
    )
    [rule] = report.rules
    told = {each.place.expression for each in rule.residues}
    assert told == {"yaml.unmarshal(http.body).path", 'yaml.unmarshal(http.headers.odd) == "a"'}


def test_a_rule_that_always_holds_is_settled(tmp_path: Path) -> None:
    report = covered(tmp_path, 'default allow := false\nallow if http.method == "GET"\nallow if 1 == 1\n')
    assert [each.where for each in report.rules] == [Where.NATIVE, Where.SETTLED, Where.SETTLED]
    assert [each.note for each in report.rules] == [
        "",
        "decides no request: another rule decides all of them",
        "decides every request",
    ]


def test_a_rule_that_never_holds_is_said_to_decide_nothing(tmp_path: Path) -> None:
    """`settled` alone may mean either. An array of data takes no `&`, and nothing else tells of that."""
    (tmp_path / "data.json").write_text('{"needed": ["a"]}')
    report = covered(
        tmp_path,
        'default allow := false\nallow if may\nmay if http.method == "GET"\n'
        "allow if data.needed & {http.method} == data.needed\nallow if data.none\n",
    )
    noted = {each.line: each.note for each in report.rules if each.note}
    assert noted == dict.fromkeys(
        ("allow if data.needed & {http.method} == data.needed", "allow if data.none"),
        "decides no request: none that this function can get meets it",
    )


def test_a_rule_on_what_no_request_has_is_said_to_decide_nothing(tmp_path: Path) -> None:
    """A policy for Kong was said to be native in all its rules, where it denies whatever the request is."""
    report = covered(
        tmp_path,
        'default allow := false\nallow if input.request.http.method == "GET"\n'
        'allow if http.headers["x-a"] == "b"\n',
    )
    assert [each.where for each in report.rules] == [Where.NATIVE, Where.SETTLED, Where.NATIVE]
    assert report.rules[1].note == "decides no request: none that this function can get meets it"


def test_a_residual_rule_shows_the_expression_where_it_stands(tmp_path: Path) -> None:
    report = covered(
        tmp_path,
        'allow if {\n\thttp.method == "PUT"\n\tyaml.unmarshal(http.body).admin == true\n}\n',
    )
    [rule] = report.rules
    [residue] = rule.residues
    assert (rule.where, report.residual) == (Where.RESIDUAL, True)
    assert str(residue.place.location) == "policies/allow.rego:6:2"
    assert residue.place.expression == "yaml.unmarshal(http.body).admin == true"
    assert residue.place.line == "\tyaml.unmarshal(http.body).admin == true"
    assert "input.parsed_body" in residue.hint


def test_an_expression_of_a_helper_rule_is_found_there(tmp_path: Path) -> None:
    report = covered(
        tmp_path,
        'allow if {\n\tother\n\towner(http.path)\n}\n\nother if http.method == "PUT"\n\n'
        "owner(path) if crypto.sha256(path) == input.identity.claims.digest\n",
    )
    residues = report.rules[0].residues
    assert [str(each.place.location) for each in residues if each.always] == ["policies/allow.rego:11:16"]


def test_what_is_called_last_is_shown_and_not_where_its_argument_was_made(tmp_path: Path) -> None:
    """The rule that takes the header apart has more of the condition in it than the call that is to blame.
    Values are told as one writes them in Rego: they were `headers[x-a]` and `[1]['sub']`."""
    report = covered(
        tmp_path,
        'allow if {\n\thttp.method == "GET"\n'
        '\tlower(http.headers["x-a"]) != crypto.hmac.sha256(token.sub, "k")\n}\n\n'
        'token := payload if {\n\t[_, encoded] := split(http.headers.authorization, " ")\n'
        "\t[_, payload, _] := io.jwt.decode(encoded)\n}\n",
    )
    told = {each.reason.split()[0]: each for each in report.rules[0].residues if each.always}
    assert [str(told[name].place.location) for name in ("calls", "compares")] == [
        "policies/allow.rego:6:32",
        "policies/allow.rego:6:2",
    ]
    assert 'lower(input.attributes.request.http.headers["x-a"])' in told["compares"].reason
    assert "[1])[1].sub" in told["compares"].reason


def test_a_token_that_is_taken_apart_is_shown_and_not_what_is_counted_beside(tmp_path: Path) -> None:
    """That a token has three parts is asked by a pattern; the `count` of a prefix was shown."""
    source = """
allow if payload.sub == "alice"

payload := claims if [_, claims, _] := io.jwt.decode(bearer)

bearer := token if {
	sent := http.headers["x-token"]
	startswith(sent, "Bearer ")
	token := substring(sent, count("Bearer "), -1)
}
"""
    (only,) = covered(tmp_path, source).rules
    (residue,) = (each for each in only.residues if each.reason.endswith("holds no plain token"))
    assert residue.place.expression == "[_, claims, _] := io.jwt.decode(bearer)"


def test_requests_for_which_a_native_rule_needs_the_engine_are_named(tmp_path: Path) -> None:
    report = covered(tmp_path, 'default allow := false\nallow if "a" in input.identity.claims.roles\n')
    default, rule = report.rules
    assert (default.where, rule.where) == (Where.CONDITIONAL, Where.CONDITIONAL)
    assert "input.identity.claims.roles is an object" in rule.residues[0].reason
    assert not rule.residues[0].always
    assert (report.residual, report.conditional) == (False, True)


def test_what_is_settled_when_compiled_is_said_to_be(tmp_path: Path) -> None:
    report = covered(tmp_path, 'allow if http.method == "GET"\nallow if input.function == "hello"\n')
    assert [each.where for each in report.rules] == [Where.NATIVE, Where.SETTLED]


def test_a_rule_that_prints_hands_on_too(tmp_path: Path) -> None:
    """`print` is compiled into nothing, so that the rules behind decide: the one that printed was said to be
    settled, and nothing of theirs."""
    report = covered(
        tmp_path,
        'allow if {\n\tprint("asked", http.path)\n\tmay\n}\nmay if http.method == "GET"\n',
    )
    assert [(each.where, each.line) for each in report.rules] == [
        (Where.NATIVE, 'may if http.method == "GET"')
    ]


def test_else_branches_are_reported_with_their_rule(tmp_path: Path) -> None:
    report = covered(
        tmp_path,
        'allow if http.method == "GET"\nelse := false if rand.intn(http.path, 2) == 1\n',
    )
    [rule] = report.rules
    assert rule.where is not Where.NATIVE
    assert any("rand.intn" in each.reason and each.place.location.row == 5 for each in rule.residues)


def test_what_a_branch_answers_with_is_shown_at_the_branch(tmp_path: Path) -> None:
    """The reason stood at the rule's first line, whose answer is native. What is so of all branches is said
    once."""
    report = covered(
        tmp_path,
        'allow := {"allowed": true} if {\n\tinput.parsed_query.a[_] == "1"\n'
        '} else := {"allowed": false, "body": "no"} if {\n\thttp.method == "GET"\n'
        '} else := {"allowed": false, "body": sprintf("no %s here", [http.scheme])}\n',
    )
    [rule] = report.rules
    answers, queries = sorted(rule.residues, key=lambda each: each.reason)
    assert answers.reason == "answers with input.attributes.request.http.scheme"
    assert str(answers.place.location) == "policies/allow.rego:8:3"
    assert "sprintf" in answers.place.line
    assert "query has escapes" in queries.reason


def test_messages_that_no_filter_joins_are_told_once(tmp_path: Path) -> None:
    """There was a line for each set of them, with all texts in it, and a hint at what they have already."""
    names = "abcdefg"
    report = covered(
        tmp_path,
        'allow := {"allowed": count(why) == 0, "body": concat("; ", why)}\n'
        "two contains n if some n in input.identity.claims.roles\n"
        'why contains sprintf("a %s", [two]) if http.headers["x-a"]\n'
        + "".join(f'why contains "{each}" if http.headers["x-{each}"]\n' for each in names),
    )
    [rule] = report.rules
    [told] = [each for each in rule.residues if each.reason.startswith("answers with")]
    assert told.reason == "answers with messages that no filter of Envoy's puts together"
    assert "begin with different constants" in told.hint


@pytest.mark.parametrize(
    "joined", ["[r | some r in claims.roles]", "[r | r := claims.realm_access.roles[_]]"]
)
def test_all_members_that_a_loop_lists_are_joined_as_the_claim_is(tmp_path: Path, joined: str) -> None:
    """They were the engine's, and so would an object's entries be: of those the condition says it."""
    source = (
        "claims := input.identity.claims\n"
        f'allow := {{"allowed": true, "headers": {{"x-roles": concat(",", {joined})}}}}\n'
    )
    [rule] = covered(tmp_path, source).rules
    assert rule.where is Where.CONDITIONAL
    assert not [each.reason for each in rule.residues if each.always]


def test_what_is_not_followed_is_no_value_of_an_answer(tmp_path: Path) -> None:
    """It tells a reason of its own; as a value that was one in brackets."""
    report = covered(tmp_path, 'allow := {"allowed": false, "body": format_int(rand.intn("x", 3), 10)}\n')
    [rule] = report.rules
    assert "answers with values of the request" in {each.reason for each in rule.residues}


def test_odd_paths_are_a_doubt_of_policies_that_look_at_segments(tmp_path: Path) -> None:
    assert covered(tmp_path, 'allow if http.path == "/a"\n').doubts == ()
    [doubt] = covered(tmp_path, 'allow if input.parsed_path == ["a"]\n').doubts
    assert "%2F" in doubt.reason


def test_what_may_conflict_is_shown_where_it_stands(tmp_path: Path) -> None:
    """Without the place nobody could tell which of a hundred rules sends requests to the engine first."""
    report = covered(
        tmp_path,
        'globs := {"a": ["/a/*"], "b": ["/b/*"]}\n\n'
        'allow := {"allowed": true, "why": {role, "member"}} if {\n'
        "\tsome role in input.identity.claims.roles\n\tsome pattern in globs[role]\n"
        '\tglob.match(pattern, ["/"], http.path)\n}\n',
    )
    [doubt] = [each for each in report.doubts if each.always]
    assert str(doubt.place.location) == "policies/allow.rego:7:2"
    assert doubt.place.expression == "some role in input.identity.claims.roles"
    assert "gives a value for each member" in doubt.reason
    assert "rule that is true" in doubt.hint


def test_a_doubt_without_a_place_of_its_own_is_told_without(tmp_path: Path) -> None:
    """Of the expressions that are alike one was shown which had nothing to do with it."""
    [doubt] = covered(tmp_path, 'allow if input.parsed_path == ["a"]\n').doubts
    assert doubt.place == UNPLACED


def test_a_decision_that_is_put_together_of_rules_reports_each(tmp_path: Path) -> None:
    report = covered(
        tmp_path,
        'result["allowed"] := http.method == "GET"\n\nresult["body"] := crypto.sha256(http.path)\n',
        "palisade/identity/result",
    )
    assert [each.location.row for each in report.rules] == [4, 6]
    assert all(each.where is not Where.SETTLED for each in report.rules)


@pytest.mark.parametrize(
    "body",
    [
        'input.attributes.request.http.method in {"GET", "PUT"}\n\treading',
        'words := {true: "read", false: "write"}\n\twords[reading] == "read"',
    ],
)
def test_a_rule_that_asks_what_the_one_behind_it_asks_too_is_native(tmp_path: Path, body: str) -> None:
    """It was said to decide no request."""
    source = f"""
default reading := false

reading if input.attributes.request.http.method == "GET"

allow if {{
\t{body}
}}
"""
    (only,) = covered(tmp_path, source).rules
    assert (only.where, only.line, only.note) == (Where.NATIVE, "allow if {", "")


def test_a_value_that_has_a_name_before_it_is_handed_on_is(tmp_path: Path) -> None:
    source = """
default reading := false

reading if input.attributes.request.http.method == "GET"

allow := result if {
	result := reading
	print({true: "yes", false: "no"}[result])
}
"""
    found = covered(tmp_path, source).rules
    assert [(each.where, each.line[:15]) for each in found] == [
        (Where.NATIVE, "default reading"),
        (Where.NATIVE, "reading if inpu"),
    ]


def test_rules_that_only_hand_on_are_reported_by_those_behind_them(tmp_path: Path) -> None:
    report = covered(
        tmp_path,
        'allow := shop if input.function == "orders"\n\nallow := cart if input.function == "hello"\n\n'
        'shop if http.method == "GET"\n\nshop if yaml.unmarshal(http.body).admin == true\n\n'
        'cart if http.method == "PUT"\n',
    )
    assert [(each.location.row, each.where) for each in report.rules] == [
        (6, Where.SETTLED),
        (8, Where.NATIVE),
        (10, Where.RESIDUAL),
    ]


def test_what_a_rule_that_hands_on_asks_itself_is_found_there(tmp_path: Path) -> None:
    report = covered(
        tmp_path,
        "allow := shop if crypto.sha256(http.path) == input.identity.claims.digest\n\n"
        'shop if http.method == "GET"\n',
    )
    [rule] = report.rules
    assert rule.location.row == 6
    assert {each.place.location.row for each in rule.residues if each.always} == {4}


def test_members_of_an_array_are_told_of_once_and_other_indices_stay(tmp_path: Path) -> None:
    """Each of the members that the sidecar looks at had a reason of its own, and two arrays 64 of them."""
    [rule] = covered(
        tmp_path,
        """allow if {
            some group in input.identity.claims.groups
            some path in input.identity.claims.paths
            concat(":", [split(group, "/")[2], path]) == yaml.unmarshal(http.path)[3]
        }""",
    ).rules
    [told] = [each.reason for each in rule.residues if each.reason.startswith("compares")]
    assert 'split(input.identity.claims.groups[_], "/")[2], input.identity.claims.paths[_]' in told
    assert told.endswith(".path)[3]")


def test_calculations_are_told_as_people_write_them(tmp_path: Path) -> None:
    """`minus(mul(x, plus(y, 1)), 2)` is nobody's Rego."""
    spelled = "bits.lsh(to_number(http.path) * (count(http.host) + 1) - 2 - (3 - count(http.host)), 1)"
    [rule] = covered(tmp_path, f"allow if {spelled} == yaml.unmarshal(http.path)[3]").rules
    [told] = [each.reason for each in rule.residues if each.reason.startswith("compares")]
    whole = spelled.replace("http.", "input.attributes.request.http.")
    assert told.startswith(f"compares {whole} with")


def test_what_differs_in_more_than_the_member_is_told_each() -> None:
    here, there = (Place(Location("allow.rego", row, 1), "", "") for row in (1, 2))
    residues = (
        Residue("compares a[0] with b[7]", "hint", True, here),
        Residue("compares a[1] with b[7]", "hint", True, here),
        Residue("compares a[1] with b[7]", "hint", True, there),
        Residue("compares a[1] with b[7]", "another hint", True, here),
        Residue("compares a[1] with b[7]", "hint", False, here),
        Residue("compares a[1] with b[7].c", "hint", True, here),
    )
    assert of_any_member(residues) == (
        Residue("compares a[_] with b[7]", "hint", True, here),
        *residues[2:],
    )


def test_the_hint_for_what_a_builtin_makes_is_about_the_builtin(tmp_path: Path) -> None:
    """Of a decoded token's members it was said that the header is to be named by a constant."""
    [rule] = covered(
        tmp_path,
        """allow if {
            [_, token, _] := io.jwt.decode(http.headers.authorization)
            some group in token.groups
            ["", unit] = split(group, "/")
            unit == input.parsed_path[0]
        }""",
    ).rules
    assert not [each for each in rule.residues if "name the header by a constant" in each.hint]
