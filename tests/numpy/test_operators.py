"""Python's operators, and NumPy's array methods, on Values: as on arrays, with derivatives."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import Value
from chainrule.names import CALLED_OTHERWISE
from tests.numpy import table
from tests.numpy.test_functions import equal, leaves

OTHERS: dict[str, Any] = {
    "Value": Value(np.array([0.61, 1.37, 2.11])),
    "scalar Value": Value(1.37),
    "float": 1.37,
    "int": 2,
    "bool": True,
    "np.float64": np.float64(1.37),
    "np.float32": np.float32(1.5),
    "np.int64": np.int64(2),
    "array": np.array([0.61, 1.37, 2.11]),
    "column": np.array([[0.61], [1.37]]),
    "0-d array": np.array(1.37),
    "integers": np.array([1, 2, 3]),
    "booleans": np.array([True, True, True]),
    "list": [0.61, 1.37, 2.11],
    "tuple": (1, 2, 3),
}
MINE = {
    "array": np.array([0.53, 1.71, 3.17]),
    "float": 1.71,
    "np.float64": np.float64(1.71),
    "0-d array": np.array(1.71),
}
ARITHMETIC = [
    operator.add, operator.sub, operator.mul, operator.truediv, operator.pow, operator.mod, operator.floordiv,
    divmod,
]  # fmt: skip
COMPARISON = [operator.eq, operator.ne, operator.lt, operator.le, operator.gt, operator.ge]


def plain(x: Any) -> Any:
    """What NumPy is given in the place of Values, lists and tuples."""
    return np.asarray(x) if isinstance(x, list | tuple) else cr.data(x)


@pytest.mark.parametrize("other", OTHERS)
@pytest.mark.parametrize("mine", MINE)
@pytest.mark.parametrize("op", ARITHMETIC, ids=lambda f: f.__name__)
def test_arithmetic(op: Any, mine: str, other: str) -> None:
    """On either side of anything that stands for numbers: NumPy's result, and its derivative."""
    x, o = MINE[mine], OTHERS[other]
    y = np.float64(x) if type(x) is float else x  # a Python float is not rounded to float32
    for f, want in ((lambda v: op(v, o), op(y, plain(o))), (lambda v: op(o, v), op(plain(o), y))):
        for a, b in zip(leaves(f(Value(x))), leaves(want), strict=True):
            assert type(a) is Value
            equal(a.data, b)
        if mine == "array" or not isinstance(o, list | tuple):  # without Values, floats and lists do not add
            cr.check_grads(f, (np.float64(x) if np.ndim(x) == 0 else x,), order=2)


@pytest.mark.parametrize("other", OTHERS)
@pytest.mark.parametrize("mine", MINE)
@pytest.mark.parametrize("op", COMPARISON, ids=lambda f: f.__name__)
def test_comparison_gives_plain_booleans(op: Any, mine: str, other: str) -> None:
    x, o = MINE[mine], OTHERS[other]
    for got, want in ((op(Value(x), o), op(x, plain(o))), (op(o, Value(x)), op(plain(o), x))):
        assert isinstance(got, bool | np.bool | np.ndarray)
        equal(got, want)


def test_a_value_equals_nothing_that_is_no_number() -> None:
    v = Value(1.0)
    for stranger in (None, "1.0", object()):
        assert not operator.eq(v, stranger) and operator.ne(v, stranger)
        for compare in (operator.lt, operator.ge):
            with pytest.raises(TypeError):
                compare(v, stranger)
    for op in ARITHMETIC:
        for stranger in (None, "1", object()):
            with pytest.raises(TypeError):
                op(v, stranger)
        with pytest.raises(TypeError):
            op(None, v)


# -------------------------------------------------------------------- everything else that Values have

