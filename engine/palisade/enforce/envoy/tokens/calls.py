"""Recognizes the calls by which a policy takes tokens apart, and says of which Envoy verifies the token."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from palisade.enforce.envoy.matchers.predicate import Predicate, all_of, any_of, negate
from palisade.enforce.envoy.tokens.crumbs import one_cookie
from palisade.enforce.envoy.tokens.keys import key_set, key_witness, salted, secret_set
from palisade.enforce.envoy.tokens.places import Place, TokenPlace
from palisade.enforce.envoy.tokens.taking import place_of
from palisade.enforce.envoy.tokens.token import MARK, Token
from palisade.enforce.envoy.values.sources import Decoded, Missing, Source, TokenClaim, Verified
from palisade.rego.partial.formulas.builder import Builder
from palisade.rego.partial.formulas.formula import (
    Atom,
    Exists,
    Formula,
    Opaque,
    Same,
    nodes,
)
from palisade.rego.partial.formulas.terms import Apply, Input, Known, ObjectOf, Symbol, subterms

DECODE = "io.jwt.decode"
_BEARER = "Bearer "
_CONSTRAINTS = frozenset(("cert", "secret", "alg", "iss", "aud"))


@dataclass(frozen=True, slots=True)
class Part:
    """What a term takes of a token: the result of the call itself, or what stands at a path in it."""

    call: Apply
    path: tuple[object, ...]


def part_of(term: Symbol) -> Part | None:
    """The call of a token's builtin that a term looks into; None where it is something else."""
    path: list[object] = []
    while isinstance(term, Apply) and term.name == "." and isinstance(term.args[1], Known):
        path.append(term.args[1].value)
        term = term.args[0]
    if isinstance(term, Apply) and term.name.startswith("io.jwt."):
        return Part(term, tuple(reversed(path)))
    return None


_PARTS: dict[str, dict[object, str]] = {
    "io.jwt.decode_verify": {0: "valid", 1: "header", 2: "claims"},
    "io.jwt.decode": {0: "header", 1: "claims"},
}
"""What stands where in the arrays that these builtins make; the signature is not to be seen."""


def claim_of(term: Symbol) -> tuple[object, ...] | None:
    """Where in the claims of a token that the policy takes apart a term looks; None for anything else."""
    part = part_of(term)
    if part is None or not part.path:
        return None
    first, *below = part.path
    named = _PARTS.get(part.call.name, {})
    return tuple(below) if type(first) is int and named.get(first) == "claims" else None


def taken(part: Part, token: Token) -> Source | None:
    """What a term takes of a token that Envoy verifies; None for what Envoy does not tell."""
    if part.call.name.startswith("io.jwt.verify_"):
        return None if part.path else Verified(token.claims)
    if not part.path:
        return Decoded(token.claims)
    first, *below = part.path
    at = _PARTS[part.call.name].get(first) if type(first) is int else None
    if at == "valid":
        return Missing() if below else Verified(token.claims)
    if at is None or not all(map(_is_step, below)):
        return None
    start = token.claims if at == "claims" else token.header
    return TokenClaim((*start.path, *below))  # type: ignore[arg-type]  # strings and integers


def _is_step(key: object) -> bool:
    """Whether Envoy takes it in a path of its metadata: with an empty key it refuses all of a filter."""
    return (type(key) is str and key != "") or (type(key) is int and 0 <= key < 1 << 63)


