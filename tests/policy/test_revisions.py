"""Revisions: what makes a new one, what does not, and what is refused."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest

from palisade import rego
from palisade.policy import revisions, sets
from palisade.policy.inventory import Inventory
from palisade.policy.inventory_file import parse
from palisade.policy.sets import PolicySet

SETTINGS = "policies: .\nfunctions: {hello: {upstream: 127.0.0.1:1, listen: 127.0.0.1:2}}\n"


def inventory(folder: Path, more: str = "") -> Inventory:
    return parse(SETTINGS + more, folder / "palisade.yaml")


def policy_set(folder: Path, **files: str) -> PolicySet:
    for name, text in files.items():
        (folder / f"{name}.rego").write_text(text)
    return sets.load(folder, shown="p")


ALLOW = "package palisade.identity\n\ndefault allow := false\n"
PROVIDERS = """package palisade.identity

providers := {"corp": {"issuer": "https://c.example", "audiences": ["a"]}}
"""


def test_a_revision_holds_the_policy_and_its_providers(tmp_path: Path) -> None:
    revision = revisions.build(inventory(tmp_path), policy_set(tmp_path, a=ALLOW, p=PROVIDERS))
    assert revision.policy.evaluate("data.palisade.identity.allow", {}) is False
    assert [each.name for each in revision.providers] == ["corp"]


def test_what_was_read_of_data_is_taken_as_it_is(tmp_path: Path) -> None:
    """Data are not gone through once more at each edit of a rule beside them: that took half a second of a
    processor for 11 MB."""
    (tmp_path / "data.json").write_text('{"users": [{"name": "ann", "limit": 1.0}]}')
    first = revisions.build(inventory(tmp_path), policy_set(tmp_path, a=ALLOW))
    second = revisions.build(inventory(tmp_path), policy_set(tmp_path, a=ALLOW + "\n# x\n"), first)
    assert second.policy.data["users"] is first.policy.data["users"]
    assert first.policy.evaluate("data.users") == [{"name": "ann", "limit": 1}]


def test_rules_beside_an_edit_are_not_planned_again(tmp_path: Path) -> None:
    """Issuers are planned aside: what was planned of 1,200 rules was forgotten over theirs, and an edit
    of one of ten thousand took eight seconds."""
    rules = [f'allow if input.path == "/{number}"\n' for number in range(1_200)]
    before: revisions.Revision | None = None
    plans = []
    for edit in ("/5", "/changed", "/5"):
        rules[5] = f'allow if input.path == "{edit}"\n'
        of = policy_set(tmp_path, a=ALLOW + "".join(rules), p=PROVIDERS)
        before = revisions.build(inventory(tmp_path), of, before)
        plans.append(before.policy.plan([before.inventory.decision_document]))
    one, two, three = ({id(block) for func in plan.funcs for block in func.blocks} for plan in plans)
    assert len(one & two) == len(two & three) == len(one) - 1


def test_the_id_follows_content_and_inventory(tmp_path: Path) -> None:
    loaded = policy_set(tmp_path, a=ALLOW)
    one = revisions.revision_id(inventory(tmp_path), loaded)
    assert one == revisions.revision_id(inventory(tmp_path), policy_set(tmp_path, a=ALLOW))
    assert one != revisions.revision_id(inventory(tmp_path, "decision: a/b\n"), loaded)
    assert one != revisions.revision_id(inventory(tmp_path), policy_set(tmp_path, a=ALLOW + "\n# x\n"))
    assert len(one) == 12


def test_settings_that_decide_nothing_make_no_new_revision(tmp_path: Path) -> None:
    loaded = policy_set(tmp_path, a=ALLOW)
    moved = inventory(tmp_path, "engine: {admin: 127.0.0.1:0}\n")
    assert revisions.revision_id(inventory(tmp_path), loaded) == revisions.revision_id(moved, loaded)


@pytest.mark.parametrize(
    ("setting", "first", "second"),
    [
        ("network: {{hosts: [{}]}}\n", "a.example", "b.example"),
        ("explain: {{trusted: [{}]}}\n", "127.0.0.1", "10.0.0.0/8"),
    ],
)
def test_whom_policies_may_reach_and_who_may_ask_why_are_part_of_the_revision(
    tmp_path: Path, setting: str, first: str, second: str
) -> None:
    """Decisions hang on the one; sidecars leave those who ask to the engine. The order does not count."""
    loaded = policy_set(tmp_path, a=ALLOW)
    none, one, two, turned = (
        revisions.revision_id(inventory(tmp_path, more), loaded)
        for more in (
            "",
            *(setting.format(each) for each in (first, f"{first}, {second}", f"{second}, {first}")),
        )
    )
    assert len({none, one, two}) == 3
    assert two == turned


def test_a_policy_reaches_the_hosts_of_the_inventory_and_no_others(tmp_path: Path) -> None:
    looks = 'package palisade.identity\n\nallow if "127.0.0.1" in net.lookup_ip_addr("127.0.0.1")\n'
    loaded = policy_set(tmp_path, a=looks)
    path = "data.palisade.identity.allow"
    allowed = revisions.build(inventory(tmp_path, "network: {hosts: [127.0.0.1]}\n"), loaded)
    assert allowed.policy.evaluate(path, {}) is True
    # What was compiled before with more hosts lends none of them.
    refused = revisions.build(inventory(tmp_path, "network: {hosts: [a.example]}\n"), loaded, allowed)
    with pytest.raises(rego.EvalError, match=r"unallowed host: 127\.0\.0\.1"):
        refused.policy.evaluate(path, {})


def test_a_decision_that_no_rule_defines_is_an_error_and_not_a_denial_of_everything(tmp_path: Path) -> None:
    loaded = policy_set(tmp_path, a="package envoy.authz\n\nallow if input.x\n\nhelper(x) := x\n")
    revisions.build(inventory(tmp_path, "decision: envoy/authz/allow\n"), loaded)
    with pytest.raises(revisions.DocumentError, match="no rule defines envoy/authz/alow") as raised:
        revisions.build(inventory(tmp_path, "decision: envoy/authz/alow\n"), loaded)
    assert raised.value.errors[0].hint == "did you mean 'envoy/authz/allow'?"
    assert raised.value.errors[0].line.startswith("decision: ")
    with pytest.raises(revisions.DocumentError, match="no rule defines palisade/identity/allow") as raised:
        revisions.build(inventory(tmp_path), loaded)
    assert raised.value.errors[0].line.startswith("policies: ")
    with pytest.raises(revisions.DocumentError) as raised:
        revisions.build(inventory(tmp_path), replace(loaded, modules={}))
    assert raised.value.errors[0].hint.startswith("no rule is there")
    with pytest.raises(revisions.DocumentError, match="no rule defines envoy/authz/helper"):
        revisions.build(inventory(tmp_path, "decision: envoy/authz/helper\n"), loaded)


@pytest.mark.parametrize(
    ("rules", "named"),
    [
        ('decision := {"allowed": ok}\n\nok if input.x\n', "envoy/authz/decision"),
        ('response := {"allowed": true} if input.x\n\nelse := {"allowed": false}\n', "envoy/authz/response"),
        ('result["allowed"] := true\n\nresult["body"] := "x"\n', "envoy/authz/result"),
        ('ok := 1 if input.x\n\nelse := {"allowed": false}\n', "envoy/authz/ok"),
        ("default allow := false\n\nallow if input.x\n\nhelper(x) := x\n", "envoy/authz/allow"),
        ('allow if input.x\n\nanswer := {"allowed": allow}\n', "envoy/authz/answer"),
        ('a := {"allowed": true}\n\nb := {"allowed": false}\n', ""),
        ('f(x) := {"allowed": x}\n\ng contains {"allowed": 1}\n', ""),
    ],
)
def test_an_error_names_the_rule_that_decides_under_another_name(
    tmp_path: Path, rules: str, named: str
) -> None:
    """Where the settings do not name it: the list of all rules does not tell which one it is."""
    loaded = policy_set(tmp_path, a=f"package envoy.authz\n\n{rules}")
    with pytest.raises(revisions.DocumentError) as raised:
        revisions.build(inventory(tmp_path), loaded)
    told = raised.value.errors[0].hint
    says = f"`decision: {named}` names the rule that decides here; for a set alone, `--decision`"
    assert told == says if named else "names" not in told


def test_a_decision_may_be_an_object_put_together_rule_by_rule(tmp_path: Path) -> None:
    """As OPA-Envoy's documentation writes it."""
    rules = 'result["allowed"] := true\n\nresult[name] := 1 if some name in input.x\n'
    loaded = policy_set(tmp_path, a=f"package envoy.authz\n\n{rules}")
    revision = revisions.build(inventory(tmp_path, "decision: envoy/authz/result\n"), loaded)
    assert revision.policy.evaluate("data.envoy.authz.result", {})["allowed"] is True


