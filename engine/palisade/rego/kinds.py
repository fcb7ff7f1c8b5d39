"""OPA's names for the kinds of terms, as its messages use them."""

from __future__ import annotations

from palisade.rego import ast


def kind_of(term: ast.Term) -> str:
    """OPA's name for what kind of term it is."""
    if isinstance(term, ast.Scalar):
        value = term.value
        if value is None:
            return "null"
        if isinstance(value, bool):
            return "boolean"
        return "string" if isinstance(value, str) else "number"
    return _KINDS[type(term)]


_KINDS: dict[type[ast.Node], str] = {
    ast.Var: "var",
    ast.Ref: "ref",
    ast.Call: "call",
    ast.Array: "array",
    ast.Object: "object",
    ast.Set: "set",
    ast.ArrayComprehension: "arraycomprehension",
    ast.ObjectComprehension: "objectcomprehension",
    ast.SetComprehension: "setcomprehension",
    ast.Holds: "body",
    ast.TemplateString: "templatestring",
}
