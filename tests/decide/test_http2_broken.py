"""What is no HTTP/2, and what breaks its rules: no question is made of it, nor of what comes after it."""

from __future__ import annotations

import asyncio

import pytest
from http2_helpers import Client, framed, session

from palisade.decide.calls import METHOD
from palisade.decide.checks import Checks
from palisade.decide.http2_frames import PREFACE
from palisade.decide.question import Evaluation

SETTINGS = b"\0\0\0\4\0\0\0\0\0"
HEAD = b"\x83\x87\x00\x05:path" + bytes((len(METHOD),)) + METHOD
OPENED = len(HEAD).to_bytes(3, "big") + b"\1\4\0\0\0\1" + HEAD
ENDED = framed(b"")
ASKED = OPENED + len(ENDED).to_bytes(3, "big") + b"\0\1\0\0\0\1" + ENDED


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(b"\xff\xff\xff\0\0\0\0\0\1", id="a frame too large"),
        pytest.param(b"\0\0\1\0\0\0\0\0\1x", id="data before a head"),
        pytest.param(b"\0\0\1\1\4\0\0\0\2\x83", id="a stream of the server's"),
        pytest.param(b"\0\0\1\1\4\0\0\0\1\xff", id="a head that is cut off"),
        pytest.param(b"\0\0\1\1\4\0\0\0\1\xfe", id="a field that is in no table"),
        pytest.param(b"\0\0\1\1\0\0\0\0\1\x83" + SETTINGS, id="a head that is not continued"),
        pytest.param(b"\0\0\1\x09\4\0\0\0\1\x83", id="what goes on has not begun"),
        pytest.param(OPENED + b"\0\0\2\0\x08\0\0\0\1\2x", id="more padding than room"),
        pytest.param(OPENED + b"\0\0\1\1\4\0\0\0\1\x83", id="trailers and no end"),
        pytest.param(ASKED + b"\0\0\1\0\0\0\0\0\1x", id="data behind the end"),
        pytest.param(b"\0\0\5\4\0\0\0\0\0abcde", id="half a setting"),
        pytest.param(b"\0\0\6\4\0\0\0\0\0\0\5\0\0\0\1", id="frames of one byte"),
        pytest.param(b"\0\0\6\4\0\0\0\0\0\0\4\xff\xff\xff\xff", id="a window too large"),
        pytest.param(b"\0\0\4\x08\0\0\0\0\0\0\0\0\0", id="a window widened by nothing"),
        pytest.param(b"\0\0\4\x08\0\0\0\0\0\x7f\xff\xff\xff", id="a window widened too far"),
        pytest.param(b"\0\0\3\x06\0\0\0\0\0abc", id="a ping too short"),
        pytest.param(b"\0\0\0\5\4\0\0\0\1", id="a promise"),
    ],
)
def test_what_is_no_http2_ends_the_connection(sent: bytes) -> None:
    """Nothing that comes after it is taken for a question."""

    async def wait() -> Evaluation:
        await asyncio.sleep(30)
        return Evaluation(True)

    async def talk(client: Client, _: Checks) -> None:
        client.writer.write(PREFACE + SETTINGS + sent + ASKED.replace(b"\0\0\0\1", b"\0\0\0\3"))
        found = await client.reader.read()
        assert b"\x07\0\0\0\0\0" in found  # GOAWAY
        assert b"grpc-status" not in found

    assert session(talk, lambda *_: wait(), greeted=False) == []
