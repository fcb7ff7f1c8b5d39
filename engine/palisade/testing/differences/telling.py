"""A difference for people: the request, what each policy says of it, and how to see it again."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Any

from palisade.decide.decision import UNDEFINED_DECISION, Decision
from palisade.rego.text import dumps
from palisade.testing.differences.search import OLD, Difference
from palisade.testing.differences.sides import Outcome
from palisade.testing.equivalence.callers import principal
from palisade.testing.equivalence.requests import LOOPBACK


def lines(difference: Difference, given: Sequence[str] = ()) -> list[str]:
    """What the request is made of, a line for each part, and the command that explains it.

    `given` are options of that command which say what it reads, where no palisade.yaml does.
    """
    request = difference.request
    found = [f"{request.method} {request.target}"]
    parts = [("header", f"{name}: {value}") for name, value in request.headers]
    token = request.token
    if token is not None:
        state = ", its signature broken" if token.spoiled else ""
        state = ", for another audience" if token.foreign else state
        state += f", whose header names {token.named}" if token.named else ""
        whose = difference.signer or f"of {token.provider}"
        parts.append(("claims", f"{dumps(token.claims)}  (a token {whose}{state})"))
    if request.caller is not None:
        parts.append(("caller", principal(request.caller)))
    if request.body:
        parts.append(("body", request.body))
    if request.source != LOOPBACK:
        parts.append(("from", request.source))
    for name, outcome, other in (
        ("old", difference.old, difference.new),
        ("new", difference.new, difference.old),
    ):
        parts.append((name, told(outcome)))
        if outcome.told == other.told:  # then the two answer otherwise
            parts += [("", each) for each in _answer(outcome.decision) if each not in _answer(other.decision)]
    found += [f"    {name:<8} {text}" for name, text in parts]
    command = explain(difference, given)
    if command:
        found.append(f"    {command}")
    return found


def explain(difference: Difference, given: Sequence[str] = ()) -> str:
    """The command that explains the request; empty where none can: it makes valid tokens, of providers."""
    request = difference.request
    token = request.token
    if token is not None and (difference.signer or token.spoiled or token.foreign or token.named):
        return ""
    asked = f"{request.method} {request.target}"
    words = ["palisade", "explain", *given, asked, "--function", difference.function]
    for name, value in request.headers:
        words += ["-H", f"{name}: {value}"]
    if token is not None:
        words += ["--provider", token.provider.removesuffix(OLD)]
        for name, claim in token.claims.items():
            words += ["--claim", f"{name}={dumps(claim)}"]
    if request.body:
        words += ["--body", request.body]
    if request.source != LOOPBACK:
        words += ["--source", request.source]
    if request.caller is not None:
        words += ["--caller", principal(request.caller)]
    return shlex.join(words)


def told(outcome: Outcome) -> str:
    """`allow  policies/allow.rego:5`. Rules are not named where they are too many (`attribution`)."""
    unnamed = "no rule" if outcome.decision.code == UNDEFINED_DECISION else "by a rule that cannot be named"
    return f"{outcome.told:<16} {outcome.rule or unnamed}"


def _answer(decision: Decision) -> list[str]:
    """What a decision says beside its status, a line for each part."""
    found = [f"header {name}: {value}" for name, value in decision.headers]
    if decision.body:
        found.append(f"body {dumps(decision.body)}")
    found += [f"response header {name}: {value}" for name, value in decision.response_headers_to_add]
    found += [f"without request header {name}" for name in decision.request_headers_to_remove]
    found += [f"query parameter {name}={value}" for name, value in decision.query_parameters_to_set]
    found += [f"without query parameter {name}" for name in decision.query_parameters_to_remove]
    found += [f"metadata {name}: {dumps(value)}" for name, value in decision.dynamic_metadata.items()]
    return found


def as_json(difference: Difference, given: Sequence[str] = ()) -> dict[str, Any]:
    """The same for programs."""
    request = difference.request
    token = request.token
    return {
        "function": difference.function,
        "request": {
            "method": request.method,
            "target": request.target,
            "headers": [list(each) for each in request.headers],
            "token": None
            if token is None
            else {
                "provider": token.provider,
                "claims": dict(token.claims),
                "spoiled": token.spoiled,
                "foreign": token.foreign,
                "named": token.named,
            },
            "body": request.body,
            "source": request.source,
            "caller": None if request.caller is None else principal(request.caller),
            "chunked": request.chunked,
        },
        "old": _outcome(difference.old),
        "new": _outcome(difference.new),
        "explain": explain(difference, given) or None,
        "input": difference.input,
    }


def _outcome(outcome: Outcome) -> dict[str, Any]:
    decision = outcome.decision
    return {
        "allowed": decision.allowed,
        "status": None if decision.allowed else decision.status,
        "rule": outcome.rule or None,
        "code": decision.code or None,
        "headers": [list(each) for each in decision.headers],
        "body": decision.body,
        "response_headers_to_add": [list(each) for each in decision.response_headers_to_add],
        "request_headers_to_remove": list(decision.request_headers_to_remove),
        "query_parameters_to_set": [list(each) for each in decision.query_parameters_to_set],
        "query_parameters_to_remove": list(decision.query_parameters_to_remove),
        "dynamic_metadata": dict(decision.dynamic_metadata),
    }
