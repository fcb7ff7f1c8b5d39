"""Tokens that a policy takes apart itself: `io.jwt.decode_verify`, `io.jwt.verify_*` and `io.jwt.decode`.

With constant keys Envoy's JWT filter verifies such a token as well, and leaves its header and claims where
those of providers are. The two differ in what they take for a valid token; so what Envoy has verified counts
only where all of `Token.sound` holds, and what it has not is refused only where `Token.unproven` does:
docs/decisions/tokens-of-policies.md compares them point by point.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from envoy.type.matcher.v3.value_pb2 import ValueMatcher

from palisade.enforce.envoy.matchers import cel
from palisade.enforce.envoy.matchers.predicate import Predicate, all_of, any_of, negate
from palisade.enforce.envoy.tokens.places import TokenPlace
from palisade.enforce.envoy.values.claims import claim_defined, claim_kind
from palisade.enforce.envoy.values.sources import ClaimSource

MARK = "@"
"""What the names of these tokens begin with in the metadata of the JWT filter: no provider's name does."""

_SIGNATURES = {"P-256": ("ES256", 86), "P-384": ("ES384", 128), "P-521": ("ES512", 176)}
"""By curve, the algorithm and how many characters a signature has (RFC 7518, section 3.4)."""


@dataclass(frozen=True, slots=True)
class Token:
    """A token at a place that Envoy verifies. `keys` is a JSON Web Key Set; empty for a provider's token."""

    name: str
    place: TokenPlace
    keys: str = ""
    constraints: tuple[tuple[str, str], ...] = ()
    timed: bool = False
    """Whether the policy's own check is of `exp` and `nbf` too."""
    witness: str = ""
    """A key set that verifies all tokens which the policy's own check might find to be signed; maybe none."""
    own: frozenset[str] = frozenset()
    """Constraints for which the policy takes what the token itself says: each is met where that is a text, as
    no constraint is by an empty one; without a text the policy's own verification is undefined."""
    salted: str = ""
    """Those keys of the witness that tell whether a token names RSA-PSS, of which Envoy knows too little."""

    @property
    def header_name(self) -> str:
        """Where Envoy leaves the token's header."""
        return f"{self.name if self.keys else MARK + self.name}.header"

    @property
    def witnesses(self) -> Mapping[str, str]:
        """The key sets by which Envoy is to look once more at a token that it has not verified, each by the
        name under which it leaves why these do not verify it either."""
        found = {self._witness_name: self.witness, self._salted_name: self.salted if self.witness else ""}
        return {name: keys for name, keys in found.items() if keys}

    @property
    def _witness_name(self) -> str:
        return f"{self.name}.witness"

    @property
    def _salted_name(self) -> str:
        return f"{self.name}.salted"

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
    def issuer(self) -> str:
        """The one that the policy asks for; empty where it takes any."""
        return dict(self.constraints).get("iss", "")

    @property
    def named(self) -> Predicate:
        """Envoy has verified the token, and it names the issuer that the policy asks for."""
        return _is(self._claim("iss"), self.issuer)

    @property
    def sound(self) -> Predicate:
        """Envoy has verified the token, and the policy's own verification takes it too."""
        asked = (*self._texts(), *self._as_constrained(), *(self._times() if self.timed else ()))
        return all_of((*self._signed(), *asked))

    @property
    def refused(self) -> Predicate:
        """Envoy has verified the token, and the policy's own verification, one that is `timed`, refuses it
        for what it says: it is too old or too new, or for others."""
        times = [self._claim(name) for name in ("exp", "nbf")]
        numbers = (any_of((negate(claim_defined(each)), claim_kind(each, "number"))) for each in times)
        wrong = any_of((*self._out_of_time(*times), *map(negate, self._as_constrained())))
        return all_of((wrong, *self._signed(), *self._texts(), *numbers))

    @property
    def unproven(self) -> Predicate:
        """There is something at the place that the policy's own verification takes for no valid token: it is
        undefined there, or not valid."""
        why = ClaimSource((self._witness_name, "message"))
        shown: list[Predicate] = [_is(why, each) for each in _FORGED]
        if self.timed:
            shown.append(_is(why, _NO_KEY))
            if self.salted:
                plain = _is(ClaimSource((self._salted_name, "message")), _NO_KEY)
                shown = [all_of((any_of(shown), plain))]
            shown += (*(_is(why, each) for each in _NO_ALGORITHM), self.place.misshapen)
            if '"OKP"' not in self.witness:
                shown.append(_is(why, _UNKNOWN_ALGORITHM))
        if self.issuer:
            shown.append(_is(why, _OTHER_ISSUER))
        signless = any_of((self.place.no_token, all_of((self.place.usual, any_of(shown)))))
        return all_of((negate(claim_defined(self.claims)), self.place.filled, signless))

    def _signed(self) -> Iterable[Predicate]:
        """Envoy has verified the token, and its header says nothing by which the policy would not."""
        yield self.place.claiming
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
        if self.timed and "aud" not in self.own:
            yield self._audience(asked.get("aud", ""))

    def _texts(self) -> Iterable[Predicate]:
        """What the policy takes of the token itself for its constraints is there, and a text."""
        for name in sorted(self.own):
            yield claim_kind(self._head(name) if name == "alg" else self._claim(name), "string")

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
        yield all_of((claim_defined(exp), cel.check(cel.call("_<=_", exp.expr, _SECOND))))
        yield all_of((claim_defined(nbf), cel.check(cel.call("_<=_", _NEXT_SECOND, nbf.expr))))


_FORGED = ("Jwt verification fails", "Jwt ED25519 signature is wrong length")
"""Envoy has tried all keys of a witness (source/common/jwt/status.cc)."""
_NO_KEY = "Jwks doesn't have key to match kid or alg from Jwt"
_OTHER_ISSUER = "Jwt issuer is not configured"
"""Said of a provider that is for one issuer: what the policy asks for."""
_UNKNOWN_ALGORITHM = "Jwt header [alg] is not supported"
"""OPA takes no such token either, but for `Ed25519`, which is another name for `EdDSA`."""
_NO_ALGORITHM = (
    "Jwt header [alg] field is required and must be a string",
    "Jwt header [kid] field is not a string",
)
"""OPA takes no such token whose algorithm it goes by."""

_TIME = cel.field(cel.name("request"), "time")
_SECOND = cel.call("double", cel.call("int", _TIME))
_NEXT_SECOND = cel.call("double", cel.call("_+_", cel.call("int", _TIME), cel.integer(1)))


def _is(claim: ClaimSource, text: str) -> Predicate:
    matcher = ValueMatcher()
    matcher.string_match.exact = text
    return claim.check(matcher)
