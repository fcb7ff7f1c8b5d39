"""Helpers: check text, and tell errors in short."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable

import pytest

from palisade.rego.check import CheckedSet, check
from palisade.rego.errors import CompileError
from palisade.rego.parser import parse_module

Checker = Callable[..., CheckedSet]
Refusal = Callable[..., list[tuple[str, int, str]]]


def _check(*sources: str, version: int = 1) -> CheckedSet:
    texts = [textwrap.dedent(source) for source in sources]
    texts = [each if re.search("^package ", each, re.M) else f"package test\n{each}" for each in texts]
    return check([parse_module(each, f"{index}.rego", version=version) for index, each in enumerate(texts)])


@pytest.fixture
def checked() -> Checker:
    """Checks modules; one without a package clause is in package `test`, its first line is then line 2."""
    return _check


@pytest.fixture
def refused() -> Refusal:
    """The errors of modules, each as code without its prefix, row and message."""

    def errors(*sources: str, version: int = 1) -> list[tuple[str, int, str]]:
        with pytest.raises(CompileError) as caught:
            _check(*sources, version=version)
        return [
            (each.code.removeprefix("rego_").removesuffix("_error"), each.row, each.message)
            for each in caught.value.errors
        ]

    return errors
