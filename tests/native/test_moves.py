"""Joining, placing, picking and going along an axis in machine code: to the bit what NumPy gives."""

import itertools

import numpy as np
import pytest

import chainrule as cr
from chainrule.native.indexing import scatter, scatter_add
from chainrule.native.operations import node
from chainrule.native.reference import run
from chainrule.traced import Traced

KINDS = ["f8", "f4", "i8", "?"]
HARD = [0.0, -0.0, np.nan, np.inf, -np.inf, 1.5, 1.5, -2.0]


def array(shape, kind="f8", seed=0):
    rng = np.random.default_rng(seed)
    if kind == "?":
        return rng.random(shape) < 0.5
    return rng.integers(-9, 9, shape).astype(kind) * (1 if kind == "i8" else np.asarray(0.37, kind))


def same(f, *xs):
    """Compiled, ``f`` gives the very bits that NumPy does, by machine code alone."""
    compiled = cr.compile(f)
    results, wanted = compiled(*xs), f(*xs)
    if type(wanted) is not list:
        results, wanted = [results], [wanted]
    assert len(results) == len(wanted)
    for got, want in zip(results, wanted):
        assert np.asarray(got).dtype == np.asarray(want).dtype
        assert np.shape(got) == np.shape(want)
        np.testing.assert_array_equal(got, want)
        assert np.asarray(want).dtype.kind != "f" or np.array_equal(np.signbit(got), np.signbit(want))
    assert "nothing falls back" in str(compiled.report())


def views(a):
    """An array, and the same numbers behind other strides: functions of what is given to the program."""
    n = a.ndim
    yield lambda x: x
    yield lambda x: x[..., ::-1]
    yield lambda x: x[1:, ..., 1:]
    yield lambda x: x[::2].T
    yield lambda x: np.transpose(x, (n - 1, *range(n - 1)))[1:, ::-2]
    yield lambda x: np.broadcast_to(x[:1], (3, *x.shape[1:]))
    yield lambda x: x.reshape(-1, 2)[:, :1]


VIEWS = range(7)


def view(a, number):
    return list(views(a))[number]


# -------------------------------------------------------------------- concatenate


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("axis", [0, 1, -1])
def test_concatenate(kind, axis):
    def sized(n, seed):
        return array(tuple(n if k == axis % 3 else s for k, s in enumerate((4, 6, 18))), kind, seed)

    same(lambda *xs: np.concatenate(xs, axis), sized(1, 0), sized(5, 1), sized(0, 2), sized(37, 3))


@pytest.mark.parametrize("number", VIEWS)
def test_concatenate_of_views(number):
    a, b = array((6, 4, 10)), array((6, 4, 10), seed=1)
    f = view(a, number)
    same(lambda x, y: [np.concatenate([f(x), f(y), f(x * 2)], k) for k in range(f(x).ndim)], a, b)


def test_concatenate_of_numbers_constants_and_empty_arrays():
    a = array((3, 70))
    c = array((3, 5), seed=1)
    same(lambda x: np.concatenate([np.broadcast_to(7.5, (3, 65)), x, np.zeros((3, 9)), c, x[:, :0]], 1), a)
    wide = lambda x: [np.broadcast_to(x[:1, :1], (3, 40)), np.broadcast_to(x[:, 1:2], (3, 4))]
    same(lambda x: np.concatenate(wide(x), 1), a)
    same(lambda x: np.concatenate([x, x]), np.zeros((0, 3)))
    same(lambda x: np.stack([x, x * 2, x.sum()]), np.float64(2))
    same(lambda x: np.stack([x, -x], -1), a)
    same(lambda x: np.concatenate([np.ones(5, bool), x]), np.array([True, False]))


# -------------------------------------------------------------------- unslice


PADS = [
    ((7,), ((3, 2),)),
    ((4, 5), ((0, 0), (1, 2))),
    ((4, 5), ((2, 1), (0, 0))),
    ((4, 5), ((1, 1), (3, 3))),
    ((2, 3, 40), ((1, 0), (0, 0), (0, 1))),
    ((2, 3, 40), ((1, 2), (0, 3), (0, 0))),
    ((2, 0, 4), ((1, 1), (1, 0), (0, 1))),
    ((1, 1), ((200, 0), (0, 300))),
]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("shape", "pad"), PADS)
def test_pad(kind, shape, pad):
    same(lambda x: np.pad(x, pad), array(shape, kind))


