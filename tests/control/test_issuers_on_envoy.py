"""An edit that changes which issuers are believed, and by which rules, on a real Envoy: none is mixed."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import httpx
import jwt
import pytest
from control_helpers import Project
from cryptography.hazmat.primitives.asymmetric import ec
from envoy_helpers import running, settled, until_so
from issuer_helpers import serving
from shared_helpers import Lines, beside, eventually, run, until_under_way

from palisade.control import rollout

OPEN, STRICT = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
"""The key of an issuer where anybody can be who they say, and that of one that looks closely."""
ISSUERS = {"https://open.example": OPEN, "https://strict.example": STRICT}

BODY = 'contains(input.attributes.request.http.body, "please")'  # only the engine sees it


def policy(issuer: str, rule: str) -> str:
    keys = {"keys": [published(ISSUERS[issuer])]}
    provider = {"issuer": issuer, "any_audience": True, "jwks": keys}
    return f"""package palisade.identity

providers := {json.dumps({"corp": provider})}

http := input.attributes.request.http

default allow := false

allow if {{
	http.path == "/secret"
	{rule}
	{BODY}
}}
"""


def published(signer: ec.EllipticCurvePrivateKey) -> dict[str, Any]:
    public = jwt.algorithms.ECAlgorithm.to_jwk(signer.public_key(), as_dict=True)
    return {**public, "kid": "one", "alg": "ES256", "use": "sig"}


def token(issuer: str, subject: str, signer: ec.EllipticCurvePrivateKey | None = None) -> dict[str, str]:
    claims = {"iss": issuer, "sub": subject, "role": "admin", "exp": 4_000_000_000}
    signed = jwt.encode(claims, signer or ISSUERS[issuer], algorithm="ES256", headers={"kid": "one"})
    return {"authorization": f"Bearer {signed}"}


ALICE = hashlib.sha256(b"alice").hexdigest()
BEFORE = policy("https://open.example", f'crypto.sha256(input.identity.claims.sub) == "{ALICE}"')
AFTER = policy("https://strict.example", 'input.identity.claims.role == "admin"')


def test_a_request_that_waits_over_an_edit_is_not_decided_by_rules_for_other_issuers(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither revision allows what somebody says of themselves at the open issuer: the first asks for alice,
    the second for another issuer. What began under the first is decided by it for a moment more. Later it
    is refused, with a status that says to try again."""
    monkeypatch.setattr(rollout, "_LINGERING", 0.2)
    sink = Lines()

    async def session() -> None:
        project.allow.write_text(BEFORE)
        async with running(project, "hello", sink=sink) as (engine, sidecars, client, _):
            await settled(engine)
            assert await asked(client, "https://open.example", "alice") == 200
            assert await asked(client, "https://open.example", "mallory") == 403
            waiting = [Waiting("mallory"), Waiting("alice")]
            async with asyncio.TaskGroup() as sending:  # where one fails, nobody waits for the other
                for each in waiting:
                    sending.create_task(each.send(client))
                await until_under_way(sidecars.run_dir("hello"), len(waiting))
                project.allow.write_text(AFTER)
                await until_allowed(client)
                await settled(engine)
                await eventually(lambda: not engine.rollout._lingering)
                for each in waiting:
                    each.rest.set()
            assert [each.status for each in waiting] == [503, 503]
            assert await asked(client, "https://open.example", "alice") == 403
            assert await asked(client, "https://strict.example", "mallory") == 200
            await eventually(lambda: len(stale(sink)) == 2)

    run(session())
    assert all("send it again" in each["error"]["message"] for each in stale(sink))


