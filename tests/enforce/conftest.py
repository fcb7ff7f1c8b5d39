"""Tokens that Envoy verifies, and an Envoy that decides for as long as a module's tests run."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from palisade.policy.providers import InlineKeys, Provider
from palisade.rego.text import dumps

sys.path.insert(0, str(Path(__file__).parent))  # gauge and strategies are shared by the tests here

from gauge import Gauge, Request
from strategies import Drawn, Token


class Issuer:
    """An issuer of tokens, with a key of its own."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._key = ec.generate_private_key(ec.SECP256R1())
        public = jwt.algorithms.ECAlgorithm.to_jwk(self._key.public_key(), as_dict=True)
        self.keys = dumps({"keys": [{**public, "kid": name, "alg": "ES256", "use": "sig"}]})
        self.provider = Provider(name, f"https://{name}.example", (), InlineKeys(self.keys))
        self.sign = lru_cache(4096)(self._sign)

    def _sign(self, claims: str) -> str:
        header = {"kid": self.name, "alg": "ES256"}
        return jwt.api_jws.encode(claims.encode(), self._key, algorithm="ES256", headers=header)

    def token(self, token: Token) -> str:
        claims = {"iss": f"https://{self.name}.example", "exp": 4_000_000_000, **token.claims}
        signed = self.sign(dumps(claims))
        return signed[:-8] + "AAAAAAAA" if token.spoiled else signed


@pytest.fixture(scope="session")
def issuers() -> dict[str, Issuer]:
    return {name: Issuer(name) for name in ("corp", "partner")}


@pytest.fixture(scope="session")
def request_of(issuers: dict[str, Issuer]) -> Callable[[Drawn], Request]:
    """What is sent for a request that was drawn."""

    def make(drawn: Drawn) -> Request:
        headers = drawn.headers
        if drawn.token is not None:
            bearer = issuers[drawn.token.provider].token(drawn.token)
            headers = (*headers, ("authorization", f"Bearer {bearer}"))
        return Request(drawn.method, drawn.target, headers)

    return make


@pytest.fixture(scope="session", params=(("corp",), ("corp", "partner"), ()), ids=("one", "two", "none"))
def gauge(
    request: pytest.FixtureRequest, issuers: dict[str, Issuer], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gauge]:
    """An Envoy that knows one provider, two, or none."""
    chosen = [issuers[name] for name in request.param]
    keys = {each.name: each.keys for each in chosen}
    with Gauge([each.provider for each in chosen], keys, tmp_path_factory.mktemp("gauge")) as running:
        yield running
