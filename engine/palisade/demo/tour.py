"""`palisade demo --tour`: requests with expected and seen outcome, edits while it runs, a table of it all."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path

import httpx
import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

from palisade.control.engine import Reload
from palisade.demo.issuer import AUDIENCE
from palisade.demo.stage import Stage, copy_policies, issuer, stage
from palisade.rego.errors import Diagnostic

LIFETIME = timedelta(seconds=4)
"""The tour waits for a token to expire, so they live for a short time."""

PATIENCE_SECONDS = 10.0
"""How long an edit or a new key may take to show before the row fails."""

ALLOWED, DENIED = 200, 403


@dataclass(frozen=True, slots=True)
class Row:
    """One step: what was done, the status that was expected, the one that was seen, and a remark."""

    step: str
    request: str
    expected: int
    seen: int
    note: str = ""

    @property
    def ok(self) -> bool:
        return self.expected == self.seen


async def tour(folder: Path, show: Callable[[Row], None]) -> bool:
    """Runs the tour in a folder of its own; `show` gets each row as it comes. Whether all is as expected."""
    with issuer(0, lifetime=LIFETIME) as provider:
        policies = copy_policies(folder / "policies", issuer=provider.url)
        data = policies / "identity" / "data.yaml"
        strict = "audiences: [palisade-demo]\n    clock_skew_seconds: 0\n    cache_seconds: 1"
        data.write_text(data.read_text().replace("audiences: [palisade-demo]", strict))
        async with stage(policies, folder, provider) as running, httpx.AsyncClient() as client:
            return await _Tour(running, client, show).run()


class _Tour:
    def __init__(self, running: Stage, client: httpx.AsyncClient, show: Callable[[Row], None]) -> None:
        self._stage = running
        self._client = client
        self._show = show
        self._ok = True

    async def run(self) -> bool:
        old = await self._token("rita")
        await self._first_revision()
        await self._requests()
        await self._expired(old)
        await self._rotation()
        await self._edit()
        await self._broken_edit()
        return self._ok

    async def _requests(self) -> None:
        reader = await self._token("rita")
        await self._row("a public path", "GET", "orders", "/health", None, ALLOWED)
        await self._row("no token", "GET", "orders", "/orders/7", None, DENIED)
        await self._row("a forged token", "GET", "orders", "/orders/7", _forged(reader), DENIED)
        stranger = await self._token("rita", audience="another-service")
        await self._row("a token for another audience", "GET", "orders", "/orders/7", stranger, DENIED)
        guest = await self._token("gus")
        await self._row("a role that grants nothing", "GET", "orders", "/orders/7", guest, DENIED)
        reader = await self._token("rita")
        await self._row("a reader reads", "GET", "orders", "/orders/7", reader, ALLOWED)
        await self._row("a reader writes", "POST", "orders", "/orders", reader, DENIED)
        clerk = await self._token("carl")
        await self._row("a clerk writes orders", "POST", "orders", "/orders", clerk, ALLOWED)
        await self._row("a clerk at another function", "GET", "hello", "/", clerk, DENIED)

    async def _expired(self, token: str) -> None:
        expires = jwt.decode(token, options={"verify_signature": False})["exp"]
        # A second of clock skew is allowed at the least.
        await asyncio.sleep(max(0.0, expires + 2.5 - time.time()))
        await self._row("an expired token", "GET", "orders", "/orders/7", token, DENIED)

    async def _rotation(self) -> None:
        before = await self._token("rita")
        await asyncio.to_thread(self._stage.issuer.rotate)

        async def ask() -> int:
            return await self._ask("GET", "orders", "/orders/7", await self._token("rita"))

        seen, waited = await self._until(ask, lambda seen: seen == ALLOWED)
        self._add(
            Row(
                "a key that rotated in",
                "GET orders/orders/7",
                ALLOWED,
                seen,
                f"in {waited:.1f} s",
            )
        )
        await self._row("the key that is gone", "GET", "orders", "/orders/7", before, DENIED)

    async def _edit(self) -> None:
        clerk = await self._token("carl")
        await self._row("a clerk deletes an order", "DELETE", "orders", "/orders/7", clerk, DENIED)
        data = self._stage.policies / "identity" / "data.yaml"
        text = data.read_text()
        data.write_text(
            text.replace("methods: [GET, HEAD, POST, PUT]}", "methods: [GET, HEAD, POST, PUT, DELETE]}", 1)
        )
        ask = partial(self._ask, "DELETE", "orders", "/orders/7", clerk)
        seen, waited = await self._until(ask, lambda seen: seen == ALLOWED)
        note = f"in {waited * 1000:.0f} ms"
        self._add(Row("after an edit that allows it", "DELETE orders/orders/7", ALLOWED, seen, note))

    async def _broken_edit(self) -> None:
        engine, reloaded = self._stage.engine, asyncio.Event()
        before = engine.deployment.id if engine.deployment else ""
        told: list[Diagnostic] = []

        def tell(reload: Reload) -> None:
            # The reading of the edit before this one may end only now, and has no errors.
            if reload.errors:
                told.extend(reload.errors)
                reloaded.set()

        end = engine.on_reload(tell)
        rules = self._stage.policies / "identity" / "allow.rego"
        rules.write_text(rules.read_text() + "\nallow if { input.method == \n")
        try:
            await asyncio.wait_for(reloaded.wait(), PATIENCE_SECONDS)
        except TimeoutError:
            self._ok, note = False, "no error told"
        else:
            self._ok &= engine.deployment is not None and engine.deployment.id == before
            note = f"error at {told[0].location.row}:{told[0].location.col}"
        finally:
            end()
        clerk = await self._token("carl")
        await self._row("after an edit with an error", "DELETE", "orders", "/orders/7", clerk, ALLOWED, note)

    async def _first_revision(self) -> None:
        """Waits until each sidecar has what the engine serves; until then they answer 503."""
        for function in self._stage.sidecars:
            ask = partial(self._ask, "GET", function, "/health", None)
            await self._until(ask, lambda seen: seen != 503)

    @staticmethod
    async def _until(ask: Callable[[], Awaitable[int]], good: Callable[[int], bool]) -> tuple[int, float]:
        """Asks until the answer is good or patience ends: the last answer, and the seconds that it took."""
        started = time.monotonic()
        while True:
            seen, waited = await ask(), time.monotonic() - started
            if good(seen) or waited > PATIENCE_SECONDS:
                return seen, waited
            await asyncio.sleep(0.002)

    async def _token(self, user: str, audience: str = AUDIENCE) -> str:
        return await asyncio.to_thread(self._stage.issuer.token, user, audience=audience)

    async def _ask(self, method: str, function: str, path: str, token: str | None) -> int:
        headers = {} if token is None else {"authorization": f"Bearer {token}"}
        url = f"http://{self._stage.sidecars[function]}{path}"
        return (await self._client.request(method, url, headers=headers)).status_code

    async def _row(
        self,
        step: str,
        method: str,
        function: str,
        path: str,
        token: str | None,
        expected: int,
        note: str = "",
    ) -> None:
        seen = await self._ask(method, function, path, token)
        self._add(Row(step, f"{method} {function}{path}", expected, seen, note))

    def _add(self, row: Row) -> None:
        self._ok = self._ok and row.ok
        self._show(row)


def _forged(token: str) -> str:
    """The token's own header and claims, signed with a key that the issuer never had."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    claims = jwt.decode(token, options={"verify_signature": False})
    headers = {name: value for name, value in jwt.get_unverified_header(token).items() if name != "alg"}
    return jwt.encode({**claims, "roles": ["admin"]}, key, algorithm="RS256", headers=headers)
