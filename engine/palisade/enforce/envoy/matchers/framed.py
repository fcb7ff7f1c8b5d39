"""Texts that are put together and compared with the target: `path == sprintf("/users/%s/b", [sub])`.

Envoy's expressions put a text between others by a pattern, which is compiled on every request. What stands
between the two constants is taken out of the target instead, up to the first character of the second one: for
all such rules below one path by one pattern, which is compiled once (`captures`).
"""

from __future__ import annotations

from cel.expr.syntax_pb2 import Expr

from palisade.enforce.envoy.matchers import cel
from palisade.enforce.envoy.matchers.forms import pieces_of
from palisade.enforce.envoy.regex import patterns
from palisade.rego.records import record

TARGET = ":path"


@record()
class Framed:
    """What is asked of the target: that it is a value of the request between two constants, or with `more`
    that it begins so. It is the `bare` one that is without its query."""

    value: Expr
    before: str
    behind: str
    bare: bool
    more: bool

    @property
    def capture(self) -> str:
        """A pattern whose group takes the value of every target that is `plain`."""
        return f"(?s)^{patterns.quote(self.before)}({self._inside})"

    @property
    def plain(self) -> str:
        """A pattern of the targets in which the second constant begins at the first of its first characters.

        Others may be of the form as well: where the value holds that character itself.
        """
        rest = ".*" if self.more else r"(?:\?.*)?" if self.bare else ""
        return f"(?s){patterns.quote(self.before)}{self._inside}{patterns.quote(self.behind)}{rest}"

    def told(self, taken: Expr, asked: Expr) -> Expr:
        """What is asked of plain targets, by what the group takes; `asked` is the expression itself."""
        same = cel.equal(taken, self.value)
        if not self.more:
            return same
        # It may begin so all the same, where the value goes on behind that character.
        goes_on = cel.conjunction(cel.holds(self.value, self.behind[0]), asked)
        return cel.call("_||_", same, goes_on)

    @property
    def _inside(self) -> str:
        ends = self.behind[:1] + ("?" if self.bare else "")
        return f"[^{patterns.in_class(ends)}]*" if ends else ".*"


def framed(expr: Expr) -> Framed | None:
    """What the expression asks of the target; None where it asks for something else."""
    call = expr.call_expr
    if call.function == "_==_":
        left, right = call.args
        return _framed(left, right) or _framed(right, left)
    if call.function == "startsWith":
        return _framed(call.target, call.args[0], more=True)
    return None


def _framed(target: Expr, text: Expr, *, more: bool = False) -> Framed | None:
    bare = _is_bare(target)
    if bare is None:
        return None
    pieces = pieces_of(text)
    values = [each for each in pieces if isinstance(each, Expr)]
    if len(values) != 1 or len(pieces) < 2:
        return None
    at = pieces.index(values[0])
    before, behind = ("".join(map(str, part)) for part in (pieces[:at], pieces[at + 1 :]))
    constants = before + behind
    if not constants.isascii() or (bare and "?" in constants) or (more and not behind):
        return None
    return Framed(values[0], before, behind, bare, more)


def _is_bare(target: Expr) -> bool | None:
    """Whether an expression is the target up to its first question mark, or all of it; None for others."""
    if target.call_expr.function == "_[_]":
        headers, name = target.call_expr.args
        known = headers.select_expr.field == "headers" and name.const_expr.string_value == TARGET
        return False if known and _is_of_request(headers) else None
    return True if target.select_expr.field == "url_path" and _is_of_request(target) else None


def _is_of_request(expr: Expr) -> bool:
    return str(expr.select_expr.operand.ident_expr.name) == "request"
