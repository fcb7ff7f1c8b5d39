"""Arithmetic: exact for integers, OPA's 64 bits and shortest digits for the rest."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from palisade import rego
from palisade.rego.builtins import BUILTINS, Context, bigfloat
from palisade.rego.errors import BuiltinError, EvalError
from palisade.rego.text import dumps
from palisade.rego.values import UNDEFINED, number

DECIMALS = st.decimals(min_value=-(10**9), max_value=10**9, places=6).filter(lambda value: value != 0)


def _nearest(ratio: Fraction) -> Fraction:
    """The nearest ratio whose numerator has 64 bits, ties to even: by search, not as the code does it."""
    if ratio == 0:
        return ratio
    size, exponent = abs(ratio), 0
    while size >= 2**64:
        size, exponent = size / 2, exponent + 1
    while size < 2**63:
        size, exponent = size * 2, exponent - 1
    mantissa = Fraction(round(size))  # Python rounds halves to even too
    return (mantissa if ratio > 0 else -mantissa) * Fraction(2) ** exponent


@pytest.mark.parametrize(
    ("operator", "a", "b", "digits"),
    [
        ("plus", "0.1", "0.2", "0.3"),
        ("div", "1", "3", "0.33333333333333333334"),
        ("div", "10", "3", "3.3333333333333333333"),
        ("minus", "3.3", "1.1", "2.1999999999999999998"),
        ("mul", "1.1", "1.1", "1.21"),
        ("div", "7.5", "-2.5", "-3"),
        ("div", "0", "7", "0"),
        ("plus", "1e5000", "1", "1.0000000000000000000e5000"),
        ("div", "18446744073709551616", "6", "3074457345618258602.8"),
        ("div", "36893488147419103235", "1", "36893488147419103236"),
    ],
)
def test_prints_what_opa_prints(call: Any, operator: str, a: str, b: str, digits: str) -> None:
    assert dumps(call(operator, number(a), number(b))) == digits


@pytest.mark.parametrize(
    ("name", "x", "digits"),
    [
        ("product", ["4.7", "100", "2.3"], "1081"),
        ("product", ["1.166", "3.91", "-19"], "-86.62213999999999"),
        ("product", ["1779.9102624954333994659008"], "1779.9102624954335"),
        ("sum", ["18446744073709551616.5"], "18446744073709551616"),
        ("abs", "-1180591620717411303425", "1180591620717411303400"),
        ("round", "18446744073709551615", "18446744073709551616"),
        ("ceil", "1.00000000000000000000001", "1"),
        ("floor", "15427274525509159964474360", "15427274525509159964639232"),
        ("format_int", "-18908388484285995000000.5", "-18908388484285994999808"),
    ],
)
def test_results_have_no_more_bits_than_those_of_opa(call: Any, name: str, x: Any, digits: str) -> None:
    """64, and products of collections 53: prices times amounts are compared with limits."""
    given = [number(each) for each in x] if isinstance(x, list) else number(x)
    assert str(call(name, given, *([10] if name == "format_int" else []))) == digits


def test_integers_are_exact(call: Any) -> None:
    assert call("plus", 10**30, 1) == 10**30 + 1
    assert call("mul", 2**70 + 1, 3) == (2**70 + 1) * 3
    assert call("div", 10**40, 10**20) == 10**20
    assert call("sum", [2**80, 1, -(2**80)]) == 1
    assert call("product", [2**40, 2**40, 3]) == 3 * 2**80


@settings(deadline=None)  # a busy machine is no failure
@given(a=DECIMALS, b=DECIMALS)
def test_results_are_the_nearest_of_64_bits(a: Decimal, b: Decimal) -> None:
    """The printed digits read back as the correctly rounded result, and no shorter digits do."""
    left, right = _nearest(Fraction(a)), _nearest(Fraction(b))
    for result, wanted in (
        (bigfloat.add(a, b), left + right),
        (bigfloat.multiply(a, b), left * right),
        (bigfloat.divide(a, b), left / right),
    ):
        exact = bigfloat.exact(result)
        assert _nearest(Fraction(exact)) == _nearest(wanted)
        digits = exact.normalize().as_tuple().digits
        if len(digits) > 1:
            unit = Fraction(10) ** (exact.adjusted() - len(digits) + 2)
            for shorter in (Fraction(exact) // unit * unit, (Fraction(exact) // unit + 1) * unit):
                assert _nearest(shorter) != _nearest(wanted)


@pytest.mark.parametrize(
    ("name", "x", "result"),
    [
        ("round", 2.5, 3),
        ("round", -2.5, -3),
        ("round", 2.4, 2),
        ("ceil", 1.1, 2),
        ("ceil", -1.9, -1),
        ("ceil", -0.5, 1),  # as OPA
        ("floor", 1.9, 1),
        ("floor", -1.1, -2),
        ("floor", -0.5, 0),  # as OPA
        ("abs", -3, 3),
        ("abs", -2.5, 2.5),
        ("ceil", 7, 7),
    ],
)
def test_rounds_as_opa(call: Any, name: str, x: float, result: float) -> None:
    assert call(name, x) == result


@pytest.mark.parametrize(("a", "b", "rest"), [(7, 4, 3), (-7, 4, -3), (7, -4, 3), (-7, -4, -3)])
def test_remainder_has_the_sign_of_the_dividend(call: Any, a: int, b: int, rest: int) -> None:
    assert call("rem", a, b) == rest


@pytest.mark.parametrize(
    ("name", "operands", "message"),
    [
        ("div", (1, 0), "eval_builtin_error: divide by zero"),
        ("div", (1.5, 0), "eval_builtin_error: divide by zero"),
        ("rem", (1, 0), "eval_builtin_error: modulo by zero"),
        ("rem", (1.5, 1), "eval_builtin_error: modulo on floating-point number"),
        ("plus", (True, 1), "eval_type_error: operand 1 must be number but got boolean"),
        ("mul", (1, "a"), "eval_type_error: operand 2 must be number but got string"),
        ("minus", ({1}, 1), "eval_type_error: operand 2 must be set but got number"),
        ("minus", (1, {1}), "eval_type_error: operand 2 must be number but got set"),
        ("minus", ("a", 1), "eval_type_error: operand 1 must be one of {number, set} but got string"),
        ("sum", ([1, True],), "operand 1 must be array of numbers but got array containing boolean"),
        ("bits.and", (True, 1), "operand 1 must be integer but got boolean"),
        ("bits.lsh", (1, -1), "operand 2 must be an unsigned integer number but got a negative integer"),
        ("numbers.range", (1.5, 2), "operand 1 must be integer number but got floating-point number"),
        ("numbers.range_step", (1, 2, 0), "step must be a positive integer"),
        ("format_int", (1, 3), "operand 2 must be one of {2, 8, 10, 16}"),
    ],
)
def test_refuses(fails: Any, name: str, operands: tuple[Any, ...], message: str) -> None:
    assert message in fails(name, *operands)


def test_ranges_count_both_ways(call: Any) -> None:
    assert call("numbers.range", 1, 4) == [1, 2, 3, 4]
    assert call("numbers.range", 2, -1) == [2, 1, 0, -1]
    assert call("numbers.range_step", 10, 1, 4) == [10, 6, 2]
    assert call("numbers.range", 2**70, 2**70 + 1) == [2**70, 2**70 + 1]


@pytest.mark.parametrize(
    ("name", "operands"),
    [
        ("numbers.range", (0, 10**12)),
        ("bits.lsh", (1, 10**9)),
        ("mul", (2**9000, 2**9000)),
        ("product", ([2**5000] * 4,)),
    ],
)
def test_what_would_fill_the_memory_ends_the_evaluation(fails: Any, name: str, operands: Any) -> None:
    assert fails(name, *operands).startswith("eval_cancel_error: ")


@pytest.mark.parametrize(
    "call",
    [
        *("floor(x)", "ceil(x)", "round(x)", "count(format_int(x, 10))", "abs(bits.negate(x))", "x % 7 + 9"),
        *("x + 1", "x - 1", "x * 2", "x / 2", "sum([x])", "product([x, 2])", "units.parse(http.unit)"),
    ],
)
@pytest.mark.parametrize("written", ["1e308", "1e309", "1e4001", "1e5000", "1e99999", "1e1000001"])
def test_no_number_is_too_large_to_be_denied(call: str, written: str) -> None:
    """OPA calculates with each. Where it is too large here, the evaluation ends: it was undefined, so that a
    rule that denies large amounts let the largest pass."""
    source = f"package p\nx := input.x\nhttp := input\ndeny if {call} > 5\nallow if not deny"
    policy = rego.compile({"p.rego": source})
    asked = {"x": number(written), "unit": written if len(written) < 8 else "1e99999"}
    try:
        assert policy.evaluate("data.p.allow", asked) is UNDEFINED
    except EvalError as error:
        assert error.code in ("eval_cancel_error", "eval_builtin_error")  # noqa: PT017 -- it may end so, or not


def test_a_large_number_is_what_its_digits_say(call: Any) -> None:
    """Whatever double is next to it; and the remainder of one with an exponent was undefined."""
    assert call("rem", number("1e308"), 7) == 10**308 % 7
    assert call("rem", number("-1e400"), 7) == -(10**400 % 7)
    assert call("bits.or", number("1e308"), 0) == 10**308


@pytest.mark.parametrize("name", ["plus", "minus", "mul", "div"])
def test_the_largest_numbers_are_calculated_with_fractions(call: Any, name: str) -> None:
    """Twice the number has more digits than Python shows: a body with it ended in a ValueError."""
    largest = 10**4_300 - 1
    assert call(name, largest, 0.5) > 10**4_299
    assert call(name, -largest, 0.5) < -(10**4_298)


def test_bits(call: Any) -> None:
    assert call("bits.and", 6, 3) == 2
    assert call("bits.or", 6, 3) == 7
    assert call("bits.xor", 6, 3) == 5
    assert call("bits.negate", 5) == -6
    assert call("bits.lsh", -1, 70) == -(2**70)
    assert call("bits.rsh", -5, 1) == -3


@pytest.mark.parametrize(("base", "text"), [(2, "-1111"), (8, "-17"), (10, "-15"), (16, "-f")])
def test_format_int_cuts_the_fraction_off(call: Any, base: int, text: str) -> None:
    assert call("format_int", -15.9, base) == text


def test_random_numbers_stay_the_same_within_a_query(call: Any) -> None:
    ctx = Context(0)
    drawn = {call("rand.intn", "dice", 1000, ctx=ctx) for _ in range(50)}
    assert len(drawn) == 1
    assert call("rand.intn", "dice", 0, ctx=ctx) == 0
    assert 0 <= call("rand.intn", "other", -6, ctx=ctx) < 6


@pytest.mark.parametrize(
    ("x", "result"),
    [
        *(("-12", -12), ("1e3", 1000), (".5", 0.5), ("5.", 5), ("+3", 3), ("+.5", 0.5), ("+0", 0)),
        *(
            ("1_000", 1000),
            ("1_0.2_5e1_0", 102500000000),
            ("0x1p4", 16),
            ("-0X_F.8p-1", -7.75),
            ("0x.8p0", 0.5),
        ),
        *(("0x0p-5", 0), ("00.5", 0.5), ("0x1p-3", 0.125)),
        *((None, 0), (True, 1), (False, 0), (1.5, 1.5)),
    ],
)
def test_to_number(call: Any, x: Any, result: Any) -> None:
    assert call("to_number", x) == result


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a",
        "1 ",
        " 1",
        "0x10",
        "1__0",
        "1_",
        "_1",
        "1_.5",
        "0x_.8p0",
        "0x_p1",
        "0b1p1",
        "1p1",
        "--1",
        "1e",
        "١",
    ],
)
def test_to_number_refuses_other_text(fails: Any, text: str) -> None:
    assert fails("to_number", text).endswith("invalid syntax")


@pytest.mark.parametrize(
    "text", ["1e309", "0x1p1024", "-0x1p99999999999999999999", "1e99999999999999999999", "1e999999999"]
)
def test_to_number_refuses_what_no_float_can_hold(fails: Any, text: str) -> None:
    """Undefined, as in OPA: an exponent that Python's decimals do not have ended the decision."""
    assert fails("to_number", text).endswith("value out of range")


