"""Annotations: which apply to a rule, and what `rego.metadata` says."""

from __future__ import annotations

from palisade import rego
from palisade.rego import ast

_SOURCE = """# METADATA
# title: the package
# scope: package
package a.b

# METADATA
# title: the document
# scope: document

# METADATA
# title: first
p := rego.metadata.rule() if input.x

# METADATA
# title: second
p := x if { x := rego.metadata.chain() }

q := rego.metadata.rule()

r if { rego.metadata.rule(x); x }
"""


def _titles(rule):
    return [each.value["title"] for each in rule.annotations]


def test_a_rule_has_its_own_annotation_its_documents_and_its_packages(checked):
    found = checked(_SOURCE, "# METADATA\n# title: all of a\n# scope: subpackages\npackage a\nz := 1")
    first, second = found.rules[("a", "b", "p")]
    assert _titles(first) == ["first", "the document", "the package", "all of a"]
    assert _titles(second) == ["second", "the document", "the package", "all of a"]
    (other,) = found.rules[("a", "b", "q")]
    assert _titles(other) == ["the package", "all of a"]


def test_metadata_calls_are_constants(checked):
    found = checked(_SOURCE)
    first, _ = found.rules[("a", "b", "p")]
    assert first.rule.head.value == ast.Object(
        ((ast.Scalar("title"), ast.Scalar("first")), (ast.Scalar("scope"), ast.Scalar("rule")))
    )
    (without,) = found.rules[("a", "b", "q")]
    assert without.rule.head.value == ast.Object(())
    (bound,) = found.rules[("a", "b", "r")]
    assert bound.rule.body[0] == ast.Unify(ast.Var("x"), ast.Object(()))
    assert not any(
        isinstance(node, ast.Call)
        for rules in found.rules.values()
        for each in rules
        for node in ast.walk(each.rule)
    )


def test_each_line_that_says_metadata_begins_an_annotation():
    """As in OPA, where `rule()` is the first of several and the chain begins with the last."""
    blocks = "# METADATA\n# title: a\n# METADATA\n# description: |\n#   b"
    source = f"package a\n\n{blocks}\np := [rego.metadata.rule(), rego.metadata.chain()]"
    rule, chain = rego.to_json(rego.compile({"a.rego": source}).evaluate("data.a.p"))
    assert rule == {"title": "a", "scope": "rule"}
    assert [each["annotations"] for each in chain] == [{"description": "b\n", "scope": "rule"}, rule]


def test_else_has_no_annotation_of_its_rule():
    """As in OPA, where it is a rule of its own: only what applies to the document and the packages is its."""
    blocks = "# METADATA\n# title: all\n# scope: document\n# METADATA\n# title: one"
    source = (
        f"package a\n\n{blocks}\n"
        "p := rego.metadata.rule() if input.x else := [rego.metadata.rule(), rego.metadata.chain()]\n"
        "q := rego.metadata.chain()\n"
    )
    policy = rego.compile({"a.rego": source})
    assert policy.evaluate("data.a.p", {"x": 1}) == {"title": "one", "scope": "rule"}
    rule, chain = rego.to_json(policy.evaluate("data.a.p", {}))
    document = {"path": ["a", "p"], "annotations": {"title": "all", "scope": "document"}}
    assert (rule, chain) == ({}, [{"path": ["a", "p"]}, document])
