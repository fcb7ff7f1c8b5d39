"""The plainest reading of a plan: one statement after the other, nothing remembered, nothing skipped.

It is what `palisade.rego.codegen` is tested against. Slow, and short enough to be checked by eye against
https://www.openpolicyagent.org/docs/latest/ir/ .
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from palisade.rego import ir
from palisade.rego.builtins.registry import BUILTINS, Context
from palisade.rego.errors import EVAL_CONFLICT_ERROR, EVAL_TYPE_ERROR, BuiltinError, EvalError
from palisade.rego.runtime import IN_DOUBT
from palisade.rego.stored import at_other_kind
from palisade.rego.values import UNDEFINED, Set, Value, equal, key, number, sorted_keys, sorted_values

_END = -1
"""What a block returns that came to its end; one that was left returns how many around it are left too."""


class _Returned(Exception):  # noqa: N818 - no error: how a function's value leaves its blocks
    def __init__(self, value: Value) -> None:
        self.value = value


class Interpreter:
    """Runs the plans of a policy over some data."""

    def __init__(self, policy: ir.Policy, data: Value) -> None:
        self._policy = policy
        self._data = data
        self._funcs = {func.name: func for func in policy.funcs}
        self._paths = {func.path: func for func in policy.funcs if len(func.params) == 2}
        self._results: list[Value] = []

    def run(self, plan: str, input: Value = UNDEFINED) -> list[Value]:
        """The result set of a plan, in the order found. Raises EvalError."""
        self._results = []
        found = next(each for each in self._policy.plans if each.name == plan)
        self._blocks(found.blocks, {ir.INPUT: input, ir.DATA: self._data})
        return self._results

    def _call(self, func: ir.Func, args: Sequence[Value]) -> Value:
        try:
            self._blocks(func.blocks, dict(zip(func.params, args, strict=True)))
        except _Returned as returned:
            return returned.value
        return UNDEFINED

    def _blocks(self, blocks: Sequence[ir.Block], env: dict[int, Value]) -> int:
        for block in blocks:
            left = self._block(block, env)
            if left > 0:
                return left - 1
        return _END

    def _block(self, block: ir.Block, env: dict[int, Value]) -> int:
        for stmt in block.stmts:
            left = self._stmt(stmt, env)
            if left != _END:
                return left
        return _END

    def _operand(self, operand: ir.Operand, env: dict[int, Value]) -> Value:
        match operand:
            case ir.Local(index):
                return env.get(index, UNDEFINED)
            case ir.Bool(value):
                return value
            case ir.StringIndex(index):
                return self._policy.strings[index]

    def _stmt(self, stmt: ir.AnyStmt, env: dict[int, Value]) -> int:
        """Returns what a block does: `_END` goes on, 0 leaves the block that the statement stands in."""

        def of(operand: ir.Operand) -> Value:
            return self._operand(operand, env)

        match stmt:
            case ir.BlockStmt(blocks):
                return self._blocks(blocks, env)
            case ir.BreakStmt(index):
                return index
            case ir.NotStmt(block):
                left = self._block(block, env)
                return left - 1 if left > 0 else (0 if left == _END else _END)
            case ir.ScanStmt():
                return self._scan(stmt, env)
            case ir.WithStmt():
                return self._with(stmt, env)
            case ir.CallStmt(func, args, result):
                return _set(env, result, self._value_of(func, [of(arg) for arg in args]))
            case ir.CallDynamicStmt(args, path, result):
                found = self._paths.get(tuple(of(part) for part in path))
                if found is None:
                    return 0
                value = self._call(found, [env.get(arg, UNDEFINED) for arg in args])
                return 2 if value is UNDEFINED else _set(env, result, value)
            case ir.DotStmt(source, name, target, stored):
                return _set(env, target, _dot(of(source), of(name), stored=stored))
            case ir.EqualStmt(a, b):
                return _END if equal(of(a), of(b)) else 0
            case ir.NotEqualStmt(a, b):
                return 0 if equal(of(a), of(b)) else _END
            case ir.IsArrayStmt(source):
                return _END if type(of(source)) is list else 0
            case ir.IsObjectStmt(source):
                return _END if type(of(source)) is dict else 0
            case ir.IsSetStmt(source):
                return _END if type(of(source)) is Set else 0
            case ir.IsDefinedStmt(source):
                return 0 if env.get(source, UNDEFINED) is UNDEFINED else _END
            case ir.IsUndefinedStmt(source):
                return _END if env.get(source, UNDEFINED) is UNDEFINED else 0
            case ir.ReturnLocalStmt(source):
                raise _Returned(env.get(source, UNDEFINED))
            case ir.ResultSetAddStmt(value):
                self._results.append(env[value])
            case _:
                self._assign(stmt, env)
        return _END

    def _assign(self, stmt: ir.AnyStmt, env: dict[int, Value]) -> None:
        """The statements that only make, set and fill."""

        def of(operand: ir.Operand) -> Value:
            return self._operand(operand, env)

        match stmt:
            case ir.AssignVarStmt(source, target):
                env[target] = of(source)
            case ir.AssignVarOnceStmt(source, target):
                if not equal(env.get(target, of(source)), of(source)) and env[target] is not UNDEFINED:
                    raise EvalError(EVAL_CONFLICT_ERROR, "two values")
                env[target] = of(source)
            case ir.AssignIntStmt(value, target) | ir.MakeNumberIntStmt(value, target):
                env[target] = value
            case ir.MakeNumberRefStmt(index, target):
                env[target] = number(self._policy.strings[index])
            case ir.MakeNullStmt(target):
                env[target] = None
            case ir.MakeArrayStmt(_, target):
                env[target] = []
            case ir.MakeObjectStmt(target):
                env[target] = {}
            case ir.MakeSetStmt(target):
                env[target] = Set()
            case ir.ResetLocalStmt(target):
                env[target] = UNDEFINED
            case ir.LenStmt(source, target):
                env[target] = len(of(source))
            case ir.ArrayAppendStmt(value, array):
                env[array].append(of(value))
            case ir.SetAddStmt(value, target):
                env[target].forms.add(key(of(value)))
            case ir.ObjectInsertStmt(name, value, target):
                env[target][key(of(name))] = of(value)
            case ir.ObjectInsertOnceStmt(name, value, target):
                if not equal(env[target].setdefault(key(of(name)), of(value)), of(value)):
                    raise EvalError(EVAL_CONFLICT_ERROR, "two values at a key")
            case ir.ObjectMergeStmt(a, b, target):
                env[target] = _merge(env[a], env[b])
            case ir.NopStmt():
                pass
            case _:
                raise TypeError(f"no statement: {stmt}")

    def _scan(self, stmt: ir.ScanStmt, env: dict[int, Value]) -> int:
        for name, value in _entries(env.get(stmt.source, UNDEFINED)):
            env[stmt.key], env[stmt.value] = name, value
            left = self._block(stmt.block, env)
            if left > 0:
                return left - 1
        return _END

    def _with(self, stmt: ir.WithStmt, env: dict[int, Value]) -> int:
        saved = env.get(stmt.local, UNDEFINED)
        path = [self._policy.strings[index] for index in stmt.path]
        env[stmt.local] = _put(saved, path, self._operand(stmt.value, env))
        left = self._block(stmt.block, env)
        env[stmt.local] = saved
        return left - 1 if left > 0 else left

    def _value_of(self, name: str, args: list[Value]) -> Value:
        func = self._funcs.get(name)
        if func is not None:
            return self._call(func, args)
        builtin = BUILTINS[name]
        try:
            return builtin.function(*args) if builtin.pure else builtin.function(Context(0), *args)
        except BuiltinError:
            return UNDEFINED


def _set(env: dict[int, Value], target: int, value: Value) -> int:
    env[target] = value
    return 0 if value is UNDEFINED else _END


def _entries(source: Value) -> list[tuple[Value, Value]]:
    if type(source) is list:
        return list(enumerate(source))
    if type(source) is dict:
        return [(name, source[key(name)]) for name in sorted_keys(source)]
    return [(each, each) for each in sorted_values(source)] if type(source) is Set else []


def _dot(source: Value, name: Value, *, stored: ir.Stored) -> Value:
    found = next((value for each, value in _entries(source) if equal(each, name)), UNDEFINED)
    other = at_other_kind(source, name) if stored and found is UNDEFINED else found
    if stored is ir.Stored.IN_DOUBT and found is not other:
        raise EvalError(EVAL_TYPE_ERROR, IN_DOUBT)
    return other


def _merge(a: Value, b: Value) -> Value:
    if type(a) is dict and type(b) is dict:
        return {**b, **{name: _merge(value, b[name]) if name in b else value for name, value in a.items()}}
    return a


def _put(value: Any, path: Sequence[str], new: Value) -> Value:
    if not path:
        return new
    here = dict(value) if type(value) is dict else {}
    here[path[0]] = _put(here.get(path[0]), path[1:], new)
    return here