def verified_by(call: Apply) -> Token | None:
    """The token that a call verifies with constant keys; None for other calls."""
    if len(call.args) != 2:
        return None
    place, second = place_of(call.args[0]), call.args[1]
    if place is None:
        return None
    if call.name == "io.jwt.decode_verify" and isinstance(second, ObjectOf):
        brought = {form: value for form, value in second.items if not isinstance(value, Known)}
        if not all(_says_itself(place, form, value) for form, value in brought.items()):
            return None
        known = {form: value.value for form, value in second.items if isinstance(value, Known)}
        return _constrained(place, known, frozenset(map(str, brought)))
    if not isinstance(second, Known):
        return None
    operand = second.value
    if call.name == "io.jwt.decode_verify":
        return _constrained(place, operand)
    if call.name.startswith("io.jwt.verify_") and isinstance(operand, str):
        algorithm = call.name.removeprefix("io.jwt.verify_")
        algorithm = "EdDSA" if algorithm == "eddsa" else algorithm.upper()
        if algorithm.startswith("HS"):
            keys = secret_set(operand, algorithm)
            return _token(place, keys, (), keys or "", timed=False)
        return _token(place, key_set(operand, algorithm), (), key_witness(operand, algorithm), timed=False)
    return None


_OWN: dict[object, tuple[int, str]] = {"alg": (0, "alg"), "iss": (1, "iss"), "aud": (1, "aud")}
"""Where in what `io.jwt.decode` makes of a token stands what a constraint of that name is about."""


def _says_itself(place: TokenPlace, name: object, value: Symbol) -> bool:
    """Whether a constraint is what the token at the place says itself: met wherever that is a text."""
    part = part_of(value)
    return (
        part is not None
        and part.call.name == DECODE
        and part.path == _OWN.get(name)
        and place_of(part.call.args[0]) == place
    )


def _constrained(place: TokenPlace, operand: object, own: frozenset[str] = frozenset()) -> Token | None:
    """The token that `io.jwt.decode_verify` takes; `own` are constraints beside the constant ones that are
    what it says itself."""
    if not isinstance(operand, dict) or not operand.keys() <= _CONSTRAINTS:
        return None
    if not all(isinstance(value, str) for value in operand.values()):
        return None
    # An empty text is no constraint to OPA.
    asked = {str(name): str(value) for name, value in operand.items() if value}
    if ("cert" in asked) == ("secret" in asked):
        return None
    algorithm = asked.get("alg", "")
    constraints = tuple(sorted((n, v) for n, v in asked.items() if n in ("alg", "iss", "aud")))
    if "secret" in asked:
        keys, witness = secret_set(asked["secret"], algorithm), secret_set(asked["secret"], "") or ""
    else:
        keys, witness = key_set(asked["cert"], algorithm), key_witness(asked["cert"], "")
    return _token(place, keys, constraints, witness, timed=True, own=own)


def _token(
    place: TokenPlace,
    keys: str | None,
    constraints: tuple[tuple[str, str], ...],
    witness: str,
    *,
    timed: bool,
    own: frozenset[str] = frozenset(),
) -> Token | None:
    if keys is None:
        return None
    whole = repr((place, keys, constraints, witness, timed, sorted(own))).encode()
    name = f"{MARK}{hashlib.sha256(whole).hexdigest()[:12]}"
    return Token(name, place, keys, constraints, timed, witness, own, salted(witness) if timed else "")


MOST_TOGETHER = 8
"""Of so many issuers at most one is told by whose keys verify a token: each has its keys asked in turn."""


def _exclusive(tokens: Sequence[Token]) -> bool:
    """Whether all are at one place, Envoy can tell of each that it is not valid, and each has an issuer of
    its own, or no two share a key: so a token is valid for one of them at most."""
    keys = [key for token in tokens for key in {_thumbprint(each) for each in json.loads(token.keys)["keys"]}]
    return (
        len({token.place for token in tokens}) == 1
        and all(token.witness for token in tokens)
        and (by_issuer(tokens) or len(set(keys)) == len(keys))
    )


def by_issuer(tokens: Sequence[Token]) -> bool:
    """Whether each of several tokens is to have an issuer of its own: one of them is none of the others."""
    issuers = {token.issuer for token in tokens}
    return 1 < len(tokens) == len(issuers) and all(issuers) and all(token.witness for token in tokens)


def _thumbprint(jwk: Mapping[str, str]) -> tuple[str | None, ...]:
    return tuple(jwk.get(name) for name in ("kty", "crv", "x", "y", "n", "e", "k"))


