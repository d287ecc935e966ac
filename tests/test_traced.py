"""What is asked of a traced array that only numbers can answer: the operation, the user's line, a remedy."""

from __future__ import annotations

import copy
import doctest
import linecache
import math
import pickle
import subprocess
import sys
import traceback
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
import scipy.linalg

import chainrule as cr
from chainrule.traced import TracedError, where_in_user_code

NUMBER, ARRAY, WHOLE = 2.5, np.array([0.5, -1.0, 2.0]), np.array([1, 2, 3])

# What is done, to what, and the error: the operation and the remedy
REFUSED: dict[str, tuple[Callable[[Any], Any], Any, str]] = {
    "bool": (lambda x: 1 if x > 0 else 2, NUMBER, r"bool .*np\.where"),
    "float": (lambda x: math.sin(x), NUMBER, r"float .*use np functions"),
    "int": (lambda x: int(x), NUMBER, r"int .*static_argnums"),
    "complex": (lambda x: complex(x), NUMBER, r"complex .*1j"),
    "range": (lambda x: range(x), 3, r"an index or a count .*cr\.fori"),
    "round": (lambda x: round(x), NUMBER, r"round .*np\.round"),
    "round to digits": (lambda x: round(x, 2), NUMBER, r"round .*np\.round"),
    "floor": (lambda x: math.floor(x), NUMBER, r"math\.floor .*np\.floor"),
    "ceil": (lambda x: math.ceil(x), NUMBER, r"math\.ceil .*np\.ceil"),
    "trunc": (lambda x: math.trunc(x), NUMBER, r"math\.trunc .*np\.trunc"),
    "format": (lambda x: f"{x:.2f}", NUMBER, r"format '\.2f' .*without a format"),
    "item": (lambda x: x.item(), ARRAY[:1], r"item .*return it"),
    "tolist": (lambda x: x.tolist(), ARRAY, r"tolist .*return it"),
    "in": (lambda x: 1.0 in x, ARRAY, r"in .*np\.any"),
    "pickle": (lambda x: pickle.dumps(x), ARRAY, r"pickle .*return it"),
    "in a list": (lambda x: x in [1.0], NUMBER, r"bool "),
    "np.array": (lambda x: np.array(x), ARRAY, r"numpy\.array .*write x\.copy\(\)"),
    "np.array of some": (lambda x: np.array([x, 1.0]), NUMBER, r"np\.asarray .*np\.stack or"),
    "np.vectorize": (lambda x: np.vectorize(abs)(x), ARRAY, r"numpy\.vectorize .*whole arrays, with np"),
    "a function of SciPy's": (
        lambda x: scipy.linalg.expm(np.outer(x, x)), ARRAY,
        r"scipy\.linalg\.expm .*write chainrule\.scipy\.linalg\.expm in its place",
    ),
    "iteration": (lambda x: list(x), NUMBER, r"iteration .*no elements"),
    "len": (lambda x: len(x), NUMBER, r"len .*no length"),
    "shift": (lambda x: x << 1, ARRAY, r"left_shift of float64, int64: .*astype"),
    "shift back": (lambda x: 1 >> x, ARRAY, r"right_shift of int64, float64: .*astype"),
    "bits": (lambda x: x & 1, ARRAY, r"bitwise_and of float64, int64: .*astype"),
    "del": (lambda x: x.__delitem__(0), ARRAY, r"del .*np\.delete"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_refused_with_the_line_and_a_remedy(what: str) -> None:
    f, x, said = REFUSED[what]
    with pytest.raises(TracedError, match=r"test_traced\.py, line \d+, in .*: " + said):
        cr.compile(f)(x)


def test_what_needs_no_number_is_answered() -> None:
    def f(x: Any) -> Any:
        return f"{x}", len(x), x.shape, x.ndim, x.size, str(x.dtype), [y * 2 for y in x]

    said, *rest, parts = cr.compile(f)(ARRAY)
    assert said == "<traced float64[3] input>" and rest == [3, (3,), 1, 3, "float64"]
    np.testing.assert_array_equal(parts, ARRAY * 2)


def test_functions_of_plain_numbers_are_numpys() -> None:
    """Nothing traced is among them."""

    def f(x: Any) -> Any:
        return str(np.maximum(2, 2).dtype), type(np.sqrt(4)) is np.float64, str(np.where(True, 1, 2).dtype)

    assert cr.compile(f)(1.0) == f(1.0) == ("int64", True, "int64")


def duplicated(duplicate: Any, x: Any) -> Any:
    state = {"x": x * 2, "n": 1.5}
    other = duplicate(state)
    other["x"] *= other["n"]
    other["x"][0] = 0.0
    return np.stack([state["x"], other["x"]]) + duplicate(x[0])


@pytest.mark.parametrize(
    "duplicate", [copy.deepcopy, lambda s: {k: copy.copy(x) for k, x in s.items()} if type(s) is dict else s]
)
def test_a_copy_is_an_array_of_its_own(duplicate: Any) -> None:
    f = partial(duplicated, duplicate)
    np.testing.assert_array_equal(cr.compile(f)(ARRAY), f(ARRAY))
    assert cr.compile(lambda x: copy.copy(x) + copy.deepcopy(x))(NUMBER) == 2 * NUMBER


# -------------------------------------------------------------------- the user's line


def test_a_long_line_is_cut() -> None:
    source = "lambda x: (" + "x + " * 100 + "float(x))"
    name = "<cell 1>"
    linecache.cache[name] = (len(source), None, [source], name)
    f = eval(compile(source, name, "eval"))
    with pytest.raises(TracedError) as said:
        cr.compile(f)(1.0)
    quoted = str(said.value).split("'")[1]
    assert quoted == source[:77] + "..." and len(quoted) == 80
    del linecache.cache[name]


def test_the_line_in_a_doctest() -> None:
    """Doctests and notebooks have no file, but `linecache` knows their source."""
    text = """
    >>> import chainrule as cr
    >>> def f(x):
    ...     y = x * 2
    ...     return float(y)
    >>> cr.compile(f)(1.0)
    Traceback (most recent call last):
    chainrule.traced.TracedError: <doctest cell[1]>, line 3, in f: 'return float(y)': float of a traced...
    """
    test = doctest.DocTestParser().get_doctest(text, {}, "cell", None, None)
    runner = doctest.DocTestRunner(verbose=False, optionflags=doctest.ELLIPSIS)
    said: list[str] = []
    assert runner.run(test, out=said.append).failed == 0, "".join(said)


def test_code_without_a_source_is_named_if_there_is_nothing_better() -> None:
    scope: dict[str, Any] = {"where": where_in_user_code}
    exec("def inner():\n    return where()", scope)
    assert "test_traced.py" in scope["inner"]()  # who called it has a source
    alone = "import chainrule.traced as t\ndef f():\n    return t.where_in_user_code()\nprint(f())"
    said = subprocess.run([sys.executable, "-c", alone], capture_output=True, text=True, check=True).stdout
    assert said.startswith("<string>, line 3, in f")


def test_a_number_of_what_leaked_is_refused_as_that() -> None:
    last: list[Any] = []
    cr.compile(lambda x: [last.append(lambda: x), x][1])(NUMBER)
    for ask in (float, bool, int, lambda x: x.item()):
        with pytest.raises(TracedError, match="capture has ended; it leaked out of a compiled function"):
            ask(last[0]())


def test_a_complex_element_of_a_plain_array_is_refused_with_a_remedy() -> None:
    def f(x: Any) -> Any:
        y = np.zeros(2, complex)
        y[0] = x[0] * 1j
        return np.abs(y[0])

    for g in (cr.compile(f), cr.compile(cr.grad(f))):
        with pytest.raises(TypeError, match=r"(complex|__setitem__) of a .*np\.zeros\(\w+, like=\w\)"):
            g(ARRAY)


def test_an_element_of_a_plain_array_is_refused_with_a_remedy() -> None:
    def f(x: Any) -> Any:
        y = np.zeros(3)
        y[0] = x[0] ** 2
        return np.sum(y)

    for g in (cr.grad(f), cr.compile(f), cr.compile(cr.grad(f)), lambda x: cr.jvp(f, (x,), (x,))):
        with pytest.raises(TypeError, match=r"(float|__setitem__) of a .*np\.zeros\(\w+, like=\w\)"):
            g(ARRAY)
    with pytest.raises(TypeError) as named:
        cr.grad(f)(ARRAY)
    assert "y[0] = x[0] ** 2" in [line.line for line in traceback.extract_tb(named.tb)]
    with pytest.raises(ValueError, match="setting an array element") as caught:  # NumPy's, which hides ours
        f(cr.Value(ARRAY))
    assert "np.zeros(n, like=x)" in str(caught.value.__cause__)


def test_an_array_of_their_kind_takes_elements() -> None:
    def f(x: Any) -> Any:
        y, z = np.zeros(2, like=x), np.zeros_like(x)
        y[0] = x[1] ** 2
        z[1:] = x[:-1]
        return np.sum(y) * np.sum(z * x)

    want = cr.grad(lambda x: x[1] ** 2 * np.sum(x[1:] * x[:-1]))(ARRAY)
    for g in (cr.grad(f), cr.compile(cr.grad(f))):
        np.testing.assert_allclose(g(ARRAY), want, rtol=1e-15)
    assert f(ARRAY) == cr.compile(f)(ARRAY)