# Expressions, or pairs of one and its equivalent on arrays.
LIKE_ARRAYS: dict[str, list[str | tuple[str, str]]] = {
    "__matmul__": ["x @ A", "x @ v", "v @ w", "v @ A", "B @ x", "x @ d", "x @ [1.0, 2.0, 3.0]", "e @ A"],
    "__rmatmul__": ["d @ A", "c @ v", ("[1.0, 2.0] @ x", "np.array([1.0, 2.0]) @ x")],
    "__imatmul__": ["(a := x * 1.5, a.__imatmul__(Q))[1]"],
    "__neg__": ["-x", "-s", "-k"],
    "__pos__": ["+x", "+s"],
    "__abs__": ["abs(x)", "abs(s)", "abs(-k)"],
    "__getitem__": [
        "x[0]", "x[-1, 2]", "x[:, 1]", "x[::-1]", "x[1:, ::2]", "x[m]", "x[i[:, 0] - 1]",
        "x[[0, 1, 1], [2, 0, 0]]", "x[..., None]",
        "x[()]", "x[None]", "x[[]]", "x[x > 0]", "x[:, [0, 0, 2]]", "x[np.argmax(x, 0), [0, 1, 2]]",
        "v[n - 1]", "v[i]", "x[m[:, 0]]",
        "x[np.int64(1)]", "v[np.argmax(v)]", "B[:, [[0], [2]], ::-1]", "x[True]", "x[..., m[0]]", "x[5:]",
        "B[0, :, [1, 0]]", "k[()]",
        "x[slice(None), 1]", "B[1][2][0]", "x[(0, 1)]",
    ],
    "__iter__": [
        "[row * 2 for row in x][1]", "sum(v)", "max(v)", "sorted(v)[0]", "np.stack(list(reversed(list(v))))",
        "min(*v)",
    ],
    "__len__": ["x * len(x)"],
    "T": ["B.T", "v.T"],
    "mT": ["B.mT"],
    "real": ["x.real", "z.real"],
    "imag": ["x.imag", "z.imag"],
    "reshape": ["x.reshape(3, 2)", "x.reshape((3, -1))", "x.reshape(-1)", "x.reshape([6])", "k.reshape(1)"],
    "transpose": [
        "B.transpose()", "B.transpose(1, 0, 2)", "B.transpose((2, -3, 1))", "B.transpose([0, 2, 1])",
        "B.transpose(None)",
    ],
    "flatten": ["x.flatten()", "x.flatten('C')", "B.flatten('F')"],
    "ravel": ["x.ravel()", "x.ravel('F')"],
    "compress": ["x.compress([True, False, True], axis=1)", "x.compress([False, True])"],
    "clip": ["x.clip(-0.5, 0.5)", "x.clip(max=0.5)", "x.clip(-0.5)", "x.clip(v - 0.5, v)"],
    "conj": ["z.conj()"],
    "conjugate": ["z.conjugate()"],
    "sum": [
        "x.sum()", "x.sum(0)", "x.sum(axis=-1)", "B.sum((0, -1), keepdims=True)", "k.sum()", ("s.sum()", "s"),
    ],
    "prod": ["x.prod()", "x.prod(axis=1, keepdims=True)"],
    "mean": ["x.mean()", "x.mean(0)", "x.mean(axis=(0, 1))", "x.mean(dtype=float)"],
    "max": ["x.max()", "x.max(0)", "x.max(-1, keepdims=True)"],
    "min": ["x.min()", "x.min(axis=1)"],
    "var": ["x.var()", "x.var(0, ddof=1)"],
    "std": ["x.std()", "x.std(axis=-1, ddof=1, keepdims=True)"],
    "ptp": [("x.ptp(1)", "np.ptp(x, 1)")],
    "cumsum": ["x.cumsum()", "x.cumsum(-1)"],
    "cumprod": ["x.cumprod()", "x.cumprod(axis=0)"],
    "round": ["x.round()", "x.round(1)", "x.round(decimals=1)"],
    "astype": [
        "x.astype(float)", "f.astype(np.float64)", "x.astype('f4').sum(dtype='f8') * 0 + x",
        "x.astype(complex)",
    ],
    "copy": ["x.copy()"],
    "swapaxes": ["B.swapaxes(0, -1)"],
    "squeeze": ["x[None].squeeze()", "x[:, None].squeeze(1)"],
    "repeat": ["x.repeat(2)", "x.repeat([1, 2], axis=0)"],
    "take": ["x.take([0, 5])", "x.take(1, axis=-1)"],
    "diagonal": ["A.diagonal()", "A.diagonal(1)"],
    "trace": ["Q.trace()", "A.trace(1)"],
    "sort": ["(a := x * 1.0, a.sort())[0]", "(a := x * 1.0, a.sort(0))[0]"],
    "partition": ["(a := x * 1.0, a.partition(1))[0]"],
    "put": ["(a := x * 1.0, a.put([0, -1], v[:2]))[0]"],
    "dot": ["x.dot(A)", "x.dot(v)", "v.dot(2.0)"],
    "relu": [("x.relu()", "np.maximum(x, 0)"), ("s.relu()", "np.maximum(s, 0)")],
    "tanh": [("x.tanh()", "np.tanh(x)"), ("s.tanh()", "np.tanh(s)")],
    "exp": [("x.exp()", "np.exp(x)")],
    "log": [("p.log()", "np.log(p)")],
    "sqrt": [("p.sqrt()", "np.sqrt(p)")],
    "sigmoid": [("x.sigmoid()", "1 / (1 + np.exp(-x))")],
}  # fmt: skip
PLAIN: dict[str, list[str | tuple[str, str]]] = {
    **{
        name: [f"x.{name}()", f"x.{name}(0)", f"B.{name}(axis=-1)"]
        for name in ("argmax", "argmin", "any", "all", "argsort")
    },
    **{name: [f"x.{name}", f"k.{name}"] for name in ("shape", "ndim", "size", "dtype", "nbytes")},
    "argpartition": ["x.argpartition(1)", "x.argpartition([0, 1], axis=0)"],
    "searchsorted": ["v[:1].searchsorted(0.3)", "v[:1].searchsorted(w, side='right')"],
    "nonzero": ["x.nonzero()"],
    "itemsize": ["x.itemsize", "f.itemsize"],
    "device": ["x.device"],
    "item": ["k.item()", "x[0, 1].item()", "v[:1].item()", ("s.item()", "s")],
    "tolist": ["x.tolist()", "k.tolist()", ("s.tolist()", "s")],
}  # fmt: skip
# What the graph adds, and what Python asks of every object; other files test these.
NOT_OF_ARRAYS = set(
    "data grad name label primitive inputs args params serial backward _raw _grad "
    "_current _adopt _outside _gradient _of _live_in _grad_lives_in _constant _op _prev "
    "__init_subclass__ __iadd__ __isub__ "
    "__init__ __repr__ __format__ __bool__ __float__ __int__ __index__ __complex__ __round__ "
    "as_integer_ratio __array__ __array_ufunc__ "
    "__array_namespace__ __dlpack__ __dlpack_device__ device to_device "
    "__array_function__ __setitem__ fill older __hash__ __reduce__ __slots__ __module__ __doc__ "
    "__annotations__ "
    "__firstlineno__ __static_attributes__".split()
)


