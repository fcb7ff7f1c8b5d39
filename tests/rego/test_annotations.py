"""METADATA blocks: what they say, what they are about, and what is refused."""

from __future__ import annotations

import pytest

from palisade.rego import ast
from palisade.rego.errors import CompileError
from palisade.rego.parser import parse_module


def annotations(source: str) -> tuple[ast.Annotation, ...]:
    return parse_module(source).annotations


def test_every_field() -> None:
    (found,) = annotations(
        """# METADATA
# title: T
# description: |
#   two
#   lines
# entrypoint: true
# organizations: [A, B]
# authors:
# - Jane Doe <jane@example.com>
# - email: x@example.com
# - Nobody <>
# related_resources:
# - https://example.com
# - ref: https://example.com/a
#   description: D
# schemas:
# - input: schema.request["a-b"]
# - data.x: {type: object}
# custom:
#   n: 1.5
#   on: 2024-01-02
#   deep: [null, {a: true}]
package a
"""
    )
    assert found.value == {
        "scope": "package",
        "title": "T",
        "description": "two\nlines\n",
        "entrypoint": True,
        "organizations": ["A", "B"],
        "authors": [
            {"name": "Jane Doe", "email": "jane@example.com"},
            {"email": "x@example.com"},
            {"name": "Nobody"},
        ],
        "related_resources": [
            {"ref": "https://example.com"},
            {"ref": "https://example.com/a", "description": "D"},
        ],
        "schemas": [
            {"path": ["input"], "schema": ["schema", "request", "a-b"]},
            {"path": ["data", "x"], "definition": {"type": "object"}},
        ],
        "custom": {"n": 1.5, "on": "2024-01-02T00:00:00Z", "deep": [None, {"a": True}]},
    }


def test_scopes_and_targets() -> None:
    """A rule's annotation is about the rule, or with an entry point about all rules of that name."""
    found = annotations(
        """# METADATA
# scope: subpackages
# title: one

# METADATA
# title: two
package a

import data.x

# METADATA
# title: three
p if {
	x # not METADATA
}

# METADATA
# entrypoint: true
# title: four
q := 1
"""
    )
    assert [(each.scope, each.target.row) for each in found] == [
        ("subpackages", 7),
        ("package", 7),
        ("rule", 13),
        ("document", 20),
    ]
    assert (found[2].loc.row, found[2].loc.col) == (11, 1)


@pytest.mark.parametrize(
    ("block", "row", "message"),
    [
        ("# METADATA\np := 1", 2, "expected METADATA block, found whitespace"),
        ("# METADATA\n# scope: file\np := 1", 2, "invalid annotation scope 'file'"),
        ("# METADATA\n# scope: package\np := 1", 2, "annotation scope 'package' must be applied to package"),
        ("# METADATA\n# scope: rule\n", 2, "annotation scope 'rule' must be applied to rule"),
        ("# METADATA\n# title: x\nimport data.x", 2, "invalid annotation scope 'import'"),
        (
            "# METADATA\n# scope: rule\n# entrypoint: true\np := 1",
            2,
            "annotation entrypoint applied to non-document or package scope 'rule'",
        ),
        ("# METADATA\n# title: x\n# a: [\np := 1", 4, "yaml: line"),
        ("# METADATA\n# title: [a]\np := 1", 2, "cannot unmarshal array into string"),
        ("# METADATA\n# entrypoint: 3\np := 1", 2, "cannot unmarshal `3` into boolean"),
        ("# METADATA\n# authors: [3]\np := 1", 2, "invalid author definition 3"),
        ("# METADATA\n# authors: ['']\np := 1", 2, "author is an empty string"),
        ("# METADATA\n# authors: [{}]\np := 1", 2, "'name' and/or 'email' values required in object"),
        ("# METADATA\n# related_resources: [{a: b}]\np := 1", 2, "'ref' value required in object"),
        ("# METADATA\n# schemas: [{'1': schema}]\np := 1", 2, "invalid document reference"),
        ("# METADATA\n# related_resources: ['http://a:b']\np := 1", 2, "invalid related-resource definition"),
        ("# METADATA\n# related_resources: [':x']\np := 1", 2, "missing protocol scheme"),
        ("# METADATA\n# schemas: [{input: data.x}]\np := 1", 2, "invalid schema reference"),
        ("# METADATA\n# custom: {a: {1: 2}}\np := 1", 2, "invalid map key type(s): custom/a"),
        ("# METADATA\n# custom: &x {a: *x}\np := 1", 2, "too much data"),
    ],
)
def test_refusals(block: str, row: int, message: str) -> None:
    with pytest.raises(CompileError) as raised:
        parse_module(f"package a\n{block}")
    (error,) = raised.value.errors
    assert message in error.message
    assert (error.code, error.row) == ("rego_parse_error", row)
