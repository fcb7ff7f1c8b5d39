"""A plan as JSON: the `plan.json` that `opa build -t plan` writes, read into `ir.Policy` and written from it.

Source: https://www.openpolicyagent.org/docs/latest/ir/ . The statements' field names are those of the classes
in `ir`, but for a number's string, which OPA spells `Index`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any, TypeAlias, get_args

from palisade.rego import ir

Json: TypeAlias = Any
Codec: TypeAlias = tuple[Callable[[Json], Any], Callable[[Any], Json]]

_PLACE = ("file", "col", "row")
_OURS = ("stored",)
"""What OPA's format has no field for."""


class PlanFormatError(ValueError):
    """The JSON is no plan: the message names the part that is wrong."""


def loads(text: str | bytes) -> ir.Policy:
    """The policy that a plan.json holds. Raises `PlanFormatError` where it is no plan."""
    try:
        document = json.loads(text)
    except ValueError as error:
        raise PlanFormatError(f"a plan is JSON: {error}") from error
    return load(document)


def dumps(policy: ir.Policy, decls: Mapping[str, Json] | None = None, *, indent: int | None = None) -> str:
    """The text of a plan.json; see `dump`."""
    return json.dumps(dump(policy, decls), ensure_ascii=False, indent=indent)


def load(document: Json) -> ir.Policy:
    """The policy that the parsed JSON of a plan.json holds. Raises `PlanFormatError` where it is no plan."""
    top = _object(document, "a plan")
    static = _object(top.get("static") or {}, "static")
    plans = _object(top.get("plans") or {}, "plans")
    funcs = _object(top.get("funcs") or {}, "funcs")
    return ir.Policy(
        strings=_names(static, "strings", "value"),
        files=_names(static, "files", "value"),
        builtins=_names(static, "builtin_funcs", "name"),
        plans=tuple(_load_plan(each) for each in _list(plans.get("plans"), "plans.plans")),
        funcs=tuple(_load_func(each) for each in _list(funcs.get("funcs"), "funcs.funcs")),
    )


def dump(policy: ir.Policy, decls: Mapping[str, Json] | None = None) -> Json:
    """What OPA writes for the policy, as objects that `json` takes.

    `decls` are the types of builtins by name, as OPA's capabilities have them under `decl`. A policy does not
    hold them; without them only the names are written.
    """
    types = decls or {}
    builtins = [
        {"name": name, "decl": types[name]} if name in types else {"name": name} for name in policy.builtins
    ]
    return {
        "static": {
            "strings": [{"value": text} for text in policy.strings],
            "builtin_funcs": builtins,
            "files": [{"value": name} for name in policy.files],
        },
        "plans": {
            "plans": [{"name": plan.name, "blocks": _dump_blocks(plan.blocks)} for plan in policy.plans]
        },
        "funcs": {"funcs": [_dump_func(func) for func in policy.funcs]},
    }


# Plans and functions -----------------------------------------------------------------------------------


def _load_plan(value: Json) -> ir.Plan:
    plan = _object(value, "a plan in plans.plans")
    name = _string(plan.get("name"), "the name of a plan")
    try:
        return ir.Plan(name, _load_blocks(plan.get("blocks")))
    except PlanFormatError as error:
        raise PlanFormatError(f"plan {name}: {error}") from error


def _load_func(value: Json) -> ir.Func:
    func = _object(value, "a function in funcs.funcs")
    name = _string(func.get("name"), "the name of a function")
    try:
        return ir.Func(
            name=name,
            params=_load_ints(func.get("params")),
            result=_load_int(func.get("return")),
            blocks=_load_blocks(func.get("blocks")),
            path=tuple(_string(part, "a part of path") for part in _list(func.get("path"), "path")),
        )
    except PlanFormatError as error:
        raise PlanFormatError(f"function {name}: {error}") from error


def _dump_func(func: ir.Func) -> Json:
    dumped = {
        "name": func.name,
        "params": list(func.params),
        "return": func.result,
        "blocks": _dump_blocks(func.blocks),
    }
    if func.path:
        dumped["path"] = list(func.path)
    return dumped


# Statements --------------------------------------------------------------------------------------------


def _load_block(value: Json) -> ir.Block:
    block = _object(value, "a block")
    return ir.Block(tuple(_load_stmt(each) for each in _list(block.get("stmts"), "stmts")))


def _load_blocks(value: Json) -> tuple[ir.Block, ...]:
    return tuple(_load_block(each) for each in _list(value, "blocks"))


def _dump_block(block: ir.Block) -> Json:
    return {"stmts": [_dump_stmt(stmt) for stmt in block.stmts]}


def _dump_blocks(blocks: tuple[ir.Block, ...]) -> Json:
    return [_dump_block(block) for block in blocks]


