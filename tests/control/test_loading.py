"""Readings: their rules are counted once for all functions, and what one made is gone with the next."""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Callable
from types import FunctionType, MethodType
from typing import Any

import pytest
from control_helpers import ALLOW, SUM, Project

from palisade.control.loading import Deployment, Known, lower, read
from palisade.enforce.envoy import compile_sidecar
from palisade.enforce.envoy.matchers.dealing import part_of
from palisade.enforce.envoy.parts import name_of
from palisade.explain.compiled import compiled
from palisade.policy.attribution import attribute
from palisade.policy.history import RuleCounts
from palisade.policy.revisions import Revision
from palisade.xds.resources import EXTENSION

COUNTED = """package palisade.identity

import input.attributes.request.http

allow if http.method == "GET"

allow if {
	http.method == "PUT"
	input.function == "hello"
	input.parsed_query.page[0] == "1"
}

allow if {
	input.function == "orders"
	crypto.sha256(http.path) == "00"
}

allow if {
	http.method == checked
}

checked := "POST" if input.function == "hello"

checked := crypto.sha256(http.path) if input.function == "orders"
"""

BRANCHES = """package palisade.identity

import input.attributes.request.http

default allow := false

allow := team if input.function == "hello"

default team := false

team if {
	http.method == "GET"
} else := false if {
	http.method == "HEAD"
}

team if {
	http.method == "PUT"
	input.parsed_query.page[0] == "1"
} else := false if {
	http.method == "PUT"
}

team if {
	http.method == "POST"
	crypto.sha256(http.path) == "00"
} else := false if {
	http.method == "POST"
}

allow if input.function == "orders"
"""

RULES = "".join(f'\nallow if input.attributes.request.http.path == "/{at}"\n' for at in range(20))
CLAIMS = '\nallow if {\n\tsome role in input.identity.claims.roles\n\trole == "%s"\n}\n'


def _edited(project: Project, text: str, before: Deployment | None) -> Deployment:
    """What the engine does with an edit, up to the code for questions and the rules' names."""
    project.allow.write_text(ALLOW + RULES + text)
    reading = read(project.file, Known(before.revision if before else None))
    assert reading.revision is not None, reading.errors
    deployment = lower(reading.revision, {}, before)
    _get_ready(reading.revision)
    return deployment


def _get_ready(revision: Revision) -> None:
    revision.policy.make_ready(revision.inventory.decision_document)
    document: Any = {"attributes": {"request": {"http": {"path": "/sum"}}}, "parsed_path": ["sum"]}
    attribute(revision.policy, revision.inventory.decision).rule(document)


def _left_by(edit: Callable[[int], None]) -> list[str]:
    """What of ours some edits leave that only the collector can free."""
    edit(0)
    gc.collect()
    gc.disable()
    try:
        for turn in range(1, 5):
            edit(turn)
        gc.set_debug(gc.DEBUG_SAVEALL)
        gc.collect()
        return [f"{type(each).__name__} {each!r:.80}" for each in gc.garbage if _is_ours(each)]
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()


def _is_ours(made: object) -> bool:
    found = made.__func__ if isinstance(made, MethodType) else made
    where = found.__module__ if isinstance(found, FunctionType) else type(found).__module__
    return str(where).startswith(("palisade", "rego-"))


def test_a_rule_is_counted_as_at_the_function_where_it_needs_the_engine_most(project: Project) -> None:
    """The history tells what to look at, and what is native at one function may ask the engine at another."""
    project.allow.write_text(COUNTED)
    counts = {}
    for functions in (("hello",), ("orders",), ("hello", "orders")):
        listed = "".join(f"  {name}: {{upstream: 127.0.0.1:9, listen: 127.0.0.1:0}}\n" for name in functions)
        project.file.write_text(f"policies: ./policies\nfunctions:\n{listed}")
        reading = read(project.file, Known())
        assert reading.revision is not None, reading.errors
        counts[functions] = lower(reading.revision, {}).rules
    assert counts[("hello",)] == RuleCounts(native=2, conditional=1)
    assert counts[("orders",)] == RuleCounts(native=1, residual=2)
    assert counts[("hello", "orders")] == RuleCounts(native=1, conditional=1, residual=2)