def test_errors_of_rego_come_with_their_place(tmp_path: Path) -> None:
    with pytest.raises(rego.CompileError) as raised:
        revisions.build(inventory(tmp_path), policy_set(tmp_path, a=ALLOW + "allow if x\n"))
    [error] = raised.value.errors
    assert (error.file, error.row, error.code) == ("p/a.rego", 4, "rego_unsafe_var_error")


def test_a_providers_document_that_believes_too_much_is_refused_where_it_stands(tmp_path: Path) -> None:
    careless = PROVIDERS.replace('["a"]', "[]")
    with pytest.raises(revisions.DocumentError) as raised:
        revisions.build(inventory(tmp_path), policy_set(tmp_path, a=ALLOW, p=careless))
    [error] = raised.value.errors
    assert (error.file, error.row) == ("p/p.rego", 3)
    assert "providers.corp.audiences: is missing" in error.message


def test_what_is_wrong_of_a_provider_is_shown_where_it_is_written(tmp_path: Path) -> None:
    """All of it stood at the first line of the rule, without the line itself."""
    source = """package palisade.identity

providers := {
	"corp": {"issuer": "https://a", "audience": ["a"], "jwks_uri": "https://a/keys"},
	"shop": {
		"issuer": "https://b",
		"audiences": "b",
		"jwks_uri": "https://b/keys",
	},
}
"""
    with pytest.raises(revisions.DocumentError) as raised:
        revisions.build(inventory(tmp_path), policy_set(tmp_path, a=ALLOW, p=source))
    told = [(error.row, error.col, error.message.partition("providers.")[2]) for error in raised.value.errors]
    lines = source.splitlines()
    assert all(error.line == lines[error.row - 1] for error in raised.value.errors)
    assert [(row, col, message.partition(":")[0]) for row, col, message in told] == [
        (4, 2, "corp.audiences"),
        (4, 34, "corp.audience"),
        (7, 3, "shop.audiences"),
    ]


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ("time.now_ns() < 1893456000000000000", "time.now_ns"),
        ("input.identity.provider", "input"),
        ("open(input)", "input"),
    ],
)
def test_providers_that_no_one_asks_for_anew_are_refused(tmp_path: Path, body: str, named: str) -> None:
    """An issuer with a date would have been trusted beyond it, until the next edit."""
    source = f"{PROVIDERS.strip()} if {{\n\t{body}\n}}\n\nopen(x) if count(x) == 0\n"
    with pytest.raises(revisions.DocumentError) as caught:
        revisions.build(inventory(tmp_path), policy_set(tmp_path, a=ALLOW, p=source))
    (error,) = caught.value.errors
    assert error.message.startswith(f"providers depend on {named}, but")
    assert (error.file, error.row, error.col) == ("p/p.rego", 4, 2)


