"""An input as a policy sees it, or an entry of the decision log, which holds one."""

from __future__ import annotations

from typing import Any

from palisade.cli.exit_codes import CommandError
from palisade.cli.requests.given import Asked
from palisade.explain.edits import HTTP, PEER, PRINCIPAL, ImpossibleError, look_up, put
from palisade.rego.values import UNDEFINED, Value
from palisade_sidecar.peer import SPIFFE

_NATIVE = (
    "what the sidecar logs of a native decision has few headers and no body: others count as missing here"
)
_MASKED = "what the decision log masks counts as missing here: {}"


def read(name: str, document: Any, function: str) -> Asked:
    """The request of an input or a log entry. Raises CommandError."""
    notes: list[str] = []
    logged = ""
    if isinstance(document, dict) and isinstance(document.get("input"), dict):
        entry, document = document, document["input"]
        told = entry.get("palisade", {})
        logged = told.get("function", "")
        if told.get("decider") == "native":
            notes.append(_NATIVE)
        hidden = [
            each.removeprefix("/input/") for each in (*entry.get("erased", ()), *entry.get("masked", ()))
        ]
        if hidden:
            notes.append(_MASKED.format(", ".join(hidden)))
    if not isinstance(document, dict):
        raise CommandError(f"{name}: an input is a JSON object")
    named = document.get("function")
    called = named if isinstance(named, str) else logged or function
    method, target = look_up(document, (*HTTP, "method")), look_up(document, (*HTTP, "path"))
    title = f"{method} {target}" if UNDEFINED not in (method, target) else "the input"
    try:
        document = _with_caller(document)
    except ImpossibleError:
        raise CommandError(f"{name}: attributes.source, which names the caller, is a JSON object") from None
    return Asked(title, called, {"function": called, **document}, tuple(notes))


def _with_caller(document: Value) -> Value:
    """The input where `peer` and the principal of the source are one caller, as in what Envoy asks."""
    peer, principal = look_up(document, PEER), look_up(document, PRINCIPAL)
    if isinstance(principal, str) and principal:
        return put(document, PEER, principal if principal.startswith(SPIFFE) else UNDEFINED)
    return put(document, PRINCIPAL, peer) if isinstance(peer, str) else document
