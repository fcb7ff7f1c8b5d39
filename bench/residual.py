"""What it costs a request to be decided by the engine: latency on one connection, and how many a second.

The baseline is a listener without filters and without a log in the same Envoy process.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from typing import Any

from bench.harness import Signer, ask, function, median_ratio, palisade, pin_envoys, pinned, workspace
from bench.latency import policy
from bench.load import generator, throughput
from bench.report import Figure, Report

ROUNDS, EACH, WARMUP = 30, 100, 300
CONNECTIONS, SECONDS, WARMUP_SECONDS = 64, 8, 2
PATH = "/residual"


async def run() -> Report:
    """Both measurements. Where wrk is not installed the second is left out, and its place says so."""
    logging.disable(logging.WARNING)
    with pinned():
        found = await _latency()
    rates = list(await _throughput())
    logging.disable(logging.NOTSET)
    bare, residual = found["bare"], found["residual"]
    return Report(
        "residual",
        f"Decisions by the engine: one connection, {ROUNDS} rounds of {EACH} requests, Envoy on one "
        f"processor and all else on the other; then {CONNECTIONS} connections for {SECONDS} s",
        (
            Figure("plain, no filters, no log", bare["median"] / 1000, "us", note="the baseline"),
            Figure("residual", residual["median"] / 1000, "us", median_ratio(residual, bare), "at most 4"),
            *rates,
        ),
    )


async def _latency() -> dict[str, Any]:
    headers, policies = _given()
    with workspace() as folder:
        async with (
            function() as upstream,
            palisade(folder, policies, upstream, baseline=True) as running,
        ):
            pin_envoys()
            request = {"method": "GET", "path": PATH, "headers": headers, "status": 200}
            ports = {"bare": running.bare, "residual": running.ports["bench"]}
            targets = [{"name": name, "port": port, **request} for name, port in ports.items()]
            return await ask({"rounds": ROUNDS, "each": EACH, "warmup": WARMUP, "targets": targets})


async def _throughput() -> Iterable[Figure]:
    if generator() != "wrk":
        return [Figure("a second, not measured", 0, "/s", note="wrk is not installed (Debian: wrk)")]
    headers, policies = _given()
    with workspace() as folder:
        async with (
            function() as upstream,
            palisade(folder, policies, upstream, baseline=True) as running,
        ):
            port = running.ports["bench"]
            plain = await throughput(running.bare, PATH, headers, SECONDS, CONNECTIONS)
            await throughput(port, PATH, headers, WARMUP_SECONDS, CONNECTIONS)
            decisions = running.engine.decisions
            before, used = decisions.stats, time.process_time()
            rate = await throughput(port, PATH, headers, SECONDS, CONNECTIONS)
            after, used = decisions.stats, time.process_time() - used
    decided = after.recorded - before.recorded
    lost = after.dropped + after.failed
    return [
        Figure("plain, a second", plain, "/s"),
        Figure("residual, a second", rate, "/s", None, "at least 6000/s", f"{lost} lost by the log"),
        Figure("processor time of the engine", used / max(1, decided) * 1e6, "us", note="for each of these"),
    ]


def _given() -> tuple[dict[str, str], dict[str, str]]:
    """The headers of a request, and the policies of which only the engine can decide it."""
    signer = Signer()
    token = signer.token(sub="alice", roles=["role5"])
    return {"authorization": f"Bearer {token}"}, {"allow.rego": policy(10), "providers.rego": signer.rego()}
