"""Expressions of addresses in networks, against what the builtin says."""

from __future__ import annotations

import re2
from hypothesis import given
from hypothesis import strategies as st

from palisade.enforce.envoy.regex import addresses
from palisade.rego.builtins import BUILTINS
from palisade.rego.errors import BuiltinError


def matches(pattern: str, text: str) -> bool:
    return re2.fullmatch(pattern, text) is not None


_octet = st.sampled_from((0, 1, 9, 10, 99, 100, 127, 128, 199, 200, 249, 250, 255)) | st.integers(0, 260)
_address = st.tuples(*[_octet] * 4).map(lambda parts: ".".join(map(str, parts)))
_odd_address = st.sampled_from(
    ("::1", "::ffff:10.0.0.1", "10.0.0.0/8", "10.0.0.1/33", "010.0.0.1", "10.0.0", "1.2.3.4:80", "")
) | st.text("0123456789.:/afF%x ", max_size=12)
_network = st.builds(lambda address, bits: f"{address}/{bits}", _address, st.integers(0, 33)) | (
    st.sampled_from(("::ffff:10.0.0.0/104", "::/0", "fd00::/8", "::ffff:0:0/95", "10.0.0.1", "x", ""))
)


@given(_network, _address | _odd_address)
def test_addresses_lie_in_a_network(ranges: str, text: str) -> None:
    """Those of IPv4; all else that the builtin takes is among what is for the engine."""
    network = addresses.network_of(ranges)
    try:
        wanted = BUILTINS["net.cidr_contains"].function(ranges, text)
    except BuiltinError:
        assert network is None or not matches(addresses.IPV4, text)
        return
    assert network is not None
    if matches(addresses.IPV4, text):
        assert matches(addresses.inside(network), text) == wanted
    else:
        assert not matches(addresses.inside(network), text)
        assert matches(addresses.may_be(frozenset()), text)


def test_what_is_cut_at_a_colon_is_no_address_of_ipv6() -> None:
    """So only networks are left to the engine there."""
    assert not matches(addresses.may_be(frozenset(":")), "::1")
    assert matches(addresses.may_be(frozenset(":")), "10.0.0.0/8")
    assert not matches(addresses.may_be(frozenset(":/")), "10.0.0.0/8")
