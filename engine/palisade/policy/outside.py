"""Rules that ask outside of the request for what they cannot get here: hosts that nobody listed, settings of
the engine's own. `palisade check` tells of them.

A call to such a host denies each request that gets there, and what rests on the environment never holds.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final
from urllib.parse import urlsplit

from palisade.rego import ast
from palisade.rego.builtins.network import is_listed
from palisade.rego.check.problems import Problems
from palisade.rego.errors import Diagnostic

UNLISTED_HOST: Final = "unlisted_host"
NO_RUNTIME: Final = "no_runtime"

_DEEPEST: Final = 4
"""So often a name is followed to what it stands for."""


def find(modules: Iterable[ast.Module], hosts: Sequence[str] | None) -> Iterator[Diagnostic]:
    """The warnings on rules that call `http.send` with a constant host that is not among `hosts`, where these
    are known, and on what they ask `opa.runtime()` for."""
    for module in modules:
        problems = Problems(module.source, module.lines)
        for rule in module.rules:
            for node in ast.walk(rule):
                if isinstance(node, ast.Ref) and (part := _of_runtime(node, rule, module)):
                    message = (
                        f"opa.runtime().{part} is empty here: the engine tells policies nothing of itself"
                    )
                    problems.add(message, node.loc, NO_RUNTIME, "put what the rule asks for into data")
                host = _asked(node, rule, module) if hosts is not None else ""
                if host and not is_listed(host, hosts or ()):
                    message = f"http.send may not reach {host}: each request that gets here is denied"
                    hint = f"list {host} in network.hosts of palisade.yaml"
                    problems.add(message, node.loc, UNLISTED_HOST, hint)
        yield from problems.found


def _of_runtime(ref: ast.Ref, rule: ast.Rule, module: ast.Module) -> str:
    """What the reference asks of `opa.runtime()` that is empty; nothing of others."""
    match ref:
        case ast.Ref(head=head, path=(ast.Scalar(value="env" | "config" as part), *_)):
            match _stands_for(head, rule, module):
                case ast.Call(name="opa.runtime"):
                    return str(part)
    return ""


def _asked(node: ast.Node, rule: ast.Rule, module: ast.Module) -> str:
    """The host that a call of `http.send` names by a constant; nothing of others."""
    match node:
        case ast.Call(name="http.send", args=(request,)):
            pass
        case _:
            return ""
    asked = _stands_for(request, rule, module)
    if not isinstance(asked, ast.Object):
        return ""
    url = next((value for key, value in asked.items if key == ast.Scalar("url")), None)
    text = None if url is None else _begins(_stands_for(url, rule, module), rule, module)
    if text is None:
        return ""
    begun, whole = text
    try:
        parts = urlsplit(begun)
        host = parts.hostname or ""
    except ValueError:  # no address: a call fails by that
        return ""
    # Of a text that goes on, only what a slash ends is all of the host.
    return host if parts.scheme and (whole or parts.path) else ""


def _begins(term: ast.Node, rule: ast.Rule, module: ast.Module) -> tuple[str, bool] | None:
    """What a text begins with, and whether that is all of it; None where it begins with no constant."""
    match term:
        case ast.Scalar(value=str(text)):
            return text, True
        case ast.Call(name="sprintf", args=(form, _)):
            match _stands_for(form, rule, module):
                case ast.Scalar(value=str(text)):
                    return text.partition("%")[0], "%" not in text
        case ast.Call(name="concat", args=(ast.Scalar(value=""), ast.Array(items=(first, *others)))):
            begun = _begins(_stands_for(first, rule, module), rule, module)
            return None if begun is None else (begun[0], begun[1] and not others)
    return None


def _stands_for(term: ast.Node, rule: ast.Rule, module: ast.Module) -> ast.Node:
    """What a name stands for that is given one value in the rule, or is the only rule of its name."""
    for _ in range(_DEEPEST):
        if not isinstance(term, ast.Var):
            break
        given = [
            each.right
            for each in ast.walk(rule)
            if isinstance(each, ast.Assign | ast.Unify) and each.left == term
        ]
        given = given or [each.head.value for each in module.rules if each.head.name == term]
        if len(given) != 1 or given[0] is None:
            break
        term = given[0]
    return term
