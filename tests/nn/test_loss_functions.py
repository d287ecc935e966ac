"""All losses: derivatives, compiled as eager, reductions, dtypes; and each beside its definition."""

import itertools

import numpy as np
import pytest

import chainrule as cr
from chainrule import Value, data, nn

rng = np.random.default_rng(0)
A, B = rng.normal(size=(2, 4, 3))
LABELS = np.array([0, 2, 1, 1])
SHARES = rng.dirichlet(np.ones(3), 4)
WEIGHT = np.array([0.5, 1.0, 3.0])
WORDS = np.array([[1, 2, 2], [3, 1, 1]])
EMITTED = rng.normal(size=(2, 6, 4))

# name: the loss of its first argument, and a point
LOSSES = {
    "cross_entropy": (lambda z, **o: nn.cross_entropy(z, LABELS, **o), A),
    "cross_entropy, weighted": (lambda z, **o: nn.cross_entropy(z, LABELS, weight=WEIGHT, **o), A),
    "cross_entropy, smooth": (lambda z, **o: nn.cross_entropy(z, LABELS, label_smoothing=0.1, **o), A),
    "cross_entropy, soft": (lambda z, **o: nn.cross_entropy(z, SHARES.astype(z.dtype), **o), A),
    "cross_entropy, ignoring": (lambda z, **o: nn.cross_entropy(z, LABELS, ignore_index=1, **o), A),
    "nll": (lambda z, **o: nn.nll(cr.log_softmax(z), LABELS, **o), A),
    "bce_with_logits": (lambda z, **o: nn.bce_with_logits(z, SHARES.astype(z.dtype), **o), A),
    "bce_with_logits, weighted": (lambda z, **o: nn.bce_with_logits(z, B > 0, pos_weight=WEIGHT, **o), A),
    "kl_div": (lambda z, **o: nn.kl_div(cr.log_softmax(z), SHARES.astype(z.dtype), **o), A),
    "kl_div in p": (lambda p, **o: nn.kl_div(np.log(SHARES).astype(p.dtype), p, **o), np.abs(A)),
    "kl_div, logarithms": (lambda z, **o: nn.kl_div(B.astype(z.dtype), z, log_target=True, **o), A),
    "mse": (lambda y, **o: nn.mse(y, B.astype(y.dtype), **o), A),
    "mae": (lambda y, **o: nn.mae(y, B.astype(y.dtype), **o), A),
    "huber": (lambda y, **o: nn.huber(y, B.astype(y.dtype), 0.7, **o), A),
    "hinge": (lambda s, **o: nn.hinge(s, np.where(B > 0, 1, -1), **o), A),
    "gaussian_nll": (lambda m, **o: nn.gaussian_nll(m, B.astype(m.dtype), 0.3, **o), A),
    "ctc": (lambda z, **o: nn.ctc(cr.log_softmax(z), WORDS, [6, 5], [3, 2], **o), EMITTED),
}
each = pytest.mark.parametrize("name", LOSSES)


@each
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_derivatives(name, reduction):
    loss, x = LOSSES[name]
    cr.check_grads(lambda x: loss(x, reduction=reduction), (x,), order=2, rtol=1e-5, atol=1e-5)


@each
@pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=["double", "single"])
def test_compiled_is_eager_and_keeps_the_dtype(name, dtype):
    loss, x = LOSSES[name]
    x = x.astype(dtype)
    (a, da), (b, db) = cr.compile(cr.value_and_grad(loss))(x), cr.value_and_grad(loss)(x)
    rtol = 1e-12 if dtype is np.float64 else 2e-5
    assert np.asarray(a).dtype == np.asarray(b).dtype == da.dtype == db.dtype == dtype
    np.testing.assert_allclose(a, b, rtol=rtol)
    np.testing.assert_allclose(da, db, rtol=0, atol=rtol)


@each
def test_reductions(name):
    loss, x = LOSSES[name]
    terms = loss(x, reduction="none")
    assert loss(x, reduction="sum") == pytest.approx(np.sum(terms))
    if name == "ctc":
        terms = terms / [3, 2]
    if name not in ("cross_entropy, weighted", "cross_entropy, ignoring"):
        assert loss(x) == pytest.approx(np.mean(terms))
    with pytest.raises(ValueError, match="reduction is 'avg'; expected 'mean', 'sum' or 'none'"):
        loss(x, reduction="avg")


@pytest.mark.parametrize("wrap", [lambda f: f, cr.compile], ids=["eager", "compiled"])
@pytest.mark.parametrize(
    "loss", [nn.cross_entropy, nn.nll, nn.bce_with_logits, nn.hinge, nn.mse, nn.mae, nn.huber, nn.kl_div]
)
def test_the_mean_of_no_samples_is_refused(wrap, loss):
    x = np.ones((0, 3))
    y = np.zeros(0, int) if loss in (nn.cross_entropy, nn.nll) else x
    with pytest.raises(ValueError, match=f"{loss.__name__}: there are no samples .* expected at least one"):
        wrap(loss)(x, y)
    assert loss(x, y, reduction="sum") == 0


