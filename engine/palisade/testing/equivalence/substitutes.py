"""Keys of ours in place of those by which a policy verifies tokens itself, in a copy of the policy set.

Nobody has the private keys of the public ones that stand in a policy, or in its data. So that its rules are
met with valid tokens all the same, both sides get the policy with other keys of the same kind: certificates
and public keys in PEM, and JSON Web Keys, as texts or as objects, in Rego and in data.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import pairwise
from typing import Any, TypeAlias

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from palisade.policy import revisions
from palisade.policy.revisions import Revision
from palisade.rego import ast
from palisade.rego.builtins.jwk import VerificationKey, verification_keys
from palisade.rego.errors import BuiltinError
from palisade.rego.lexer import tokenize
from palisade.rego.text import dumps
from palisade.rego.values import Value, to_json

Private: TypeAlias = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey
Public: TypeAlias = rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey

VERIFYING = ("io.jwt.decode_verify", "io.jwt.verify_")
"""What the names of the builtins begin with that verify tokens."""
_MEMBERS = ("n", "e", "x", "y")
_CURVES: Mapping[str, Callable[[], ec.EllipticCurve]] = {
    "secp256r1": ec.SECP256R1,
    "secp384r1": ec.SECP384R1,
    "secp521r1": ec.SECP521R1,
}
_YEARS = datetime.timedelta(days=36_500)


@dataclass(frozen=True, slots=True)
class OwnKey:
    """A key of ours that stands in a policy. `algorithm` and `key_id` are what its JWK says, or empty."""

    private: Private
    algorithm: str = ""
    key_id: str = ""

    @property
    def public(self) -> Public:
        return self.private.public_key()

    @property
    def pem(self) -> bytes:
        """The public part as a policy may hold it."""
        return self.public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


@dataclass
class OwnKeys:
    """The keys that stand in place of a policy's own, each once."""

    keys: list[OwnKey] = field(default_factory=list)

    def of(self, public: Public) -> OwnKey | None:
        """The key with this public part; None where it is none of ours."""
        return next((each for each in self.keys if _der(each.public) == _der(public)), None)


def with_own_keys(revision: Revision) -> tuple[Revision, OwnKeys]:
    """The revision with keys of ours in place of those by which its policy verifies tokens, and these keys.

    Raises rego.CompileError and SourceError as `revisions.build` does.
    """
    (changed,), own = all_with_own_keys([revision])
    return changed, own


def all_with_own_keys(found: Sequence[Revision]) -> tuple[list[Revision], OwnKeys]:
    """The same for several revisions: a key that stands in more than one is the same in all of them."""
    making = _Substituting()
    return [_changed(each, making) if _verifies(each) else each for each in found], making.own


def _verifies(revision: Revision) -> bool:
    plan = revision.policy.plan([revision.inventory.decision_document])
    return any(name.startswith(VERIFYING) for name in plan.builtins)


def _changed(revision: Revision, making: _Substituting) -> Revision:
    policy_set = revision.policy_set
    for module in revision.policy.checked.modules:
        for node in ast.walk(module):
            if isinstance(node, ast.Object):
                making.jwk(_flat(node))
    data = making.data(policy_set.data)
    modules = {name: making.source(text) for name, text in policy_set.modules.items()}
    if (modules, data) == (policy_set.modules, policy_set.data):
        return revision
    return revisions.build(revision.inventory, replace(policy_set, modules=modules, data=data))