def pair(row: str | tuple[str, str]) -> tuple[str, str]:
    return row if isinstance(row, tuple) else (row, row)


@pytest.mark.parametrize("row", [r for rows in LIKE_ARRAYS.values() for r in rows], ids=lambda r: pair(r)[0])
def test_like_arrays(row: str | tuple[str, str]) -> None:
    (of_values, point), (of_arrays, _) = map(table.function, pair(row))

    def f(*xs: Any) -> Any:
        return (of_values if any(type(x) is Value for x in xs) else of_arrays)(*xs)

    got = f(*map(Value, point))
    assert type(got) is Value
    equal(got.data, of_arrays(*point))
    if not any(np.asarray(x).dtype == np.float32 for x in point):
        cr.check_grads(f, point, order=2)


@pytest.mark.parametrize("row", [r for rows in PLAIN.values() for r in rows], ids=lambda r: pair(r)[0])
def test_plain_answers(row: str | tuple[str, str]) -> None:
    f, point = table.function(pair(row)[0])
    want = table.function(pair(row)[1])[0](*point)
    got = f(*map(Value, point))
    assert type(got) is type(want)
    assert np.array_equal(got, want)


def test_every_operator_and_method_is_tried() -> None:
    operators = {f"__{r}{f.__name__}__" for f in ARITHMETIC for r in ("", "r")}
    operators |= {f"__i{f.__name__}__" for f in ARITHMETIC if f is not divmod}
    comparisons = {f"__{f.__name__}__" for f in COMPARISON}
    tried = operators | comparisons | set(LIKE_ARRAYS) | set(PLAIN) | {"__invert__"}
    tried |= {f"__{r}{f.__name__.strip('_')}__" for f in BITWISE for r in ("", "r")}
    assert set(vars(Value)) - NOT_OF_ARRAYS - set(CALLED_OTHERWISE) <= tried
    assert not {name for name in tried if not hasattr(Value, name)}


BITWISE = operator.and_, operator.or_, operator.xor, operator.lshift, operator.rshift


@pytest.mark.parametrize("operate", BITWISE)
def test_bits_of_floats_are_refused_in_words(operate: Any) -> None:
    v = Value(np.ones(3))
    for x, y in (v, v), (v, np.array([True, False, True])), (np.arange(3), v), (1, v), (v, 1):
        with pytest.raises(TypeError, match=r"integers, as plain arrays beside v"):
            operate(x, y)
    with pytest.raises(TypeError, match=r"invert: .*integers, as plain arrays beside v"):
        operator.invert(v)


def test_every_method_of_arrays_is_answered_or_says_what_to_write() -> None:
    public = {name for name in dir(np.ndarray) if not name.startswith("_")}
    assert public - NOT_OF_ARRAYS - set(LIKE_ARRAYS) - set(PLAIN) <= set(CALLED_OTHERWISE) | {"fill"}
    v = Value(np.ones(3))
    for name in CALLED_OTHERWISE:
        with pytest.raises(AttributeError, match=rf"'Value' object has no attribute '{name}'; write "):
            getattr(v, name)


def test_in_place_operators_change_arrays_and_bind_numbers_anew() -> None:
    x = Value(np.array([1.0, 2.0]))
    v = w = x * 1.0
    v += 1.0
    v *= v
    assert w is v and v.data.tolist() == [4, 9] and x.data.tolist() == [1, 2]
    np.sum(v).backward()
    assert x.grad.tolist() == [4, 6]
    s = t = Value(2.0)
    s += 1.0
    assert s.data == 3.0 and t.data == 2.0
    a = np.ones(2)
    with pytest.raises(TypeError, match=r"add: out= is a plain array.*write a = a \+ v for a \+= v"):
        a += w
    assert type(a) is np.ndarray and a.tolist() == [1, 1]
