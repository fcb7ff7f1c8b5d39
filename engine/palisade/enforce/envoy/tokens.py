"""Tokens that a policy takes apart itself: `io.jwt.decode_verify`, `io.jwt.verify_*` and `io.jwt.decode`.

With constant keys Envoy's JWT filter verifies such a token as well, and leaves its header and claims where
those of providers are. The two differ in what they take for a valid token; so what Envoy has verified counts
only where all of `Token.sound` holds, and a request whose token it does not take is the engine's:
docs/decisions/tokens-of-policies.md compares them point by point.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from envoy.type.matcher.v3.value_pb2 import ValueMatcher
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from palisade.enforce.envoy import cel, patterns
from palisade.enforce.envoy.claims import claim_defined, claim_kind
from palisade.enforce.envoy.predicate import Predicate, all_of, any_of, negate, text_check
from palisade.enforce.envoy.sources import ClaimSource, header_text
from palisade.policy.jwks import usable
from palisade.rego.builtins.jwk import VerificationKey, verification_keys
from palisade.rego.errors import BuiltinError
from palisade.rego.partial.formula import (
    Atom,
    Exists,
    Formula,
    Opaque,
    Same,
    nodes,
)
from palisade.rego.partial.terms import Apply, Input, Known, Symbol, subterms

MARK = "@"
"""What the names of these tokens begin with in the metadata of the JWT filter: no provider's name does."""

HEADERS = ("attributes", "request", "http", "headers")
_BEARER = "Bearer "
_PART = r"[A-Za-z0-9_-]+"
_CONSTRAINTS = frozenset(("cert", "secret", "alg", "iss", "aud"))
_SIGNATURES = {"P-256": ("ES256", 86), "P-384": ("ES384", 128), "P-521": ("ES512", 176)}
"""By curve, the algorithm and how many characters a signature has (RFC 7518, section 3.4)."""


@dataclass(frozen=True, slots=True)
class Place:
    """The header that holds a token behind a prefix, `Bearer ` or nothing."""

    header: str
    prefix: str

    @property
    def usual(self) -> Predicate:
        """The header is there once, and is the prefix and what looks like a token: all ways to take that out
        of it agree."""
        pattern = f"{self.prefix}{_PART}\\.{_PART}\\.{_PART}"
        return text_check(header_text(self.header), patterns.regex(pattern))

    def signed(self, characters: int) -> Predicate:
        """The signature has so many characters, where the header is `usual`."""
        pattern = f".*\\.[A-Za-z0-9_-]{{{characters}}}"
        return text_check(header_text(self.header), patterns.regex(pattern))

    @property
    def filled(self) -> Predicate:
        return text_check(header_text(self.header), patterns.regex("(?s).*"))


