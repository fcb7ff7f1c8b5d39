"""The heads of calls by HTTP/2: what is known by its bytes says what it would say if it were read again."""

from __future__ import annotations

import pytest
from hpack import Encoder
from hypothesis import given
from hypothesis import strategies as st

from palisade.decide.calls import METHOD
from palisade.decide.heads import Head, HeadError, Heads

PATHS = st.sampled_from([METHOD, b"/envoy.service.auth.v3.Authorization/Other"])
TIMEOUTS = st.sampled_from([None, b"2000m", b"1S"])
OTHERS = st.lists(st.tuples(st.sampled_from([b"te", b"x", b"y"]), st.binary(max_size=3)), max_size=3)
SIZES = st.sampled_from([None, None, None, 0, 64, 4096])


@given(st.lists(st.tuples(PATHS, TIMEOUTS, OTHERS, SIZES, st.booleans(), st.booleans()), max_size=30))
def test_whatever_the_tables_hold_a_head_says_what_was_sent(
    sent: list[tuple[bytes, bytes | None, list[tuple[bytes, bytes]], int | None, bool, bool]],
) -> None:
    """A field that goes into the table, or out of it, changes what the same bytes say."""
    heads, encoder = Heads(), Encoder()
    for path, timeout, others, size, secret, huffman in sent:
        if size is not None:
            encoder.header_table_size = size
        given = [] if timeout is None else [(b"grpc-timeout", timeout, secret)]
        block = encoder.encode([(b":path", path, secret), *given, *others], huffman=huffman)
        patience = {None: None, b"2000m": 2.0, b"1S": 1.0}[timeout]
        assert heads.read(block) == Head(path == METHOD, patience)


def test_the_same_bytes_are_read_again_where_the_table_has_changed() -> None:
    heads = Heads()
    path = b"\x40\x05:path" + bytes((len(METHOD),)) + METHOD
    first = b"\xbe"  # the field that came into the table last
    assert heads.read(path) == Head(True, None)
    assert heads.read(first) == Head(True, None)
    assert heads.read(b"\x40\x0cgrpc-timeout\x021S") == Head(False, 1.0)
    assert heads.read(first) == Head(False, 1.0)


@pytest.mark.parametrize("block", [b"\xff", b"\xbe", b"\x00\x05:pat", b"\x3f\xff\xff\x7f"])
def test_what_is_no_head_is_refused(block: bytes) -> None:
    with pytest.raises(HeadError):
        Heads().read(block)
