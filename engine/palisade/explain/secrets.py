"""What of a policy is secret: the keys by which it verifies tokens and digests, of which no log may tell."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from palisade.explain.rules import RuleIndex
from palisade.rego import ast
from palisade.rego.check.model import CheckedRule

_KEYS: Mapping[str, int] = {
    **{f"io.jwt.verify_hs{size}": 1 for size in (256, 384, 512)},
    "io.jwt.decode_verify": 1,
    "io.jwt.encode_sign": 2,
    "io.jwt.encode_sign_raw": 2,
    **{f"crypto.hmac.{name}": 1 for name in ("md5", "sha1", "sha256", "sha512")},
}
"""Builtins that take a key, and which operand it is."""
NAMES = ("io.jwt.", "crypto.hmac.")
"""What their names begin with."""
_PUBLIC = frozenset(("cert", "alg", "iss", "aud", "time"))
"""What is no secret of the constraints of `io.jwt.decode_verify`."""


def keys_in(node: ast.Node) -> Iterator[ast.Term]:
    """The operands in a node that are keys."""
    for part in ast.walk(node):
        at = _KEYS.get(part.name) if isinstance(part, ast.Call) else None
        if at is not None and isinstance(part, ast.Call) and at < len(part.args):
            key = part.args[at]
            if not isinstance(key, ast.Object):
                yield key
                continue
            for name, value in key.items:
                if not isinstance(name, ast.Scalar) or name.value not in _PUBLIC:
                    yield value


def texts_of_keys(rules: Iterable[CheckedRule]) -> Iterator[str]:
    """The keys that stand in rules as they are."""
    for rule in rules:
        for key in keys_in(rule.rule):
            for part in ast.walk(key):
                if isinstance(part, ast.Scalar) and isinstance(part.value, str) and part.value:
                    yield part.value


def makes_digests(rules: Iterable[CheckedRule]) -> bool:
    """Whether rules make digests by a key, or tokens: whoever knows these needs no key."""
    return any(
        isinstance(part, ast.Call) and part.name.startswith(("crypto.hmac.", "io.jwt.encode_sign"))
        for rule in rules
        for part in ast.walk(rule.rule)
    )


def rules_of_keys(index: RuleIndex) -> frozenset[int]:
    """The ids of the rules whose values may be keys: those that stand where one does, in a call of a builtin
    or of a function that may hand it on to one, and all that they are made of."""
    rules = index.naming(NAMES)
    if not rules:
        return frozenset()
    taking = _functions(rules)
    while rules != (rules := index.naming((*NAMES, *(each.path[-1] for each in taking.values())))):
        more = {
            id(each): each
            for each in rules
            if each.rule.head.args and any(id(other) in taking for other in index.referred(each.rule))
        }
        taking |= more
    found: dict[int, CheckedRule] = {}
    for rule in rules:
        for part in _made_of(rule, index, taking):
            found |= {id(each): each for each in index.referred(part)}
    reached = list(found.values())
    for each in reached:
        for other in index.referred(each.rule):
            if id(other) not in found:
                found[id(other)] = other
                reached.append(other)
    return frozenset(found)


def _functions(rules: Iterable[CheckedRule]) -> dict[int, CheckedRule]:
    """The functions that call a builtin with a key."""
    return {id(each): each for each in rules if each.rule.head.args and any(keys_in(each.rule))}


def _made_of(rule: CheckedRule, index: RuleIndex, taking: Mapping[int, CheckedRule]) -> Iterator[ast.Node]:
    """What the keys in a rule are, and the statements that their variables are made in."""
    keys: list[ast.Node] = list(keys_in(rule.rule))
    for part in ast.walk(rule.rule):
        if isinstance(part, ast.Call) and any(id(each) in taking for each in index.referred(part.operator)):
            keys += part.args
    yield from keys
    names = {name for key in keys for name in _variables(key, ())}
    left = [each for each in ast.walk(rule.rule) if isinstance(each, ast.Statement)]
    outside = {id(each): _variables(each, keys) for each in left}
    while names:
        met = [each for each in left if names & outside[id(each)]]
        left = [each for each in left if not names & outside[id(each)]]
        names = {name for each in met for name in outside[id(each)]}
        yield from met


def _variables(node: ast.Node, without: Iterable[ast.Node]) -> set[str]:
    """The names of the variables in a node, but for what stands in those nodes."""
    skipped = {id(each) for each in without}
    found: set[str] = set()
    stack = [node]
    while stack:
        part = stack.pop()
        if id(part) in skipped:
            continue
        if isinstance(part, ast.Var):
            found.add(part.name)
        stack.extend(part.children())
    return found - {"input", "data"}
