"""What chainrule cannot differentiate fails when it is called, and says what to do instead."""

from __future__ import annotations

import copy
import math
import pickle
import re
import statistics
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import scipy.special

import chainrule as cr
from chainrule import Value
from chainrule.numpy import protocols
from chainrule.rules import special

SUPPORTED = set(protocols.FUNCTIONS) | protocols.PLAIN_FUNCTIONS | protocols.MADE
V = Value(np.array([[1.0, 2.0], [3.0, 5.0]]))
# Ways of calling a function of which only the name is known.
CALLS = [(V,), (V, V), ([V, V],), (V, 1), (V, V, V), (V, [0], V), (V, V, V, 0), (V, 1, 1.0)]


def public(*modules: ModuleType) -> Iterator[tuple[str, Callable[..., Any]]]:
    for module in modules:
        for name in dir(module):
            f = getattr(module, name)
            if not name.startswith("_") and callable(f) and not isinstance(f, type):
                yield f"{module.__name__}.{name}", f


FUNCTIONS = dict(public(np, np.linalg, np.fft))
UFUNCS = {
    name: f
    for name, f in (FUNCTIONS | dict(public(scipy.special))).items()
    if isinstance(f, np.ufunc) and f not in special.CALLS
    if f.__name__ not in set(protocols.UFUNCS) | protocols.PLAIN_UFUNCS
}
# Functions that ask their arguments whether they are Values; the others make arrays of them.
ASKING = {k: f for k, f in FUNCTIONS.items() if hasattr(f, "_implementation") and f not in SUPPORTED}
CONVERTING = {
    k: f for k, f in FUNCTIONS.items() if not hasattr(f, "_implementation") and not isinstance(f, np.ufunc)
}
# These do not look at the numbers, hand them on to others, or are no functions of arrays at all.
INDIFFERENT = {
    f"numpy.{name}"
    for name in "isscalar iterable issubdtype promote_types printoptions bmat row_stack test info "
    "show_config show_runtime linalg.test fft.test from_dlpack".split()  # the last asks for numbers by name
}


@pytest.mark.parametrize("name", ASKING)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_function_without_derivative_fails_naming_itself(name: str) -> None:
    said = []
    for args in CALLS:
        with pytest.raises((TypeError, AttributeError, ValueError)) as error:  # the latter two of lists
            ASKING[name](*args)
        said.append(str(error.value))
    called = name.removeprefix("numpy.")
    wanted = f"{called}: chainrule has no derivative for this function; instead: "
    assert any(s.startswith(wanted) for s in said)


@pytest.mark.parametrize("name", sorted(set(CONVERTING) - INDIFFERENT))
@pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")
def test_no_array_is_made_of_a_value(name: str) -> None:
    for args in CALLS[:3]:
        with pytest.raises((TypeError, AttributeError, ValueError, KeyError)):
            CONVERTING[name](*args)


@pytest.mark.parametrize("name", UFUNCS)
def test_a_ufunc_without_derivative_fails_naming_itself(name: str) -> None:
    ufunc = UFUNCS[name]
    for i in range(ufunc.nin):
        args = [V if i == j else 1.5 for j in range(ufunc.nin)]
        with pytest.raises(TypeError, match=rf"^{ufunc.__name__}: chainrule has no derivative .* on v\.data"):
            ufunc(*args)
    with pytest.raises(TypeError, match=rf"^{ufunc.__name__}"):
        ufunc(*[V] * ufunc.nin)


METHODS = {"reduce": (V,), "accumulate": (V,), "reduceat": (V, [0]), "outer": (V, V), "at": (V, 0, V[0])}
BINARY = [
    f for f in vars(np).values() if isinstance(f, np.ufunc) and (f.nin, f.nout) == (2, 1) and not f.signature
]


@pytest.mark.parametrize("method", METHODS)
def test_a_method_of_a_ufunc_answers_or_fails_naming_itself(method: str) -> None:
    for ufunc in BINARY:
        name = ufunc.__name__
        if name == "ldexp" or (name in protocols.PLAIN_UFUNCS and method != "at"):
            continue  # of integers, or answered by NumPy on the data
        first, *rest = METHODS[method]
        written = first * 1
        if name in protocols.UFUNCS:
            got = getattr(ufunc, method)(written, *rest)
            numbers = first.data.copy()
            want = getattr(ufunc, method)(numbers, *map(cr.data, rest))
            got, want = (written, numbers) if method == "at" else (got, want)
            assert type(got) is Value
            np.testing.assert_allclose(got.data, want, rtol=1e-15)
        else:
            with pytest.raises(TypeError, match=rf"^{name}(\.{method}|: chainrule has no derivative|: out=)"):
                getattr(ufunc, method)(written, *rest)


