"""regopy, an independent Rego in C++, as a second opinion on what a policy means.

It runs in a process of its own: it can crash, and it writes to the standard streams.
"""

from __future__ import annotations

import json
import multiprocessing
import os
from collections.abc import Mapping, Sequence
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any, Self

_SECONDS = 10.0


class SecondOpinion:
    """A context in which policies can be asked of regopy."""

    def __enter__(self) -> Self:
        self._start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def ask(
        self, source: str, data: Mapping[str, Any], asked: Any, paths: Sequence[str]
    ) -> dict[str, list[Any]]:
        """For each path that it answers, the value in a list of one, or an empty list for undefined."""
        try:
            self._connection.send((source, data, asked, paths))
            if not self._connection.poll(_SECONDS):
                raise EOFError
            found: dict[str, list[Any]] = self._connection.recv()
        except (EOFError, ConnectionError):
            self._stop()
            self._start()
            return {}
        return found

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._connection, there = context.Pipe()
        self._process = context.Process(target=_serve, args=(there,), daemon=True)
        self._process.start()
        there.close()

    def _stop(self) -> None:
        self._connection.close()
        self._process.terminate()
        self._process.join()


def _serve(connection: Connection) -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    from regopy import Interpreter, RegoError

    while True:
        try:
            source, data, asked, paths = connection.recv()
        except EOFError:
            return
        answers: dict[str, list[Any]] = {}
        try:
            interpreter = Interpreter()
            interpreter.add_module("p.rego", source)
            interpreter.add_data(data)
            interpreter.set_input(asked)
            for path in paths:
                answer = _answer(str(interpreter.query(f"x = {path}")))
                if answer is not None:
                    answers[path] = answer
        except RegoError:
            pass  # No answer to this policy is an answer too: an empty one.
        connection.send(answers)


def _answer(output: str) -> list[Any] | None:
    if output.strip() == "undefined":
        return []
    try:
        return [json.loads(output)["bindings"]["x"]]
    except (ValueError, KeyError):
        return None