def test_what_is_under_way_while_issuers_change_is_decided_by_the_revision_it_began_under(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For as long as that lingers, which is no time for a client to make use of."""
    monkeypatch.setattr(rollout, "_LINGERING", 30.0)

    async def session() -> None:
        project.allow.write_text(BEFORE)
        async with running(project, "hello") as (engine, sidecars, client, _):
            await settled(engine)
            waiting = [Waiting("mallory"), Waiting("alice")]
            async with asyncio.TaskGroup() as sending:
                for each in waiting:
                    sending.create_task(each.send(client))
                await until_under_way(sidecars.run_dir("hello"), len(waiting))
                project.allow.write_text(AFTER)
                await until_allowed(client)
                await settled(engine)
                for each in waiting:
                    each.rest.set()
            assert [each.status for each in waiting] == [403, 200]

    run(session())


def test_no_request_is_allowed_that_neither_revision_allows_while_issuers_change(project: Project) -> None:
    """The JWT filter and the rules change one after the other, and the engine takes what the filter says."""
    seen: list[int] = []

    async def traffic(client: httpx.AsyncClient) -> None:
        while True:
            seen.append(await asked(client, "https://open.example", "mallory"))

    async def session() -> None:
        project.allow.write_text(AFTER)
        async with running(project, "hello") as (engine, _, client, _):
            await until_allowed(client)
            async with beside(*(traffic(client) for _ in range(4))):
                for _ in range(6):
                    project.allow.write_text(BEFORE)
                    await until_allowed(client, "https://open.example", "alice")
                    project.allow.write_text(AFTER)
                    await until_allowed(client)
                await settled(engine)

    run(session())
    assert len(seen) > 50
    assert set(seen) <= {403, 503}, seen


def test_what_an_issuer_publishes_is_in_force_also_when_that_is_nothing(project: Project) -> None:
    """A key that is gone verifies no token, whoever decides; and no request is lost over a change."""
    ask = ("/native", "/residual")
    seen: set[int] = set()

    async def session() -> None:
        async with serving() as issuer:
            issuer.publish(published(OPEN))
            provider = {"issuer": issuer.url, "any_audience": True, "cache_seconds": 1}
            project.allow.write_text(f"""package palisade.identity

providers := {json.dumps({"corp": provider})}

default allow := false

allow if {{
	input.attributes.request.http.path == "/native"
	input.identity.claims.role == "admin"
}}

allow if {{
	input.attributes.request.http.path == "/residual"
	bits.or(count(input.identity.claims.role), 0) == 5
}}
""")
            async with running(project, "hello") as (_, _, client, _):
                bearing = [token(issuer.url, "alice", signer) for signer in (OPEN, STRICT)]

                async def traffic() -> None:
                    while True:
                        for path in ask:
                            for each in bearing:
                                seen.add((await client.get(path, headers=each)).status_code)

                async def until_in_force(*statuses: int) -> None:
                    for each, status in zip(bearing, statuses, strict=True):
                        for path in ask:
                            await until_so(partial(client.get, path, headers=each), status)

                await until_in_force(200, 403)
                async with beside(traffic()):
                    for keys, first, second in (
                        ((OPEN, STRICT), 200, 200),
                        ((STRICT,), 403, 200),
                        ((), 403, 403),
                        ((OPEN,), 200, 403),
                    ):
                        issuer.publish(*map(published, keys))
                        await until_in_force(first, second)

    run(session())
    assert seen == {200, 403}


def stale(sink: Lines) -> list[Any]:
    return [each for each in sink.entries if each.get("error", {}).get("code") == "stale_request"]


async def answer(client: httpx.AsyncClient, issuer: str, subject: str) -> httpx.Response:
    return await client.post("/secret", content=b"please", headers=token(issuer, subject))


async def asked(client: httpx.AsyncClient, issuer: str, subject: str) -> int:
    return (await answer(client, issuer, subject)).status_code


async def until_allowed(
    client: httpx.AsyncClient, issuer: str = "https://strict.example", subject: str = "bob"
) -> None:
    await until_so(lambda: answer(client, issuer, subject), 200)


class Waiting:
    """A request of somebody at the open issuer of which the last byte is not sent before `rest` is set."""

    def __init__(self, subject: str) -> None:
        self.rest = asyncio.Event()
        self.status = 0
        self._head = {**token("https://open.example", subject), "content-length": "6"}

    async def send(self, client: httpx.AsyncClient) -> None:
        found = await client.post("/secret", content=self._pieces(), headers=self._head)
        self.status = found.status_code

    async def _pieces(self) -> AsyncIterator[bytes]:
        yield b"pleas"
        await self.rest.wait()
        yield b"e"