def test_a_stranger_that_bears_a_known_name_is_not_taken_for_it() -> None:
    def tanh(x: float) -> float:
        return 2 * x

    def equal(x: float) -> bool:
        return x == 0

    for f, name in ((tanh, "tanh"), (equal, "equal")):
        ufunc = np.frompyfunc(f, 1, 1)
        try:
            ufunc.__name__ = name  # from NumPy 2.5 on, and other makers of ufuncs
        except AttributeError:
            name = ufunc.__name__
        with pytest.raises(TypeError, match="chainrule has no derivative"):
            ufunc(V)


def test_the_error_names_an_alternative() -> None:
    with pytest.raises(TypeError, match=r"^ix_: .* v\.data for indices"):
        np.ix_(V)
    with pytest.raises(TypeError, match=r"^gcd: .* integers, as plain arrays beside v"):
        np.gcd(V, 2)


# -------------------------------------------------------------------- arrays and numbers made of Values


@pytest.mark.parametrize(
    "make",
    [
        np.asarray, np.array, np.ascontiguousarray, np.float64, np.vectorize(abs), lambda v: np.array([v, v]),
        lambda v: np.array([v, 1.0]), lambda v: np.array([[v], [v]]), lambda v: np.asarray(v, dtype=object),
        lambda v: np.array([1.0]) + [v], lambda v: np.sum([v, v]), lambda v: np.linalg.norm([v, v]),
    ],
)  # fmt: skip
def test_a_value_never_becomes_a_plain_array(make: Any) -> None:
    for v in (V, Value(2.0), Value(np.array(2.0)), V[0]):
        with pytest.raises(TypeError, match=r"plain array.* (chainrule\.array\(\[|leave np\.).*; v\.data "):
            make(v)


def fill(a: Any, v: Any) -> None:
    a[0] = v


def fill_in_place(a: Any, v: Any) -> None:
    a += v


@pytest.mark.parametrize(
    "store",
    [
        fill, fill_in_place, np.ndarray.fill, np.copyto, lambda a, v: np.put(a, 0, v),
        lambda a, v: np.add(a, v, a),
    ],
)  # fmt: skip
def test_a_value_is_not_stored_in_a_plain_array(store: Any) -> None:
    for v in (Value(2.0), Value(np.array(2.0)), Value(np.array([2.0, 3.0, 4.0]))):
        a = np.ones(3)
        with pytest.raises((TypeError, ValueError)) as error:
            store(a, v)
        reason = f"{error.value} {error.value.__cause__}"  # NumPy puts an error of its own before ours
        assert re.search("Value|chainrule", reason) and a.tolist() == [1, 1, 1]


REMEDIES = {
    "percent": (lambda v: "%.3f".__mod__(v), r"print with f'\{v:\.3f\}'"),
    "round": (lambda v: round(v, 2), r"np\.round\(v, digits\)"),
    "statistics": (lambda v: statistics.mean([v, v]), r"np\.mean\(v\), .*instead of statistics'"),
    "complex": (lambda v: np.zeros(2, complex).__setitem__(0, 1j * v), r"v \+ 0j; .*chainrule\.numpy\.zeros"),
}


@pytest.mark.parametrize("name", REMEDIES)
def test_a_cut_names_its_remedy(name: str) -> None:
    f, remedy = REMEDIES[name]
    with pytest.raises(TypeError, match=rf"would cut it out of the graph; to stay in it .*{remedy}"):
        f(Value(0.5))


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, lambda v: pickle.loads(pickle.dumps(v))])
def test_what_is_being_differentiated_is_not_copied_out_of_the_graph(duplicate: Any) -> None:
    f, x = lambda x: np.sum(duplicate(x) ** 2), np.array([1.0, 2.0])
    for call in (cr.grad(f), lambda x: cr.jvp(f, (x,), (x,)), cr.compile(cr.grad(f)), cr.hessian(f)):
        with pytest.raises(TypeError, match=r"^pickle, copy: .* v\.copy\(\) stays in it; copy v\.data where"):
            call(x)
    other = Value(x)
    assert cr.grad(lambda x: np.sum(x * duplicate(other).data))(x).tolist() == [1.0, 2.0]
    assert cr.grad(lambda x: np.sum(x.copy() ** 2))(x).tolist() == [2.0, 4.0]


CUTS = [math.sin, math.exp, math.sqrt, math.floor, float, int, bool, complex, round, range, hex]


@pytest.mark.parametrize("f", CUTS, ids=lambda f: f.__name__)
def test_a_value_never_becomes_a_bare_number(f: Any) -> None:
    with pytest.raises(TypeError) as error:
        f(Value(0.5))
    assert "would cut it out of the graph; to stay in it" in str(error.value)
    for word in ("and", "or", "not", "if"):
        expression = {"and": "v and 1", "or": "v or 1", "not": "not v", "if": "1 if v else 2"}[word]
        with pytest.raises(TypeError, match=r"would cut it out of the graph; .*compare it"):
            eval(expression, {"v": Value(0.5)})
