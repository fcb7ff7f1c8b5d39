"""Policies with their explainers, and inputs as requests bring them."""

from __future__ import annotations

from pathlib import Path
from types import MappingProxyType
from typing import Any

from palisade import rego
from palisade.decide.urls import parse_target
from palisade.explain.compiled import compiled
from palisade.explain.coverage import CoverageReport
from palisade.explain.explainer import Explainer
from palisade.policy import revisions, sets
from palisade.policy.inventory import Address, Function, Inventory
from palisade.policy.providers import InlineKeys, Provider
from palisade.policy.revisions import Revision
from palisade.policy.sets import PolicySet
from palisade.rego.values import Value

CORP = Provider("corp", "https://corp.example", (), InlineKeys('{"keys": []}'))
HEAD = "package p\n\nimport input.attributes.request.http\n\nclaims := input.identity.claims\n\n"
"""So rules begin on line 7."""


def explainer_of(rules: str, data: Any = None, head: str = HEAD, **settings: Any) -> Explainer:
    """An explainer of `p/allow` for the function `orders`, with one provider."""
    policy = rego.compile({"p.rego": head + rules}, data or {})
    here = Address("127.0.0.1", 1)
    function = Function("orders", here, here, **settings)
    inventory = Inventory(
        Path("palisade.yaml"), Path("policies"), MappingProxyType({"orders": function}), "p/allow"
    )
    policy_set = PolicySet(Path("policies"), {}, {}, policy.data, "")
    return Explainer.of(Revision("r", inventory, policy_set, policy, (CORP,)), function)


def request(
    method: str = "GET", target: str = "/", claims: Any = None, source: str = "192.0.2.7", **headers: str
) -> Value:
    """An input as Envoy's CheckRequest gives it. Underscores in headers' names are hyphens."""
    segments, query = parse_target(target)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    document: dict[str, Any] = {
        "attributes": {
            "request": {
                "http": {
                    "method": method,
                    "path": target,
                    "host": "orders.example",
                    "headers": {":method": method, ":path": target, ":authority": "orders.example", **named},
                }
            },
            "source": {"address": {"socketAddress": {"address": source, "portValue": 1}}},
        },
        "parsed_path": segments,
        "parsed_query": query,
        "parsed_body": None,
        "function": "orders",
    }
    if claims is not None:
        document["identity"] = {"provider": "corp", "claims": {"iss": "https://corp.example", **claims}}
    return document


_COVERED_HEAD = "package palisade.identity\n\nimport input.attributes.request.http\n"
_COVERED_PROVIDERS = (
    'providers := {"corp": {"issuer": "https://corp.example", "audiences": ["a"], '
    '"jwks_uri": "https://corp.example/keys"}}\n'
)


def covered(folder: Path, source: str, decision: str = "palisade/identity/allow") -> CoverageReport:
    """The coverage of a policy of one file and one provider, which has the rules in `source`."""
    (folder / "allow.rego").write_text(_COVERED_HEAD + source)
    (folder / "providers.rego").write_text("package palisade.identity\n\n" + _COVERED_PROVIDERS)
    function = Function("orders", Address("127.0.0.1", 1), Address("127.0.0.1", 2))
    inventory = Inventory(folder, folder, {"orders": function}, decision)
    return compiled(revisions.build(inventory, sets.load(folder, shown="policies")), function).coverage
