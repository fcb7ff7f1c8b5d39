"""regopy in a process of its own, one a policy: several of its interpreters in one process crash it."""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import time
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from typing import Any

from bench.rego.corpus import Policy

Timed = Callable[[int], float]
"""Calls something so many times and tells how many seconds that took."""


@contextlib.contextmanager
def evaluator(policy: Policy, *, fresh: bool) -> Iterator[Timed]:
    """Times evaluations by regopy; `fresh` hands the input over each time. It first checks the result."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_serve, args=(there, policy, fresh), daemon=True)
    process.start()
    there.close()
    try:
        found = here.recv()
        if found != policy.result:
            raise AssertionError(f"{policy.name}: regopy says {found}, not {policy.result}")

        def timed(count: int) -> float:
            here.send(count)
            return float(here.recv())

        yield timed
    finally:
        here.close()
        process.terminate()
        process.join()


def _serve(connection: Connection, policy: Policy, fresh: bool) -> None:
    import regopy  # here, so that it stays out of the process that measures

    interpreter = regopy.Interpreter()
    interpreter.add_module("app.rego", policy.source)
    if policy.data:
        interpreter.add_data(policy.data)
    bundle = interpreter.build(None, [policy.entrypoint])
    interpreter.set_input(policy.asked)
    connection.send(_value(interpreter.query_bundle_entrypoint(bundle, policy.entrypoint)))
    while True:
        try:
            count = connection.recv()
        except EOFError:
            return
        start = time.process_time()
        for _ in range(count):
            if fresh:
                interpreter.set_input(policy.asked)
            interpreter.query_bundle_entrypoint(bundle, policy.entrypoint)
        connection.send(time.process_time() - start)


def _value(output: Any) -> Any:
    return json.loads(str(output))["expressions"][0]