SLICES = [
    np.s_[::2], np.s_[1::3], np.s_[::-1], np.s_[-2:0:-2], np.s_[3:4], np.s_[2:2],
    np.s_[:, ::2], np.s_[:, ::-1], np.s_[1:3, 2:9], np.s_[..., 4], np.s_[2], np.s_[:, :, 1:3],
    np.s_[::2, 1, ::-2],
    np.s_[:, 3:4, 5], np.s_[1:-1, :, 1:-1], np.s_[:, 1:2], np.s_[4:1:-1, ::5],
]  # fmt: skip


@pytest.mark.parametrize("index", SLICES, ids=str)
def test_a_slice_put_back(index):
    a = array((6, 10, 8))

    def back(x, g):
        zeros = np.zeros(x.shape)
        zeros[index] = g
        return zeros

    g = array(a[index].shape, seed=1)
    compiled = cr.compile(lambda x, g: scatter(g, index, x.shape))
    np.testing.assert_array_equal(compiled(a, g), back(a, g))
    turned = cr.compile(lambda x, h: scatter(h.T, index, x.shape))(a, np.ascontiguousarray(g.T))
    np.testing.assert_array_equal(turned, back(a, g))
    np.testing.assert_array_equal(
        cr.compile(lambda x: scatter(np.broadcast_to(2.5, g.shape), index, x.shape))(a), back(a, 2.5)
    )
    assert "nothing falls back" in str(compiled.report())


# -------------------------------------------------------------------- pack, element


def test_pack_and_element():
    def there_and_back(v, s, t):
        if not isinstance(v, Traced):
            return np.array([v[2, 1], s, 3.5, v[0, 0], t * 2, s])[[5, 1, 3]]
        x = node("element", (v[2],), (), v.dtype, False, {"index": 1})
        y = node("reshape", (v[:1, :1],), (), v.dtype)
        c = np.multiply(np.multiply(s, 0) + 3.5, 1.0)
        p = node("pack", (x, s, c, y, t * 2, s), (6,), v.dtype)
        parts = tuple(node("element", (p,), (), v.dtype, False, {"index": k}) for k in (5, 1, 3))
        return node("pack", parts, (3,), v.dtype)

    for kind in ("f8", "f4"):
        v = array((3, 2), kind)
        s, t = v.dtype.type(5), v.dtype.type(7)
        got = cr.compile(there_and_back)(v, s, t)
        np.testing.assert_array_equal(got, there_and_back(v, s, t).astype(kind))
    got = cr.compile(lambda *xs: node("pack", tuple(xs), (40,), np.dtype(bool)))(*(np.arange(40) % 3 == 0))
    np.testing.assert_array_equal(got, np.arange(40) % 3 == 0)


def test_an_element_in_a_loop():
    def f(v, w):
        s = node("element", (v[::-1],), (), v.dtype, False, {"index": 1}) if isinstance(v, Traced) else v[-2]
        return w + s

    same(f, array(5), array((3, 4), seed=1))


# -------------------------------------------------------------------- gather and scatter_add


def indices(shape, n, seed=0):
    return np.random.default_rng(seed).integers(-n, n, shape)


ROWS = [(), (1,), (5,), (128,), (3, 7), (0,)]
MANY = [indices(shape, 6) for shape in [(1,), (9,), (4, 5), (0,), (3, 0)]] + [np.array(-2)]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("row", ROWS)
def test_gather_rows(kind, row):
    same(lambda a, *many: [a[i] for i in many], array((6, *row), kind), *MANY)


@pytest.mark.parametrize("kind", ["f8", "f4", "i8"])
@pytest.mark.parametrize("row", ROWS)
def test_scatter_add_rows(kind, row):
    given = [array((*i.shape, *row), kind, 1) for i in MANY]

    def f(*many):
        if isinstance(many[0], Traced):
            return [scatter(g, i, (6, *row)) for g, i in zip(given, many)]
        made = [np.zeros((6, *row), kind) for _ in many]
        for out, i, g in zip(made, many, given):
            np.add.at(out, i, g)
        return made

    same(f, *MANY)


def test_scatter_add_of_booleans_is_or():
    g, i = np.array([True, False, False, True]), np.array([1, 1, 2, 0])
    got = cr.compile(lambda g, i: scatter(g, i, (4,)))(g, i)
    np.testing.assert_array_equal(got, [True, True, False, False])


