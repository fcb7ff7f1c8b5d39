"""What a policy learns of the program that runs it, and of Rego itself."""

from __future__ import annotations

from functools import cache
from importlib.metadata import PackageNotFoundError, version

from palisade.rego.builtins.operands import string
from palisade.rego.builtins.registry import Context, builtin
from palisade.rego.errors import BuiltinError, CompileError
from palisade.rego.values import Value, from_python


@builtin("opa.runtime")
def opa_runtime(ctx: Context) -> Value:
    """Configuration, environment and version. The first two hold only what the evaluation was given."""
    return {
        "config": from_python(dict(ctx.config)),
        "env": from_python(dict(ctx.env)),
        "version": _release(),
        "commit": "",
    }


@cache
def _release() -> str:
    """Found out once: Python reads a file for it, a quarter of the time that a small policy takes."""
    try:
        return version("palisade")
    except PackageNotFoundError:
        return ""


@builtin("rego.parse_module", pure=True)
def parse_module(filename: Value, rego: Value) -> Value:
    """The module's syntax tree, as OPA shows it in JSON."""
    # The parser names the builtins, so it cannot be loaded before them.
    from palisade.rego import parser
    from palisade.rego.builtins.module_trees import module_tree

    file, source = string(filename, 1), string(rego, 2)
    try:
        return module_tree(parser.parse_module(source, file, lenient=True))
    except CompileError as error:
        count = len(error.errors)
        listed = "\n".join(f"{each.file}:{each.row}: {each.code}: {each.message}" for each in error.errors)
        raise BuiltinError(f"{count} error{'s' if count > 1 else ''} occurred: {listed}") from error


@builtin("rego.metadata.chain")
def metadata_chain(ctx: Context) -> Value:
    """Annotations of the rule and what it stands in. The compiler puts them in the place of the call."""
    raise BuiltinError("rego.metadata.chain is resolved when a policy is compiled: call it in a rule's body")


@builtin("rego.metadata.rule")
def metadata_rule(ctx: Context) -> Value:
    """Annotations of the rule. The compiler puts them in the place of the call."""
    raise BuiltinError("rego.metadata.rule is resolved when a policy is compiled: call it in a rule's body")
