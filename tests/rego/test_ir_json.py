"""Plans travel as OPA's plan.json without loss, and what is no plan is refused with a reason."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from palisade.rego import ir, ir_json


def _cases() -> list[dict[str, Any]]:
    named = os.environ.get("PALISADE_CONFORMANCE")
    root = Path(named) if named else Path(__file__).parents[3] / "shared" / "conformance"
    if not root.is_dir():
        if os.environ.get("CI") == "true":
            raise RuntimeError(f"the conformance cases are missing: no folder {root}")
        pytest.skip(f"no conformance cases at {root}")
    return [
        case
        for path in sorted((root / "cases").glob("*.json"))
        for case in json.loads(path.read_text())["cases"]
    ]


def _normal(plan: Any) -> Any:
    """The plan with what JSON leaves free made one: null and empty lists, types of builtins."""
    if isinstance(plan, dict):
        return {k: _normal([] if v is None else v) for k, v in plan.items() if k != "decl"}
    if isinstance(plan, list):
        return [_normal(each) for each in plan]
    return plan


@pytest.mark.conformance
def test_every_plan_of_opa_comes_back_as_it_was() -> None:
    for case in _cases():
        plan = case["plan"]
        plan["static"].setdefault("builtin_funcs", [])
        assert _normal(ir_json.dump(ir_json.load(plan))) == _normal(plan), case["note"]


def _policy(*stmts: ir.AnyStmt) -> ir.Policy:
    return ir.Policy(("a",), ("f.rego",), ("plus",), (ir.Plan("p", (ir.Block(stmts),)),), ())


def test_text_keeps_places_and_operands() -> None:
    stmt = ir.WithStmt(
        local=0,
        path=(0,),
        value=ir.Bool(True),
        block=ir.Block((ir.EqualStmt(ir.Local(2), ir.StringIndex(0), row=3),)),
        file=0,
        row=7,
        col=9,
    )
    (back,) = ir_json.loads(ir_json.dumps(_policy(stmt))).plans[0].blocks[0].stmts
    assert back == stmt
    assert (back.row, back.col) == (7, 9)


def test_types_of_builtins_are_written_when_given() -> None:
    decl = {"type": "function"}
    assert ir_json.dump(_policy(), {"plus": decl})["static"]["builtin_funcs"] == [
        {"name": "plus", "decl": decl}
    ]


def _with_stmt(stmt: Any) -> dict[str, Any]:
    return {"plans": {"plans": [{"name": "p", "blocks": [{"stmts": [stmt]}]}]}}


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ([], "a plan is an object"),
        (_with_stmt({"type": "JumpStmt", "stmt": {}}), "plan p: unknown statement type 'JumpStmt'"),
        (_with_stmt({"type": "NopStmt", "stmt": None}), "the stmt of a NopStmt is an object"),
        (_with_stmt({"type": "LenStmt", "stmt": {"target": 2}}), "LenStmt lacks 'source'"),
        (
            _with_stmt({"type": "BreakStmt", "stmt": {"index": True}}),
            "BreakStmt.index: True is no whole number",
        ),
        (
            _with_stmt({"type": "IsSetStmt", "stmt": {"source": {"type": "float", "value": 1}}}),
            "IsSetStmt.source: an operand is local, string_index or bool",
        ),
        ({"static": {"strings": [{"value": 1}]}}, "static.strings"),
        ({"funcs": {"funcs": [{"name": "f", "return": 2, "path": "x"}]}}, "function f: path is a list"),
    ],
)
def test_what_is_no_plan_is_refused_with_the_part_that_is_wrong(document: Any, reason: str) -> None:
    with pytest.raises(ir_json.PlanFormatError, match=reason.replace("[", r"\[")):
        ir_json.load(document)


def test_what_is_no_json_is_refused() -> None:
    with pytest.raises(ir_json.PlanFormatError, match="a plan is JSON"):
        ir_json.loads("{")