PICKS = [
    lambda a, i, j: a[i, j],
    lambda a, i, j: a[i[:, None], j],
    lambda a, i, j: a[i, :, j],
    lambda a, i, j: a[:, i, j],
    lambda a, i, j: a[:, i, 1:],
    lambda a, i, j: a[..., i],
    lambda a, i, j: a[2, i],
    lambda a, i, j: a[np.arange(4), i],
    lambda a, i, j: a[::2, ::-1][np.clip(i, -2, 1), j],
    lambda a, i, j: a.T[i, j],
    lambda a, i, j: a.reshape(8, 16)[i],
    lambda a, i, j: np.transpose(a, (1, 2, 0))[i],
    lambda a, i, j: a[np.array([-1, 0, 2]), :, i[:3]],
    lambda a, i, j: a[i[::-1], j],
    lambda a, i, j: np.broadcast_to(a[:1, :1], (4, 4, 8))[i],
    lambda a, i, j: np.broadcast_to(a[1, 1, 1], (4, 3))[i],
]


@pytest.mark.parametrize("number", range(len(PICKS)))
def test_gather_and_its_transpose(number):
    f = PICKS[number]
    a, i, j = array((4, 4, 8)), indices(4, 4), indices(4, 4, 1)
    same(f, a, i, j)
    g = array(f(a, i, j).shape, seed=2)
    pulled = cr.vjp(lambda a: f(a, i, j), a)[1](g)
    compiled = cr.compile(lambda a, i, j, g: cr.vjp(lambda a: f(a, i, j), a)[1](g))
    np.testing.assert_allclose(compiled(a, i, j, g), pulled, rtol=1e-13, atol=1e-14)
    turned = cr.compile(lambda a, i, j, g: cr.vjp(lambda a: f(a, i, j), a)[1](np.transpose(g)))
    np.testing.assert_allclose(turned(a, i, j, np.ascontiguousarray(g.T)), pulled, rtol=1e-13, atol=1e-14)


def test_a_broadcast_gradient_is_scattered():
    a, i = array((5, 40), "f4"), indices((3, 6), 5)
    f = lambda a, i: cr.grad(lambda a: np.sum(a[i]))(a)
    np.testing.assert_array_equal(cr.compile(f)(a, i), f(a, i))
    g = lambda a, i, s: cr.grad(lambda a: np.sum(a[i] * s))(a)
    for s in (2.0, array((3, 6, 1), "f4"), array(40, "f4"), array((6, 40), "f4")):
        np.testing.assert_allclose(cr.compile(g)(a, i, s), g(a, i, s), rtol=1e-6, atol=1e-6)


def test_one_in_each_row():
    logits, labels = array((16, 1000), "f4"), indices(16, 1000)
    f = lambda x, y: cr.grad(lambda x: -np.sum(x[np.arange(16), y]))(x)
    np.testing.assert_array_equal(cr.compile(f)(logits, labels), f(logits, labels))


def test_indices_of_other_integers():
    a = array((5, 3))
    for kind in ("i4", "i8"):
        same(lambda a, i: a[i], a, np.array([1, -5, 4], kind))


# -------------------------------------------------------------------- out of bounds


@pytest.mark.parametrize("wrong", [5, -6, 2**40, -(2**62), np.iinfo(np.int64).min, np.iinfo(np.int64).max])
@pytest.mark.parametrize("at", [0, 7, 11])
def test_an_index_out_of_bounds(wrong, at):
    def lookup(a, i):
        return a[i] * 2

    a, good = array((5, 4)), indices(12, 5)
    bad = good.copy()
    bad[at] = wrong
    compiled = cr.compile(lookup)
    for _ in range(2):
        with pytest.raises(IndexError, match=rf"gather: index {wrong} is out of bounds .* size 5; .* lookup"):
            compiled(a, bad)
        np.testing.assert_array_equal(compiled(a, good), a[good] * 2)


def test_the_first_wrong_index_is_named_and_the_axis_it_belongs_to():
    a = array((5, 30))
    compiled = cr.compile(lambda a, i, j: a[i, j])
    with pytest.raises(IndexError, match=r"index 31 .* size 30"):
        compiled(a, np.array([1, 4, 8]), np.array([2, 31, 99]))
    with pytest.raises(IndexError, match=r"index 8 .* size 5"):
        compiled(a, np.array([1, 8, 9]), np.array([2, 3, 99]))


def test_scatter_add_out_of_bounds():
    compiled = cr.compile(lambda g, i: scatter_add(g, (i,), i.shape, (4,)))
    with pytest.raises(IndexError, match="scatter_add: index 4"):
        compiled(np.ones(3), np.array([0, 4, 1]))
    np.testing.assert_array_equal(compiled(np.ones(3), np.array([0, -1, 0])), [2, 0, 0, 1])


