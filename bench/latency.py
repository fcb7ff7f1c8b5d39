"""What a decision costs a request: one connection, the sidecar with a policy against the same one without."""

from __future__ import annotations

import logging
from typing import Any

from bench.harness import Signer, ask, function, median_ratio, palisade, plain, workspace
from bench.report import Figure, Report

ROUNDS, EACH, WARMUP = 40, 100, 200

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
    signer = Signer()
    rules = 10
    number = rules - rules % len(METHODS) - len(METHODS)  # the last rule of GET
    token = signer.token(sub="alice", roles=[f"role{number}"])
    headers = {"authorization": f"Bearer {token}"}
    with workspace() as folder:
        policies = {"allow.rego": policy(rules), "providers.rego": signer.rego()}
        async with (
            function() as upstream,
            palisade(folder, policies, upstream) as running,
            plain(folder, running, upstream, logged=True) as same,
            plain(folder, running, upstream, logged=False) as bare,
        ):
            port = running.ports["bench"]

            def target(name: str, port: int, path: str, status: int = 200) -> dict[str, Any]:
                return {
                    "name": name,
                    "port": port,
                    "method": "GET",
                    "path": path,
                    "headers": headers,
                    "status": status,
                }

            allowed = f"/things/{number}"
            found = await ask(
                {
                    "rounds": ROUNDS,
                    "each": EACH,
                    "warmup": WARMUP,
                    "targets": [
                        target("function", upstream, allowed),
                        target("bare", bare, allowed),
                        target("same", same, allowed),
                        target("native", port, allowed),
                        target("denied", port, "/nowhere", 403),
                        target("residual", port, "/residual"),
                    ],
                }
            )
    logging.disable(logging.NOTSET)

    def figure(label: str, name: str, baseline: str | None = None, goal: str = "", note: str = "") -> Figure:
        ratio = median_ratio(found[name], found[baseline]) if baseline else None
        return Figure(label, found[name]["median"] / 1000, "us", ratio, goal, note)

    return Report(
        "latency",
        f"Latency of a request, one connection, {rules} rules with JWT; {ROUNDS} rounds of {EACH} requests",
        (
            figure("the function alone", "function"),
            figure("plain Envoy, no filters, no access log", "bare"),
            figure("the same sidecar without a policy", "same", note="the baseline"),
            figure("native, allowed", "native", "same", "at most 1.15", "against the baseline"),
            figure("native, denied", "denied", "native", note="against native, allowed"),
            figure("residual, by the engine", "residual", "native", note="against native, allowed"),
            figure("residual, by the engine", "residual", "same", note="against the baseline"),
        ),
    )
