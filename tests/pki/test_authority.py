"""The authority: what it signs is trusted, its keys stay private, and a rotation locks nobody out."""

from __future__ import annotations

import resource
import stat
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from palisade.pki import Authority, AuthorityError, Identity, function_id
from palisade.pki.authority import AUTHORITY_LIFETIME
from palisade.pki.identity import check_trust_domain

NOW = datetime.now(UTC).replace(microsecond=0)
HOUR = timedelta(hours=1)


@pytest.fixture(autouse=True)
def _the_present() -> None:
    """Authorities are made when a test runs, which in a long run is minutes after the import."""
    global NOW
    NOW = datetime.now(UTC).replace(microsecond=0)


def trusts(bundle: bytes, identity: Identity, now: datetime) -> bool:
    """Whether a peer with this bundle takes the certificate at this time."""
    store = Store(x509.load_pem_x509_certificates(bundle))
    verifier = PolicyBuilder().store(store).time(now.replace(tzinfo=None)).build_client_verifier()
    try:
        verifier.verify(x509.load_pem_x509_certificate(identity.certificate), [])
    except VerificationError:
        return False
    return True


def test_what_it_signs_is_trusted_while_it_lives(tmp_path: Path) -> None:
    authority = Authority.open(tmp_path, identity_lifetime=2 * HOUR)
    identity = authority.issue_function("hello", now=NOW)
    assert identity.spiffe_id == "spiffe://palisade.local/function/hello"
    assert trusts(identity.bundle, identity, NOW)
    assert not trusts(identity.bundle, identity, NOW + 3 * HOUR)
    assert NOW + HOUR < identity.renew_at < identity.not_after == NOW + 2 * HOUR
    stranger = Authority.open(tmp_path / "other").issue_function("hello", now=NOW)
    assert not trusts(identity.bundle, stranger, NOW)


def test_the_engine_is_named_for_its_clients(tmp_path: Path) -> None:
    authority = Authority.open(tmp_path, trust_domain="example.org")
    identity = authority.issue_engine(dns_names=["engine"], ip_addresses=["10.0.0.1"])
    names = x509.load_pem_x509_certificate(identity.certificate).extensions.get_extension_for_class(
        x509.SubjectAlternativeName
    )
    assert {str(each.value) for each in names.value} == {"spiffe://example.org/engine", "engine", "10.0.0.1"}


def test_it_is_the_same_when_opened_again(tmp_path: Path) -> None:
    first = Authority.open(tmp_path)
    again = Authority.open(tmp_path)
    assert trusts(first.bundle, again.issue_function("hello"), datetime.now(UTC))
    with pytest.raises(AuthorityError, match=r"of palisade\.local, not of example\.org"):
        Authority.open(tmp_path, trust_domain="example.org")