def test_nothing_to_pick_from():
    compiled = cr.compile(lambda a, i: a[i])
    with pytest.raises(IndexError, match=r"index 0 .* size 0"):
        compiled(np.zeros((0, 3)), np.array([0]))
    assert compiled(np.zeros((0, 3)), np.zeros(0, int)).shape == (0, 3)
    with pytest.raises(IndexError, match=r"index 9 .* size 2"):
        cr.compile(lambda a, i: a[i])(np.zeros((2, 0)), np.array([9]))


def test_a_wrong_index_known_while_compiling():
    with pytest.raises(IndexError, match="index 5 is out of bounds"):
        cr.compile(lambda a: a[np.array([1, 5])])(np.ones(3))


def test_a_wrong_index_leaves_state_as_it_was():
    table, w, count = cr.Value(array((6, 8))), cr.Value(array(8, seed=1)), cr.Value(1.0)

    def step(i, j):
        for p in (table, w, count):
            p.grad = None
        w.data = w.data * 0.5  # before any index is looked at
        loss = np.mean((table[i] * w + count) ** 2)
        loss.backward()
        for p in (table, w, count):
            p.data = p.data - 0.1 * p.grad
        return np.sum(w.data[j]) + loss.data

    start = [np.array(p.data) for p in (table, w, count)]
    good, bad = np.array([1, 2, 5]), np.array([1, 2, 6])
    wants = [(step(good, good), *[(np.array(p.data), np.array(p.grad)) for p in (table, w, count)])]
    wants += [(step(good, good), *[(np.array(p.data), np.array(p.grad)) for p in (table, w, count)])]
    for p, a in zip((table, w, count), start):
        p.data, p.grad = a, None
    count.data = 1.0
    compiled = cr.compile(step)
    for want in wants:
        before = [(np.array(p.data), None if p.grad is None else np.array(p.grad)) for p in (table, w, count)]
        for i, j in ((bad, good), (good, bad + 2)):
            with pytest.raises(IndexError, match="step"):
                compiled(i, j)
            for p, (data, grad) in zip((table, w, count), before):
                np.testing.assert_array_equal(p.data, data)
                assert (grad is None) == (p.grad is None)
                assert grad is None or np.array_equal(p.grad, grad)
        np.testing.assert_allclose(compiled(good, good), want[0], rtol=1e-12)
        for p, (data, grad) in zip((table, w, count), want[1:]):
            np.testing.assert_allclose(p.data, data, rtol=1e-12)
            np.testing.assert_allclose(p.grad, grad, rtol=1e-12)


def test_a_wrong_index_before_a_step_by_numpy():
    compiled = cr.compile(lambda a, i: np.sort(a[i])[i])
    a = array(5)
    with pytest.raises(IndexError, match="index 7"):
        compiled(a, np.array([1, 7, 0]))
    np.testing.assert_array_equal(compiled(a, np.array([2, 1, 0])), np.sort(a[[2, 1, 0]])[[2, 1, 0]])


def unchanged(compiled, values, bad, good):
    """A call that fails leaves state as it was, and the next one works as if it had not been."""
    for _ in range(2):
        before = [(np.array(v.data), None if v.grad is None else np.array(v.grad)) for v in values]
        with pytest.raises((IndexError, np.linalg.LinAlgError)):
            compiled(*bad)
        for v, (data, grad) in zip(values, before):
            np.testing.assert_array_equal(v.data, data)
            assert (v.grad is None) == (grad is None)
            assert grad is None or np.array_equal(v.grad, grad)
        compiled(*good)


def test_a_wrong_index_in_a_loop_leaves_state_as_it_was():
    w, n = cr.Value(array((4, 3))), cr.Value(0.0)

    def step(index):
        w.data = w.data * 0.5
        n.data = n.data + 1.0
        last, rows = cr.scan(lambda c, i: (c * 0.9 + w.data[i], c), w.data[0], index)
        w.data = w.data + last
        return rows

    eager = cr.scan(lambda c, i: (c * 0.9 + w.data[i] * 0.5, c), w.data[0] * 0.5, np.array([0, -1, 2]))[1]
    compiled = cr.compile(step)
    good = np.array([0, -1, 2])
    with pytest.raises(IndexError, match=r"index 4 .* size 4"):
        compiled(np.array([1, 4, 9]))
    np.testing.assert_allclose(compiled(good), np.asarray(eager), rtol=1e-12)
    unchanged(compiled, [w, n], [np.array([3, 3, -5])], [good])
    assert n.data == 3.0


def test_each_branch_checks_its_own_indices():
    f = cr.compile(lambda p, a, i: cr.cond(p, lambda a, i: a[i], lambda a, i: -a[i], a, i))
    a = array((5, 3))
    for p in (True, False):
        with pytest.raises(IndexError, match=r"index 5 .* size 5"):
            f(np.bool_(p), a, np.array([2, 5]))
        np.testing.assert_array_equal(f(np.bool_(p), a, np.array([2, -5])), a[[2, 0]] * (1 if p else -1))


