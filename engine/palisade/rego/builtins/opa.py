"""What a policy learns of the program that runs it."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

from palisade.rego.builtins.registry import Context, builtin
from palisade.rego.errors import BuiltinError
from palisade.rego.values import Value, from_python


@builtin("opa.runtime")
def opa_runtime(ctx: Context) -> Value:
    """Configuration, environment and version. The first two hold only what the evaluation was given."""
    try:
        release = version("palisade")
    except PackageNotFoundError:
        release = ""
    return {
        "config": from_python(dict(ctx.config)),
        "env": from_python(dict(ctx.env)),
        "version": release,
        "commit": "",
    }


@builtin("rego.metadata.chain")
def metadata_chain(ctx: Context) -> Value:
    """Annotations of the rule and what it stands in. The compiler puts them in the place of the call."""
    raise BuiltinError("rego.metadata.chain is resolved when a policy is compiled: call it in a rule's body")


@builtin("rego.metadata.rule")
def metadata_rule(ctx: Context) -> Value:
    """Annotations of the rule. The compiler puts them in the place of the call."""
    raise BuiltinError("rego.metadata.rule is resolved when a policy is compiled: call it in a rule's body")