class Tokens:
    """The tokens of one policy's conditions."""

    def __init__(self, calls: Iterable[Apply] = (), bearers: Sequence[str] = ()) -> None:
        """`bearers` are providers that take the bearer token, and no other, for theirs."""
        self._of: dict[Apply, Token | None] = {}
        self._shared: dict[Apply, tuple[Token, ...]] = {}
        found = list(dict.fromkeys(calls))
        for call in found:
            self._of[call] = verified_by(call)
        own = self.all
        self.exclusive = 1 < len(own) <= MOST_TOGETHER and _exclusive(own)
        """Whether there are several tokens, of which a request has one at most."""
        for call in found:
            if call.name == DECODE and len(call.args) == 1:
                place = place_of(call.args[0])
                if self.exclusive and place == own[0].place:
                    self._shared[call] = own
                else:
                    self._of[call] = self._decoded(place, bearers)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Tokens) and (self._of, self._shared) == (other._of, other._shared)

    __hash__ = None  # type: ignore[assignment]  # compared by what they hold

    def apart(self) -> Tokens:
        """The same, of which nothing is known beside what each of them is."""
        found = Tokens()
        found._of = self._of | dict.fromkeys(self._shared)
        return found

    @property
    def all(self) -> tuple[Token, ...]:
        """Each token once."""
        return tuple(dict.fromkeys(each for each in self._of.values() if each is not None))

    @property
    def verified(self) -> tuple[Apply, ...]:
        """The calls that look at a token which Envoy verifies."""
        return tuple(call for call, token in self._of.items() if token is not None or call in self._shared)

    def of(self, call: Apply) -> Token | None:
        """The token that a call looks at, where Envoy verifies it."""
        return self._of.get(call)

    def any_of(self, call: Apply) -> tuple[Token, ...]:
        """The tokens, several, one of which a call decodes without verifying it."""
        return self._shared.get(call, ())

    def not_taken(self, token: Token) -> Predicate:
        """The policy's own verification takes no such token, or takes it for one that is not valid."""
        found = [token.unproven, *([token.refused] if token.timed else [])]
        if self.exclusive and by_issuer(self.all):
            found += (each.named for each in self.all if each != token)
        return any_of(found)

    def unsettled(self, token: Token) -> Predicate:
        """It is neither known that the policy's own verification takes what is at the place, nor that it does
        not; or nothing is there any more, as for `Token.doubt`."""
        return all_of((token.doubt, negate(self.not_taken(token))))

    def calls_of(self, token: Token) -> frozenset[Apply]:
        """The calls that verify the token."""
        return frozenset(call for call, each in self._of.items() if each == token and call.name != DECODE)

    def _decoded(self, place: TokenPlace | None, bearers: Sequence[str]) -> Token | None:
        """What is decoded without being verified is what something else verifies at the same place."""
        here = {each for each in self._of.values() if each is not None and each.place == place}
        if len(here) == 1:
            return next(iter(here))
        if not here and place == Place("authorization", _BEARER) and len(bearers) == 1:
            return Token(bearers[0], place)
        return None


def calls_on_tokens(node: Formula) -> Iterable[Apply]:
    """The calls of `io.jwt.*` in the atom that a part of a formula is; of a loop that looks for a cookie by
    its name those on that cookie."""
    cookie = one_cookie(Builder(), node.atom) if isinstance(node.atom, Exists) else None
    for part in nodes(cookie[1]) if cookie is not None else ():
        yield from calls_on_tokens(part)
    for symbol in _asked(node.atom):
        if not isinstance(symbol, Input):
            yield from _token_calls(symbol)


def _asked(atom: Atom | None) -> tuple[Symbol, ...]:
    if atom is None or isinstance(atom, Opaque):
        return ()
    if isinstance(atom, Exists):
        return (atom.source,)
    return (atom.left, atom.right) if isinstance(atom, Same) else (atom.term,)


def _token_calls(symbol: Symbol) -> Iterable[Apply]:
    for part in subterms(symbol):
        if isinstance(part, Apply) and part.name.startswith("io.jwt."):
            yield part
