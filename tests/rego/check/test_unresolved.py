"""References that nothing defines are found, each with what may have been meant, and no others."""

from __future__ import annotations

from typing import Any

import pytest
from conformance import Case, ConformanceCases
from hypothesis import given
from hypothesis import strategies as st

from palisade import rego
from palisade.rego.check import unresolved
from palisade.rego.values import UNDEFINED

LIB = "package lib.claims\n\nroles contains 1\n\nsubject := 1\n"


def found(source: str, data: Any = None, **modules: str) -> list[tuple[int, str, str]]:
    """The row, message and hint of each."""
    policy = rego.compile({"a.rego": source, **modules}, data or {})
    own = [each for each in policy.checked.modules if each.loc.file == "a.rego"]
    errors = unresolved.find(
        policy.checked, policy.data, modules=own, supplied=unresolved.replaced(policy.checked, own)
    )
    return [(each.row, each.message.partition(" is undefined")[0], each.hint) for each in errors]


def test_a_misspelt_import_is_told_once_where_it_stands() -> None:
    source = "package a\n\nimport data.lib.clams\n\np if 1 in clams.roles\n\nq if clams.subject\n"
    assert found(source, lib=LIB) == [(3, "data.lib.clams", "did you mean data.lib.claims?")]


def test_a_misspelt_rule_of_another_package() -> None:
    source = "package a\n\nimport data.lib.claims\n\np if 1 in claims.role\n"
    assert found(source, lib=LIB) == [(5, "data.lib.claims.role", "did you mean data.lib.claims.roles?")]


def test_a_key_of_a_document() -> None:
    data = {"shop": {"grants": {"alice": 1}}}
    source = "package a\n\np if data.shop.grnats[input.user]\n\nq if data.shop.grants.alice.x\n"
    assert found(source, data) == [
        (3, "data.shop.grnats", "did you mean data.shop.grants?"),
        (5, "data.shop.grants.alice.x", ""),
    ]


def test_a_document_that_is_mounted_in_another_place() -> None:
    assert found("package a\n\np if data.grants[input.user]\n", {"shop": {"grants": {}}}) == [
        (3, "data.grants", "did you mean data.shop.grants?")
    ]


def test_what_has_the_name_far_from_there_is_not_meant() -> None:
    """Of `data.roles` each set was told of the library's rule for a token's roles."""
    lib = "package deep.down.lib.claims\n\nroles := 1\n"
    source = "package a\n\np if data.roles.x\n\nq if data.shop.roles\n"
    assert found(source, {"shop": {}}, lib=lib) == [(3, "data.roles", ""), (5, "data.shop.roles", "")]


def test_what_there_is_where_nothing_is_near_in_spelling() -> None:
    source = "package a\n\np if data.shop.zzz\n"
    assert found(source, {"shop": {"x": 1, "y": 2}}) == [(3, "data.shop.zzz", "data.shop has x, y")]


@pytest.mark.parametrize(
    "body",
    [
        "data.table[input.x].y",
        "data.table.list[0].x",
        "data.a.object.anything.at.all",
        "data.a.partial.anything",
        "data[input.x].y",
        "data.a.f(1) == 1",
        "data.lib",
        "data.empty.package == {}",
        "data.late.x with data.late as 1",
        "helper with data.later.x as 1",
    ],
)
def test_what_may_be_there_is_not_told(body: str) -> None:
    rest = "helper if data.later.x.y\n\nobject := input.o\n\npartial[x] := 1 if x := input.x\n\nf(x) := x\n"
    if "later" not in body:
        rest = rest.removeprefix("helper if data.later.x.y\n")
    source = f"package a\n\np if {body}\n\n{rest}"
    empty = "package empty.package\n"
    assert found(source, {"table": {"list": [{}]}}, lib=LIB, empty=empty) == []


def test_of_what_the_cases_of_opa_refer_to(conformance_cases: ConformanceCases) -> None:
    """Whatever is told to be undefined is, in policies of all kinds."""

    def check(case: Case) -> None:
        modules = {f"{number}.rego": source for number, source in enumerate(case["modules"])}
        try:
            policy = rego.compile(modules, case.get("data"))
        except rego.CompileError:
            return  # what is wrong is for other tests
        for each in unresolved.find(policy.checked, policy.data, modules=policy.checked.modules):
            path = each.message.partition(" is undefined")[0]
            assert policy.evaluate(path, case.get("input", UNDEFINED)) is UNDEFINED

    conformance_cases.hold(check)


def test_rules_that_stood_before_are_passed_over() -> None:
    """What an edit costs is what it changes."""
    sources = {"a.rego": "package a\n\np if data.x\n\nq if data.y\n"}
    before = rego.compile(sources)
    after = rego.compile({"a.rego": sources["a.rego"].replace("data.y", "data.z")}, previous=before)
    errors = unresolved.find(
        after.checked, after.data, modules=after.checked.modules, previous=before.checked
    )
    assert [each.message.split()[0] for each in errors] == ["data.z"]


KEYS = st.sampled_from(["a", "b", "c"])
DATA = st.recursive(
    st.integers(0, 1), lambda inner: st.dictionaries(KEYS, inner, max_size=2) | st.lists(inner, max_size=1)
)


@given(st.dictionaries(KEYS, DATA, max_size=2), st.lists(KEYS, min_size=1, max_size=4))
def test_it_is_told_exactly_of_what_is_undefined(data: dict[str, Any], path: list[str]) -> None:
    """But below arrays, of which the length is no part of a contract."""
    reference = ".".join(("data", *path))
    policy = rego.compile({"m.rego": f"package z\n\np := {reference}\n\nb.c := 1 if input.x\n"}, data)
    errors = unresolved.find(policy.checked, policy.data, modules=policy.checked.modules)
    value: Any = data
    for key in path:
        if isinstance(value, list):
            assert errors == []
            return
        value = value.get(key, UNDEFINED) if isinstance(value, dict) else UNDEFINED
    assert bool(errors) == (policy.evaluate("data.z.p") is UNDEFINED) == (value is UNDEFINED)
