"""What is named and never used is found; whatever is used in some place is not."""

from __future__ import annotations

import pytest

from palisade import rego
from palisade.rego.check import unused


def found(source: str, version: int = 1) -> list[tuple[int, str]]:
    policy = rego.compile({"a.rego": f"package a\n\n{source}"}, version=version)
    return [(each.row, each.message) for each in unused.find(policy.checked, policy.checked.modules)]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("import data.b\n\np := 1\n", "import b unused"),
        ("import input.user as who\n\np := input.user\n", "import who unused"),
        ("p if {\n\tx := input.x\n}\n", "assigned var x unused"),
        ("p if {\n\t[x, y] := input.x\n\tx > 1\n}\n", "assigned var y unused"),
        ("p := [1 | x := 1]\n", "assigned var x unused"),
        ("p if {\n\tx := 1\n\tcount([x | x := 2]) > 0\n}\n", "assigned var x unused"),
        ("f(x, y) := x\n", "argument y unused"),
        ("f(x, {1: y}) := x\n", "argument y unused"),
    ],
)
def test_unused(source: str, message: str) -> None:
    assert [each for _, each in found(source)] == [message]


@pytest.mark.parametrize(
    "source",
    [
        "import rego.v1\n\nimport data.b\n\np if b.c\n",
        "import data.b\n\np if {\n\tx with b.c as 1\n}\n\nx := 1\n",
        "import data.b.f\n\np := f\n",
        "p := x if {\n\tx := input.x\n}\n",
        "p[x] if {\n\tx := input.x\n}\n",
        "p if {\n\tx := input.x\n\tevery y in input.ys { y > x }\n}\n",
        "p if {\n\tx := input.x\n\tinput.y[x]\n}\n",
        "p if {\n\t_ := input.x\n}\n",
        "f(x, _) := x\n",
        "f(x) if {\n\tcount(x) > 1\n}\n",
        "default f(_) := 1\n\nf(x) := x if x > 1\n",
        "default f(x) := 1\n\nf(x) := x if x > 1\n",
        'p := $"{x}" if {\n\tx := input.x\n}\n',
    ],
)
def test_used(source: str) -> None:
    assert found(source) == []


def test_older_rego() -> None:
    assert found("import data.b\n\np { x := 1 }\n", version=0) == [
        (3, "import b unused"),
        (5, "assigned var x unused"),
    ]
