"""The table of paths: names, symbols, numbers, and a sum that is the gradient."""

import numpy as np
import pytest

import chainrule as cr
from chainrule import Value


def network():
    I, W1, W2, W3, W4 = Value(0.5), Value(1.0), Value(-1.5), Value(2.0), Value(0.7)
    Z1, Z2 = (I * W1).relu(), (I * W2).tanh()
    Z3, Z4 = Z1 * W3 + Z2, Z1 * W4
    Z5 = Z3 + Z4
    return dict(locals())


def test_the_table():
    n = network()
    assert str(cr.paths(n["Z5"], n["I"], names=n)).splitlines() == [
        "3 paths from I to Z5",
        "path                      local derivatives  in numbers        product",
        "I -> Z1 -> Z3 -> Z5       W3 · W1            2 · 1             2",
        "I -> Z2 -> Z3 -> Z5       sech²(v7) · W2     0.59659 · (-1.5)  -0.89488",
        "I -> Z1 -> Z4 -> Z5       W4 · W1            0.7 · 1           0.7",
        "sum of all: the gradient                                       1.8051",
        "one sweep finds that sum in 10 steps",
    ]


def test_paths_are_a_sequence_and_add_up():
    n = network()
    found = cr.paths(n["Z5"], n["W1"], names=n)
    n["Z5"].backward()
    assert len(found) == found.n_paths == 2 and found.not_listed == 0 and found[-1] is list(found)[1]
    assert found.gradient == pytest.approx(n["W1"].grad) == pytest.approx(sum(p.product for p in found))
    assert found[0].names[0] == "W1" and found[0].names[-1] == "Z5" and len(found[0].names) == 6
    assert str(found[0]) == "W1 -> Z1 -> Z3 -> Z5: W3 · I = 2 · 0.5 = 1"


def test_names_are_the_callers():
    speed, time = Value(3.0), Value(2.0)
    way = speed * time
    (path,) = cr.paths(way, speed)
    assert str(path) == "speed -> way: time = 2"


def test_paths_that_differ_in_unnamed_nodes_only_show_these():
    x = Value(2.0, name="x")
    y = np.sin(x) + np.cos(x)
    assert [p.label for p in cr.paths(y, x, names={"y": y})] == ["x -> v1 -> y", "x -> v2 -> y"][::-1]


def test_arrays_have_products_in_the_inputs_shape():
    X, W = np.arange(12.0).reshape(4, 3), Value(np.full((3, 2), 0.1))
    H = np.tanh(X @ W)
    L = np.sum(H) + np.mean(H)
    L.backward()
    found = cr.paths(L, W)
    np.testing.assert_allclose(sum(p.product for p in found), W.grad)
    assert all(p.product.shape == (3, 2) and p.numbers == "" for p in found)
    assert "(mean over axes 0, 1) · sech²(v1) · (g ↦ Xᵀ·g)" in str(found) and "in numbers" not in str(found)
    seed = np.arange(8.0).reshape(4, 2)
    (path,) = cr.paths(H, W, seed=seed)
    np.testing.assert_allclose(path.product, X.T @ (seed * (1 - H.data**2)))
    assert path.symbols.startswith("seed · sech²")


def test_a_complex_gradient_is_the_direction_of_steepest_ascent():
    z = Value(np.array([1.0 + 2.0j]))
    y = np.sum(np.real(z * z))
    y.backward()
    found = cr.paths(y, z)
    np.testing.assert_allclose(sum(p.product for p in found), z.grad)
    np.testing.assert_allclose(found.gradient, z.grad)


def test_very_many_are_counted_and_the_rest_is_said():
    x = y = Value(1.0)
    for _ in range(60):
        y = y * 0.5 + y * 2.0
    found = cr.paths(y, x, max_paths=3)
    assert found.n_paths == 2**60 and len(found) == 3 and found.not_listed == 2**60 - 3
    assert found[0].product == 2.0**60 and found[1].product == found[2].product == 2.0**58
    text = str(found)
    assert text.startswith("1,152,921,504,606,846,976 paths from x to y")
    assert "… and 1,152,921,504,606,846,973 more, not listed" in text
    for _ in range(1000):
        y = y + y
    assert str(cr.paths(y, x, max_paths=1)).startswith("about 1.235e319 paths")


def test_a_long_path_is_cut_in_the_middle():
    x = y = Value(1.0)
    for _ in range(30_000):
        y = y * 1.0001
    found = cr.paths(y, x)
    (path,) = found
    assert len(path.names) == 30_001 and path.product == pytest.approx(np.e**3, rel=1e-3)
    assert max(map(len, str(found).splitlines())) < 300
    assert "v4 -> … 29,992 more … -> v" in str(cr.paths(y + np.sin(y), x)[0])


def test_an_input_that_does_not_reach():
    x, z = Value(2.0), Value(3.0)
    y = x * 2.0
    found = cr.paths(y, z)
    assert len(found) == found.n_paths == 0 and found.gradient == 0.0 and not found
    assert str(found) == "no path from z to y: y was not computed from z"
    y = np.floor(z) * x
    assert str(cr.paths(y, z)) == "no path from z to y: what lies between them has derivative zero everywhere"


def test_names_that_hurt_are_shown_as_text():
    x = Value(2.0, name="</script>\u2028\x1b[0m")
    y = x * x
    text = str(cr.paths(y, x, names={"y": y}))
    assert "\u2028" not in text and "\x1b" not in text and "</script>" in text


@pytest.mark.parametrize(("call", "error", "message"), [
    (lambda x: cr.paths(3.0, x), TypeError, "output is a float, expected a Value; write output = Value"),
    (lambda x: cr.paths(np.sin, x), TypeError, "expected a Value; call it on Values"),
    (lambda x: cr.paths(x, 3), TypeError, "input is a int, expected a Value; integers have no derivative"),
    (lambda x: cr.paths(x, np.arange(3)), TypeError, "integers have no derivative"),
    (lambda x: cr.paths(x, "x"), TypeError, "input is a str, expected a Value"),
    (lambda x: cr.paths(x, None), TypeError, "input is None"),
    (lambda x: cr.paths(x * np.ones(3), x), ValueError, r"shape \(3,\), expected a scalar; reduce .* seed="),
    (lambda x: cr.paths(x * np.ones(3), x, seed=1.0), ValueError, r"seed has shape \(\), expected .* \(3,\)"),
    (lambda x: cr.paths(x, x, seed="a"), TypeError, "seed is of dtype"),
    (lambda x: cr.paths(x, x, seed=1j), TypeError, "seed is of dtype complex128, expected float64"),
    (lambda x: cr.paths(Value(1j), x), TypeError, "output is complex"),
    (lambda x: cr.paths(x, x, max_paths=0), ValueError, "max_paths is 0, expected an integer of at least 1"),
    (lambda x: cr.paths(x, x, names=[x]), TypeError, "names is list, expected a dict"),
])  # fmt: skip
def test_errors(call, error, message):
    with pytest.raises(error, match=f"paths: .*{message}"):
        call(Value(2.0))


def test_numbers_that_live_in_a_compiled_program():
    w, rate = Value(0.5), 0.1

    @cr.compile
    def step(x):
        w.grad = None
        loss = (w - x) ** 2
        loss.backward()
        w.data -= rate * w.grad
        return loss

    for _ in range(3):
        step(1.0)
    y = w * w
    found = cr.paths(y, w)
    assert [p.product for p in found] == [w.data, w.data] and found[0].numbers != ""
    assert cr.paths(y, Value(1.0)).gradient == 0.0
