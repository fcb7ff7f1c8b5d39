"""Whether a chain of certificates leads from a leaf to a root: https://www.rfc-editor.org/rfc/rfc5280#section-6

As strict as Go's `x509.Certificate.Verify`, and no stricter: cryptography's own verifier asks for what the
Web's certificate authorities must hold to, which many an internal one does not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.x509.oid import ExtendedKeyUsageOID

from palisade.rego.errors import BuiltinError

_E = TypeVar("_E", bound=x509.ExtensionType)

_ANY_USAGE = ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE.dotted_string
# As many as Go tries: certificates that a stranger made up could otherwise keep one busy for long.
_MAX_CHECKS = 100
_HANDLED = (
    x509.BasicConstraints,
    x509.KeyUsage,
    x509.ExtendedKeyUsage,
    x509.SubjectAlternativeName,
    x509.NameConstraints,
    x509.CertificatePolicies,
    x509.PolicyConstraints,
    x509.InhibitAnyPolicy,
    x509.AuthorityKeyIdentifier,
    x509.SubjectKeyIdentifier,
)


@dataclass(frozen=True, slots=True)
class Requirements:
    """What a chain must be good for: a moment, a name of the leaf (any if empty), and one of the usages."""

    moment: datetime
    dns_name: str = ""
    usages: tuple[str, ...] = (ExtendedKeyUsageOID.SERVER_AUTH.dotted_string,)


def verify(certificates: Sequence[x509.Certificate], required: Requirements) -> list[x509.Certificate]:
    """The chain from the leaf, which stands last, to the root, which stands first. Raises BuiltinError."""
    if len(certificates) < 2:
        raise BuiltinError("operand 1 must supply at least two certificates to be able to verify")
    root, *between, leaf = certificates
    _check(leaf, required)
    if required.dns_name:
        _check_name(leaf, required.dns_name)
    chain = _Search(root, between, required).prolong([leaf])
    if chain is None:
        raise BuiltinError("x509: certificate signed by unknown authority")
    return chain


class _Search:
    """A way to the root, by as many of the certificates between as it takes."""

    def __init__(
        self, root: x509.Certificate, between: Sequence[x509.Certificate], required: Requirements
    ) -> None:
        self._root = root
        self._between = between
        self._required = required
        self._checks = 0

    def prolong(self, chain: list[x509.Certificate]) -> list[x509.Certificate] | None:
        if self._issued(self._root, chain):
            return [*chain, self._root]
        for candidate in self._between:
            if candidate not in chain and self._issued(candidate, chain):
                found = self.prolong([*chain, candidate])
                if found is not None:
                    return found
        return None

    def _issued(self, issuer: x509.Certificate, chain: list[x509.Certificate]) -> bool:
        if issuer.subject != chain[-1].issuer:
            return False
        self._checks += 1
        if self._checks > _MAX_CHECKS:
            raise BuiltinError(
                "x509: signature check attempts limit reached while verifying certificate chain"
            )
        try:
            chain[-1].verify_directly_issued_by(issuer)
            _check(issuer, self._required)
            _check_authority(issuer, chain, issuer is self._root)
            _check_usages([*chain, issuer], self._required)
        except (BuiltinError, InvalidSignature, UnsupportedAlgorithm, ValueError, TypeError):
            return False
        return True


def _check(certificate: x509.Certificate, required: Requirements) -> None:
    if not certificate.not_valid_before_utc <= required.moment <= certificate.not_valid_after_utc:
        raise BuiltinError("x509: certificate has expired or is not yet valid")
    if any(each.critical and not isinstance(each.value, _HANDLED) for each in certificate.extensions):
        raise BuiltinError("x509: unhandled critical extension")


def _check_authority(issuer: x509.Certificate, chain: list[x509.Certificate], is_root: bool) -> None:
    constraints = _extension(issuer, x509.BasicConstraints)
    if constraints is None:
        if not is_root:
            raise BuiltinError("x509: issuer is not authorized to sign")
    elif not constraints.ca and not is_root:
        raise BuiltinError("x509: issuer is not authorized to sign")
    elif constraints.path_length is not None and len(chain) - 1 > constraints.path_length:
        raise BuiltinError("x509: too many intermediates for path length constraint")
    usage = _extension(issuer, x509.KeyUsage)
    if usage is not None and not usage.key_cert_sign:
        raise BuiltinError("x509: issuer's key is not to sign certificates")
    names = _extension(issuer, x509.NameConstraints)
    if names is not None:
        for certificate in chain:
            _check_constraints(certificate, names)


def _check_usages(chain: list[x509.Certificate], required: Requirements) -> None:
    """Each usage must be allowed all along the chain; one that is so will do."""
    if _ANY_USAGE in required.usages:
        return
    left = set(required.usages)
    for certificate in chain:
        found = _extension(certificate, x509.ExtendedKeyUsage)
        if found is not None:
            allowed = {oid.dotted_string for oid in found}
            left &= left if _ANY_USAGE in allowed else allowed
    if not left:
        raise BuiltinError("x509: certificate specifies an incompatible key usage")


def _extension(certificate: x509.Certificate, kind: type[_E]) -> _E | None:
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def _check_name(certificate: x509.Certificate, name: str) -> None:
    names = _extension(certificate, x509.SubjectAlternativeName)
    bare = name.removeprefix("[").removesuffix("]")
    try:
        address = ip_address(bare)
    except ValueError:
        address = None
    if names is not None:
        if address is not None and address in names.get_values_for_type(x509.IPAddress):
            return
        if address is None and any(_covers(each, name) for each in names.get_values_for_type(x509.DNSName)):
            return
    raise BuiltinError(f"x509: certificate is not valid for {name}")


def _covers(pattern: str, name: str) -> bool:
    wanted, offered = name.rstrip(".").lower().split("."), pattern.rstrip(".").lower().split(".")
    if len(wanted) != len(offered) or not all(wanted):
        return False
    return wanted[1:] == offered[1:] and (offered[0] == wanted[0] or (offered[0] == "*" and len(offered) > 1))


def _check_constraints(certificate: x509.Certificate, constraints: x509.NameConstraints) -> None:
    """DNS names and addresses; a constraint on names of another kind lets no such name pass."""
    names = _extension(certificate, x509.SubjectAlternativeName) or ()
    for name in names:
        kind = type(name)
        excluded = [each for each in constraints.excluded_subtrees or () if isinstance(each, kind)]
        permitted = [each for each in constraints.permitted_subtrees or () if isinstance(each, kind)]
        if any(_within(name, each, default=True) for each in excluded):
            raise BuiltinError("x509: a name is excluded by a constraint")
        if permitted and not any(_within(name, each, default=False) for each in permitted):
            raise BuiltinError("x509: a name is not permitted by any constraint")


def _within(name: x509.GeneralName, tree: x509.GeneralName, *, default: bool) -> bool:
    if isinstance(name, x509.DNSName) and isinstance(tree, x509.DNSName):
        domain = tree.value.lstrip(".").lower()
        host = name.value.lower()
        return not domain or host == domain or host.endswith(f".{domain}")
    if isinstance(name, x509.IPAddress) and isinstance(tree, x509.IPAddress):
        network, address = tree.value, name.value
        if isinstance(network, (IPv4Network, IPv6Network)) and isinstance(
            address, (IPv4Address, IPv6Address)
        ):
            return address in network
    return default
