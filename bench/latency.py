"""What a decision costs a request: one connection, the sidecar with a policy against the same one without."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterable
from typing import Any

from bench import typical
from bench.harness import Signer, ask, awake, function, median_ratio, palisade, pin_envoys, pinned, workspace
from bench.report import Figure, Report

ROUNDS, EACH, WARMUP = 40, 100, 200
AWAKE = ", processors that never sleep"
WORKING, SMALLEST = ", function that takes a millisecond", ", function that does nothing"
KINDS = (("ordinary", ""), ("ordinary", AWAKE), ("working", WORKING), ("smallest", SMALLEST))
"""Functions, and what is said of their figures."""
RULES = 10

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


def policy(rules: int) -> str:
    """So many rules on method, path and a role of the token; and one that only the engine can decide."""
    lines = ["package palisade.identity", "", "default allow := false", ""]
    for number in range(rules):
        method = METHODS[number % len(METHODS)]
        lines += [
            "allow if {",
            f'\tinput.attributes.request.http.method == "{method}"',
            f'\tinput.attributes.request.http.path == "/things/{number}"',
            f'\t"role{number}" in input.identity.claims.roles',
            "}",
            "",
        ]
    lines += [
        "allow if {",
        '\tinput.attributes.request.http.path == "/residual"',
        '\tcrypto.sha256(input.identity.claims.sub) == "' + _SUBJECT_HASH + '"',
        "}",
        "",
    ]
    return "\n".join(lines)


_SUBJECT_HASH = "2bd806c97f0e00af1a1fc3328fa763a9269723c8db8fac4f93af71db186d6e90"  # of "alice"


async def run() -> Report:
    """Medians of one kept-alive connection, in turns, with ratios round by round."""
    logging.disable(logging.WARNING)
    with pinned():
        figures = [
            figure
            for kind, name in KINDS
            for figure in _figures(name, await _measure(kind, sleeping=name != AWAKE))
        ]
        figures += await _typical()
    logging.disable(logging.NOTSET)
    return Report(
        "latency",
        f"Latency of a request, one connection, {RULES} rules with JWT; {ROUNDS} rounds of {EACH} requests; "
        "Envoy on one processor, all else on the other",
        tuple(figures),
    )


async def _measure(kind: str, *, sleeping: bool) -> dict[str, Any]:
    signer = Signer()
    number = RULES - RULES % len(METHODS) - len(METHODS)  # the last rule of GET
    token = signer.token(sub="alice", roles=[f"role{number}"])
    policies = {"allow.rego": policy(RULES), "providers.rego": signer.rego()}
    allowed = f"/things/{number}"

    def target(name: str, port: int, path: str = allowed, status: int = 200) -> dict[str, Any]:
        headers = {"authorization": f"Bearer {token}"}
        return {
            "name": name,
            "port": port,
            "method": "GET",
            "path": path,
            "headers": headers,
            "status": status,
        }

    with workspace() as folder:
        async with (
            function(kind) as upstream,
            palisade(folder, policies, upstream, baseline=True) as running,
        ):
            pin_envoys()
            port = running.ports["bench"]
            targets = [
                target("function", upstream),
                target("bare", running.bare),
                target("plain", running.plain),
                target("native", port),
                target("denied", port, "/nowhere", 403),
                target("residual", port, "/residual"),
            ]
            with contextlib.nullcontext() if sleeping else awake():
                return await ask({"rounds": ROUNDS, "each": EACH, "warmup": WARMUP, "targets": targets})


async def _typical() -> Iterable[Figure]:
    """What a whole policy costs that is no list of rules, decided in the sidecar."""
    headers = {"authorization": f"Bearer {typical.token()}"}
    with workspace() as folder:
        async with (
            function("ordinary") as upstream,
            palisade(folder, typical.POLICIES, upstream, baseline=True) as running,
        ):
            pin_envoys()
            asked = {
                "plain": (running.plain, typical.ALLOWED, 200),
                "allowed": (running.ports["bench"], typical.ALLOWED, 200),
                "denied": (running.ports["bench"], typical.DENIED, 403),
            }
            targets = [
                {
                    "name": name,
                    "port": port,
                    "method": "GET",
                    "path": path,
                    "headers": headers,
                    "status": status,
                }
                for name, (port, path, status) in asked.items()
            ]
            found = await ask({"rounds": ROUNDS, "each": EACH, "warmup": WARMUP, "targets": targets})
    return [
        Figure(
            f"a policy of tenants and roles, {name}",
            found[name]["median"] / 1000,
            "us",
            median_ratio(found[name], found["plain"]),
            note="against the sidecar without a policy",
        )
        for name in ("allowed", "denied")
    ]


def _figures(name: str, found: dict[str, Any]) -> Iterable[Figure]:
    def figure(
        label: str, target: str, baseline: str | None = None, goal: str = "", note: str = ""
    ) -> Figure:
        ratio = median_ratio(found[target], found[baseline]) if baseline else None
        return Figure(f"{label}{name}", found[target]["median"] / 1000, "us", ratio, goal, note)

    yield figure("the function alone", "function")
    yield figure("the sidecar without a policy or a log", "bare")
    yield figure("the sidecar without a policy", "plain", note="the baseline")
    yield figure("native, allowed", "native", "plain", "" if name else _TARGET)
    yield figure("native, denied", "denied", "native", note="against native, allowed")
    yield figure("residual, by the engine", "residual", "plain")


_TARGET = "at most 1.15"
