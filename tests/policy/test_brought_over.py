"""What `palisade check` says of policies that were written for other gateways and meshes."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.policy.warning_helpers import warned


@pytest.mark.parametrize(
    ("rules", "told"),
    [
        (
            'allow := {"allow": true, "headers": {}} if input.function',
            'a decision that is an object without "allowed" denies each request that gets it; did you mean'
            ' "allowed" by "allow"?',
        ),
        ('default allow := {"reason": "none"}', 'say "allowed": true or false'),
        ('allow := x if {\n\tx := {"allow": false, "message": "no"}\n}', '"allowed" by "allow"?'),
        ('allow["allow"] := true if input.function', '"allowed" by "allow"?'),
        (
            'allow := {"allowed": false, "status": 418}',
            'nothing reads "status" of a decision; did you mean "http_status"?',
        ),
    ],
)
def test_answers_that_other_gateways_read(tmp_path: Path, rules: str, told: str) -> None:
    """Kong reads `allow` and `status` of a decision. Here all was denied, and nothing said why."""
    ((file, row, text),) = warned(tmp_path, a=f"package a\n\n{rules}\n", decision=("a", "allow"))
    assert (file, row) == ("p/a.rego", 3)
    assert told in text
    assert warned(tmp_path, decision=("a", "other")) == []


@pytest.mark.parametrize(
    "rules",
    [
        'allow := {"allowed": true, "status": 200, "http_status": 200, "id": 7}',
        'allow["allowed"] := true\n\nallow["reason"] := "a" if input.function',
        'allow := object.union({"allowed": true}, {"id": 1})',
        "allow[k] := v if some k, v in input.parsed_body",
        "allow := input.parsed_body",
        "allow(x) := {} if x",
    ],
)
def test_answers_that_are_read(tmp_path: Path, rules: str) -> None:
    assert warned(tmp_path, a=f"package a\n\n{rules}\n", decision=("a", "allow")) == []
