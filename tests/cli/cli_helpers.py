"""What the tests of the commands share: how one ended, and a policy set with its settings."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

ALLOW = """package palisade.identity

import data.palisade.lib.claims

default allow := false

allow if input.parsed_path == ["open"]

allow if {
	input.attributes.request.http.method == "GET"
	"reader" in input.identity.claims.roles
}

providers := {"corp": {
	"issuer": "https://corp.example",
	"audiences": ["a"],
	"jwks_uri": "https://corp.example/keys",
}}
"""
SETTINGS = "policies: ./policies\nfunctions: {hello: {upstream: 127.0.0.1:9, listen: 127.0.0.1:0}}\n"


@dataclass(frozen=True)
class Ended:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Run = Callable[..., Ended]
