"""Go's `fmt.Sprintf` for what OPA hands to it: integers, floats and strings.

Source: https://pkg.go.dev/fmt . A wrong verb or a missing operand is no error but shows in the text, as
`%!d(string=hi)` or `%!d(MISSING)`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

from palisade.rego.builtins.operands import to_bytes
from palisade.rego.builtins.terms import quote

Argument: TypeAlias = int | float | str

_INT64 = range(-(1 << 63), 1 << 63)
# Go takes a width or precision beyond it for a mistake.
_TOO_LARGE = 1_000_000


@dataclass(slots=True)
class _Spec:
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


def sprintf(template: str, arguments: list[Argument]) -> str:
    """The template with the arguments in it."""
    pieces = _plain_pieces(template)
    if pieces is not None and len(pieces) == len(arguments) * 2 + 1:
        out = list(pieces)
        for at, argument in enumerate(arguments, 1):
            if (
                type(argument) is not _TYPES.get(pieces[at * 2 - 1], type(argument))
                or type(argument) is float
            ):
                break
            out[at * 2 - 1] = str(argument)
        else:
            return "".join(out)
    return _Printer(template, arguments).run()


_TYPES: dict[str, type] = {"s": str, "d": int}


@lru_cache(maxsize=512)
def _plain_pieces(template: str) -> tuple[str, ...] | None:
    """Text and verb in turn where all verbs are a bare `%s`, `%d` or `%v`: most templates need no more."""
    pieces = re.split("%([sdv])", template)
    return None if any("%" in text for text in pieces[::2]) else tuple(pieces)


class _Printer:
    def __init__(self, template: str, arguments: list[Argument]) -> None:
        self._template = template
        self._arguments = arguments
        self._at = 0
        self._next = 0
        self._reordered = False
        self._good_index = True

    def run(self) -> str:
        out: list[str] = []
        template, end = self._template, len(self._template)
        while self._at < end:
            percent = template.find("%", self._at)
            if percent < 0:
                out.append(template[self._at :])
                break
            out.append(template[self._at : percent])
            self._at = percent + 1
            out.append(self._directive())
        if not self._reordered and self._next < len(self._arguments):
            extra = ", ".join(f"{_type(arg)}={_default(arg)}" for arg in self._arguments[self._next :])
            out.append(f"%!(EXTRA {extra})")
        return "".join(out)

    def _directive(self) -> str:
        spec, errors = _Spec(), ""
        self._good_index = True
        self._flags(spec)
        indexed = self._index()
        if self._peek() == "*":
            self._at += 1
            spec.width = self._star()
            if spec.width is None:
                errors += "%!(BADWIDTH)"
            elif spec.width < 0:
                spec.width, spec.minus, spec.zero = -spec.width, True, False
            indexed = False
        else:
            spec.width = self._integer()
            if indexed and spec.width is not None:  # "%[3]2d"
                self._good_index = False
        if self._peek() == ".":
            self._at += 1
            if indexed:  # "%[3].2d"
                self._good_index = False
            indexed = self._index()
            if self._peek() == "*":
                self._at += 1
                spec.precision = self._star()
                if spec.precision is not None and spec.precision < 0:
                    spec.precision = None
                elif spec.precision is None:
                    errors += "%!(BADPREC)"
                indexed = False
            else:
                spec.precision = self._integer() or 0
        if not indexed:
            self._index()
        verb = self._peek()
        if not verb:
            return errors + "%!(NOVERB)"
        self._at += 1
        if verb == "%":
            return errors + "%"
        if not self._good_index:
            return errors + f"%!{verb}(BADINDEX)"
        if self._next >= len(self._arguments):
            return errors + f"%!{verb}(MISSING)"
        argument = self._arguments[self._next]
        self._next += 1
        return errors + _format(verb, spec, argument)

    def _peek(self) -> str:
        return self._template[self._at : self._at + 1]

    def _flags(self, spec: _Spec) -> None:
        while True:
            match self._peek():
                case "+":
                    spec.plus = True
                case "-":
                    spec.minus, spec.zero = True, False
                case "#":
                    spec.sharp = True
                case " ":
                    spec.space = True
                case "0":
                    spec.zero = not spec.minus
                case _:
                    return
            self._at += 1

    def _integer(self) -> int | None:
        start = self._at
        while self._peek() in "0123456789" and self._peek():
            self._at += 1
        digits = self._template[start : self._at]
        return min(int(digits), _TOO_LARGE) if digits else None

    def _star(self) -> int | None:
        if self._next >= len(self._arguments):
            return None
        argument = self._arguments[self._next]
        self._next += 1
        return argument if type(argument) is int and abs(argument) <= _TOO_LARGE else None

    def _index(self) -> bool:
        """Takes `[n]`, which chooses the next argument; whether there was one."""
        if self._peek() != "[":
            return False
        self._reordered = True
        close = self._template.find("]", self._at)
        text = self._template[self._at + 1 : close] if close > 0 else ""
        if close < 0:
            self._good_index = False
            self._at += 1
            return False
        self._at = close + 1
        if text.isascii() and text.isdigit() and 1 <= int(text) <= len(self._arguments):
            self._next = int(text) - 1
            return True
        self._good_index = False
        return True


def _type(argument: Argument) -> str:
    if type(argument) is int:
        return "int64" if argument in _INT64 else "*big.Int"
    return "float64" if type(argument) is float else "string"


def _default(argument: Argument) -> str:
    return _format("v", _Spec(), argument)


def _format(verb: str, spec: _Spec, argument: Argument) -> str:
    if verb == "T":
        return spec.pad(_type(argument))
    text: str | None
    if type(argument) is str:
        text = _string(verb, spec, argument)
    elif type(argument) is float:
        text = _float(verb, spec, argument)
    else:
        text = _integer(verb, spec, int(argument))
    if text is None:
        # What is wrong is written as it is by default, with the width and the flags that were asked for.
        text = f"%!{verb}({_type(argument).lstrip('*')}={_format('v', spec, argument)})"
    return text


def _string(verb: str, spec: _Spec, text: str) -> str | None:
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


def _integer(verb: str, spec: _Spec, value: int) -> str | None:
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


def _sign(spec: _Spec, negative: bool) -> str:
    return "-" if negative else "+" if spec.plus else " " if spec.space else ""


def _character(verb: str, spec: _Spec, value: int) -> str | None:
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


def _float(verb: str, spec: _Spec, value: float) -> str | None:
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
