"""Which requests of `http.send` may be asked before anybody asks: none that changes or hurts anything."""

from __future__ import annotations

from typing import Any

import pytest

from palisade.rego.builtins.http_ahead import lasts

KEYS: dict[str, Any] = {
    "method": "GET",
    "url": "https://issuer.example/keys",
    "force_cache": True,
    "force_cache_duration_seconds": 300,
}


def test_an_answer_that_stands_for_minutes() -> None:
    assert lasts(KEYS) == 300
    assert lasts({**KEYS, "method": "get", "raise_error": False, "headers": {"accept": "a/b"}}) == 300


@pytest.mark.parametrize(
    "changed",
    [
        {"method": "POST"},
        {"method": 1},
        {"force_cache": False},
        {"force_cache": False, "cache": True},
        {"force_cache": 1},
        {"force_cache_duration_seconds": None},
        {"force_cache_duration_seconds": 29},
        {"force_cache_duration_seconds": -300},
        {"force_cache_duration_seconds": "300"},
        {"caching_mode": "other"},
        {"unknown": 1},
    ],
)
def test_what_is_asked_when_somebody_asks(changed: dict[str, Any]) -> None:
    assert lasts({**KEYS, **changed}) == 0


@pytest.mark.parametrize("operand", [None, "https://issuer.example/keys", [], {}, {"method": "GET"}])
def test_what_is_no_request(operand: object) -> None:
    assert lasts(operand) == 0
