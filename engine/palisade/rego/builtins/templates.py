"""`strings.render_template`."""

from __future__ import annotations

from palisade.rego.builtins.operands import object_, string
from palisade.rego.builtins.registry import Context, builtin
from palisade.rego.builtins.template_rendering import render
from palisade.rego.errors import BuiltinError
from palisade.rego.text import whole
from palisade.rego.values import Value, to_json


@builtin("strings.render_template")
def render_template(ctx: Context, value: Value, variables: Value) -> str:
    """A template of Go's text/template with the variables in it; a missing one shows as `<undefined>`."""
    named = to_json(object_(variables, 2))
    if whole(named) != named:
        raise BuiltinError("the variables have bytes that are no UTF-8")
    return render(ctx, string(value, 1), named)
