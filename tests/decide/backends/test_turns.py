"""What takes long and the event loop take turns: nobody waits for another's evaluation to end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from shared_helpers import run

from palisade.decide.backends.turns import Turns, Work
from palisade.rego.runtime import Pause


class Loop:
    """Counts the turns of the event loop, as one of those that have one."""

    def __init__(self) -> None:
        self.turns = 0

    async def __aenter__(self) -> Loop:
        self._task = asyncio.create_task(self._count())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()

    async def _count(self) -> None:
        while True:
            self.turns += 1
            await asyncio.sleep(0)

    def working(self, turns: int, done: Callable[[], None] = lambda: None) -> Work[int]:
        """Work that needs so many turns of the event loop, and never ends where there are none."""

        def work(pause: Pause) -> int:
            begun = self.turns
            while self.turns < begun + turns:
                pause()
            done()
            return turns

        return work


async def ask(take: Callable[[Work[int]], int | Awaitable[int]], work: Work[int]) -> int:
    found = take(work)
    return await found if isinstance(found, Awaitable) else found


def test_what_is_short_is_there_at_once() -> None:
    turns = Turns[int]()
    assert [turns.take(Loop().working(0)) for _ in range(3)] == [0, 0, 0]


def test_what_takes_long_lets_all_else_go_first_and_ends_in_order() -> None:
    async def session() -> list[str]:
        turns, ended = Turns[int](), list[str]()

        async def begin(loop: Loop, name: str, long: int) -> None:
            assert await ask(turns.take, loop.working(long, lambda: ended.append(name))) == long

        async with Loop() as loop, asyncio.TaskGroup() as group:
            for name, long in (("first", 30), ("second", 5), ("short", 0)):
                group.create_task(begin(loop, name, long))
            await asyncio.sleep(0)
            group.create_task(begin(loop, "later", 0))
        return ended

    assert run(session()) == ["short", "later", "first", "second"]


def test_work_ends_where_nobody_waits_for_it_any_more() -> None:
    ended = []

    def work(pause: Pause) -> int:
        try:
            while True:
                pause()
        finally:
            ended.append(True)

    async def session() -> None:
        turns = Turns[int]()
        given_up = turns.take(work)
        assert isinstance(given_up, Awaitable)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.02):
                await given_up
        assert ended == [True]
        unasked = turns.take(work)
        assert isinstance(unasked, Awaitable)
        del unasked
        assert ended == [True, True]
        async with Loop() as loop:
            waited = turns.take(loop.working(3))
            assert isinstance(waited, Awaitable)
            assert await waited == 3, "the next has its turn"

    run(session())


@pytest.mark.parametrize("long", [0, 3])
def test_it_raises_what_the_work_raises(long: int) -> None:
    def fail() -> None:
        raise LookupError("as it was raised")

    async def session() -> None:
        turns = Turns[int]()
        async with Loop() as loop:
            for _ in range(2):
                with pytest.raises(LookupError, match="as it was raised"):
                    await ask(turns.take, loop.working(long, fail))
        assert turns.take(loop.working(0)) == 0

    run(session())
