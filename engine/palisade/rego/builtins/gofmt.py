"""Go's `fmt.Sprintf` for what OPA hands to it: integers, floats and strings.

Source: https://pkg.go.dev/fmt . A wrong verb or a missing operand is no error but shows in the text, as
`%!d(string=hi)` or `%!d(MISSING)`.
"""

from __future__ import annotations

import re
from functools import lru_cache

from palisade.rego.builtins.gofmt_verbs import Argument, Spec, format_argument, type_of

# Go takes a width or precision beyond it for a mistake.
_TOO_LARGE = 1_000_000


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
            extra = ", ".join(f"{type_of(arg)}={_default(arg)}" for arg in self._arguments[self._next :])
            out.append(f"%!(EXTRA {extra})")
        return "".join(out)

    def _directive(self) -> str:
        spec, errors = Spec(), ""
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
        return errors + format_argument(verb, spec, argument)

    def _peek(self) -> str:
        return self._template[self._at : self._at + 1]

    def _flags(self, spec: Spec) -> None:
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


def _default(argument: Argument) -> str:
    return format_argument("v", Spec(), argument)
