"""What ten thousand rules cost: each request, the sidecar's memory, and the time until they are in force."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import statistics
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from bench import load, rulesets
from bench.harness import (
    Running,
    Signer,
    ask,
    function,
    median_ratio,
    palisade,
    pin_envoys,
    pinned,
    served,
    workspace,
    write,
)
from bench.report import Figure, Report

FEW, MANY, FILES = 10, 10_000, 1_000
SHARED, FUNCTIONS = 1_000, 200
OWNERS = 1_000
ROUNDS, EACH, WARMUP = 40, 100, 200
LOAD_ROUNDS, LOAD_SECONDS = 5, 2
EDITS = 10
PATIENCE = 60
NUMBER = 5
"""The rule and the subject by which requests are allowed."""
_OFTEN, _SELDOM = 0.002, 0.05
"""So many seconds after the last answer it is asked again whether an edit, or a whole set, is in force.

Each answer is also a line in the log: asked every 2 ms, the engine was busy with that for a quarter of the
processor time that ten thousand rules took, and the machine for half of the time."""


def run() -> Iterator[Report]:
    """What requests cost, and what it takes to put the rules in force."""
    logging.disable(logging.WARNING)
    try:
        with pinned():
            report = asyncio.run(_requests())
        yield report
        yield asyncio.run(_in_force())
    finally:
        logging.disable(logging.NOTSET)


async def _requests() -> Report:
    """Latency, throughput and memory of sidecars with few and many rules, side by side."""
    signer = Signer()
    token = signer.token(sub=f"user{NUMBER}", roles=[f"role{NUMBER}"])
    headers = {"authorization": f"Bearer {token}"}
    providers = {"providers.rego": signer.rego()}
    sets = {
        "few": ({**providers, **rulesets.rules(FEW)}, f"/things/{NUMBER}"),
        "many": ({**providers, **rulesets.rules(MANY)}, f"/things/{NUMBER}"),
        "subjects": ({**providers, **rulesets.subjects(MANY)}, f"/things/{NUMBER}/0"),
        "few owners": ({**providers, **rulesets.owners(FEW)}, f"/users/user{NUMBER}/things/{NUMBER}"),
        "owners": ({**providers, **rulesets.owners(OWNERS)}, f"/users/user{NUMBER}/things/{OWNERS - 1}"),
    }
    with workspace() as folder:
        async with contextlib.AsyncExitStack() as stack:
            upstream = await stack.enter_async_context(function("ordinary"))
            running: dict[str, Running] = {}
            for name, (policies, _) in sets.items():
                (folder / name).mkdir()
                starting = palisade(folder / name, policies, upstream, baseline=True)
                running[name] = await stack.enter_async_context(starting)
            pin_envoys()
            memory = {name: await _memory(each) for name, each in running.items()}
            places = {"plain": (running["few"].plain, "/things/0")}
            places |= {name: (each.ports["bench"], sets[name][1]) for name, each in running.items()}
            found = await ask(_spec(places, headers))
            rates: dict[str, list[float]] = {name: [] for name in ("plain", "few", "many", "subjects")}
            for _ in range(LOAD_ROUNDS):
                for name in rates:
                    port, path = places[name]
                    rates[name].append(await load.throughput(port, path, headers, LOAD_SECONDS))

    def latency(label: str, name: str, baseline: str | None, goal: str) -> Figure:
        ratio = median_ratio(found[name], found[baseline]) if baseline else None
        return Figure(label, found[name]["median"] / 1000, "us", ratio, goal)

    def rate(label: str, name: str, baseline: str | None, goal: str) -> Figure:
        ratio = None
        if baseline:
            ratio = median_ratio({"rounds": rates[name]}, {"rounds": rates[baseline]})
        return Figure(label, statistics.median(rates[name]), "a second", ratio, goal)

    def megabytes(label: str, name: str) -> Figure:
        return Figure(label, memory[name] - memory["few"], "MB", None, "under 100", "more than with 10 rules")

    return Report(
        "enforce",
        f"Native decisions with JWT, one connection, {ROUNDS} rounds of {EACH} requests; "
        f"load by {load.generator()}, {load.CONNECTIONS} connections",
        (
            latency("latency without a policy", "plain", None, ""),
            latency(f"latency, {FEW} rules", "few", "plain", "at most 1.05"),
            latency(f"latency, {MANY:,} rules", "many", "few", "at most 1.05"),
            latency(f"latency, {MANY:,} subjects in data", "subjects", "few", "at most 1.05"),
            latency(f"latency, {FEW} rules on paths with the subject", "few owners", "plain", ""),
            latency(f"latency, {OWNERS:,} rules on paths with the subject", "owners", "few owners", ""),
            rate("throughput without a policy", "plain", None, ""),
            rate(f"throughput, {FEW} rules", "few", "plain", "at least 0.95"),
            rate(f"throughput, {MANY:,} rules", "many", "plain", "at least 0.95"),
            rate(f"throughput, {MANY:,} subjects in data", "subjects", "plain", "at least 0.95"),
            megabytes(f"Envoy's memory, {MANY:,} rules", "many"),
            megabytes(f"Envoy's memory, {MANY:,} subjects in data", "subjects"),
        ),
    )


def _spec(places: Mapping[str, tuple[int, str]], headers: Mapping[str, str]) -> dict[str, Any]:
    targets = [
        {"name": name, "port": port, "method": "GET", "path": path, "headers": headers, "status": 200}
        for name, (port, path) in places.items()
    ]
    return {"rounds": ROUNDS, "each": EACH, "warmup": WARMUP, "targets": targets}


async def _memory(running: Running) -> float:
    """What the sidecar's Envoy takes of the machine's memory, in MB, as its /memory says."""
    socket = str(running.sidecars.run_dir("bench") / "admin.sock")
    async with httpx.AsyncClient(transport=httpx.AsyncHTTPTransport(uds=socket)) as client:
        answer = (await client.get("http://envoy/memory")).json()
    return (int(answer["heap_size"]) - int(answer["pageheap_free"])) / 1e6


# Until it is in force ---------------------------------------------------------------------------------------


async def _in_force() -> Report:
    """From saving the rules, or one of them, to the first request that is decided by it."""
    figures: list[Figure] = []
    for files in (1, FILES):
        where = "in one file" if files == 1 else f"over {files:,} files"
        async with _Sidecar.started() as sidecar:
            figures.append(await sidecar.all_of(f"{MANY:,} rules {where}", rulesets.rules(MANY, files)))
            at, each = files // 2, MANY // files
            numbers = range(at * each, (at + 1) * each)
            chosen = next(
                number for number in numbers if number % len(rulesets.METHODS) == 0
            )  # a rule on GET

            def edit(changed: int, at: int = at, numbers: range = numbers) -> dict[str, str]:
                return {rulesets.name(at): rulesets.module(numbers, default=at == 0, changed=changed)}

            figures += await sidecar.edits(f"one rule of them, {where}", f"/things/{chosen}", edit, chosen)
            if files == 1:

                def insert(changed: int, numbers: range = numbers) -> dict[str, str]:
                    lines = "# a line that comes and goes\n" if changed >= 0 else ""
                    text = rulesets.module(numbers, default=True, changed=changed)
                    return {rulesets.name(0): text.replace("\n\n", f"\n\n{lines}", 1)}

                what = "one rule, and a line above all others"
                figures += await sidecar.edits(what, f"/things/{chosen}", insert, chosen)
    async with _Sidecar.started() as sidecar:
        figures.append(await sidecar.all_of(f"{MANY:,} subjects in data", rulesets.subjects(MANY)))

        def change(changed: int) -> dict[str, str]:
            return {"data.json": rulesets.subjects(MANY, changed)["data.json"]}

        figures += await sidecar.edits("one subject of them", f"/things/{NUMBER}/0", change, NUMBER)
    functions = ["bench", *(f"f{number}" for number in range(1, FUNCTIONS))]
    shared: dict[str, Callable[[int], dict[str, str]]] = {
        "for all": lambda changed: rulesets.rules(SHARED, changed=changed),
        "each for one": lambda changed: rulesets.of_functions(SHARED, functions, changed),
    }
    for whose, of in shared.items():
        async with _Sidecar.started(functions[1:]) as sidecar:
            what = f"{SHARED:,} rules {whose} of {FUNCTIONS} functions"
            figures.append(await sidecar.all_of(what, of(-1), 0))
            figures += await sidecar.edits("one rule of them", "/things/0", of, 0)
    return Report("in force", "From saving to the first request decided by it", tuple(figures))


@dataclass(frozen=True, slots=True)
class _Sidecar:
    """A sidecar whose policies change."""

    policies: Path
    port: int
    signer: Signer

    @classmethod
    @contextlib.asynccontextmanager
    async def started(cls, others: Sequence[str] = ()) -> AsyncIterator[_Sidecar]:
        """With a policy that allows nothing, among other functions."""
        signer = Signer()
        nothing = "package palisade.identity\n\nallow := false\n"
        policies = {"providers.rego": signer.rego(), "allow.rego": nothing}
        with workspace() as folder:
            async with function() as upstream, served(folder, policies, upstream, others) as port:
                yield cls(folder / "policies", port, signer)

    async def all_of(self, label: str, policies: Mapping[str, str], number: int = NUMBER) -> Figure:
        """How long a whole set takes that has nothing in common with what was there before."""
        path = f"/things/{number}" if "data.json" not in policies else f"/things/{number}/0"
        seconds = await self._until(200, path, number, {"allow.rego": "", **policies}, _SELDOM)
        return Figure(label, seconds, "s", target="under 5")

    async def edits(
        self, label: str, path: str, change: Callable[[int], Mapping[str, str]], number: int
    ) -> tuple[Figure, Figure]:
        """How long one change takes, there and back again, in turns."""
        times = []
        for turn in range(EDITS):
            await asyncio.sleep(1)  # what follows a change, such as saving it for a restart, is over
            status, changed = (403, number) if turn % 2 == 0 else (200, -1)
            times.append(1000 * await self._until(status, path, number, change(changed), _OFTEN))
        note = f"of {EDITS}"
        return (
            Figure(label, statistics.median(times), "ms", target="under 200", note=note),
            Figure("  the slowest", max(times), "ms", note=note),
        )

    async def _until(
        self, status: int, path: str, number: int, files: Mapping[str, str], pause: float
    ) -> float:
        """Seconds from saving the files (an empty one is removed) until requests are answered so, one of
        which is sent each `pause`."""
        token = self.signer.token(sub=f"user{number}", roles=[f"role{number}"])
        async with load.Asking(self.port, path, {"authorization": f"Bearer {token}"}) as connection:
            started = time.perf_counter()
            write(self.policies, files)
            while await connection.ask() != status:
                if time.perf_counter() - started > PATIENCE:
                    raise SystemExit(f"{path} was not answered with {status} within {PATIENCE} seconds")
                await asyncio.sleep(pause)
            return time.perf_counter() - started
