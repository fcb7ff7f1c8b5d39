"""Policies of the kind found in public repositories: read from `public/`, with the requests made for them."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import jwt
from jwt.algorithms import HMACAlgorithm
from jwt.utils import base64url_encode
from stand import Sent

from palisade.policy import sets
from palisade.policy.sets import PolicySet
from palisade.rego.text import dumps

FOLDER = Path(__file__).parent / "public"
NAMES = tuple(sorted(each.name for each in FOLDER.iterdir() if each.is_dir()))


@dataclass(frozen=True)
class Published:
    """One policy as someone wrote it for OPA-Envoy."""

    name: str
    about: str
    decision: str
    rego_version: int
    policy_set: PolicySet
    keys: Mapping[str, str]
    requests: tuple[tuple[Sent, int | None], ...]
    """What is sent, and the status that it gets; None where that depends on the time of day."""


def read(name: str) -> Published:
    """The policy of this name."""
    folder = FOLDER / name
    told = json.loads((folder / "requests.json").read_text())
    version = 0 if told.get("rego") == "v0" else 1
    tokens = {name: _signed(token) for name, token in told.get("tokens", {}).items()}
    return Published(
        name,
        told["about"],
        told["decision"],
        version,
        sets.load(folder, shown=name, rego_version=version),
        {provider: dumps(keys) for provider, keys in told.get("keys", {}).items()},
        tuple((_sent(each, tokens), each["status"]) for each in told["requests"]),
    )


def _sent(request: Mapping[str, Any], tokens: Mapping[str, str]) -> Sent:
    headers = []
    for name, value in request.get("headers", {}).items():
        token = tokens.get(value.strip("{}")) if value.startswith("{") else None
        headers.append((name, f"Bearer {token}" if token else value))
    return Sent(request["method"], request["path"], tuple(headers), request.get("body", "").encode())


def _signed(token: Mapping[str, Any]) -> str:
    claims = dict(token["claims"])
    for name in ("exp", "nbf", "iat"):
        if name in claims:
            claims[name] += int(time.time())
    if "secret" in token:
        message, algorithm = _message({"alg": "HS256"}, claims), HMACAlgorithm(HMACAlgorithm.SHA256)
        signature = algorithm.sign(message, token["secret"].encode())
    else:
        message, algorithm = _message({"alg": "ES256", "kid": "one"}, claims), _key().Algorithm
        signature = algorithm.sign(message, _key().key)
    return (message + b"." + base64url_encode(signature)).decode()


def _message(header: Mapping[str, Any], claims: Mapping[str, Any]) -> bytes:
    return b".".join(base64url_encode(dumps(part).encode()) for part in (header, claims))


@lru_cache(1)
def _key() -> jwt.PyJWK:
    return jwt.PyJWK(json.loads((FOLDER / "keys.json").read_text())["keys"][0])