@pytest.mark.parametrize("text", ["1e-99999999999999999999", "0e99999999999999999999", "0x0p99999999999"])
def test_to_number_ends_the_evaluation_at_numbers_that_opa_panics_at(text: str) -> None:
    with pytest.raises(BuiltinError, match="exponent out of range") as raised:
        BUILTINS["to_number"].function(text)
    assert raised.value.fatal


@pytest.mark.parametrize("text", ["Inf", "-infinity", "nan", "+NaN"])
def test_to_number_refuses_what_is_not_finite(fails: Any, text: str) -> None:
    assert "operand 1 must be valid number string but got string" in fails("to_number", text)


@pytest.mark.parametrize(
    ("name", "operands", "result"),
    [
        ("ceil", (3.0,), 3),
        ("ceil", (0.0,), 0),
        ("floor", (-3.0,), -3),
        ("round", (3.0,), 3),
        ("bits.and", (3.0, 1), 1),
        ("substring", ("abc", 1.0, 1.0), "b"),
        ("numbers.range", (1.0, 2), [1, 2]),
    ],
)
def test_integers_with_a_point_are_integers(
    call: Any, name: str, operands: tuple[Any, ...], result: Any
) -> None:
    """`json.loads`, by which callers of the library read an input, makes a float of `3.0`."""
    assert call(name, *operands) == result


@pytest.mark.parametrize("number", [1.5, Decimal("1.5"), Decimal("1E+100000")])
def test_what_is_no_integer_is_refused(fails: Any, number: Any) -> None:
    assert "must be integer number" in fails("substring", "abc", 0, number)