def test_smoothing_is_a_mixture_of_labels():
    mixed = 0.9 * np.eye(3)[LABELS] + 0.1 / 3
    assert nn.cross_entropy(A, LABELS, label_smoothing=0.1) == pytest.approx(nn.cross_entropy(A, mixed))
    assert nn.cross_entropy(A, SHARES, label_smoothing=0.1) == pytest.approx(
        nn.cross_entropy(A, 0.9 * SHARES + 0.1 / 3)
    )


def test_class_weights():
    log_q = cr.log_softmax(A)[np.arange(4), LABELS]
    want = -np.sum(WEIGHT[LABELS] * log_q) / np.sum(WEIGHT[LABELS])
    assert nn.cross_entropy(A, LABELS, weight=WEIGHT) == pytest.approx(want)


@pytest.mark.parametrize(("z", "y", "loss", "slope"), [
    (800.0, 1.0, 0.0, 0.0), (800.0, 0.0, 800.0, 1.0), (-800.0, 1.0, 800.0, -1.0), (0.0, 0.5, np.log(2), 0.0),
    (40.0, 1.0, np.exp(-40.0), -np.exp(-40.0)),
])  # fmt: skip
def test_bce_at_the_extremes(z, y, loss, slope):
    z = Value(np.array([z]))
    out = nn.bce_with_logits(z, np.array([y]))
    out.backward()
    assert out.data == pytest.approx(loss, rel=1e-12, abs=1e-300)
    assert z.grad[0] == pytest.approx(slope, rel=1e-12, abs=1e-300)


def test_huber_beside_its_definition_and_at_its_seam():
    r = np.linspace(-3, 3, 25)
    want = np.where(np.abs(r) <= 1.5, r**2 / 2, 1.5 * (np.abs(r) - 0.75))
    np.testing.assert_allclose(nn.huber(r, np.zeros(25), 1.5, reduction="none"), want)
    slopes = cr.grad(lambda y: nn.huber(y, np.zeros(25), 1.5, reduction="sum"))(r)
    np.testing.assert_allclose(slopes, np.clip(r, -1.5, 1.5))


def test_kl_div_is_zero_at_itself_and_has_no_nan_at_zero_shares():
    p = np.array([[0.0, 1.0], [0.5, 0.5]])
    log_q = Value(np.array([[-np.inf, 0.0], [np.log(0.5), np.log(0.5)]]))
    loss = nn.kl_div(log_q, p)
    loss.backward()
    assert loss.data == 0
    np.testing.assert_allclose(log_q.grad, -p / 2)
    with np.errstate(divide="ignore"):
        assert nn.kl_div(log_q.data, np.log(p), log_target=True) == 0


# -------------------------------------------------------------------- ctc


def brute(log_p, labels, blank=0):
    """The sum over every path that reads as the labels."""
    total = 0.0
    for path in itertools.product(range(log_p.shape[1]), repeat=len(log_p)):
        merged = [c for c, _ in itertools.groupby(path) if c != blank]
        if merged == list(labels):
            total += np.exp(sum(log_p[t, c] for t, c in enumerate(path)))
    return -np.log(total) if total else np.inf


@pytest.mark.parametrize("labels", [[1], [1, 2], [1, 1], [2, 1, 2], [1, 1, 1], [], [2, 2, 1]])
@pytest.mark.parametrize("blank", [0, 2])
def test_ctc_beside_every_path(labels, blank):
    log_p = cr.log_softmax(rng.normal(size=(5, 3)))
    labels = [{0: 0, 1: 1, 2: 0}[y] if blank == 2 else y for y in labels]
    got = nn.ctc(log_p[None], np.array([labels], int).reshape(1, -1), blank=blank, reduction="sum")
    assert got == pytest.approx(brute(log_p, labels, blank), rel=1e-12)


def test_ctc_of_sequences_of_several_lengths():
    log_p = cr.log_softmax(rng.normal(size=(4, 5, 3)))
    labels, steps, counts = np.array([[1, 2], [2, 2], [1, 1], [1, 2]]), [5, 3, 4, 1], [2, 2, 1, 0]
    got = nn.ctc(log_p, labels, steps, counts, reduction="none")
    want = [brute(log_p[i, :t], labels[i, :s]) for i, (t, s) in enumerate(zip(steps, counts, strict=True))]
    np.testing.assert_allclose(got, want)


def test_ctc_of_labels_that_do_not_fit_is_inf_without_a_gradient():
    log_p = Value(cr.log_softmax(rng.normal(size=(2, 2, 3))))
    loss = nn.ctc(log_p, np.array([[1, 1], [1, 2]]), reduction="none")
    assert loss.data[0] == np.inf
    assert np.isfinite(loss.data[1])
    np.sum(loss).backward()
    assert not np.any(log_p.grad[0])
    assert np.all(np.isfinite(log_p.grad))


