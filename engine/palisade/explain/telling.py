"""Explanations in words: what a value is, what a change asks for, and the command for a changed request."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Any

from palisade.decide.mask import REDACTED
from palisade.explain.discreet import Discreet
from palisade.explain.edits import HTTP, PEER, PRINCIPAL, SOURCE, Change, look_up
from palisade.explain.flips import Flip
from palisade.explain.trace import Seen
from palisade.rego import ast
from palisade.rego.text import dumps, whole
from palisade.rego.values import UNDEFINED, Value

MOST_CHARACTERS = 160


def shown(value: Value, discreet: Discreet, most: int = MOST_CHARACTERS) -> str:
    """A value as JSON on one line, cut where it is long."""
    text = dumps(whole(discreet.value(value)))
    return text if len(text) <= most else f"{text[: most - 4]} ..."


def told(seen: Seen, document: Value, discreet: Discreet) -> str:
    """`input.x is 1`, or what of a reference is missing."""
    if seen.value is not UNDEFINED:
        return f"{seen.text} is {shown(seen.value, discreet)}"
    node = seen.node
    if isinstance(node, ast.Ref) and node.head == ast.Var("input"):
        keys = [part.value if isinstance(part, ast.Scalar) else None for part in node.path]
        at = next(
            (at for at in range(len(keys)) if look_up(document, keys[: at + 1]) is UNDEFINED), len(keys)
        )
        if at < len(keys) - 1:
            return f"{seen.text} is undefined: there is no {_dotted(('input', *keys[: at + 1]))}"
    return f"{seen.text} is undefined"


def _dotted(keys: Sequence[Any]) -> str:
    first, *rest = keys
    plain = (f".{key}" if isinstance(key, str) and key.isidentifier() else f"[{dumps(key)}]" for key in rest)
    return f"{first}{''.join(plain)}"


def changes(flip: Flip, document: Value, discreet: Discreet) -> list[str]:
    """What a flip asks of the request with this input, a line for each change."""
    lines = []
    for change in flip.changes:
        if change.path[0] in ("parsed_path", "parsed_query") and not discreet.hides(change):
            target = (*HTTP, "path")
            change = Change(target, look_up(flip.document, target), look_up(document, target))
        lines.append(_asked(change, document, discreet))
    return list(dict.fromkeys(lines))


def _asked(change: Change, document: Value, discreet: Discreet) -> str:
    subject, now = _subject(change), change.before
    if discreet.hides(change):
        wanted = "missing" if change.value is UNDEFINED else "one that the policy takes, which is not shown"
        return f"{subject} must be {wanted}"
    if change.value is UNDEFINED:
        return (
            f"{subject} must be missing (now {shown(now, discreet)})"
            if change.path != ("identity",)
            else "no token"
        )
    if change.path in (("identity",), ("identity", "claims"), ("identity", "provider")) and now is UNDEFINED:
        return "a valid token"
    added = _added(now, change.value)
    if added is not None:
        return f"{subject} must contain {shown(added, discreet)} too (now {shown(now, discreet)})"
    if now is UNDEFINED:
        there = (
            "there is no token" if change.path[0] == "identity" and "identity" not in document else "missing"
        )
        return f"{subject} must be {shown(change.value, discreet)} (now {there})"
    return f"{subject} must be {shown(change.value, discreet)} (now {shown(now, discreet)})"


def _added(before: Value, after: Value) -> Value | None:
    """The one member that an array has more."""
    if isinstance(before, list) and isinstance(after, list) and after[:-1] == before and before:
        return after[-1]
    return None


def _subject(change: Change) -> str:
    path = change.path
    match path:
        case ("attributes", "request", "http", "method" | "path" | "host" | "scheme" as name):
            return str(name)
        case ("attributes", "request", "http", "headers", name):
            return f"header {name}"
        case ("attributes", "request", "http", "body"):
            return "the body"
        case ("identity", "claims", *rest):
            return f"claim {_dotted(rest)}" if rest else "the claims"
        case ("identity",):
            return "the token"
        case ("parsed_query", name, *_):
            return f"query parameter {name}"

        case ("parsed_body", *rest):
            return f"body member {_dotted(rest)}" if rest else "the body"
    if path in (PRINCIPAL, PEER):
        return "who calls"
    return "the client's address" if path == SOURCE else _dotted(("input", *path))


def command(document: Value, function: str, discreet: Discreet, given: Sequence[str] = ()) -> str:
    """A `palisade explain` line for the request; empty where options cannot spell it.

    `given` are the options that say which policies are asked.
    """
    method, target = look_up(document, (*HTTP, "method")), look_up(document, (*HTTP, "path"))
    if not isinstance(method, str) or not isinstance(target, str) or not target.startswith("/"):
        return ""
    host = look_up(document, (*HTTP, "host"))
    asked = f"{method} {target}"
    if isinstance(host, str) and host != function:
        asked = f"{method} http://{host}{target}"
    words = ["palisade", "explain", *given, asked, "--function", function]
    headers = look_up(document, (*HTTP, "headers"))
    for name, value in headers.items() if isinstance(headers, dict) else ():
        if not str(name).startswith(":") and name != "host":
            words += ["-H", f"{name}: {value}"]
    identity = document.get("identity")
    if isinstance(identity, dict):
        if identity.get("provider") is not None:
            words += ["--provider", identity["provider"]]
        for name, claim in identity.get("claims", {}).items():
            words += ["--claim", f"{name}={dumps(claim)}"]
    source = look_up(document, SOURCE)
    if isinstance(source, str):
        words += ["--source", source]
    principal = look_up(document, PRINCIPAL)
    if isinstance(principal, str):
        words += ["--caller", principal]
    body = look_up(document, (*HTTP, "body"))
    if isinstance(body, str) and body:
        words += ["--body", body]
    line = discreet.text(shlex.join(words))
    return "" if REDACTED in line else line