@dataclass(frozen=True, slots=True)
class Token:
    """A token at a place that Envoy verifies. `keys` is a JSON Web Key Set; empty for a provider's token."""

    name: str
    place: Place
    keys: str = ""
    constraints: tuple[tuple[str, str], ...] = ()
    timed: bool = False
    """Whether the policy's own check is of `exp` and `nbf` too."""

    @property
    def header_name(self) -> str:
        """Where Envoy leaves the token's header."""
        return f"{self.name if self.keys else MARK + self.name}.header"

    @property
    def claims(self) -> ClaimSource:
        return ClaimSource((self.name,))

    @property
    def header(self) -> ClaimSource:
        return ClaimSource((self.header_name,))

    @property
    def doubt(self) -> Predicate:
        """There is something at the place that Envoy has not verified as the policy would; or nothing any
        more, as a provider that does not forward its token takes it away, and the policy sees none."""
        verified = claim_defined(self.claims)
        return any_of(
            (
                all_of((self.place.filled, negate(self.sound))),
                all_of((negate(self.place.filled), verified)),
            )
        )

    @property
    def sound(self) -> Predicate:
        """Envoy has verified the token, and the policy's own verification takes it too."""
        return all_of((*self._signed(), *self._as_constrained(), *(self._times() if self.timed else ())))

    @property
    def refused(self) -> Predicate:
        """Envoy has verified the token, and the policy's own verification, one that is `timed`, refuses it
        for what it says: it is too old or too new, or for others."""
        times = [self._claim(name) for name in ("exp", "nbf")]
        numbers = (any_of((negate(claim_defined(each)), claim_kind(each, "number"))) for each in times)
        wrong = any_of((*self._out_of_time(*times), *map(negate, self._as_constrained())))
        return all_of((wrong, *self._signed(), *numbers))

    def _signed(self) -> Iterable[Predicate]:
        """Envoy has verified the token, and its header says nothing by which the policy would not."""
        yield self.place.usual
        yield claim_defined(self.claims)
        # OPA knows these names, and none else, for what a header may hold that changes what the token means.
        for name in ("crit", "enc", "cty"):
            yield negate(claim_defined(self._head(name)))
        typ = self._head("typ")
        yield any_of((negate(claim_defined(typ)), claim_kind(typ, "string")))
        yield from self._signatures()

    def _as_constrained(self) -> Iterable[Predicate]:
        """Its algorithm, issuer and audience are what the policy wants."""
        asked = dict(self.constraints)
        if "alg" in asked:
            yield _is(self._head("alg"), asked["alg"])
        if "iss" in asked:
            yield _is(self._claim("iss"), asked["iss"])
        if self.timed:
            yield self._audience(asked.get("aud", ""))

    def _signatures(self) -> Iterable[Predicate]:
        """Signatures by elliptic curves are as long as they must be: Envoy halves what there is, and so takes
        one with a byte more, or with zeros before each number."""
        keys = json.loads(self.keys)["keys"] if self.keys else []
        for curve in sorted({key["crv"] for key in keys if key["kty"] == "EC"}):
            algorithm, characters = _SIGNATURES[curve]
            other = negate(_is(self._head("alg"), algorithm))
            yield any_of((other, self.place.signed(characters)))

    def _head(self, name: str) -> ClaimSource:
        return ClaimSource((self.header_name, name))

    def _claim(self, name: str) -> ClaimSource:
        return ClaimSource((self.name, name))

    def _audience(self, wanted: str) -> Predicate:
        """One of the audiences is the wanted one. Without one the token must have none, as OPA has it."""
        aud = self._claim("aud")
        among = ValueMatcher()
        among.list_match.one_of.string_match.exact = wanted
        found = any_of((_is(aud, wanted), aud.check(among)))
        return found if wanted else any_of((negate(claim_defined(aud)), found))

    def _times(self) -> Iterable[Predicate]:
        """`nbf` is past and `exp` is not, to the second: Envoy itself hardly looks at them."""
        exp, nbf = self._claim("exp"), self._claim("nbf")
        yield any_of((negate(claim_defined(exp)), cel.check(cel.call("_<=_", _NEXT_SECOND, exp.expr))))
        yield any_of((negate(claim_defined(nbf)), cel.check(cel.call("_<=_", nbf.expr, _SECOND))))

    @staticmethod
    def _out_of_time(exp: ClaimSource, nbf: ClaimSource) -> Iterable[Predicate]:
        """`exp` is past, or `nbf` is not, to the second."""
        yield cel.check(cel.call("_<=_", exp.expr, _SECOND))
        yield cel.check(cel.call("_<=_", _NEXT_SECOND, nbf.expr))


_TIME = cel.field(cel.name("request"), "time")
_SECOND = cel.call("double", cel.call("int", _TIME))
_NEXT_SECOND = cel.call("double", cel.call("_+_", cel.call("int", _TIME), cel.integer(1)))


def _is(claim: ClaimSource, text: str) -> Predicate:
    matcher = ValueMatcher()
    matcher.string_match.exact = text
    return claim.check(matcher)


# Recognizing -----------------------------------------------------------------------------------------------


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


def place_of(term: Symbol) -> Place | None:
    """Where the encoded token stands that a policy hands to a builtin."""
    match term:
        case Apply(".", (Apply("split", (whole, Known(" " | "Bearer "))), Known(1))):
            return _header(whole, _BEARER)
        case Apply("substring", (whole, Known(7), Known(int(length)))) if length < 0:
            return _header(whole, _BEARER)
        case Apply("trim_prefix", (whole, Known("Bearer "))):
            return _header(whole, _BEARER)
        case Apply("replace", (whole, Known("Bearer "), Known(""))):
            return _header(whole, _BEARER)
        case Input():
            return _header(term, "")
    return None


def _header(term: Symbol, prefix: str) -> Place | None:
    if isinstance(term, Input) and term.path[:-1] == HEADERS and isinstance(term.path[-1], str):
        name = term.path[-1]
        if name == name.lower() and name.isascii() and name:
            return Place(name, prefix)
    return None


def verified_by(call: Apply) -> Token | None:
    """The token that a call verifies with constant keys; None for other calls."""
    if len(call.args) != 2 or not isinstance(call.args[1], Known):
        return None
    place, operand = place_of(call.args[0]), call.args[1].value
    if place is None:
        return None
    if call.name == "io.jwt.decode_verify":
        return _constrained(place, operand)
    if call.name.startswith("io.jwt.verify_") and isinstance(operand, str):
        algorithm = call.name.removeprefix("io.jwt.verify_")
        algorithm = "EdDSA" if algorithm == "eddsa" else algorithm.upper()
        keys = _secret(operand, algorithm) if algorithm.startswith("HS") else _keys(operand, algorithm)
        return _token(place, keys, (), timed=False)
    return None


