"""Elementwise mathematical functions of vectors as LLVM IR text: no library is called.

>>> function("exp", "double", 8)
'@cr_exp_d8'
>>> print(definitions([("fmod", "float", 1)]).splitlines()[0])
declare float @llvm.copysign.f32(float, float)

`definitions` is put into a module beside the code that calls the functions. All are `internal`, without
attributes that would decide on inlining; those named in `inline` are `alwaysinline`. Vectors may be wider
than the machine's, N = 1 means plain scalars. The machine should have a fused multiply-add.

Special values (nan, ±inf, ±0, subnormal numbers, arguments outside the domain) are those of NumPy; signs and
payloads of nans are not specified. The bits of a result depend neither on N nor on the instruction set.
The largest errors measured are 2.7 units of the last place in double (sech2) and 2.6 in float (sech2, tan);
each function's stands in the table of ``tests/native/test_vectormath.py``. `logaddexp` and `logaddexp2` are
NumPy's formulas, whose error is relative to the operands where these cancel.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from chainrule.native import vectormath_angle as angle
from chainrule.native import vectormath_division as division
from chainrule.native import vectormath_exp as ex
from chainrule.native import vectormath_power as powers
from chainrule.native.vector_ir import Lane, Text, symbol

Formula = Callable[..., Lane | tuple[Lane, Lane]]

# name: (operands, formula). These run in the precision of their operands,
_OWN_PRECISION: dict[str, tuple[int, Formula]] = {
    "exp":          (1, ex.exp),
    "exp2":         (1, ex.exp2),
    "expm1":        (1, ex.expm1),
    "log":          (1, ex.log),
    "log2":         (1, ex.log2),
    "log10":        (1, ex.log10),
    "log1p":        (1, ex.log1p),
    "sin":          (1, angle.sin),
    "cos":          (1, angle.cos),
    "tan":          (1, angle.tan),
    "sincos":       (1, angle.sincos),
    "sinh":         (1, ex.sinh),
    "cosh":         (1, ex.cosh),
    "tanh":         (1, ex.tanh),
    "sech2":        (1, ex.sech2),
    "tanh_sech2":   (1, ex.tanh_sech2),
    "sigmoid":      (1, ex.sigmoid),
    "arcsin":       (1, angle.arcsin),
    "arccos":       (1, angle.arccos),
    "arctan":       (1, angle.arctan),
    "arctan2":      (2, angle.arctan2),
    "arcsinh":      (1, ex.arcsinh),
    "arccosh":      (1, ex.arccosh),
    "arctanh":      (1, ex.arctanh),
    "cbrt":         (1, powers.cbrt),
    "power":        (2, powers.power),
    "logaddexp":    (2, ex.logaddexp),
    "logaddexp2":   (2, ex.logaddexp2),
    "fmod":         (2, division.fmod),
    "remainder":    (2, division.remainder),
    "floor_divide": (2, division.floor_divide),
}  # fmt: skip

# and these in double, whichever it is.
_IN_DOUBLE: dict[str, tuple[int, Formula]] = {
    "hypot": (2, powers.hypot),
}

# what others call in their rare cases
_RARE: dict[str, tuple[int, Formula]] = {
    "sin_far":   (2, angle.sin_far),
    "cos_far":   (2, angle.cos_far),
    "tan_far":   (2, angle.tan_far),
    "fmod_many": (3, division.fmod_many),
}  # fmt: skip

FUNCTIONS: dict[str, int] = {name: operands for name, (operands, _) in (_OWN_PRECISION | _IN_DOUBLE).items()}
PAIRS = frozenset({"sincos", "tanh_sech2"})  # these return {T, T}

Key = tuple[str, str, int]  # name, "double" or "float", lanes


def function(name: str, dtype: str, lanes: int) -> str:
    """The symbol of a function."""
    if name not in FUNCTIONS:
        raise ValueError(f"vectormath: no function {name!r}; there are {', '.join(FUNCTIONS)}")
    return symbol(name, dtype, lanes)


def definitions(names: Iterable[Key], inline: Iterable[str] = ()) -> str:
    """IR text that defines the functions and what they need, each once, behind the intrinsics they use."""
    always, declared, defined = frozenset(inline), set[str](), dict[Key, str]()
    wanted = list(dict.fromkeys(names))
    while wanted:
        key = wanted.pop()
        if key not in defined:
            text, defined[key] = _define(key, always)
            declared |= text.declared
            wanted += text.called
    return "\n".join(sorted(declared)) + "\n\n" + "\n\n".join(defined.values()) + "\n"


def _define(key: Key, always: frozenset[str]) -> tuple[Text, str]:
    name, dtype, lanes = key
    if name == "rest_of_huge":
        text, result, arguments = angle.rest_of_huge(), "{i64, double}", "double %x1"
    else:
        operands, formula = (_OWN_PRECISION | _IN_DOUBLE | _RARE)[name]
        text = Text(lanes)
        t = text.type(dtype)
        given = [Lane(text, dtype, f"%x{i}") for i in range(1, operands + 1)]
        through = "double" if name in _IN_DOUBLE else dtype
        value = formula(*(x.to(through) for x in given))
        if isinstance(value, tuple):
            result = f"{{{t}, {t}}}"
            first = f"insertvalue {result} poison, {t} {value[0].name}, 0"
            text.lines.append(f"  %first = {first}")
            text.lines.append(f"  %both = insertvalue {result} %first, {t} {value[1].name}, 1")
            text.lines.append(f"  ret {result} %both")
        else:
            result = t
            text.lines.append(f"  ret {t} {value.to(dtype).name}")
        arguments = ", ".join(f"{t} {x.name}" for x in given)
    rare = name in _RARE or name == "rest_of_huge"
    inlining = " noinline cold" if rare else " alwaysinline" if name in always else ""
    head = f"define internal {result} {symbol(*key)}({arguments}) nounwind{inlining} {{\nentry:"
    return text, "\n".join([head, *text.lines, "}"])
