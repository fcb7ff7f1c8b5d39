"""How Go's `fmt` writes one argument: by its verb, flags, width and precision."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from typing import TypeAlias

from palisade.rego.builtins.operands import to_bytes
from palisade.rego.builtins.terms import quote

Argument: TypeAlias = int | float | str

_INT64 = range(-(1 << 63), 1 << 63)
_WORD = (1 << 64) - 1


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
    as_source: bool = False

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
    """The argument as the verb and the flags say. Changes the flags."""
    if verb == "T":
        return spec.pad(_cut(spec, type_of(argument)))
    plus, spec.as_source = spec.plus, False
    if verb in "vw":  # where these flags mean something else, and to an integer of any size do not
        spec.as_source, spec.plus, spec.sharp = spec.sharp, False, False
    text: str | None
    if type(argument) is str:
        text = _string(verb, spec, argument)
    elif type(argument) is float:
        text = _float(verb, spec, argument)
    elif argument in _INT64:
        text = _integer(verb, spec, int(argument))
    elif verb == "w":
        text = f"%!w(*big.Int={_fields(spec, int(argument), named=plus)})"
    else:
        spec.plus = plus
        text = _large(verb, spec, int(argument))
    if text is None:
        # What is wrong is written as it is by default, with the width and the flags that were asked for.
        text = f"%!{verb}({type_of(argument)}={_by_default(spec, argument)})"
    return text


def _by_default(spec: Spec, argument: Argument) -> str:
    if type(argument) is str:
        return _string("v", spec, argument) or ""
    return (
        _float("g", spec, argument) if type(argument) is float else _integer("d", spec, int(argument))
    ) or ""


def _cut(spec: Spec, text: str) -> str:
    return text if spec.precision is None else text[: spec.precision]


def _string(verb: str, spec: Spec, text: str) -> str | None:
    if verb in "vs":
        cut = _cut(spec, text)
        return spec.pad(quote(cut) if verb == "v" and spec.as_source else cut)
    if verb == "q":
        cut = _cut(spec, text)
        if spec.sharp and not _UNQUOTED.search(cut):
            return spec.pad(f"`{cut}`")
        return spec.pad(_ascii(quote(cut)) if spec.plus else quote(cut))
    if verb in "xX":
        data = to_bytes(text)
        data = data if spec.precision is None else data[: spec.precision]
        prefix = "0x" if spec.sharp and data else ""
        digits = " ".join(f"{prefix}{byte:02x}" for byte in data) if spec.space else prefix + data.hex()
        return spec.pad(digits.upper() if verb == "X" else digits)
    return None


_UNQUOTED = re.compile("[\x00-\x08\x0a-\x1f`\x7f\ufeff\ufffd]")
"""What cannot stand between backquotes in Go."""


def _ascii(quoted: str) -> str:
    return "".join(
        c if c.isascii() else f"\\u{ord(c):04x}" if ord(c) < 0x10000 else f"\\U{ord(c):08x}" for c in quoted
    )


_BASES = {"d": "d", "v": "d", "b": "b", "o": "o", "O": "o", "x": "x", "X": "X"}
_PREFIXES = {"b": "0b", "x": "0x", "X": "0X"}


def _integer(verb: str, spec: Spec, value: int) -> str | None:
    if verb in ("c", "q", "U"):
        return _character(verb, spec, value)
    base = _BASES.get(verb)
    if base is None:
        return None
    sign = _sign(spec, value < 0)
    digits = format(abs(value), base)
    if spec.precision is not None:
        if spec.precision == 0 and value == 0:
            return " " * (spec.width or 0)
        digits = digits.rjust(spec.precision, "0")
    elif spec.zero and spec.width is not None:  # the prefix is beyond the width
        digits = digits.rjust(spec.width - len(sign), "0")
    if spec.sharp and base == "o" and digits[0] != "0":
        digits = "0" + digits
    digits = ("0o" if verb == "O" else _PREFIXES.get(verb, "") if spec.sharp else "") + digits
    spec.zero = False
    return spec.pad(sign + digits)


def _large(verb: str, spec: Spec, value: int) -> str:
    """An integer of more than 64 bits, which writes itself, in its own way."""
    base = "d" if verb == "s" else _BASES.get(verb)
    if base is None:
        return f"%!{verb}(big.Int={value})"
    digits = format(abs(value), base)
    prefix = "0o" if verb == "O" else {**_PREFIXES, "o": "0"}.get(verb, "") if spec.sharp else ""
    sign = _sign(spec, value < 0)
    if spec.precision is not None:
        digits = digits.rjust(spec.precision, "0")
    elif spec.zero and spec.width is not None:
        digits = digits.rjust(spec.width - len(sign) - len(prefix), "0")
    spec.zero = False
    return spec.pad(sign + prefix + digits)


def _fields(spec: Spec, value: int, *, named: bool) -> str:
    """An integer of more than 64 bits as Go keeps it: whether it is negative, and words of 64 bits."""
    words, rest = [], abs(value)
    while rest:
        words.append(rest & _WORD)
        rest >>= 64
    negative = spec.pad("true" if value < 0 else "false")
    if spec.as_source:
        parts = ", ".join(_integer("x", replace(spec, sharp=True), each) or "" for each in words)
        return f"&big.Int{{neg:{negative}, abs:big.nat{{{parts}}}}}"
    parts = " ".join(_integer("d", replace(spec), each) or "" for each in words)
    return f"&{{neg:{negative} abs:[{parts}]}}" if named else f"&{{{negative} [{parts}]}}"


def _sign(spec: Spec, negative: bool) -> str:
    return "-" if negative else "+" if spec.plus else " " if spec.space else ""


def _character(verb: str, spec: Spec, value: int) -> str:
    valid = 0 <= value <= 0x10FFFF and not 0xD800 <= value <= 0xDFFF
    char = chr(value) if valid else "\ufffd"
    if verb == "U":
        shown = f" '{char}'" if spec.sharp and valid and char.isprintable() else ""
        spec.zero = False
        digits = format(value & _WORD, "X").rjust(max(4, spec.precision or 0), "0")
        return spec.pad(f"U+{digits}{shown}")
    if verb == "c":
        return spec.pad(char)
    quoted = quote(char)[1:-1]
    quoted = {"'": "\\'", '\\"': '"'}.get(quoted, quoted)
    return spec.pad(f"'{_ascii(quoted) if spec.plus else quoted}'")


def _float(verb: str, spec: Spec, value: float) -> str | None:
    precision, size = spec.precision, abs(value)
    if verb in "fFeE":
        digits = format(size, f".{6 if precision is None else precision}{verb}")
    elif verb in "gGv":
        digits = shortest(size) if precision is None else _general(size, precision)
        digits = digits.upper() if verb == "G" else digits
    elif verb in "xX":
        digits = _hexadecimal(size, precision)
        digits = digits.upper() if verb == "X" else digits
    elif verb == "b":
        mantissa, exponent = math.frexp(size)
        digits = f"{int(mantissa * 2**53)}p{exponent - 53 if size else -1074:+d}"
    else:
        return None
    if spec.sharp and verb != "b":
        digits = _with_point(verb, digits, precision)
    return spec.pad_number(_sign(spec, value < 0), digits)


def _with_point(verb: str, text: str, precision: int | None) -> str:
    """A point in any case, and behind it all digits of the precision, which `%g` leaves out else."""
    at = re.search("[pP]" if verb in "xX" else "[eE]", text)
    digits, tail = (text[: at.start()], text[at.start() :]) if at else (text, "")
    wanted = 6 if precision is None else precision
    missing = 0
    if verb in "gGvx":
        missing = wanted - len(digits.replace(".", "").lstrip("0"))
        if digits == "0":
            missing -= 1
    point = "" if "." in digits else "."
    return digits + point + "0" * max(missing, 0) + tail


def _hexadecimal(size: float, precision: int | None) -> str:
    """`0x1.8p+01`: one binary digit, hexadecimal ones behind the point, and the exponent of two."""
    mantissa, exponent = math.frexp(size)
    bits = int(mantissa * 2**53) << 8  # the first of 61
    exponent = exponent - 1 if size else 0
    if precision is not None and precision < 15:
        drop = 60 - 4 * precision
        whole, rest = bits >> drop, bits & ((1 << drop) - 1)
        half = 1 << (drop - 1)
        if rest > half or (rest == half and whole & 1):
            whole += 1
        bits = whole << drop
        if bits >> 61:
            bits, exponent = bits >> 1, exponent + 1
    fraction = format(bits & ((1 << 60) - 1), "015x")
    fraction = fraction.rstrip("0") if precision is None else fraction[:precision].ljust(precision, "0")
    return (
        f"0x{bits >> 60}{'.' if fraction else ''}{fraction}p{'-' if exponent < 0 else '+'}{abs(exponent):02d}"
    )


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
