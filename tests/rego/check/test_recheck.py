"""A check that builds on one before comes out as a whole one does."""

from __future__ import annotations

import pytest
from any_asts import with_places
from effort import examples
from hypothesis import given, settings
from hypothesis import strategies as st

from palisade.rego.check import check
from palisade.rego.errors import CompileError
from palisade.rego.parser import parse_module

# Each of these changes what the others may take for granted: names, arity, types, annotations, conflicts.
_VARIANTS = {
    "a.rego": [
        "package a\np := q",
        "package a\np := f(1)",
        "package a\np := f(1, 2)",
        "package a\np if startswith(q, `x`)",
        "package a\np := data.b.r[x] if x := 1",
        "package a\np if count(input.x) with data.b.r as 1",
        "# METADATA\n# title: t\n# scope: package\npackage a\np := rego.metadata.chain()",
        "package a\nimport data.b.f\np := f(1)",
        "package a\np := x if { x = q; not f(x) }",
    ],
    "b.rego": [
        "package b\nr := 1\nf(x) := data.a.p",
        "package b\nr contains x if x := data.a.q",
        "package b\nf(x) := x",
        "package b\nf(x, y) := x",
        "package a\nq := 1\nf(x) := x",
        'package a\nq := "x"\nf(x, y) := x',
        "package a\np contains 1",
    ],
    "c.rego": ["package a\nq := 1", 'package a\nq := "a"', "package a.q\nz := 1", "package c\nz := data.a.p"],
}

_steps = st.lists(
    st.fixed_dictionaries({file: st.integers(0, len(texts) - 1) for file, texts in _VARIANTS.items()}),
    min_size=2,
    max_size=4,
)

_PARSED = {
    (file, index): parse_module(text, file)
    for file, texts in _VARIANTS.items()
    for index, text in enumerate(texts)
}


def _outcome(modules, previous):
    try:
        return check(modules, previous=previous), []
    except CompileError as refused:
        return None, refused.errors


@settings(deadline=None, max_examples=examples(150))
@given(_steps)
def test_edits_come_out_as_checks_from_scratch(steps):
    previous = None
    for step in steps:
        modules = [_PARSED[each] for each in step.items()]
        whole, errors = _outcome(modules, None)
        again, same_errors = _outcome(modules, previous)
        assert same_errors == errors
        if whole is None or again is None:
            continue
        previous = again
        assert previous.rules == whole.rules
        assert previous.graph == whole.graph
        assert previous.types.documents.extent() == whole.types.documents.extent()


def test_unchanged_modules_keep_their_rules():
    first, second = (
        parse_module("package a\np := x if x := input.y", "a.rego"),
        parse_module("package b", "b.rego"),
    )
    before = check([first, second])
    after = check([first, parse_module("package b\nq := 1", "b.rego")], previous=before)
    assert after.rules[("a", "p")][0] is before.rules[("a", "p")][0]


def test_schemas_given_later_count():
    module = parse_module("package a\np if input.x", "a.rego")
    before = check([module])
    with pytest.raises(CompileError):
        check([module], previous=before, schemas={"input": {"properties": {"y": {}}}})


# One of these on each line of a file: an edit leaves the rules on all other lines the trees they are.
_LINES = [
    "",
    "p := q",
    "p if f(1)",
    "p if f(1, 2)",
    "q := 1",
    "q := `x`",
    "q := y",
    "q contains 1",
    "f(x) := x",
    "f(x, y) := x + y",
    "r if { x = q; not f(x) }",
    "r if count(data.b.s) > 1",
    "r if q with data.b.s as 1",
    "s contains x if some x in data.a.q",
    "s.t := startswith(q, `x`)",
    "s if r",
]

_files = st.tuples(
    st.lists(st.sampled_from(_LINES), min_size=2, max_size=4),
    st.lists(st.sampled_from(_LINES), min_size=2, max_size=4),
    st.sampled_from(["package a", "package b"]),
)


@settings(deadline=None, max_examples=examples(300))
@given(st.lists(_files, min_size=2, max_size=4))
def test_edits_of_single_rules_come_out_as_checks_from_scratch(steps):
    """What other rules of the file may take for granted changes, or not; errors are those of all of them."""
    previous, known = None, {}
    for one, other, head in steps:
        sources = {"a.rego": "\n".join(["package a", *one]), "b.rego": "\n".join([head, *other])}
        modules = [parse_module(text, file, previous=known.get(file)) for file, text in sources.items()]
        known = {module.loc.file: module for module in modules}
        again, errors = _outcome(modules, previous)
        whole, all_errors = _outcome([parse_module(text, file) for file, text in sources.items()], None)
        assert errors == all_errors
        if whole is None or again is None:
            continue
        previous = again
        lines = {module.loc.file: module.lines for module in modules}
        assert with_places(again.rules, lines) == with_places(whole.rules)
        assert again.graph == whole.graph
        assert again.types.documents.extent() == whole.types.documents.extent()


def test_unchanged_rules_of_an_edited_file_stay():
    """What comes after recognizes them by that."""
    first = parse_module("package a\np := x if x := input.y\n\nq := 1", "a.rego")
    before = check([first])
    after = check(
        [parse_module("package a\np := x if x := input.y\n\nq := 2", "a.rego", previous=first)],
        previous=before,
    )
    assert after.rules[("a", "p")][0] is before.rules[("a", "p")][0]
    assert after.rules[("a", "q")] != before.rules[("a", "q")]
