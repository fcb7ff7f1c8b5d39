"""What tests of streams share: both kinds of them, and clients that take what comes."""

from __future__ import annotations

from typing import Any

import pytest

NOTHING = "type.googleapis.com/example.NoSuchType"
BOTH = pytest.mark.parametrize("incremental", [False, True], ids=["sotw", "delta"])


async def accept(client: Any, count: int, names: dict[str, tuple[str, ...]] | None = None) -> list[Any]:
    """Takes so many responses, and goes on asking for the names of each type. Returns the responses."""
    responses = []
    for _ in range(count):
        response = await client.read()
        await client.ack(response, *(names or {}).get(response.type_url, ()))
        responses.append(response)
    return responses