def _constrained(place: Place, operand: object) -> Token | None:
    if not isinstance(operand, dict) or not operand.keys() <= _CONSTRAINTS:
        return None
    if not all(isinstance(value, str) for value in operand.values()):
        return None
    # An empty text is no constraint to OPA.
    asked = {str(name): str(value) for name, value in operand.items() if value}
    if ("cert" in asked) == ("secret" in asked):
        return None
    algorithm = asked.get("alg", "")
    keys = _secret(asked["secret"], algorithm) if "secret" in asked else _keys(asked["cert"], algorithm)
    constraints = tuple(sorted((n, v) for n, v in asked.items() if n in ("alg", "iss", "aud")))
    return _token(place, keys, constraints, timed=True)


def _token(
    place: Place, keys: str | None, constraints: tuple[tuple[str, str], ...], *, timed: bool
) -> Token | None:
    if keys is None:
        return None
    whole = repr((place, keys, constraints, timed)).encode()
    name = f"{MARK}{hashlib.sha256(whole).hexdigest()[:12]}"
    return Token(name, place, keys, constraints, timed)


def _secret(secret: str, algorithm: str) -> str | None:
    """The key set of a shared secret. None where Envoy knows no such algorithm for one."""
    if not secret or algorithm not in ("", "HS256", "HS384", "HS512"):
        return None
    key = {"kty": "oct", "k": base64.urlsafe_b64encode(secret.encode()).decode().rstrip("=")}
    return json.dumps({"keys": [key | ({"alg": algorithm} if algorithm else {})]}, sort_keys=True)


@lru_cache(128)
def _keys(text: str, algorithm: str) -> str | None:
    """The key set of a certificate, a public key or a key set. None where Envoy might choose another key of
    it than OPA does, or knows none of them."""
    try:
        found = verification_keys(text)
    except BuiltinError:
        return None
    named = [each.key_id for each in found]
    if any(named) and (not all(named) or len(set(named)) < len(named)):
        return None
    if any(each.algorithm and algorithm not in ("", each.algorithm) for each in found):
        found = tuple(each for each in found if each.algorithm in ("", algorithm))
    jwks = [jwk for each in found if (jwk := _jwk(each, algorithm)) is not None]
    return usable({"keys": jwks})


def _jwk(key: VerificationKey, algorithm: str) -> Mapping[str, Any] | None:
    jwk: dict[str, Any]
    match key.key:
        case rsa.RSAPublicKey():
            jwk = RSAAlgorithm.to_jwk(key.key, as_dict=True)
        case ec.EllipticCurvePublicKey():
            jwk = ECAlgorithm.to_jwk(key.key, as_dict=True)
        case ed25519.Ed25519PublicKey():
            jwk = OKPAlgorithm.to_jwk(key.key, as_dict=True)
        case _:
            return None  # a secret among public keys
    jwk.pop("key_ops", None)
    if key.algorithm or algorithm:
        jwk["alg"] = key.algorithm or algorithm
    return jwk | ({"kid": key.key_id} if key.key_id else {})


class Tokens:
    """The tokens of one policy's conditions."""

    def __init__(self, calls: Iterable[Apply] = (), bearers: Sequence[str] = ()) -> None:
        """`bearers` are providers that take the bearer token, and no other, for theirs."""
        self._of: dict[Apply, Token | None] = {}
        found = list(dict.fromkeys(calls))
        for call in found:
            self._of[call] = verified_by(call)
        for call in found:
            if call.name == "io.jwt.decode" and len(call.args) == 1:
                self._of[call] = self._decoded(place_of(call.args[0]), bearers)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Tokens) and self._of == other._of

    __hash__ = None  # type: ignore[assignment]  # compared by what they hold

    @property
    def all(self) -> tuple[Token, ...]:
        """Each token once."""
        return tuple(dict.fromkeys(each for each in self._of.values() if each is not None))

    @property
    def verified(self) -> tuple[Apply, ...]:
        """The calls that look at a token which Envoy verifies."""
        return tuple(call for call, token in self._of.items() if token is not None)

    def of(self, call: Apply) -> Token | None:
        """The token that a call looks at, where Envoy verifies it."""
        return self._of.get(call)

    def _decoded(self, place: Place | None, bearers: Sequence[str]) -> Token | None:
        """What is decoded without being verified is what something else verifies at the same place."""
        here = {each for each in self._of.values() if each is not None and each.place == place}
        if len(here) == 1:
            return next(iter(here))
        if not here and place == Place("authorization", _BEARER) and len(bearers) == 1:
            return Token(bearers[0], place)
        return None


def calls_on_tokens(formula: Formula) -> tuple[Apply, ...]:
    """The calls of `io.jwt.*` in a formula, those in the bodies of loops too."""
    found: dict[Apply, None] = {}
    for node in nodes(formula):
        for symbol in _asked(node.atom):
            if not isinstance(symbol, Input):
                found.update(dict.fromkeys(_token_calls(symbol)))
    return tuple(found)


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
