"""Patterns that RE2 does not take, in policies that are compiled."""

from __future__ import annotations

import pytest

from palisade.enforce.envoy.matchers import cel
from palisade.enforce.envoy.regex import patterns
from palisade.enforce.envoy.regex.strings import text_matcher
from palisade.rego.partial.formulas.terms import Apply, Input, Known


def test_re2_does_not_show_them_on_standard_error(capfd: pytest.CaptureFixture[str]) -> None:
    assert not cel.is_small("(a")
    assert patterns.groups("(a") == -1
    assert text_matcher(Apply("regex.match", (Known("(a"), Input(("x",)))))
    assert capfd.readouterr() == ("", "")
