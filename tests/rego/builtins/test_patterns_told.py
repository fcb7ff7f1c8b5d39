"""What RE2 says of patterns it does not take is not put out: they may come with a request."""

from __future__ import annotations

from typing import Any

import pytest

from palisade.rego.builtins import BUILTINS
from palisade.rego.errors import BuiltinError

LARGE = "{" + ",".join(f"*{number}*" for number in range(30_000)) + "}"
WORDS: dict[str, str] = {f"secret{number}" * 30: "" for number in range(6000)}


@pytest.mark.parametrize(
    ("name", "operands"),
    [
        ("regex.match", ("(secret", "x")),
        ("strings.replace_n", (WORDS, "x")),
    ],
)
def test_a_pattern_that_is_not_taken_is_not_shown(
    name: str, operands: tuple[Any, ...], capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(BuiltinError):
        BUILTINS[name].function(*operands)
    assert capfd.readouterr() == ("", "")


def test_a_glob_that_re2_does_not_take_is_not_shown(capfd: pytest.CaptureFixture[str]) -> None:
    assert BUILTINS["glob.match"].function(LARGE, ["/"], "1x") is True
    assert BUILTINS["glob.match"].function(LARGE, ["/"], "x") is False
    assert capfd.readouterr() == ("", "")