def test_an_error_of_numpy_leaves_state_as_it_was():
    w = cr.Value(array((3, 3)))

    def step(a):
        w.data = w.data * 0.5
        return np.linalg.inv(a) + w.data

    unchanged(cr.compile(step), [w], [np.zeros((3, 3))], [np.eye(3)])


# -------------------------------------------------------------------- along one axis

SHAPES = [(1,), (2,), (7,), (200,), (3, 1), (1, 65), (5, 4), (4, 33), (3, 50, 2), (2, 3, 130)]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("f", [np.argmax, np.argmin], ids=lambda f: f.__name__)
def test_extremes(f, kind):
    for shape in SHAPES:
        a = array(shape, kind)  # of few different numbers: there are ties
        same(lambda a: [f(a), *[f(a, k) for k in range(a.ndim)]], a)
        same(lambda a: [f(a, keepdims=True), *[f(a, axis=~k, keepdims=True) for k in range(a.ndim)]], a)


@pytest.mark.parametrize("f", [np.argmax, np.argmin], ids=lambda f: f.__name__)
@pytest.mark.parametrize("kind", ["f8", "f4"])
def test_extremes_of_special_values(f, kind):
    rng = np.random.default_rng(0)
    for n, side in itertools.product((3, 40, 90), (1, 40)):
        a = rng.choice(np.array(HARD, kind), (side, n))
        a[: side // 2] = rng.choice(np.array([0.0, -0.0, np.inf, -np.inf], kind), (side // 2, n))
        same(lambda a: [f(a, 0), f(a, 1), f(a)], a)
        one = np.zeros((n, n), kind)  # nan at every place, alone and followed by one
        one[np.arange(n), np.arange(n)] = np.nan
        one[:, -1] = np.nan
        same(lambda a: [f(a, 1), f(a, 0)], one)
        same(lambda a: f(a, 1), np.full((2, n), np.nan, kind))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("f", [np.cumsum, np.cumprod], ids=lambda f: f.__name__)
def test_cumulative(f, kind):
    for shape in [*SHAPES, (0,), (3, 0), (0, 3)]:
        a = array(shape, kind)
        same(lambda a: [f(a), *[f(a, k) for k in range(-1, a.ndim)]], a)
    same(f, np.array(HARD)[:2])
    same(lambda a: f(a, 1), np.array(HARD).reshape(2, 4))
    same(lambda a: f(a, dtype=np.float64), array(5, "f4"))


@pytest.mark.parametrize("number", VIEWS)
@pytest.mark.parametrize("f", [np.argmax, np.argmin, np.cumsum, np.cumprod], ids=lambda f: f.__name__)
def test_along_views(f, number):
    a = array((6, 4, 40))
    g = view(a, number)
    same(lambda a: [f(g(a), k) for k in range(g(a).ndim)], a)
    same(lambda a: [f(g(a * 2), k) + 1 for k in range(g(a).ndim)], a)


def test_methods_and_numbers():
    a = array((3, 4))
    same(lambda a: a.argmax(), a)
    same(lambda a: a.argmin(1), a)
    same(lambda a: a.cumsum(0), a)
    same(lambda a: a.cumprod(), a)
    same(lambda a: np.add.accumulate(a), a)
    same(lambda a: np.multiply.accumulate(a, axis=1), a)
    same(lambda s: np.cumsum(s * 2), np.float64(3))
    same(lambda s: np.argmax(s * 2), np.float64(3))
    same(lambda a: np.argmax(np.broadcast_to(2.0, a.shape), 1) + np.argmax(a), a)
    same(lambda a: np.argmax(a, 1), np.zeros((0, 3)))


def test_the_largest_of_nothing():
    for axis in (None, 0):
        with pytest.raises(ValueError, match="argmax: there is nothing to compare in an array of shape"):
            cr.compile(lambda a, axis=axis: np.argmax(a, axis))(np.zeros((0, 3)))


def test_the_reference_is_numpy():
    a = array((3, 5))
    want = {"argmax": np.argmax(a, 1)[:, None], "argmin": np.argmin(a, 1)[:, None], "cumsum": np.cumsum(a, 1)}

    def f(x):
        for name, y in want.items():
            made = getattr(x, name)(1)
            made = made if made.op == name else made.inputs[0]  # seen through the reshape that drops the axis
            assert made.op == name
            np.testing.assert_array_equal(run(made, [a]), y)
        return x

    cr.compile(f)(a)