def test_two_that_start_at_once_make_one_authority(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        bundles = {each.bundle for each in pool.map(lambda _: Authority.open(tmp_path), range(8))}
    assert len(bundles) == 1


def test_keys_are_for_the_owner_only(tmp_path: Path) -> None:
    authority = Authority.open(tmp_path / "pki")
    authority.issue_function("hello").save(tmp_path / "hello")
    secret = [
        path
        for path in tmp_path.rglob("*")
        if path.is_file() and not path.is_symlink() and b"PRIVATE KEY" in path.read_bytes()
    ]
    assert len(secret) == 2
    assert {stat.S_IMODE(path.stat().st_mode) for path in secret} == {0o600}

    key = tmp_path / "pki" / "authority-1.pem"
    key.chmod(0o644)
    with pytest.raises(AuthorityError, match="chmod 600"):
        authority.issue_function("hello")


def test_a_rotation_locks_nobody_out(tmp_path: Path) -> None:
    """At every moment every pair of living identities trusts each other, whenever each was issued."""
    authority = Authority.open(tmp_path, identity_lifetime=6 * HOUR, now=NOW)
    issued: list[tuple[datetime, Identity]] = []
    signers = set()
    for hour in range(24):
        now = NOW + hour * HOUR
        if hour == 8:
            authority.rotate(now=now)
        identity = authority.issue_function("hello", now=now)
        issued.append((now, identity))
        signers.add(x509.load_pem_x509_certificate(identity.certificate).issuer)
        living = [each for _, each in issued if each.not_after > now]
        assert all(trusts(one.bundle, other, now) for one in living for other in living), hour
    assert len(signers) == 2, "the new key has taken over"


def test_a_clock_that_was_ahead_and_is_put_right_locks_nobody_out(tmp_path: Path) -> None:
    """Machines start with a wrong clock. What was made then is not valid yet, for as long as it was ahead."""
    ahead = NOW + 1_000 * HOUR
    authority = Authority.open(tmp_path, now=ahead)
    assert authority.issue_function("hello", now=ahead).is_due(NOW)
    mended, other = (authority.issue_function(name, now=NOW) for name in ("hello", "other"))
    assert not mended.is_due(NOW)
    assert trusts(mended.bundle, other, NOW)
    assert trusts(other.bundle, mended, NOW)
    assert len(x509.load_pem_x509_certificates(mended.bundle)) == 2, "one new key is enough for both"
    again = authority.issue_function("hello", now=NOW + HOUR)
    assert trusts(mended.bundle, again, NOW + HOUR)


def test_it_rotates_by_itself_before_it_expires(tmp_path: Path) -> None:
    authority = Authority.open(tmp_path, now=NOW)
    assert not authority.rotate_if_due(now=NOW + AUTHORITY_LIFETIME / 2)
    late = NOW + AUTHORITY_LIFETIME * 0.7
    authority.issue_function("hello", now=late)
    after = NOW + AUTHORITY_LIFETIME + HOUR
    identity = authority.issue_function("hello", now=after)
    assert trusts(identity.bundle, identity, after)
    assert len(x509.load_pem_x509_certificates(identity.bundle)) == 1, "the expired one is no longer trusted"


def test_one_that_was_left_until_it_expired_starts_anew(tmp_path: Path) -> None:
    authority = Authority.open(tmp_path, now=NOW)
    late = NOW + 2 * AUTHORITY_LIFETIME
    one, two = (authority.issue_function("hello", now=late) for _ in range(2))
    assert trusts(one.bundle, two, late)


@pytest.mark.parametrize("name", ["", "a/b", "..", ".", "a b", "ü", "a\n", "x" * 256])
def test_a_name_cannot_reach_beyond_its_segment(name: str) -> None:
    """Else the function `a/../../engine` could pass for the engine."""
    with pytest.raises(ValueError, match="cannot be part of a SPIFFE ID"):
        function_id(name)


@pytest.mark.parametrize("name", ["", "Example.org", "a/b", "a b"])
def test_a_trust_domain_is_checked(name: str) -> None:
    with pytest.raises(ValueError, match="no trust domain"):
        check_trust_domain(name)


def test_a_saved_identity_changes_all_at_once(tmp_path: Path) -> None:
    authority = Authority.open(tmp_path / "pki")
    folder = tmp_path / "hello"
    for _ in range(3):
        identity = authority.issue_function("hello")
        identity.save(folder)
        assert Identity.load(folder) == identity
        assert (folder / "key.pem").read_bytes() == identity.key
    versions = [path for path in folder.iterdir() if path.is_dir() and not path.is_symlink()]
    assert len(versions) == 1, "what was replaced is removed, keys and all"


def test_an_identity_that_cannot_be_saved_leaves_the_one_before(tmp_path: Path) -> None:
    """On a disk that is full each try left a folder behind."""
    authority = Authority.open(tmp_path / "pki")
    folder = tmp_path / "hello"
    before, after = authority.issue_function("hello"), authority.issue_function("hello")
    before.save(folder)
    there = sorted(folder.iterdir())
    bounds = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1, bounds[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            after.save(folder)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, bounds)
    assert sorted(folder.iterdir()) == there
    assert Identity.load(folder) == before


def test_a_key_of_another_certificate_is_refused(tmp_path: Path) -> None:
    authority = Authority.open(tmp_path)
    one, two = authority.issue_function("one"), authority.issue_function("two")
    with pytest.raises(ValueError, match="does not belong"):
        Identity.of(one.key, two.certificate, one.bundle)
