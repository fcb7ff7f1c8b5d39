"""Palisade beside regopy (the Rego of the rego-cpp project, in C++), policy by policy, in turns.

All times are processor time of the one thread that works, so that a busy machine changes little.
"""

from __future__ import annotations

import gc
import json
import math
import statistics
import time
import tracemalloc
from collections.abc import Callable
from typing import Any

from bench.rego.corpus import Policy, corpus, rules
from bench.rego.regopy_process import Timed, evaluator
from bench.report import Figure, Report
from palisade import rego

_ROUNDS = 15
_ROUND = 0.01
"""Seconds that one engine works before the other takes its turn."""


def evaluation() -> Report:
    """Medians of one evaluation. The ratio is how many times as fast as regopy with its input prepared."""
    figures: list[Figure] = []
    ratios: list[float] = []
    for policy in corpus():
        with evaluator(policy, fresh=False) as prepared_, evaluator(policy, fresh=True) as fresh_:
            ours, prepared, fresh = _in_turns(_ours(policy), prepared_, fresh_)
        ratios.append(prepared / ours)
        note = f"regopy {prepared:.0f} us, {fresh:.0f} us with the input taken over"
        figures.append(Figure(policy.name, ours, "us", ratios[-1], "at least 5", note))
    mean = math.exp(statistics.fmean(map(math.log, ratios)))
    figures.append(Figure("geometric mean", mean, "times as fast", mean, "at least 10"))
    return Report("rego", "Rego: one evaluation, in microseconds", tuple(figures))


def size() -> Report:
    """How cost grows with the number of rules, in evaluation and in compilation."""
    few, many = _in_turns(_ours(rules(10)), _ours(rules(10_000)))
    policy = rules(10_000)
    compiled = statistics.median(_seconds(lambda: _prepare(policy)) for _ in range(3))
    memory = _memory(policy) / len(policy.source)
    sources = {
        f"p{n}.rego": f"package p{n}\n\nallow if input.x == {n}\n\nf(x) := x + {n}\n" for n in range(1000)
    }
    whole = rego.compile(sources)
    edits = iter(range(1001, 1006))

    def edit() -> None:
        changed = {**sources, "p500.rego": f"package p500\n\nallow if input.x == {next(edits)}\n"}
        rego.compile(changed, previous=whole).evaluate("data.p500.allow", {})

    edited = statistics.median(_seconds(edit) for _ in range(5))
    return Report(
        "rego-size",
        "Rego: cost by size",
        (
            Figure("evaluation, 10 rules", few, "us"),
            Figure("evaluation, 10,000 rules", many, "us", many / few, "at most 1.5"),
            Figure("compiling 10,000 rules", compiled * 1000, "ms", target="under 3,000"),
            Figure("memory, prepared and compacted", memory, "times the source", memory, "at most 4"),
            Figure("an edit to one of 1,000 files", edited * 1000, "ms", target="under 150"),
        ),
    )


def _memory(policy: Policy) -> int:
    """The bytes that a policy holds when it is in service."""
    gc.collect()
    tracemalloc.start()
    compiled = rego.compile({"app.rego": policy.source})
    compiled.evaluate("data." + policy.entrypoint.replace("/", "."), policy.asked)
    compiled.compact()
    gc.collect()
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return held


def _prepare(policy: Policy) -> Callable[[Any], Any]:
    compiled = rego.compile({"app.rego": policy.source}, policy.data)
    return compiled.prepare("data." + policy.entrypoint.replace("/", "."))


def _ours(policy: Policy) -> Timed:
    evaluate = _prepare(policy)
    asked = json.loads(json.dumps(policy.asked))
    found = rego.to_json(evaluate(asked))
    if found != policy.result:
        raise AssertionError(f"{policy.name}: {found} is not {policy.result}")

    def timed(count: int) -> float:
        start = time.process_time()
        for _ in range(count):
            evaluate(asked)
        return time.process_time() - start

    return timed


def _in_turns(*timed: Timed) -> list[float]:
    """The median time of one call of each, in microseconds."""
    counts = [max(1, round(_ROUND / each(1))) for each in timed]
    rounds: list[list[float]] = [[] for _ in timed]
    for _ in range(_ROUNDS):
        for each, count, times in zip(timed, counts, rounds, strict=True):
            times.append(each(count) / count * 1e6)
    return [statistics.median(times) for times in rounds]


def _seconds(function: Callable[[], Any]) -> float:
    start = time.process_time()
    function()
    return time.process_time() - start
