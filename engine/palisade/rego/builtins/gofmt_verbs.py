"""How Go's `fmt` writes one argument: by its verb, flags, width and precision."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from palisade.rego.builtins.operands import to_bytes
from palisade.rego.builtins.terms import quote

Argument: TypeAlias = int | float | str

_INT64 = range(-(1 << 63), 1 << 63)


@dataclass(slots=True)
class Spec:
    """The flags, width and precision of a verb."""

    plus: bool = False
    minus: bool = False
    sharp: bool = False
    space: bool = False
    zero: bool = False
    width: int | None = None
    precision: int | None = None

    def pad(self, text: str) -> str:
        if self.width is None or len(text) >= self.width:
            return text
        if self.minus:
            return text.ljust(self.width)
        return text.rjust(self.width, "0" if self.zero else " ")

    def pad_number(self, sign: str, digits: str) -> str:
        """Zeros go between the sign and the digits, blanks before both."""
        if self.zero and not self.minus and self.width is not None:
            return sign + digits.rjust(self.width - len(sign), "0")
        text = sign + digits
        if self.width is None:
            return text
        return text.ljust(self.width) if self.minus else text.rjust(self.width)


def type_of(argument: Argument) -> str:
    """Go's name of the argument's type."""
    if type(argument) is int:
        return "int64" if argument in _INT64 else "*big.Int"
    return "float64" if type(argument) is float else "string"


def format_argument(verb: str, spec: Spec, argument: Argument) -> str:
    """The argument as the verb and the flags say."""
    if verb == "T":
        return spec.pad(type_of(argument))
    text: str | None
    if type(argument) is str:
        text = _string(verb, spec, argument)
    elif type(argument) is float:
        text = _float(verb, spec, argument)
    else:
        text = _integer(verb, spec, int(argument))
    if text is None:
        # What is wrong is written as it is by default, with the width and the flags that were asked for.
        text = f"%!{verb}({type_of(argument).lstrip('*')}={format_argument('v', spec, argument)})"
    return text


def _string(verb: str, spec: Spec, text: str) -> str | None:
    if spec.precision is not None and verb in "vsq":
        text = text[: spec.precision]
    if verb in "vs":
        return spec.pad(quote(text) if verb == "v" and spec.sharp else text)
    if verb == "q":
        if spec.sharp and "`" not in text and text.isprintable():
            return spec.pad(f"`{text}`")
        return spec.pad(_ascii(quote(text)) if spec.plus else quote(text))
    if verb in "xX":
        data = to_bytes(text)
        data = data if spec.precision is None else data[: spec.precision]
        prefix = f"0{verb}" if spec.sharp and data else ""
        digits = " ".join(f"{prefix}{byte:02x}" for byte in data) if spec.space else prefix + data.hex()
        return spec.pad(digits.upper() if verb == "X" else digits)
    return None


def _ascii(quoted: str) -> str:
    return "".join(
        c if c.isascii() else f"\\u{ord(c):04x}" if ord(c) < 0x10000 else f"\\U{ord(c):08x}" for c in quoted
    )


_BASES = {"d": "d", "v": "d", "b": "b", "o": "o", "O": "o", "x": "x", "X": "X"}
_PREFIXES = {"b": "0b", "o": "0", "O": "0o", "x": "0x", "X": "0X"}


def _integer(verb: str, spec: Spec, value: int) -> str | None:
    if verb == "s" and value not in _INT64:  # big.Int prints itself
        verb = "d"
    if verb in ("c", "q", "U"):
        return _character(verb, spec, value)
    base = _BASES.get(verb)
    if base is None:
        return None
    digits = format(abs(value), base)
    if spec.precision is not None:
        if spec.precision == 0 and value == 0:
            return " " * (spec.width or 0)
        digits, spec.zero = digits.rjust(spec.precision, "0"), False
    if verb == "O" or spec.sharp:
        digits = _PREFIXES.get(verb, "") + digits
    return spec.pad_number(_sign(spec, value < 0), digits)


def _sign(spec: Spec, negative: bool) -> str:
    return "-" if negative else "+" if spec.plus else " " if spec.space else ""


def _character(verb: str, spec: Spec, value: int) -> str | None:
    if value not in _INT64:
        return None
    valid = 0 <= value <= 0x10FFFF and not 0xD800 <= value <= 0xDFFF
    if verb == "U":
        return spec.pad(f"U+{value:04X}" + (f" '{chr(value)}'" if spec.sharp and valid else ""))
    char = chr(value) if valid else "\ufffd"
    if verb == "c":
        return spec.pad(char)
    quoted = quote(char)[1:-1]
    return spec.pad("'" + {"'": "\\'", '\\"': '"'}.get(quoted, quoted) + "'")


def _float(verb: str, spec: Spec, value: float) -> str | None:
    precision = spec.precision
    if verb in "fF":
        digits = format(abs(value), f".{6 if precision is None else precision}f")
    elif verb in "eE":
        digits = format(abs(value), f".{6 if precision is None else precision}{verb}")
    elif verb in "gGv":
        digits = shortest(abs(value)) if precision is None else _general(abs(value), precision)
        digits = digits.upper() if verb == "G" else digits
    else:
        return None
    return spec.pad_number(_sign(spec, value < 0), digits)


def _general(value: float, precision: int) -> str:
    # Go's threshold for the exponent is Python's, but for a precision with more digits than the value has.
    return format(value, f".{precision or 1}g")


def shortest(value: float) -> str:
    """Go's `%g` with the fewest digits: an exponent below 1e-4 and from 1e6 on."""
    text = repr(value)
    mantissa, _, exponent = text.partition("e")
    digits = mantissa.replace(".", "").lstrip("0") or "0"
    whole = mantissa.split(".")[0]
    point = int(exponent or 0) + (len(whole) if whole != "0" else -_leading_zeros(mantissa))
    if value == 0:
        return "0"
    digits = digits.rstrip("0")
    power = point - 1
    if power < -4 or power >= 6:
        tail = f".{digits[1:]}" if len(digits) > 1 else ""
        return f"{digits[0]}{tail}e{'-' if power < 0 else '+'}{abs(power):02d}"
    if point <= 0:
        return f"0.{'0' * -point}{digits}"
    if point >= len(digits):
        return digits + "0" * (point - len(digits))
    return f"{digits[:point]}.{digits[point:]}"


def _leading_zeros(mantissa: str) -> int:
    fraction = mantissa.split(".")[1] if "." in mantissa else ""
    return len(fraction) - len(fraction.lstrip("0"))
