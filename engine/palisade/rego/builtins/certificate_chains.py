"""Whether a chain of certificates leads from a leaf to a root: https://www.rfc-editor.org/rfc/rfc5280#section-6

As strict as Go's `x509.Certificate.Verify`, and no stricter: cryptography's own verifier asks for what the
Web's certificate authorities must hold to, which many an internal one does not.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import TypeVar
from urllib.parse import urlsplit

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
    x509.CertificatePolicies,
    x509.PolicyConstraints,
    x509.InhibitAnyPolicy,
    x509.AuthorityKeyIdentifier,
    x509.SubjectKeyIdentifier,
    x509.CRLDistributionPoints,
)
_NAMES = (x509.DNSName, x509.IPAddress, x509.RFC822Name, x509.UniformResourceIdentifier)
_HOST = re.compile(r"(?:[A-Za-z0-9_][A-Za-z0-9_-]*\.)*[A-Za-z0-9_][A-Za-z0-9_-]*")
_ANY_POLICY = "2.5.29.32.0"


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
    if leaf == root:
        _check_usages([leaf], required)
        return [leaf]
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
        if self._issued(self._root, chain) and _have_policies(chain):
            return [*chain, self._root]
        for candidate in self._between:
            if self._issued(candidate, chain):
                found = self.prolong([*chain, candidate])
                if found is not None:
                    return found
        return None

    def _issued(self, issuer: x509.Certificate, chain: list[x509.Certificate]) -> bool:
        if issuer.subject != chain[-1].issuer or any(_are_one(issuer, each) for each in chain):
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


def _are_one(one: x509.Certificate, other: x509.Certificate) -> bool:
    """Whether both are of one name and one key, as renewed ones are: no chain has two of them."""
    return (
        one.subject == other.subject
        and one.public_key() == other.public_key()
        and _extension(one, x509.SubjectAlternativeName) == _extension(other, x509.SubjectAlternativeName)
    )


def _check(certificate: x509.Certificate, required: Requirements) -> None:
    if not certificate.not_valid_before_utc <= required.moment <= certificate.not_valid_after_utc:
        raise BuiltinError("x509: certificate has expired or is not yet valid")
    if any(each.critical and not _is_handled(each.value) for each in certificate.extensions):
        raise BuiltinError("x509: unhandled critical extension")


def _is_handled(value: x509.ExtensionType) -> bool:
    """Whether Go knows what it says; of names it knows four kinds."""
    if isinstance(value, x509.SubjectAlternativeName):
        return any(isinstance(each, _NAMES) for each in value)
    if isinstance(value, x509.NameConstraints):
        trees = (*(value.permitted_subtrees or ()), *(value.excluded_subtrees or ()))
        return all(isinstance(each, _NAMES) for each in trees)
    return isinstance(value, _HANDLED)


def _have_policies(chain: Sequence[x509.Certificate]) -> bool:
    """Whether all below the root go by one policy where one of them asks for that. What maps policies to
    others is not looked at: then none is in common."""
    explicit = any_inhibited = len(chain) + 1
    valid: set[str] | None = None  # any
    for certificate in reversed(chain):
        found = _extension(certificate, x509.CertificatePolicies)
        policies = {each.policy_identifier.dotted_string for each in found or ()}
        own_issuer = certificate.issuer == certificate.subject
        if _ANY_POLICY not in policies or not (any_inhibited or (own_issuer and certificate is not chain[0])):
            policies.discard(_ANY_POLICY)
            valid = policies if valid is None else valid & policies
        if not explicit and valid is not None and not valid:
            return False
        asked = _extension(certificate, x509.PolicyConstraints)
        if not own_issuer or certificate is chain[0]:
            explicit, any_inhibited = max(explicit - 1, 0), max(any_inhibited - 1, 0)
        required = None if asked is None else asked.require_explicit_policy
        if required is not None and not (required and certificate is chain[0]):
            explicit = min(explicit, required)
        inhibited = _extension(certificate, x509.InhibitAnyPolicy)
        if inhibited is not None:
            any_inhibited = min(any_inhibited, inhibited.skip_certs)
    return explicit > 0 or valid is None or bool(valid)


def _check_authority(issuer: x509.Certificate, chain: list[x509.Certificate], is_root: bool) -> None:
    constraints = _extension(issuer, x509.BasicConstraints)
    # Before X.509 v3 no certificate could say so: a root of that time is taken.
    if constraints is None:
        if not is_root or issuer.version is x509.Version.v3:
            raise BuiltinError("x509: issuer is not authorized to sign")
    elif not constraints.ca:
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
    if pattern.endswith(".") or not _HOST.fullmatch(name.removesuffix(".")):  # to Go no name
        return pattern.lower() == name.lower() != "."
    wanted, offered = name.removesuffix(".").lower().split("."), pattern.lower().split(".")
    if len(wanted) != len(offered) or not all(wanted):
        return False
    return wanted[1:] == offered[1:] and (offered[0] == wanted[0] or (offered[0] == "*" and len(offered) > 1))


def _check_constraints(certificate: x509.Certificate, constraints: x509.NameConstraints) -> None:
    """Raises BuiltinError for a name that is not as it must be, or that nothing can be told of."""
    for name in _extension(certificate, x509.SubjectAlternativeName) or ():
        kind = type(name)
        if kind not in _NAMES:
            continue
        host = _host(name)
        excluded = [each for each in constraints.excluded_subtrees or () if isinstance(each, kind)]
        permitted = [each for each in constraints.permitted_subtrees or () if isinstance(each, kind)]
        if any(_within(name, host, each) or _may_be(host, each) for each in excluded):
            raise BuiltinError("x509: a name is excluded by a constraint")
        if permitted and not any(_within(name, host, each) for each in permitted):
            raise BuiltinError("x509: a name is not permitted by any constraint")


def _host(name: x509.GeneralName) -> str:
    """The domain that a name is of; empty for an address. Raises BuiltinError where it is of none."""
    match name:
        case x509.IPAddress():
            return ""
        case x509.UniformResourceIdentifier():
            try:
                host = urlsplit(name.value).hostname or ""
            except ValueError:
                host = ""
            if host.replace(".", "").isdecimal() or ":" in host:
                host = ""  # an address, which no constraint on URIs is for
        case _:
            host = str(name.value).rpartition("@")[2]
    if not all(host.split(".")):
        raise BuiltinError(f"x509: cannot tell the domain of {name.value}")
    return host.lower()


def _within(name: x509.GeneralName, host: str, tree: x509.GeneralName) -> bool:
    if isinstance(name, x509.IPAddress):
        network, address = tree.value, name.value
        return (
            isinstance(network, (IPv4Network, IPv6Network))
            and isinstance(address, (IPv4Address, IPv6Address))
            and address in network
        )
    mailbox, at, domain = str(tree.value).rpartition("@")
    if at:
        return f"{str(name.value).rpartition('@')[0]}@{host}" == f"{mailbox}@{domain.lower()}"
    domain = domain.lower()
    return not domain or host == domain or host.endswith(f".{domain.removeprefix('.')}")


def _may_be(host: str, tree: x509.GeneralName) -> bool:
    """Whether the domain, which begins with a star, stands for that one too."""
    first, _, rest = host.partition(".")
    return first == "*" and str(tree.value).lower().removeprefix(".").partition(".")[2] == rest != ""
