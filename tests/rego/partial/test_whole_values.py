"""Objects and arrays of a body, or all of it, compared with constants that are such."""

from __future__ import annotations

from agreement import judged, outcome_of
from whole_values import ASKED, CONSTANTS, near, rule_of

from palisade.rego.text import dumps


def test_what_is_known_of_documents_is_what_the_evaluator_says() -> None:
    told = 0
    for at, one in enumerate(CONSTANTS):
        other = CONSTANTS[at - 1]
        for asked in ASKED:
            rule = rule_of(asked, one, other).replace("allow if", "r if")
            policy, outcome = outcome_of(rule, {})
            for body in near(one) + near(other):
                http = {"method": "GET", "body": dumps(body)}
                document = {"parsed_body": body, "attributes": {"request": {"http": http}}}
                told += judged(policy, outcome, document) != "unsure"
    assert told > 1000