def test_ctc_compiled_with_labels_and_lengths_as_arguments():
    loss = lambda z, y, t, s: nn.ctc(cr.log_softmax(z), y, t, s)
    args = EMITTED, WORDS, np.array([6, 5]), np.array([3, 2])
    assert cr.compile(loss)(*args) == pytest.approx(loss(*args), rel=1e-12)


@pytest.mark.parametrize(("run", "error", "match"), [
    (lambda: nn.nll(A, [0.0] * 4), TypeError, "labels are float64"),
    (lambda: nn.nll(A, [0, 1, 2, 3]), ValueError, "nll: labels hold 3; expected 0 to 2"),
    (lambda: nn.cross_entropy(A, LABELS, weight=[1.0]), ValueError, r"weight is \(1,\)"),
    (lambda: nn.cross_entropy(A, LABELS, label_smoothing=2), ValueError, "label_smoothing is 2; expected 0"),
    (lambda: nn.bce_with_logits(A, A), ValueError, "labels hold .* expected 0 to 1"),
    (lambda: nn.bce_with_logits(A, LABELS), ValueError, "expected the same shape"),
    (lambda: nn.huber(A, B, 0.0), ValueError, "delta is 0.0; expected a positive number"),
    (lambda: nn.mae(A, B[0]), ValueError, "expected the same shape"),
    (lambda: nn.kl_div(0.0, 1.0), ValueError, "log_q is a single number"),
    (lambda: nn.ctc(A, WORDS), ValueError, r"expected \(N, T, C\) and \(N, S\)"),
    (lambda: nn.ctc(EMITTED, WORDS * 1.0), TypeError, "ctc: labels are float64; expected integers"),
    (lambda: nn.ctc(EMITTED, WORDS + 1), ValueError, "ctc: labels hold 4; expected 0 to 3"),
    (lambda: nn.ctc(EMITTED, WORDS, blank=1), ValueError, "labels hold the blank, 1"),
    (lambda: nn.ctc(EMITTED, WORDS, [7, 1]), ValueError, "input_lengths hold 7; expected 1 to 6"),
    (lambda: nn.ctc(EMITTED, WORDS, label_lengths=[1]), ValueError, r"label_lengths are \(1,\); expected"),
])  # fmt: skip
def test_what_does_not_fit_is_named(run, error, match):
    with pytest.raises(error, match=match):
        run()


@pytest.mark.parametrize("dtype", [np.int64, np.int8])
@pytest.mark.parametrize("loss", [
    lambda y: nn.cross_entropy(A, y), lambda y: nn.cross_entropy(A, y, weight=WEIGHT), lambda y: nn.nll(A, y),
    lambda y: nn.ctc(EMITTED, y.reshape(2, 2)),
], ids=["cross_entropy", "weighted", "nll", "ctc"])  # fmt: skip
def test_compiled_negative_labels_are_no_classes_either(loss, dtype):
    compiled, labels = cr.compile(loss), np.array([1, 2, 1, 1], dtype)
    assert compiled(labels) == pytest.approx(loss(labels))
    labels[1] = -1
    with pytest.raises(IndexError, match="out of bounds"):
        compiled(labels)


@pytest.mark.parametrize("run", [lambda f: f, cr.compile], ids=["eager", "compiled"])
@pytest.mark.parametrize(
    "options", [{}, {"weight": WEIGHT}, {"reduction": "sum"}, {"label_smoothing": 0.1}], ids=str
)
def test_ignored_labels_are_as_if_they_were_not_there(options, run):
    labels, kept = np.array([0, -100, 1, -100]), [0, 2]
    logits = Value(A)
    found = run(lambda y: nn.cross_entropy(logits, y, ignore_index=-100, **options))(labels)
    wanted = nn.cross_entropy(logits[kept], labels[kept], **options)
    assert data(found) == pytest.approx(wanted.data)


# -------------------------------------------------------------------- initial weights


@pytest.mark.parametrize(("name", "variance"), [
    ("he_normal", 2 / 400), ("he_uniform", 2 / 400), ("glorot_normal", 2 / 700), ("glorot_uniform", 2 / 700),
    ("orthogonal", 1 / 400), ("truncated_normal", 0.02**2 * 0.7737), ("zeros", 0.0),
])  # fmt: skip
def test_initial_weights(name, variance):
    make = getattr(nn, name)
    w = make(np.random.default_rng(0), 400, 300, np.float32)
    assert w.shape == (400, 300)
    assert w.dtype == np.float32
    assert w.var() == pytest.approx(variance, rel=0.02)
    assert np.array_equal(w, make(np.random.default_rng(0), 400, 300, np.float32))


@pytest.mark.parametrize("shape", [(4, 4), (3, 5), (5, 3)])
def test_orthogonal(shape):
    w = nn.orthogonal(np.random.default_rng(0), *shape)
    n = min(shape)
    np.testing.assert_allclose(w.T @ w if shape[0] >= shape[1] else w @ w.T, np.eye(n), atol=1e-14)
