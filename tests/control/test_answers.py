"""Answers of `http.send` that are fetched ahead: there in time, renewed, and gone when their time is over."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from issuer_helpers import Issuer, serving
from shared_helpers import eventually, run

from palisade.control.answers import AnswerStore, Ask
from palisade.rego import Network
from palisade.rego.values import Key, Value

pytestmark = pytest.mark.usefixtures("answers_for_seconds")

LOCAL = Network(("127.0.0.1",))


class Store(AnswerStore):
    """A store that tells how often its answers have changed."""

    def __init__(self) -> None:
        self.changes = 0
        super().__init__(self._changed)

    def _changed(self) -> None:
        self.changes += 1

    async def use(self, asks: Iterable[Ask], *, patience: float = 30.0) -> None:
        """Patient: a busy machine takes longer for an answer than an engine waits for it."""
        await super().use(asks, patience=patience)


def ask(issuer: Issuer, path: str = "/keys", *, seconds: int = 600, network: Network = LOCAL) -> Ask:
    request: dict[str, Any] = {
        "method": "get",
        "url": f"{issuer.url}{path}",
        "force_cache": True,
        "force_cache_duration_seconds": seconds,
    }
    return Ask(network, Key(request))


def bodies(store: AnswerStore, network: Network = LOCAL) -> list[Value]:
    return [each["raw_body"] for each in store.of(network).values()]


def session(body: Callable[[Issuer, Store], Any]) -> None:
    async def serve() -> None:
        async with serving() as issuer:
            store = Store()
            try:
                await body(issuer, store)
            finally:
                await store.close()

    run(serve())


def test_an_answer_is_there_before_the_first_revision_goes_out() -> None:
    async def body(issuer: Issuer, store: Store) -> None:
        issuer.answers["/keys"] = "one"
        await store.use([ask(issuer)])
        assert bodies(store) == ["one"]
        assert store.changes == 0, "who waited for the answer needs not be told of it"
        assert bodies(store, Network(("127.0.0.1", "other.example"))) == []
        await store.use([ask(issuer)])
        assert issuer.asked == 1
        await store.use([])
        assert bodies(store) == []

    session(body)


def test_an_answer_is_fetched_anew_before_its_time_is_over_and_told_of_where_it_is_another() -> None:
    async def body(issuer: Issuer, store: Store) -> None:
        issuer.answers["/keys"] = "one"
        await store.use([ask(issuer, seconds=2)])
        issuer.answers["/keys"] = "two"
        await eventually(lambda: bodies(store) == ["two"])
        assert store.changes == 1

    session(body)


def test_an_answer_whose_time_is_over_stands_no_longer_and_comes_back() -> None:
    async def body(issuer: Issuer, store: Store) -> None:
        issuer.answers["/keys"] = "one"
        began = time.monotonic()
        await store.use([ask(issuer, seconds=2)])
        content = issuer.answers.pop("/keys")
        await eventually(lambda: bodies(store) == [])
        assert time.monotonic() - began >= 2, "the server was down for less than the answer stands"
        assert store.changes == 1
        issuer.answers["/keys"] = content
        assert len(store.problems) == 1
        await eventually(lambda: bodies(store) == ["one"])
        assert store.changes == 2
        assert store.problems == []

    session(body)


@pytest.mark.parametrize("content", [None, "x" * (1 << 20) + "x"], ids=["status 503", "large"])
def test_what_is_not_to_be_kept_is_no_answer(content: str | None, caplog: pytest.LogCaptureFixture) -> None:
    async def body(issuer: Issuer, store: Store) -> None:
        if content is not None:
            issuer.answers["/keys"] = content
        await store.use([ask(issuer)])
        assert bodies(store) == []
        assert f"http.send of {issuer.url}/keys cannot be answered ahead" in caplog.text
        assert [each.split(": ")[0] for each in store.problems] == [
            f"http.send of {issuer.url}/keys cannot be answered ahead"
        ]
        assert "Traceback" not in caplog.text

    session(body)


def test_hosts_that_policies_may_not_reach_are_not_asked(caplog: pytest.LogCaptureFixture) -> None:
    async def body(issuer: Issuer, store: Store) -> None:
        issuer.answers["/keys"] = "one"
        await store.use([ask(issuer, network=Network(("other.example",)))])
        assert issuer.asked == 0
        assert "unallowed host: 127.0.0.1" in caplog.text

    session(body)


def test_a_server_that_is_slow_holds_nobody_up_for_long() -> None:
    async def body(issuer: Issuer, store: Store) -> None:
        late = asyncio.Event()

        async def slow(_: object) -> Any:
            from aiohttp import web

            await late.wait()
            return web.Response(text="one")

        issuer.answers["/keys"] = slow
        await store.use([ask(issuer)], patience=0.1)
        assert bodies(store) == []
        late.set()
        await eventually(lambda: bodies(store) == ["one"])
        assert store.changes == 1

    session(body)
