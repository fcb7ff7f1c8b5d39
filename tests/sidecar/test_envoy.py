"""Finding Envoy, and starting it: what keeps it from that is told."""

from __future__ import annotations

import asyncio
import re
import sys
from typing import Any

import pytest

from palisade_sidecar.envoy import EnvoyError, find_envoy


def test_a_program_that_this_user_may_not_run_is_named(rig: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """As another user than the one who installed it: `Permission denied` alone told of no file."""

    async def scenario() -> None:
        monkeypatch.setenv("PALISADE_ENVOY", str(find_envoy()))
        monkeypatch.setattr(sys, "executable", __file__)
        with pytest.raises(EnvoyError, match=f"cannot be started: {re.escape(__file__)}: Permission denied"):
            async with rig.sidecar():
                pass

    asyncio.run(scenario())


def test_an_envoy_that_was_named_must_be_runnable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PALISADE_ENVOY", "/no/such/envoy")
    with pytest.raises(EnvoyError, match="/no/such/envoy"):
        find_envoy()
