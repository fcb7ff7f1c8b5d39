"""Amounts with units: `10Mi`, `0.5K`, `1GB`."""

from __future__ import annotations

import re
from decimal import ROUND_HALF_UP, Decimal, localcontext
from fractions import Fraction

from palisade.rego.builtins.operands import Number, string
from palisade.rego.builtins.registry import builtin
from palisade.rego.errors import BuiltinError
from palisade.rego.values import Value, canonical

_PREFIXES = "kmgtpe"
_DECIMAL = {prefix: 1000**power for power, prefix in enumerate(_PREFIXES, 1)}
_BINARY = {f"{prefix}i": 1024**power for power, prefix in enumerate(_PREFIXES, 1)}
_BYTES = {"": 1}
for _name, _factor in {**_DECIMAL, **_BINARY}.items():
    _BYTES[_name] = _BYTES[f"{_name}b"] = _factor

_AMOUNT = re.compile(r"[0-9.+-]*(?:[eE][+-]?[0-9][0-9.+-]*)*")
_EXPONENT = re.compile(r"[eE][+-]?([0-9]*)")
# Each run of digits can be read in one way only, or a header of 58 kB of them holds the engine up for good.
_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_MAX_EXPONENT_DIGITS = 6
# What the digits of the exponent allow is still more than memory: 10 to the millionth has a million digits.
_MAX_EXPONENT = 4000


@builtin("units.parse", pure=True)
def units_parse(x: Value) -> Number:
    """The amount as a number. `m` is a thousandth and `M` a million; the other units may have either case."""
    amount, unit = _split(string(x, 1).replace('"', ""), "amount")
    unit = unit[:1] + unit[1:].lower()
    if unit == "m":
        # OPA multiplies with the float that is nearest to a thousandth, and rounds to ten digits.
        return _rounded(_number(amount, "amount") * Fraction(0.001))
    folded = unit.lower()
    factor = 1 if not unit else _DECIMAL.get(folded) or _BINARY.get(folded)
    if factor is None:
        raise BuiltinError(f"unit {unit} not recognized")
    return _rounded(_number(amount, "amount") * factor)


@builtin("units.parse_bytes", pure=True)
def units_parse_bytes(x: Value) -> int:
    """The number of bytes, what is less than one cut off; units in either case, with or without `b`."""
    amount, unit = _split(string(x, 1).lower().replace('"', ""), "byte amount")
    factor = _BYTES.get(unit)
    if factor is None:
        raise BuiltinError(f"byte unit {unit} not recognized")
    return int(_number(amount, "byte amount") * factor)


def _split(text: str, what: str) -> tuple[str, str]:
    if " " in text:
        raise BuiltinError("spaces not allowed in resource strings")
    amount = _AMOUNT.match(text)
    end = amount.end() if amount else 0
    for exponent in _EXPONENT.finditer(text[:end]):
        if len(exponent.group(1)) > _MAX_EXPONENT_DIGITS:
            raise BuiltinError("exponent too large")
    if end == 0:
        raise BuiltinError(f"no {what} provided")
    return text[:end], text[end:]


def _number(digits: str, what: str) -> Fraction:
    if not _NUMBER.fullmatch(digits):
        raise BuiltinError(f"could not parse {what} to a number")
    exact = Decimal(digits)
    if exact and abs(exact.adjusted()) > _MAX_EXPONENT:  # but not more than OPA takes
        raise BuiltinError("exponent too large", fatal=True)
    return Fraction(exact)


def _rounded(exact: Fraction) -> Number:
    if exact.denominator == 1:
        return exact.numerator
    with localcontext() as context:
        context.prec = _MAX_EXPONENT * 2
        ten_digits = (Decimal(exact.numerator) / Decimal(exact.denominator)).quantize(
            Decimal("1e-10"), ROUND_HALF_UP
        )
    return canonical(ten_digits)
