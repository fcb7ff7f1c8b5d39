"""Policies that fetch the keys of tokens by `http.send`, on a real Envoy: decided there, and never by keys
whose time is over."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import jwt
import pytest
from control_helpers import Project
from cryptography.hazmat.primitives.asymmetric import ec
from envoy_helpers import Sidecars, client_for, function, settings, settled, until_so
from issuer_helpers import Issuer, serving
from shared_helpers import Lines, eventually, run

from palisade.control.engine import Engine
from palisade.control.status import problems

pytestmark = pytest.mark.usefixtures("answers_for_seconds")

FIRST, SECOND = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())

POLICY = """package palisade.identity

fetched(url) := http.send({
	"url": url,
	"method": "GET",
	"force_cache": true,
	"force_cache_duration_seconds": %d,
})

keys := fetched(json.unmarshal(fetched("%s/.well-known/openid-configuration").raw_body).jwks_uri).raw_body

token := trim_prefix(input.attributes.request.http.headers.authorization, "Bearer ")

claims := payload if {
	[valid, _, payload] := io.jwt.decode_verify(token, {"cert": keys, "iss": "https://a.example"})
	valid
}

default allow := false

allow if claims.role == "admin"
"""


def published(signer: ec.EllipticCurvePrivateKey, name: str) -> dict[str, Any]:
    public = jwt.algorithms.ECAlgorithm.to_jwk(signer.public_key(), as_dict=True)
    return {**public, "kid": name, "alg": "ES256", "use": "sig"}


def bearer(signer: ec.EllipticCurvePrivateKey, name: str, role: str = "admin") -> dict[str, str]:
    claims = {"iss": "https://a.example", "role": role, "exp": 4_000_000_000}
    signed = jwt.encode(claims, signer, algorithm="ES256", headers={"kid": name})
    return {"authorization": f"Bearer {signed}"}


@asynccontextmanager
async def running(
    project: Project, issuer: Issuer, seconds: int
) -> AsyncIterator[tuple[Engine, httpx.AsyncClient]]:
    project.allow.write_text(POLICY % (seconds, issuer.url))
    async with function() as upstream:
        text = settings(upstream, 0, "hello")
        project.file.write_text(f"{text}network: {{hosts: [127.0.0.1]}}\n")
        async with (
            Engine(project.file, sink=Lines()) as engine,
            Sidecars(engine) as sidecars,
            client_for(sidecars, "hello") as client,
        ):
            await settled(engine)
            yield engine, client


async def status(client: httpx.AsyncClient, headers: dict[str, str]) -> int:
    return (await client.get("/", headers=headers)).status_code


def counts(engine: Engine) -> tuple[int, int]:
    """How many rules are the engine's for some requests, and for all."""
    assert engine.deployment is not None
    return engine.deployment.rules.conditional, engine.deployment.rules.residual


def test_keys_that_a_policy_fetches_are_in_the_sidecar(project: Project) -> None:
    """The discovery document, and then what it names."""

    async def session() -> None:
        async with serving() as issuer:
            issuer.publish(published(FIRST, "one"))
            async with running(project, issuer, 600) as (engine, client):
                assert counts(engine) == (1, 0)
                assert issuer.asked == 2
                assert await status(client, bearer(FIRST, "one")) == 200
                assert await status(client, bearer(FIRST, "one", "guest")) == 403
                assert await status(client, bearer(SECOND, "one")) == 403
                assert await status(client, {}) == 403
                assert issuer.asked == 2, "no request waited for the issuer"

    run(session())


def test_rotated_keys_reach_the_sidecar(project: Project) -> None:
    async def session() -> None:
        async with serving() as issuer:
            issuer.publish(published(FIRST, "one"))
            async with running(project, issuer, 3) as (engine, client):
                assert counts(engine) == (1, 0)
                assert await status(client, bearer(SECOND, "two")) == 403
                issuer.publish(published(SECOND, "two"))
                await until_so(lambda: client.get("/", headers=bearer(SECOND, "two")), 200)
                await until_so(lambda: client.get("/", headers=bearer(FIRST, "one")), 403)
                assert counts(engine) == (1, 0)

    run(session())


def test_keys_whose_time_is_over_decide_nothing(project: Project) -> None:
    """With the issuer down OPA has none any more: the engine is asked, and denies. They come back with it."""

    async def session() -> None:
        async with serving() as issuer:
            issuer.publish(published(FIRST, "one"))
            async with running(project, issuer, 3) as (engine, client):
                assert await status(client, bearer(FIRST, "one")) == 200
                answers, issuer.answers = issuer.answers, {}
                await until_so(lambda: client.get("/", headers=bearer(FIRST, "one")), 403)
                await eventually(lambda: counts(engine) == (0, 1))
                assert any(f"http.send of {issuer.url}/" in each for each in problems(engine))
                issuer.answers = answers
                await until_so(lambda: client.get("/", headers=bearer(FIRST, "one")), 200)
                await eventually(lambda: counts(engine) == (1, 0))
                assert problems(engine) == []

    run(session())


def test_an_edit_that_fetches_nothing_any_more(project: Project) -> None:
    async def session() -> None:
        async with serving() as issuer:
            issuer.publish(published(FIRST, "one"))
            async with running(project, issuer, 3) as (engine, client):
                project.allow.write_text("package palisade.identity\n\nallow := true\n")
                await until_so(lambda: client.get("/"), 200)
                asked = issuer.asked
                await asyncio.sleep(4)
                assert issuer.asked == asked
                assert counts(engine) == (0, 0)

    run(session())
