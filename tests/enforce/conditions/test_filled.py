"""Templates filled with values of a request are compared in the sidecar, as the evaluator compares them."""

from __future__ import annotations

import pytest
from lowered import allowing, judge_natively

from palisade.policy.providers import Provider
from palisade.testing.equivalence import Bed, Issuers, Request, Token

HEAD = """package p
import input.attributes.request.http
claims := input.identity.claims
templates := ["/u/{id}/x", "/{id}", "/all"]
"""
IDIOMS = tuple(
    f"{no}{test}"
    for no in ("", "not ")
    for test in (
        'http.path == replace("/u/{id}/x", "{id}", claims.t)',
        'startswith(http.path, replace("/u/{id}/", "{id}", claims.t))',
        'http.path in {replace(t, "{id}", claims.t) | some t in templates}',
        'http.path == replace(replace("/{org}/{id}", "{org}", claims.o), "{id}", claims.t)',
        'http.path == replace(replace("/u/x", "{org}", claims.o), "{id}", claims.t)',
        'http.path == strings.replace_n({"{id}": claims.t, "{org}": claims.o}, "/{org}/{id}")',
        'replace("<{t}>", "{t}", claims.t) in claims.list',
        'glob.match(replace("/u/{id}/*", "{id}", claims.t), ["/"], http.path)',
        'replace("u:{id}", "{id}", input.parsed_path[1]) == http.headers["x-t"]',
        'replace("u:{id}", "{id}", claims.t)',
    )
)
TEXTS = ("a", "all", "", "x", "{id}", "{", "id}", "u/a", "\\1", "u", "{org}")


def _asked() -> list[Request]:
    found = []
    for text in (*TEXTS, 7, None, True, ["a"]):
        for other in ("u", "a", "{id}", "{i", 7):
            token = Token("corp", {"t": text, "o": other, "list": ["x", f"<{text}>"]})
            for target in (f"/u/{text}/x", f"/{text}", f"/{other}/{text}", "/u/x", "/all", "/u/d}/x"):
                if not {*target} & {*" []'\\"}:
                    found.append(Request("GET", target, (("x-t", f"u:{text}"),), token))
    found.append(Request("GET", "/u/{id}/x"))
    return found


@pytest.mark.parametrize("providers", [1], ids=("one",), indirect=True)
def test_filled_templates(bed: Bed, providers: tuple[Provider, ...], issuers: Issuers) -> None:
    """What is filled in may have a place to fill itself, or the beginning of one: the second time that is
    looked for in it, too."""
    subjects = allowing(IDIOMS, providers, issuers, head=HEAD)
    judge_natively(bed, subjects, _asked(), residual=0.5)
