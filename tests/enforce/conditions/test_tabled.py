"""Lists of objects of which a policy makes an object are read natively, as the evaluator reads them."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
from lowered import allowing, judge_natively

from palisade.policy.providers import Provider
from palisade.testing.equivalence import Bed, Issuers, Request, Token

HEAD = """package p
import input.attributes.request.http
claims := input.identity.claims
tenant := http.headers["x-tenant"]
granted[m.tenant] := m.role if some m in claims.memberships
roles := {m.tenant: m.role | some m in claims.memberships}
"""
OF_CLAIMS = (
    'roles[tenant] == "admin"',
    'not roles[tenant] == "admin"',
    'roles[input.parsed_path[0]] in {"admin", 7}',
    "roles[tenant]",
    "not roles[tenant]",
    "roles[tenant] == claims.role",
    "roles[claims.tenant] == true",
    "roles[tenant] >= 3",
    'startswith(roles[tenant], "ad")',
    '"w" in roles[tenant]',
    'roles.acme == "admin"',
    'object.get(roles, tenant, "none") == "none"',
    'object.get(roles, claims.tenant, "none") in {"none", "admin"}',
    'object.get(roles, "acme", "admin") == "admin"',
    'granted[tenant] == "admin"',
    "not granted[tenant]",
    "http.method == {`admin`: `POST`, `dev`: `GET`}[roles[tenant]]",
)
MEMBERS: tuple[Any, ...] = (
    {"tenant": "acme", "role": "admin"},
    {"tenant": "acme", "role": "guest"},
    {"tenant": "other", "role": "dev"},
    {"tenant": "other", "role": 7},
    {"tenant": "ü", "role": 1e2},
    {"tenant": "", "role": False},
    {"tenant": 1, "role": "admin"},
    {"tenant": 1.0, "role": "dev"},
    {"tenant": ["acme"], "role": "admin"},
    {"tenant": "x" * 500, "role": ["w"]},
    {"tenant": None, "role": None},
    {"tenant": "acme"},
    {"role": "admin"},
    "acme",
)
LISTS: tuple[Any, ...] = (
    *([each] for each in MEMBERS),
    *([one, other] for one, other in product(MEMBERS[:9], MEMBERS[:9])),
    [{"tenant": f"t{n}", "role": n} for n in range(8)],
    [{"tenant": f"t{n}", "role": n} for n in range(8)] + [{"tenant": "acme", "role": "admin"}],
    [{"tenant": f"t{n % 7}", "role": n} for n in range(8)],
    *([], {}, {"acme": MEMBERS[0]}, "acme", None, 0),
)
TENANTS = ("acme", "other", "t7", "", "ü", "1", "x" * 500)


def _requests() -> list[Request]:
    found = [Request(), Request("GET", "/acme", (("x-tenant", "acme"),))]
    for at, members in enumerate(LISTS):
        own = {"memberships": members, "role": ("admin", 7, None)[at % 3]}
        own |= {"tenant": ("acme", 1, ["acme"], None)[at % 4]} if at % 5 else {}
        token = Token("corp", own)
        for tenant in (TENANTS[0], TENANTS[at % len(TENANTS)]):
            path = f"/{tenant}".replace("ü", "%C3%BC")
            found.append(Request("POST", path, (("x-tenant", tenant),), token))
        found.append(Request("GET", "/acme", (("x-tenant", "acme"), ("x-tenant", "other")), token))
    return found


@pytest.mark.parametrize("providers", [1, 2], ids=("one", "two"), indirect=True)
def test_lists_of_claims(bed: Bed, providers: tuple[Provider, ...], issuers: Issuers) -> None:
    """Two members with one tenant and other roles are an error, whichever of them is asked for."""
    judge_natively(bed, allowing(OF_CLAIMS, providers, issuers, head=HEAD), _requests(), residual=0.4)
