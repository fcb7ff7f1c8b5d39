"""What a pattern finds once at most is looked up, counted and taken apart as the evaluator does."""

from __future__ import annotations

import pytest
import re2
from agreement import INPUTS, judged, outcome_of
from hypothesis import given, settings
from hypothesis import strategies as st

from palisade.rego.builtins import BUILTINS
from palisade.rego.partial.symbols.searched import begins

FOUND = (
    'regex.find_all_string_submatch_n("^(a|b)(,?)", input.x, -1)',
    'regex.find_all_string_submatch_n("^(a)?,*(b)?", input.x, 7)',
    'regex.find_all_string_submatch_n("(a),?(b)?", input.x, 1)',
    'regex.find_all_string_submatch_n("a", input.x, 1)',
    'regex.find_all_string_submatch_n("^", input.x, -1)',
    'regex.find_n("^[a-z]", input.x, -1)',
    'regex.find_n("b|,", input.x, 1)',
    'regex.find_n("^a?", input.x, 2)',
)
ASKED = (
    "r := xs[0]",
    "r := xs[1]",
    "r := count(xs)",
    "r if count(xs) == 1",
    "r if not count(xs) > 0",
    "r if xs == []",
    "r if xs != []",
    "r := [x | some x in xs]",
    "r if is_array(xs[0])",
)
OF_GROUPS = (
    "r := xs[0][1]",
    "r := xs[0][7]",
    "r := x if [[_, x]] := xs",
    "r := x if [[_, x, _]] := xs",
    "r if { some x in xs; x[1] == input.y }",
    "r := {x[count(x) - 1] | some x in xs}",
    "r if every x in xs { x[0] == input.y }",
)
TEXTS = ("a", "b", "ab", "a,b", ",b", "b,a", "", "x", "xa", "\na", "a\nb", "\u00e4a")
DOCUMENTS = (*INPUTS, *({"x": x, "y": y} for x in TEXTS for y in ("a", "b", "", 1)))


@pytest.mark.parametrize("found", FOUND)
def test_what_is_found_once_is_as_the_evaluator_has_it(found: str) -> None:
    told = []
    for asked in ASKED + OF_GROUPS * ("submatch" in found):
        policy, outcome = outcome_of(f"xs := {found}\n{asked}", {})
        told += [judged(policy, outcome, document) for document in DOCUMENTS]
    assert "unsure" not in told


SPLIT = (
    'regex.split(",", input.x)',
    r'regex.split("\\.", input.x)',
    'regex.split("[.]", input.x)',
    r'regex.split("a\\.[,]", input.x)',
    'regex.split("ab", input.x)',
    'regex.split(" ", input.x)',
    'regex.split("ab*", input.x)',
    'regex.split("", input.x)',
    'regex.split(".", input.x)',
    r'regex.split("\\d", input.x)',
)
REPLACED = (
    'strings.replace_n({"a": "", ",": ""}, input.x)',
    'strings.replace_n({"a": "x", "b": "yy", ".": ""}, input.x)',
    'strings.replace_n({"a": "b", "b": "a"}, input.x)',
    'strings.replace_n({"ab": "", "a": "x"}, input.x)',
    'strings.replace_n({"": "x"}, input.x)',
    'strings.replace_n({"a": "\u00fc"}, input.x)',
    "strings.replace_n({}, input.x)",
)
MORE = ("a.,b", ".", "..", ",", "a.", ".a", "abab", "aab", "ab", " a b", "1a2", "a.,a.,")


@pytest.mark.parametrize("made", SPLIT + REPLACED)
def test_what_is_split_or_replaced_is_as_the_evaluator_has_it(made: str) -> None:
    """Also where it is done by what is a pattern, or by texts of which one may come of another."""
    documents = [*INPUTS, *({"x": x} for x in (*TEXTS, *MORE))]
    of_kind = ("r := xs[0]", 'r if "a" in xs') if made in SPLIT else ('r if xs == "b"',)
    for asked in ("r := xs", "r := count(xs)", "r if not xs", *of_kind):
        policy, outcome = outcome_of(f"xs := {made}\n{asked}", {})
        for document in documents:
            judged(policy, outcome, document)


_patterns = st.text("^ab|()?*[]\\", min_size=1, max_size=7)


@settings(max_examples=300, deadline=None)
@given(st.one_of(_patterns, _patterns.map("^{}".format)), st.text("ab^(", max_size=6))
def test_a_pattern_that_begins_a_text_is_found_once_at_most(pattern: str, text: str) -> None:
    if not begins(pattern):
        return
    try:
        re2.compile(pattern)
    except re2.error:
        return
    assert len(BUILTINS["regex.find_n"].function(pattern, text, -1)) <= 1