def test_one_is_compiled_for_all_functions_that_get_the_same(project: Project) -> None:
    """An edit of a policy of a thousand rules, which ask for no function's name, took two hundred functions
    two seconds. Each gets what it gets where it is alone: by its own failure settings, and by its name as
    soon as a rule, also one of a shadow, asks for that, and for as long: until an engine began anew, it was
    compiled for each where a rule had once asked."""
    listed = "".join(
        f"  {name}: {{upstream: 127.0.0.1:9, listen: 127.0.0.1:0{more}}}\n"
        for name, more in (("a", ""), ("b", ""), ("c", ", failure: {no_engine: 429}"), ("d", ""))
    )
    project.file.write_text(f"policies: ./policies\nfunctions:\n{listed}")
    asking = ALLOW + '\nallow if input.function == "b"\n'
    before: Deployment | None = None
    shadow: Revision | None = None

    def compiled_once(text: str, watched: str = "") -> list[tuple[str, ...]]:
        """Which functions have one and the same."""
        nonlocal before, shadow
        if watched:
            project.allow.write_text(watched)
            shadow = read(project.file, Known()).revision
        project.allow.write_text(text)
        revision = read(project.file, Known(before.revision if before else None)).revision
        assert revision is not None
        before = lower(revision, {}, before, shadow=shadow)
        found: dict[int, list[str]] = {}
        for name, each in before.enforcements.items():
            function = revision.inventory.functions[name]
            alone = compile_sidecar(revision, function, {}, shadow, divisible=True)
            assert each.snapshot == alone.snapshot
            found.setdefault(id(each), []).append(name)
        return sorted(map(tuple, found.values()))

    each = [("a",), ("b",), ("c",), ("d",)]
    assert compiled_once(ALLOW) == [("a", "b", "d"), ("c",)]
    assert compiled_once(ALLOW + SUM % 1) == [("a", "b", "d"), ("c",)]
    assert compiled_once(ALLOW + SUM % 2, watched=asking) == each
    shadow, before = None, None
    assert compiled_once(ALLOW) == [("a", "b", "d"), ("c",)]
    assert compiled_once(asking) == each
    assert compiled_once(ALLOW) == [("a", "b", "d"), ("c",)]


def test_an_edit_for_one_function_leaves_the_others_as_they_are(project: Project) -> None:
    """Where each of two hundred has rules of its own, an edit of one made the same conditions and the same
    tree again for all. Each gets what it gets where it is compiled alone, whatever else of the set or of
    palisade.yaml changes with it."""
    listed = "".join(f"  {name}: {{upstream: 127.0.0.1:9, listen: 127.0.0.1:0}}\n" for name in "ab")
    issuer = 'providers := {"p": {"issuer": "https://i.test/", "any_audience": true}}'
    trusted = "explain: {trusted: [192.0.2.1]}\n"
    before: Deployment | None = None

    def kept(at: int, more: str = "", settings: str = "", keys: dict[str, str] | None = None) -> set[str]:
        """Of which functions conditions and tree are as before, after an edit of the rule of `b`."""
        nonlocal before
        rule = '\nallow if {\n\tinput.function == "%s"\n\tinput.attributes.request.http.path == "/%s"\n}\n'
        project.allow.write_text(ALLOW + rule % ("a", "a") + rule % ("b", at) + more)
        project.file.write_text(f"policies: ./policies\n{settings}functions:\n{listed}")
        revision = read(project.file, Known(before.revision if before else None)).revision
        assert revision is not None
        last, before = before, lower(revision, keys or {}, before)
        found: set[str] = set()
        for name, each in before.enforcements.items():
            function = revision.inventory.functions[name]
            assert each.snapshot == compile_sidecar(revision, function, keys or {}, divisible=True).snapshot
            own = last.enforcements[name] if last is not None else each
            assert each.work is not None
            assert own.work is not None
            if each.work.decision is own.work.decision and each.built[0] is own.built[0]:
                found.add(name)
        return found

    kept(1)
    assert kept(2) == {"a"}
    assert kept(3, settings=trusted) == set()
    assert kept(4, settings=trusted) == {"a"}
    assert kept(4, settings=trusted, more="\nallow if input.parsed_body.x\n") == set()
    assert kept(5, settings=trusted, more="\nallow if input.parsed_body.x\n") == {"a"}
    assert kept(6) == set()
    assert kept(7, more=f"\n{issuer}\n") == set()
    assert kept(7, more=f"\n{issuer}\n", keys={"p": '{"keys": []}'}) == set()


MANY = "".join(
    f'\nallow if {{\n\tinput.attributes.request.http.path == "/{at}"\n'
    f"\tinput.attributes.request.http.size != {at}\n}}\n"
    for at in range(1100)
)


