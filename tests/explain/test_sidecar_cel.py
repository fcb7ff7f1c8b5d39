"""Expressions of CEL as Envoy evaluates them."""

from __future__ import annotations

import pytest

from palisade.enforce.envoy.matchers import cel
from palisade.explain.sidecar.cel import holds
from palisade.explain.sidecar.request import Sight

NOTHING = Sight({}, {}, {}, "", 0)


@pytest.mark.parametrize(
    ("form", "written"),
    [
        ("<\\1>", "<ab>"),
        ("\\10", "ab0"),
        ("\\0", "ab"),
        ("\\\\1", "\\1"),
        ("\n\\1", "\nab"),
        ("\\2", None),
        ("\\n", None),
        ("\\", None),
    ],
)
def test_what_is_found_is_written_as_re2_writes_it(form: str, written: str | None) -> None:
    """A group has one digit: `sprintf("%s1%s", [a, b])` read as group eleven ended `palisade explain`."""
    made = cel.extracted(cel.text("ab"), "(ab)", form)
    assert made is not None
    assert holds(cel.equal(made, made), NOTHING) is (written is not None)
    assert written is None or holds(cel.equal(made, cel.text(written)), NOTHING)