def _spanning(text: str, feeds: int) -> str:
    """A key's text as a string of Rego with so many line feeds, so that what stands behind it stays in its
    line; without any where it cannot have as many."""
    if not feeds or "`" in text:
        return dumps(text)
    if not text.startswith("-----BEGIN"):
        return "`" + text + "\n" * feeds + "`"  # JSON, written in one line
    begin, *body, end = text.strip().splitlines()
    packed, rows = "".join(body), feeds - 1
    if not 0 < rows <= len(packed):
        return dumps(text)
    cuts = [len(packed) * at // rows for at in range(rows + 1)]
    return "`" + "\n".join([begin, *(packed[a:b] for a, b in pairwise(cuts)), end]) + "`"


def _flat(node: ast.Object) -> dict[str, str]:
    """The members of an object that are strings."""
    return {
        key.value: value.value
        for key, value in node.items
        if isinstance(key, ast.Scalar)
        and isinstance(value, ast.Scalar)
        and isinstance(key.value, str)
        and isinstance(value.value, str)
    }


class _Substituting:
    """Gathers the keys, and gives texts with others in their place."""

    def __init__(self) -> None:
        self.own = OwnKeys()
        self._ours: dict[bytes, OwnKey] = {}
        self._texts: dict[str, str] = {}
        self._kinds: dict[str, int] = {}

    def jwk(self, members: Mapping[str, Any]) -> dict[str, Any] | None:
        """What the members of a JWK become that is an object; None for what is no public key."""
        if "kty" not in members or "d" in members:
            return None
        try:
            (found,) = verification_keys(dumps(dict(members)))
        except (BuiltinError, ValueError):
            return None
        ours = self._key(found)
        if ours is None:
            return None
        made = _jwk(ours.public)
        if made.get("e", "AQAB") != members.get("e", "AQAB"):
            return None  # a text that is too short to be replaced wherever it stands
        for name in _MEMBERS:
            if name in made and name != "e":
                self._texts[str(members[name])] = str(made[name])
        return {**members, **{name: made[name] for name in _MEMBERS if name in made}}

    def data(self, value: Value) -> Value:
        """The document with other keys."""
        if isinstance(value, dict):
            members = to_json(value) if "kty" in value else {}
            made = self.jwk(members) if isinstance(members, dict) else None
            own: Mapping[Any, Any] = made or {}
            return {
                name: own[name] if isinstance(each, str) and name in own else self.data(each)
                for name, each in value.items()
            }
        if isinstance(value, list):
            return [self.data(each) for each in value]
        return self._text(value) if isinstance(value, str) else value

    def source(self, text: str) -> str:
        """The module with other keys in its strings."""
        parts, end = [], 0
        for token in tokenize(text).tokens:
            if token.kind != "string":
                continue
            value = token.text[1:-1] if token.raw or token.text.startswith("`") else json.loads(token.text)
            made = self._text(value)
            if made != value:
                parts += [text[end : token.start], _spanning(made, token.text.count("\n"))]
                end = token.end
        return "".join([*parts, text[end:]])

    def _text(self, text: str) -> str:
        if text in self._texts:
            return self._texts[text]
        if "-----BEGIN" in text or '"kty"' in text:
            try:
                found = verification_keys(text)
            except BuiltinError:
                return text
            made = self._pem(text, found[0]) if "-----BEGIN" in text else self._json(text)
            self._texts[text] = made
        return self._texts.get(text, text)

    def _pem(self, text: str, found: VerificationKey) -> str:
        ours = self._key(found)
        if ours is None:
            return text
        if "CERTIFICATE" in text:
            return _certificate(ours.private).public_bytes(Encoding.PEM).decode()
        return ours.pem.decode()

    def _json(self, text: str) -> str:
        document = json.loads(text)
        keys = document.get("keys", [document])
        made = [self.jwk(each) or each for each in keys]
        return dumps({**document, "keys": made} if "keys" in document else made[0])

    def _key(self, found: VerificationKey) -> OwnKey | None:
        """Ours in place of a public key: of the same kind, and the same one for the same."""
        public = found.key
        if public is None or isinstance(public, bytes):
            return None
        kind = kind_of(public)
        if not kind:
            return None
        known = self._ours.get(_der(public))
        if known is None:
            number = self._kinds[kind] = self._kinds.get(kind, -1) + 1
            known = self._ours[_der(public)] = OwnKey(_private(kind, number), found.algorithm, found.key_id)
            self.own.keys.append(known)
        return known


@lru_cache(64)
def _private(kind: str, number: int) -> Private:
    """A key of a kind. It takes time to make one of RSA, so the same are taken for each policy."""
    if kind in _CURVES:
        return ec.generate_private_key(_CURVES[kind]())
    if kind == "ed25519":
        return ed25519.Ed25519PrivateKey.generate()
    return rsa.generate_private_key(65537, 2048)


def kind_of(public: Public) -> str:
    """What keys of one kind have in common; empty for a curve that signs no token."""
    if isinstance(public, ec.EllipticCurvePublicKey):
        return public.curve.name if public.curve.name in _CURVES else ""
    return "rsa" if isinstance(public, rsa.RSAPublicKey) else "ed25519"


def _der(public: Public) -> bytes:
    return public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def another(key: OwnKey) -> Private:
    """A key of the same kind that stands in no policy."""
    return _private(kind_of(key.public), -1)


def _jwk(public: Public) -> dict[str, Any]:
    match public:
        case rsa.RSAPublicKey():
            return dict(RSAAlgorithm.to_jwk(public, as_dict=True))
        case ec.EllipticCurvePublicKey():
            return dict(ECAlgorithm.to_jwk(public, as_dict=True))
        case _:
            return dict(OKPAlgorithm.to_jwk(public, as_dict=True))


def _certificate(private: Private) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "palisade verify")])
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + _YEARS)
    )
    return builder.sign(private, None if isinstance(private, ed25519.Ed25519PrivateKey) else SHA256())