def _load_stmt(value: Json) -> ir.AnyStmt:
    wrapped = _object(value, "a statement")
    kind = wrapped.get("type")
    known = _STATEMENTS.get(kind) if isinstance(kind, str) else None
    if known is None:
        raise PlanFormatError(f"unknown statement type {kind!r}")
    cls, codecs = known
    given = _object(wrapped.get("stmt"), f"the stmt of a {kind}")
    loaded: dict[str, Any] = {}
    for name, (spelled, (decode, _)) in codecs.items():
        if spelled not in given:
            raise PlanFormatError(f"{kind} lacks {spelled!r}")
        try:
            loaded[name] = decode(given[spelled])
        except PlanFormatError as error:
            raise PlanFormatError(f"{kind}.{spelled}: {error}") from error
    for name in _PLACE:
        loaded[name] = _load_int(given.get(name, 0))
    return cls(**loaded)


def _dump_stmt(stmt: ir.AnyStmt) -> Json:
    kind = type(stmt).__name__
    _, codecs = _STATEMENTS[kind]
    dumped = {spelled: encode(getattr(stmt, name)) for name, (spelled, (_, encode)) in codecs.items()}
    for name in _PLACE:
        dumped[name] = getattr(stmt, name)
    return {"type": kind, "stmt": dumped}


# Fields ------------------------------------------------------------------------------------------------


def _load_operand(value: Json) -> ir.Operand:
    operand = _object(value, "an operand")
    kind, given = operand.get("type"), operand.get("value")
    if kind == "local":
        return ir.Local(_load_int(given))
    if kind == "string_index":
        return ir.StringIndex(_load_int(given))
    if kind == "bool" and isinstance(given, bool):
        return ir.Bool(given)
    raise PlanFormatError(f"an operand is local, string_index or bool, not {kind!r} of {given!r}")


def _dump_operand(operand: ir.Operand) -> Json:
    if isinstance(operand, ir.Local):
        return {"type": "local", "value": operand.index}
    if isinstance(operand, ir.StringIndex):
        return {"type": "string_index", "value": operand.index}
    return {"type": "bool", "value": operand.value}


def _load_operands(value: Json) -> tuple[ir.Operand, ...]:
    return tuple(_load_operand(each) for each in _list(value, "operands"))


def _dump_operands(operands: tuple[ir.Operand, ...]) -> Json:
    return [_dump_operand(each) for each in operands]


def _load_int(value: Json) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise PlanFormatError(f"{value!r} is no whole number")
    return value


def _load_ints(value: Json) -> tuple[int, ...]:
    return tuple(_load_int(each) for each in _list(value, "numbers"))


def _same(value: Any) -> Json:
    return value


def _object(value: Json, what: str) -> dict[str, Json]:
    if not isinstance(value, dict):
        raise PlanFormatError(f"{what} is an object, not {value!r:.40}")
    return value


def _list(value: Json, what: str) -> list[Json]:
    # OPA writes an empty list as null.
    if value is None:
        return []
    if not isinstance(value, list):
        raise PlanFormatError(f"{what} is a list, not {value!r:.40}")
    return value


def _string(value: Json, what: str = "a name") -> str:
    if not isinstance(value, str):
        raise PlanFormatError(f"{what} is a string, not {value!r:.40}")
    return value


def _names(static: dict[str, Json], field: str, key: str) -> tuple[str, ...]:
    where = f"static.{field}"
    return tuple(
        _string(_object(each, f"each of {where}").get(key), f"{where}[].{key}")
        for each in _list(static.get(field), where)
    )


_CODECS: dict[str, Codec] = {
    "int": (_load_int, _same),
    "str": (_string, _same),
    "Operand": (_load_operand, _dump_operand),
    "Block": (_load_block, _dump_block),
    "tuple[int, ...]": (_load_ints, list),
    "tuple[Operand, ...]": (_load_operands, _dump_operands),
    "tuple[Block, ...]": (_load_blocks, _dump_blocks),
}


def _codecs(cls: type[ir.AnyStmt]) -> dict[str, tuple[str, Codec]]:
    # The annotations are text in `ir`; an unknown one fails here, when the module is imported.
    spelled = {"index": "Index"} if cls is ir.MakeNumberRefStmt else {}
    return {
        field.name: (spelled.get(field.name, field.name), _CODECS[str(field.type)])
        for field in fields(cls)
        if field.name not in (*_PLACE, *_OURS)
    }


_STATEMENTS: dict[str, tuple[type[ir.AnyStmt], dict[str, tuple[str, Codec]]]] = {
    cls.__name__: (cls, _codecs(cls)) for cls in get_args(ir.AnyStmt)
}
