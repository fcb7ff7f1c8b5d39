"""Calls of builtins on symbols: what is known beforehand is answered, the rest becomes a term, or opaque."""

from __future__ import annotations

from collections.abc import Mapping

from palisade.rego import ir
from palisade.rego.builtins import BUILTINS
from palisade.rego.builtins.http_ahead import lasts
from palisade.rego.errors import BuiltinError, Location
from palisade.rego.partial.execution.collecting import Collecting
from palisade.rego.partial.formulas.formula import TRUE, Defined
from palisade.rego.partial.formulas.terms import Apply, Known, Overlay, Symbol, Unknown
from palisade.rego.partial.symbols import builtins as symbolic
from palisade.rego.partial.symbols.kinds import refuses
from palisade.rego.partial.symbols.worlds import Unsupported
from palisade.rego.values import UNDEFINED, Key, Value


class BuiltinCalls(Collecting):
    """What builtins come to: conditions, each with the value under it."""

    _answers: Mapping[object, Key]
    """What builtins answer that is known beforehand: by their names where they have no operands, and by the
    request of `http.send`."""
    asks: set[Key]
    """The requests of `http.send` that an answer could be known of beforehand."""

    def __init__(
        self,
        policy: ir.Policy,
        given: Mapping[tuple[str, ...], Value],
        before: BuiltinCalls | None = None,
    ) -> None:
        super().__init__(policy, given, before)
        # What a run has found out before is not found out again; what no rule asks for any more is forgotten.
        asking = before is not None and "http.send" in policy.builtins
        self.asks = set(before.asks) if before is not None and asking else set()

    def _where(self, stmt: ir.AnyStmt) -> Location:
        files = self._policy.files
        name = files[stmt.file] if stmt.file < len(files) else ""
        return Location(name, stmt.row, stmt.col)

    def _builtin(self, name: str, args: tuple[Symbol, ...], stmt: ir.AnyStmt) -> symbolic.Cases:
        if all(isinstance(arg, Known) for arg in args):
            return self._known_builtin(name, [arg.value for arg in args if isinstance(arg, Known)], stmt)
        for arg in args:
            if isinstance(arg, Unknown):
                condition = self.opaque(arg.reason, arg.location)
                return [(condition, self.unknown(arg.reason, arg.location))]
        if any(isinstance(arg, Overlay) for arg in args):
            raise Unsupported(f"calls {name} on an input that `with` changed")
        if refuses(name, args):
            return []
        special = symbolic.SPECIAL.get(name)
        if special is not None:
            cases = special(self, args)
            if cases is not None:
                return cases
        if name in symbolic.PREDICATES:
            return symbolic.predicate(self, name, args)
        term = Apply(name, args)
        return [(self.builder.atom(Defined(term)), term)]

    def _known_builtin(self, name: str, values: list[Value], stmt: ir.AnyStmt) -> symbolic.Cases:
        entry = BUILTINS.get(name)
        if name == "time.now_ns":
            # One moment for the whole decision: a term like others.
            return [(TRUE, Apply(name, ()))]
        if name in self._answers and not values:
            return [(TRUE, self._made(Known(self._answers[name].value)))]
        if name == "http.send" and lasts(values[0]):
            request = Key(values[0])
            self.asks.add(request)
            if request in self._answers:
                return [(TRUE, self._made(Known(self._answers[request].value)))]
        if name == "io.jwt.decode_verify" and not _may_be_token(values[0]):
            return []  # undefined at any time
        if entry is None or not entry.pure:
            # What the time, chance or the network answers is only known when a request is there.
            where = self._where(stmt)
            reason = f"calls {name}, whose answer is not known before the request"
            return [(self.opaque(reason, where), self.unknown(reason, where))]
        try:
            result = entry.function(*values)
        except BuiltinError as error:
            if error.fatal:
                raise Unsupported(f"calls {name}, which ends in an error: {error.message}") from error
            return []
        return [] if result is UNDEFINED else [(TRUE, self._made(Known(result)))]


def _may_be_token(value: Value) -> bool:
    return isinstance(value, str) and value.count(".") == 2
