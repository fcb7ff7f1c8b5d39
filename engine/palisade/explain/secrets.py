"""What of a policy is secret: the keys by which it verifies tokens and digests, of which no log may tell."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

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
