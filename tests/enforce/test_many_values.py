"""Hundreds of rules, or parts of a function, that give a document as many values: decided in the sidecar."""

from __future__ import annotations

import pytest
from lowered import PROVIDERS, subject_of

from palisade import rego
from palisade.testing.equivalence import Bed, Issuers, Request, Tally, Token, compare

HEAD = "package p\nimport input.attributes.request.http\nclaims := input.identity.claims\n"
METHODS = ("GET", "POST", "PUT")
TESTS = {
    "whole paths": 'http.path == "/t{0}"',
    "beginnings": 'startswith(http.path, "/t{0}/")',
    "globs": 'glob.match("/t{0}/*", ["/"], http.path)',
    "regular expressions": 'regex.match("^/t{0}/.*$", http.path)',
    "segments": 'input.parsed_path[0] == "t{0}"',
    "beginnings of which some hold at once": 'startswith(http.path, "/t{0}")',
}
SCOPE = 'scope := "s{{0}}" if {{{{ http.method == "{{1}}"; {} }}}}'
RULES = {
    "parts of a function": 'of("{1}", "t{0}") := "s{0}"',
    **{name: SCOPE.format(test) for name, test in TESTS.items()},
}
PATHS = (("GET", "/t6"), ("GET", "/t6/a"), ("POST", "/t7/a"), ("PUT", "/t299/"), ("GET", "/x"))
TOKENS = (None, Token("corp", {"scopes": ["s6", "s7"]}), Token("corp", {"scopes": ["s299", "s2"]}))
ASKED = [Request(method, path, token=token) for method, path in PATHS for token in TOKENS]


def _policy(rule: str, count: int = 300) -> str:
    rules = "\n".join(rule.format(n, METHODS[n % 3]) for n in range(count))
    if rule.startswith("of"):
        rules += "\nscope := of(http.method, input.parsed_path[0])"
    return f"{HEAD}{rules}\nallow if scope in claims.scopes\n"


@pytest.mark.long
@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_rules_that_their_texts_tell_apart_are_native(rule: str, bed: Bed, issuers: Issuers) -> None:
    """They were the engine's, as they might have conflicted: each with each."""
    subject = subject_of(rego.compile({"p.rego": _policy(rule)}), PROVIDERS[:1], issuers)
    assert all(rule.native or rule.conditional for rule in subject.enforcement.coverage)
    bed.load(subject)
    tally = Tally()
    assert list(compare(bed, subject, ASKED, tally)) == []
    assert tally.residual == 0
    assert tally.allowed


PLANS = """
plan := data.plans[data.customers[claims.customer].plan]
allow if {
	http.method in plan.methods
	to_number(object.get(http.headers, "x-size", "0")) <= plan.most
	some beginning in plan.paths
	startswith(http.path, beginning)
	data.customers[claims.customer].active
}
"""


@pytest.mark.long
def test_what_thousands_of_customers_may_do_is_asked_once_for_each_plan(bed: Bed, issuers: Issuers) -> None:
    """Each plan was asked beside what all others allow, too large for Envoy: residual."""
    data = {
        "plans": {
            f"plan{n}": {
                "methods": METHODS[: 1 + n % 3],
                "most": 100 * n,
                "paths": [f"/{n}/", f"/x{n}/", "/all"],
            }
            for n in range(20)
        },
        "customers": {f"c{n}": {"plan": f"plan{n % 20}", "active": n % 7 != 0} for n in range(3_000)},
    }
    policy = rego.compile({"p.rego": f"{HEAD}{PLANS}"}, data=data)
    subject = subject_of(policy, PROVIDERS[:1], issuers)
    assert all(rule.native or rule.conditional for rule in subject.enforcement.coverage)
    bed.load(subject)
    tally = Tally()
    asked = [
        Request(
            method, path, (("x-size", size),) if size else (), token=Token("corp", {"customer": customer})
        )
        for customer in ("c4", "c5", "c2984", "c2999", "c14", "c3000", 7)
        for method in ("GET", "PUT")
        for path in ("/4/a", "/x5/", "/all", "/19/")
        for size in ("", "400", "401", "9999")
    ]
    assert list(compare(bed, subject, asked, tally)) == []
    assert tally.residual == 0
    assert tally.allowed