def test_providers_that_cannot_be_evaluated_are_refused(tmp_path: Path) -> None:
    conflict = "package palisade.identity\nproviders := 1\nproviders := 2\n"
    with pytest.raises(revisions.DocumentError, match="eval_conflict_error") as raised:
        revisions.build(inventory(tmp_path), policy_set(tmp_path, a=ALLOW, p=conflict))
    assert raised.value.errors[0].hint.startswith("rules of one name differ at once")


def test_a_decision_that_takes_too_long_ends(tmp_path: Path) -> None:
    pairs = "some x in numbers.range(1, 1000); some y in numbers.range(1, 100000); x == y"
    endless = f"package palisade.identity\n\nallow if count([x | {pairs}]) < 0\n"
    revision = revisions.build(inventory(tmp_path), policy_set(tmp_path, a=endless))
    started = time.perf_counter()
    with pytest.raises(rego.EvalError) as raised:
        revision.policy.evaluate("data.palisade.identity.allow", {})
    assert raised.value.code == "eval_cancel_error"
    assert time.perf_counter() - started < 10


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("own.rego", "package palisade.lib.own\n\nok if input.x\n"),
        ("palisade/lib/own/data.json", '{"ok": true}'),
    ],
)
def test_what_a_set_took_back_from_the_library_is_missed_by_rules_that_stay(
    tmp_path: Path, name: str, text: str
) -> None:
    """A running engine went on with a set that it would have refused after a restart."""
    added = tmp_path / name
    added.parent.mkdir(parents=True, exist_ok=True)
    added.write_text(text)
    before = revisions.compile_set(policy_set(tmp_path, a="package a\n\np if data.palisade.lib.own.ok\n"))
    added.unlink()
    with pytest.raises(rego.CompileError, match=r"data\.palisade\.lib\.own is undefined"):
        revisions.compile_set(policy_set(tmp_path), previous=before)