def test_a_line_that_comes_leaves_what_sidecars_have_as_it_is(project: Project) -> None:
    """A comment at the top changes no rule, and one more rule the part that it is in: those below are named
    by the numbers that their lines keep. What tells the rows of now stands in one filter."""

    def lowered(text: str, before: Deployment | None) -> Deployment:
        project.allow.write_text(text)
        reading = read(project.file, Known(before.revision if before else None))
        assert reading.revision is not None, reading.errors
        return lower(reading.revision, {}, before)

    def changed(old: Deployment, new: Deployment) -> set[str]:
        packed = [each.enforcements["hello"].snapshot.packed(EXTENSION) for each in (old, new)]
        return {name for name, each in packed[1].items() if each.version != packed[0][name].version}

    first = lowered(ALLOW + MANY, None)
    assert first.enforcements["hello"].parts is not None
    top = ALLOW.replace("identity\n", "identity\n\n# more\n")
    second = lowered(top + MANY, first)
    assert changed(first, second) == {"palisade.attributes"}
    third = lowered(
        top.replace("# more", 'allow if input.attributes.request.http.path == "/t"') + MANY, second
    )
    assert changed(second, third) == {"palisade.attributes", name_of(part_of("/t"))}
    assert second.revision.marked != first.revision.marked == first.revision.id


def test_rules_are_counted_as_compile_counts_them(project: Project) -> None:
    """A rule with `else` branches is one, and a default rule none, also one that another rule hands on to:
    the status counted each case, and told of four rules where `palisade compile` told of one."""
    never = '\nallow if input.request.http.method == "GET"\n'
    project.allow.write_text(BRANCHES + never)
    reading = read(project.file, Known())
    assert reading.revision is not None, reading.errors
    deployment = lower(reading.revision, {})
    assert deployment.rules == RuleCounts(native=1, conditional=1, residual=1)
    function = reading.revision.inventory.functions["hello"]
    rules = compiled(reading.revision, function).coverage.rules
    told = Counter(str(each.where) for each in rules if not each.line.startswith("default"))
    assert told == {"settled": 2, "native": 1, "conditional": 1, "residual": 1}


def test_an_edit_leaves_nothing_to_the_collector(project: Project) -> None:
    """What is in cycles, and all that it refers to, stays until everything is looked at, which stops
    decisions. A run of partial evaluation had handlers bound to it: 1.6 MB of each edit of 10,000 rules."""
    made: Deployment | None = None

    def edit(turn: int) -> None:
        nonlocal made
        made = _edited(project, SUM % turn + CLAIMS % f"a{turn}", made)

    assert _left_by(edit) == []


@pytest.mark.parametrize("wrong", ["allow if x", "allow if count(1, 2)", "allow if", "allow if allow"])
def test_a_broken_edit_leaves_nothing_to_the_collector(project: Project, wrong: str) -> None:
    """Whoever writes a rule saves it many times before it is right."""
    revision = _edited(project, "", None).revision

    def edit(turn: int) -> None:
        project.allow.write_text(f"{ALLOW}{RULES}\n# {turn}\n{wrong}\n")
        assert read(project.file, Known(revision)).errors

    assert _left_by(edit) == []


def test_a_reading_tells_what_of_an_edit_nothing_defines(project: Project) -> None:
    """With the edit that brings it, and not with one far from it; so does one of data, and one that takes a
    name away."""
    known = Known()
    other = project.allow.parent / "other.rego"
    data = project.allow.parent / "data.json"

    def warned(text: str) -> list[str]:
        nonlocal known
        project.allow.write_text(ALLOW + text)
        reading = read(project.file, known)
        assert not reading.errors
        known = Known(reading.revision)
        return [each.message.split()[0] for each in reading.warnings]

    data.write_text('{"grants": {}}')
    other.write_text("package other\n\nused := 1\n")
    misspelt = "\nallow if data.identity.grnats\n"
    assert warned(misspelt + RULES) == ["data.identity.grnats"]
    assert warned(misspelt + RULES + "\nallow if data.other.used == 1\n") == []
    assert warned("\nallow if data.identity.grants.x\n\nallow if data.other.used == 1\n") == [
        "data.identity.grants.x"
    ]
    other.write_text("package other\n\nnamed := 1\n")
    assert warned("\nallow if data.other.used == 1\n") == ["data.other.used"]
    other.write_text("package other\n\nused := 1\n")
    data.write_text('{"grants": {"x": 1}}')
    assert warned("\nallow if data.identity.grants.x\n") == []
    data.write_text('{"grants": {"y": 1}}')
    assert warned("\nallow if data.identity.grants.x\n") == ["data.identity.grants.x"]
    data.write_text('{"grants": {"y": 1}, "grants": {"x": 1}}')
    assert warned("\nallow if data.identity.grants.x\n") == ["duplicate"]
    assert warned("\nallow if data.identity.grants.x == 1\n") == []
