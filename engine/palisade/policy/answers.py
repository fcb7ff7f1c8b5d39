"""Decisions that are objects and do not say what is read of one: `palisade check` tells of them.

Other gateways read other keys, Kong's `allow` and `status` say. Here, as of OPA-Envoy, an object without
`allowed` is a denial, and what stands under a key that nothing reads is only logged.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from palisade.rego.check.model import CheckedSet, Path
from palisade.rego.check.problems import Problems
from palisade.rego.check.types import Any, Object, Type
from palisade.rego.errors import Diagnostic, Location

UNREAD_ANSWER: Final = "unread_answer"

_ALLOWED: Final = "allowed"
_MEANT: Final = {
    "allow": _ALLOWED,
    "status": "http_status",
    "status_code": "http_status",
    "code": "http_status",
    "response_headers": "response_headers_to_add",
}
"""Keys that other gateways read, and what is read in their place."""


def find(checked: CheckedSet, decision: Path) -> Iterator[Diagnostic]:
    """The warnings on the rules of the decision, whose path below data is given where it is known."""
    if not decision:
        return
    modules = {each.loc.file: each for each in checked.modules}
    for file, loc, keys in _objects(checked, decision):
        problems = Problems(modules[file].source, modules[file].lines)
        meant = {key: _MEANT[key] for key in sorted(keys & _MEANT.keys()) if _MEANT[key] not in keys}
        if _ALLOWED not in keys:
            message = 'a decision that is an object without "allowed" denies each request that gets it'
            hint = 'did you mean "allowed" by "allow"?' if "allow" in keys else 'say "allowed": true or false'
            problems.add(message, loc, UNREAD_ANSWER, hint)
        for key, read in meant.items():
            if read != _ALLOWED:
                message = f'nothing reads "{key}" of a decision'
                problems.add(message, loc, UNREAD_ANSWER, f'did you mean "{read}"?')
        yield from problems.found


def _objects(checked: CheckedSet, decision: Path) -> Iterator[tuple[str, Location, frozenset[str]]]:
    """Where an object is made whose keys are all known, and these keys."""
    rules, yields = checked.types.yields.get(decision, ((), []))
    for rule, found in zip(rules, yields, strict=True):
        types = [each.type if each.known else Any() for each in found]
        for keys in {keys for each in types for keys in _keys(each)} if rule.rule.head.args is None else ():
            yield rule.file, rule.rule.loc, keys
    below = [
        path for path in checked.rules if len(path) > len(decision) and path[: len(decision)] == decision
    ]
    if below and not rules:
        # Made key by key, `result["allowed"] := allow`.
        first = checked.rules[below[0]][0]
        yield first.file, first.rule.loc, frozenset(path[len(decision)] for path in below)


def _keys(of: Type) -> Iterator[frozenset[str]]:
    """The keys of each object that the type may be, where no others may be there."""
    for each in of.of if isinstance(of, Any) else (of,):
        if isinstance(each, Object) and each.dynamic is None:
            yield frozenset(str(value) for (kind, value), _ in each.static if kind == "string")
