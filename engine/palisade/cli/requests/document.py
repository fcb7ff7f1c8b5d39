"""An input as a policy sees it, or an entry of the decision log, which holds one."""

from __future__ import annotations

from typing import Any

from palisade.cli.exit_codes import CommandError
from palisade.cli.requests.added import added
from palisade.cli.requests.given import Asked, Logged, Options
from palisade.cli.requests.interface import header
from palisade.decide.event import Decider
from palisade.explain.edits import HTTP, PEER, PORT, PRINCIPAL, ImpossibleError, look_up, put
from palisade.policy.providers import Provider
from palisade.rego.values import UNDEFINED, Value
from palisade_sidecar.peer import SPIFFE

_NATIVE = (
    "what the sidecar logs of a native decision has few headers and no body: others count as missing here"
)
_MASKED = "what the decision log masks counts as missing here: {}"


def read(name: str, document: Any, options: Options, providers: tuple[Provider, ...]) -> Asked:
    """The request of an input or a log entry, with what the options add to it. Raises CommandError."""
    notes: list[str] = []
    logged = ""
    outcome: Logged | None = None
    decider: Decider | None = None
    if isinstance(document, dict) and isinstance(document.get("input"), dict):
        entry, document = document, document["input"]
        told = entry.get("palisade", {})
        logged = told.get("function", "")
        outcome = _outcome(told, entry.get("error"))
        decider = _decider(told)
        if decider is Decider.NATIVE:
            notes.append(_NATIVE)
        given = tuple(f"/headers/{header(each, '--header')[0]}" for each in options.headers)
        hidden = [
            each.removeprefix("/input/")
            for each in (*entry.get("erased", ()), *entry.get("masked", ()))
            if not each.endswith(given)
        ]
        if hidden:
            notes.append(_MASKED.format(", ".join(hidden)))
    if not isinstance(document, dict):
        raise CommandError(f"{name}: an input is a JSON object")
    named = document.get("function")
    called = named if isinstance(named, str) else logged or options.function
    method, target = look_up(document, (*HTTP, "method")), look_up(document, (*HTTP, "path"))
    title = f"{method} {target}" if UNDEFINED not in (method, target) else "the input"
    try:
        document = _with_caller(document)
    except ImpossibleError:
        raise CommandError(f"{name}: attributes.source, which names the caller, is a JSON object") from None
    if decider is Decider.NATIVE and options.port and called == options.function:
        document = _with_port(document, options.port)
    document = added(document, options, providers)
    return Asked(
        title, called, {"function": called, **document}, tuple(notes), logged=outcome, decider=decider
    )


def _decider(told: Any) -> Decider | None:
    """Who decided, by what stands under `palisade`; None for a word that is none of ours."""
    return next((each for each in Decider if each == told.get("decider")), None)


def _outcome(told: Any, error: Any) -> Logged | None:
    """What became of the request of an entry, by what stands under `palisade` and `error`."""
    allowed, status = told.get("allowed"), told.get("status")
    if not isinstance(allowed, bool):
        return None
    code = status if isinstance(status, int) and not allowed else None
    why = str(error.get("message", "")) if isinstance(error, dict) else ""
    return Logged(allowed, code, str(told.get("rule", "")), str(told.get("revision", "")), why)


def _with_port(document: Value, port: int) -> Value:
    """The input with the port that its function is called at, which the sidecar's log does not tell."""
    try:
        return put(document, PORT, port) if look_up(document, PORT[:2]) is UNDEFINED else document
    except ImpossibleError:
        return document


def _with_caller(document: Value) -> Value:
    """The input where `peer` and the principal of the source are one caller, as in what Envoy asks."""
    peer, principal = look_up(document, PEER), look_up(document, PRINCIPAL)
    if isinstance(principal, str) and principal:
        return put(document, PEER, principal if principal.startswith(SPIFFE) else UNDEFINED)
    return put(document, PRINCIPAL, peer) if isinstance(peer, str) else document
