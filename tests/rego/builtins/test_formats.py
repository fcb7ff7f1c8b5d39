"""Units, versions, UUIDs, networks, digests."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from palisade.rego.builtins import BUILTINS, Context


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("10", 10),
        ("1.5k", 1500),
        ("1K", 1000),
        ("2Ki", 2048),
        ("1M", 1_000_000),
        ("1m", 0.001),
        ("100m", 0.1),
        ("0.5Gi", 2**29),
        ("1e3", 1000),
        ("1E", 10**18),
        ("-1.5", -1.5),
        ('"1Mi"', 2**20),
        ("0.00000000005", 0.0000000001),  # ten digits, rounded
    ],
)
def test_units(call: Any, text: str, amount: float) -> None:
    assert call("units.parse", text) == amount


@pytest.mark.parametrize("name", ["units.parse", "units.parse_bytes"])
def test_many_digits_hold_nothing_up(fails: Any, name: str) -> None:
    """What is no number only at its end was read again from each of its digits: for hours."""
    assert "to a number" in fails(name, "9" * 1_000_000 + ".1.1")


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("10", 10),
        ("1kb", 1000),
        ("1KiB", 1024),
        ("1.5MiB", 3 * 2**19),
        ("0.1kb", 100),
        ("1e2k", 100_000),
        ("1.9", 1),
    ],
)
def test_bytes(call: Any, text: str, amount: int) -> None:
    assert call("units.parse_bytes", text) == amount


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("units.parse", "", "no amount provided"),
        ("units.parse", "GB", "no amount provided"),
        ("units.parse", "1 G", "spaces not allowed in resource strings"),
        ("units.parse", "1.2.3", "could not parse amount to a number"),
        ("units.parse", "1foo", "unit foo not recognized"),
        ("units.parse", "1e1000000000", "exponent too large"),
        ("units.parse", "1e999999", "exponent too large"),
        ("units.parse_bytes", "1foo", "byte unit foo not recognized"),
        ("units.parse_bytes", "kb", "no byte amount provided"),
    ],
)
def test_units_refuse(fails: Any, name: str, text: str, message: str) -> None:
    assert fails(name, text) == f"eval_builtin_error: {message}"


ORDER = (
    "1.0.0-alpha",
    "1.0.0-alpha.1",
    "1.0.0-alpha.beta",
    "1.0.0-beta.2",
    "1.0.0-beta.11",
    "1.0.0-rc.1",
    "1.0.0",
    "v1.0.1+build",
    "1.10.0",
    "2.0.0",
)


@settings(deadline=None)  # a busy machine is no failure
@given(st.integers(0, len(ORDER) - 1), st.integers(0, len(ORDER) - 1))
def test_versions_are_ordered(a: int, b: int) -> None:
    assert BUILTINS["semver.compare"].function(ORDER[a], ORDER[b]) == (a > b) - (a < b)


@pytest.mark.parametrize(
    "text",
    ["1", "1.0", "a.b.c", "1.0.0-_", "1.0.0.0", "", "1.0.0 ", "9223372036854775808.0.0", "9" * 5000 + ".0.0"],
)
def test_no_versions(call: Any, text: str) -> None:
    assert call("semver.is_valid", text) is False


def test_numbers_in_versions_may_be_of_any_length(call: Any) -> None:
    """Python converts 4,300 digits at most, and a longer one was an error that nobody caught."""
    long, longer = f"1.0.0-{'9' * 5000}", f"1.0.0-1{'0' * 5000}"
    assert call("semver.is_valid", long) is True
    assert call("semver.compare", long, longer) == -1
    assert call("semver.compare", longer, "1.0.0-00012") == 1
    assert call("semver.compare", "1.0.0-0012", "1.0.0-12") == 0


def test_versions_name_the_wrong_operand(fails: Any) -> None:
    assert fails("semver.compare", "1.0.0", "x").endswith('operand 2: string "x" is not a valid SemVer')


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("6ba7b810-9dad-11d1-80b4-00c04fd430c8", {"version": 1, "nodeid": "00-c0-4f-d4-30-c8"}),
        ("6ba7b810-9dad-11d1-80b4-03c04fd430c8", {"macvariables": "local:multicast"}),
        ("00000000-0000-1000-0000-000000000000", {"time": 6227451273709551616}),
        ("6ba7b810-9dad-11d1-80b4-00c04fd430c8", {"clocksequence": 180, "time": 886630433151182400}),
        ("{00000000-0000-4000-8000-000000000000}", {"version": 4, "variant": "RFC4122"}),
        ("urn:uuid:00000000-0000-4000-c000-000000000000", {"version": 4, "variant": "Microsoft"}),
        ("000003e8-48b9-21ee-b200-325096b39f47", {"version": 2, "domain": "Person", "id": 1000}),
        # Capital letters ended in an error that nobody caught, and OPA takes any two characters for braces.
        ("URN:UUID:00000000-0000-4000-C000-000000000000", {"version": 4, "variant": "Microsoft"}),
        ("x00000000-0000-4000-8000-000000000000\n", {"version": 4}),
        (" 00000000-0000-4000-8000-000000000000}", {"version": 4}),
        ("00000000000040008000000000000000", {"version": 4}),
        ("urn:uu\u0131d:00000000-0000-4000-8000-000000000000", "undefined"),
        ("\u00fc00000000-0000-4000-8000-000000000000", "undefined"),
        ("00000000-0000-4000-8000-000000000000\u00fc", "undefined"),
        ("{00000000000040008000000000000000}", "undefined"),
        ("nonsense", "undefined"),
        ("6ba7b810-9dad11d1-80b4-00c04fd430c8-", "undefined"),
    ],
)
def test_uuids(call: Any, text: str, parts: Any) -> None:
    found = call("uuid.parse", text)
    assert found == parts if isinstance(parts, str) else parts.items() <= found.items()


def test_a_random_uuid_stays_the_same_within_a_query(call: Any) -> None:
    ctx = Context(0)
    first, again = call("uuid.rfc4122", "k", ctx=ctx), call("uuid.rfc4122", "k", ctx=ctx)
    assert first == again != call("uuid.rfc4122", "other", ctx=ctx)
    assert call("uuid.parse", first) == {"version": 4, "variant": "RFC4122"}


@pytest.mark.parametrize(
    ("name", "operands", "result"),
    [
        ("net.cidr_contains", ("10.0.0.0/8", "10.1.2.3"), True),
        ("net.cidr_contains", ("10.0.0.0/8", "10.1.0.0/16"), True),
        ("net.cidr_contains", ("10.1.0.0/16", "10.0.0.0/8"), False),
        ("net.cidr_contains", ("10.0.0.0/8", "::ffff:10.1.2.3"), True),
        ("net.cidr_contains", ("::/0", "10.0.0.1"), False),
        ("net.cidr_intersects", ("192.168.1.0/25", "192.168.1.64/25"), True),
        ("net.cidr_intersects", ("10.0.0.0/8", "::/0"), False),
        ("net.cidr_is_valid", ("10.0.0.1/8",), True),
        ("net.cidr_is_valid", ("10.0.0.1",), False),
        ("net.cidr_is_valid", ("10.0.0.1/33",), False),
        ("net.cidr_is_valid", ("10.0.0.01/8",), False),
        ("net.cidr_is_valid", ("10.0.0.0/255.0.0.0",), False),
        ("net.cidr_is_valid", ("fe80::1%eth0/64",), False),
        ("net.cidr_expand", ("10.0.0.5/30",), ["10.0.0.4", "10.0.0.5", "10.0.0.6", "10.0.0.7"]),
        ("net.cidr_merge", (["::/0", "192.0.2.1/32", "ff00::1/128"],), ["::/0"]),
        ("net.cidr_merge", (["8000::/1", "192.0.2.1/32"],), ["192.0.2.1/32", "8000::/1"]),
        (
            "net.cidr_merge",
            (["192.0.2.112/31", "192.0.2.116/31", "192.0.2.118/31"],),
            ["192.0.2.112/31", "192.0.2.116/30"],
        ),
        (
            "net.cidr_merge",
            (["192.0.2.1"],),
            ["192.0.2.1/24"],
        ),  # as OPA: a plain address has its class's mask
        ("net.cidr_contains_matches", ({"a": "1.1.1.0/24"}, [["1.1.1.1", "x"], "2.2.2.2"]), [["a", 0]]),
    ],
)
def test_networks(call: Any, name: str, operands: tuple[Any, ...], result: Any) -> None:
    assert call(name, *operands) == result


@pytest.mark.parametrize(
    ("name", "operands", "message"),
    [
        ("net.cidr_contains", ("10.0.0.0", "10.0.0.1"), "invalid CIDR address: 10.0.0.0"),
        (
            "net.cidr_contains",
            ("10.0.0.0/8", "x"),
            "not a valid textual representation of an IP address or CIDR: x",
        ),
        ("net.cidr_merge", (["::1"],), "IPv6 invalid: needs prefix length"),
        (
            "net.cidr_contains_matches",
            ("10.0.0.0/8", [[]]),
            "operand 2: element must be string or non-empty array",
        ),
    ],
)
def test_networks_refuse(fails: Any, name: str, operands: tuple[Any, ...], message: str) -> None:
    assert fails(name, *operands) == f"eval_builtin_error: {message}"


def test_a_large_network_is_not_expanded(fails: Any) -> None:
    assert fails("net.cidr_expand", "::/64").startswith("eval_cancel_error")


@settings(deadline=None)  # a busy machine is no failure
@given(st.lists(st.tuples(st.integers(0, 2**32 - 1), st.integers(24, 32)), min_size=1, max_size=6))
def test_merged_networks_cover_the_same_addresses(networks: list[tuple[int, int]]) -> None:
    given_ = [ip_network(each, strict=False) for each in networks]
    merged = [
        ip_network(each) for each in BUILTINS["net.cidr_merge"].function([str(each) for each in given_])
    ]
    assert {address for network in merged for address in network} == {
        a for network in given_ for a in network
    }
    assert len(merged) <= len(set(given_))


def test_digests(call: Any) -> None:
    assert call("crypto.md5", "a") == "0cc175b9c0f1b6a831c399e269772661"
    assert call("crypto.sha1", "a") == "86f7e437faa5a7fce15d1ddcb9eaeaea377667b8"
    assert call("crypto.sha256", "a").startswith("ca978112ca1bbdcafac231b39a23dc4d")
    assert call("crypto.hmac.sha512", "m", "k").startswith("94ec958658ae2d2e")
    assert call("crypto.hmac.equal", call("crypto.hmac.md5", "m", "k"), "9a2ef5a5f8a3") is False
