"""Lists of objects of which a policy makes an object are read natively, as the evaluator reads them."""

from __future__ import annotations

from itertools import pairwise, product
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
active := {m.tenant: m.role | some m in claims.memberships; m.active}
lasting := {m.tenant: m.role | some m in claims.memberships; m.active != true; not m.tenant == claims.tenant}
named := {m.tenant: m.role | some m in claims.memberships; m.role in {"admin", "dev"}; m.tenant != http.host}
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
OF_SOME = (
    'active[tenant] == "admin"',
    'not active[tenant] == "admin"',
    'object.get(active, tenant, "none") == "none"',
    'lasting[tenant] == "dev"',
    'named[input.parsed_path[0]] == "admin"',
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


MARKED: tuple[Any, ...] = (
    *({"tenant": "acme", "role": "admin", "active": each} for each in (True, False, None, "no", 0, [])),
    {"tenant": "acme", "role": "guest", "active": False},
    {"tenant": "other", "role": "dev", "active": False},
    {"tenant": "other", "role": "admin", "active": True},
    {"tenant": 1, "role": "dev", "active": True},
    {"tenant": "acme", "active": True},
    {"tenant": "acme", "role": "admin"},
    "acme",
)
LISTS_OF_MARKED: tuple[Any, ...] = (
    *([each] for each in MARKED),
    *([one, other] for one, other in pairwise(MARKED)),
    *([MARKED[0], *MARKED[6:9]], [MARKED[6], MARKED[8]], {}, {"acme": MARKED[0]}, []),
)


def _requests(lists: tuple[Any, ...] = LISTS) -> list[Request]:
    found = [Request(), Request("GET", "/acme", (("x-tenant", "acme"),))]
    for at, members in enumerate(lists):
        own = {"memberships": members, "role": ("admin", 7, None)[at % 3]}
        own |= {"tenant": ("acme", 1, ["acme"], None)[at % 4]} if at % 5 else {}
        token = Token("corp", own)
        for tenant in (TENANTS[0], TENANTS[at % len(TENANTS)]):
            path = f"/{tenant}".replace("ü", "%C3%BC")
            found.append(Request("POST", path, (("x-tenant", tenant),), token))
        found.append(Request("GET", "/acme", (("x-tenant", "acme"), ("x-tenant", "other")), token))
    return found


@pytest.mark.long
@pytest.mark.parametrize("providers", [1, 2], ids=("one", "two"), indirect=True)
def test_lists_of_claims(bed: Bed, providers: tuple[Provider, ...], issuers: Issuers) -> None:
    """Two members with one tenant and other roles are an error, whichever of them is asked for."""
    judge_natively(bed, allowing(OF_CLAIMS, providers, issuers, head=HEAD), _requests(), residual=0.4)


@pytest.mark.parametrize("providers", [1], ids=("one",), indirect=True)
def test_lists_of_which_some_count(bed: Bed, providers: tuple[Provider, ...], issuers: Issuers) -> None:
    """Only of two that both have an entry is it an error that they have one key."""
    requests = _requests(LISTS_OF_MARKED)
    judge_natively(bed, allowing(OF_SOME, providers, issuers, head=HEAD), requests, residual=0.4)
