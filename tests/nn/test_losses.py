"""Losses: values and gradients against mpmath in 50 digits, extremes, and shapes that must not broadcast."""

import mpmath
import numpy as np
import pytest

import chainrule as cr
from chainrule import Value, nn

mpmath.mp.dps = 50


def exact_cross_entropy(logits, p):
    """Mean of -sum p log softmax and its gradient, with 50 digits."""
    loss, gradient = mpmath.mpf(0), []
    for row, shares in zip(logits, p, strict=True):
        z = [mpmath.mpf(float(x)) for x in row]
        total = sum(mpmath.exp(x) for x in z)
        q = [mpmath.exp(x) / total for x in z]
        shares = [mpmath.mpf(float(s)) for s in shares]
        loss -= sum(s * mpmath.log(y) for s, y in zip(shares, q, strict=True) if s)
        gradient.append([(sum(shares) * y - s) / len(logits) for s, y in zip(shares, q, strict=True)])
    return float(loss / len(logits)), np.array(gradient, dtype=float)


@pytest.mark.parametrize("scale", [1e-3, 1.0, 30.0, 1e4])
@pytest.mark.parametrize("soft", [False, True])
def test_cross_entropy_against_mpmath(scale, soft):
    rng = np.random.default_rng(0)
    logits = Value(scale * rng.normal(size=(6, 5)))
    labels = rng.integers(0, 5, 6)
    shares = rng.dirichlet(np.ones(5), 6) if soft else np.eye(5)[labels]
    expected, gradient = exact_cross_entropy(logits.data, shares)
    loss = nn.cross_entropy(logits, shares if soft else labels)
    loss.backward()
    assert loss.data == pytest.approx(expected, rel=1e-14)
    np.testing.assert_allclose(logits.grad, gradient, rtol=1e-12, atol=1e-17)


def test_cross_entropy_of_a_sure_and_right_answer_keeps_its_digits():
    loss = nn.cross_entropy(Value(np.array([[40.0, 0.0]])), [0])
    assert loss.data == pytest.approx(float(mpmath.log(1 + mpmath.exp(-40))), rel=1e-9, abs=1e-17)


def test_one_hot_rows_equal_integer_labels():
    rng = np.random.default_rng(0)
    z, labels = rng.normal(size=(4, 3)), np.array([2, 0, 1, 1])
    a, b = Value(z), Value(z)
    first, second = nn.cross_entropy(a, labels), nn.cross_entropy(b, np.eye(3)[labels])
    first.backward(), second.backward()
    assert first.data == pytest.approx(second.data, rel=1e-15)
    np.testing.assert_allclose(a.grad, b.grad, atol=1e-16)


@pytest.mark.parametrize("labels", [np.array([0]), np.array([[1.0, 0.0, 0.0]])])
def test_cross_entropy_with_a_class_ruled_out(labels):
    logits = Value(np.array([[1.0, 1.0, -np.inf]]))
    loss = nn.cross_entropy(logits, labels)
    loss.backward()
    assert loss.data == pytest.approx(np.log(2))
    np.testing.assert_allclose(logits.grad, [[-0.5, 0.5, 0.0]], atol=1e-16)


def test_cross_entropy_where_the_label_is_ruled_out_is_inf_with_a_finite_gradient():
    logits = Value(np.array([[0.0, 0.0, -np.inf]]))
    loss = nn.cross_entropy(logits, [2])
    loss.backward()
    assert loss.data == np.inf
    np.testing.assert_allclose(logits.grad, [[0.5, 0.5, -1.0]])


@pytest.mark.parametrize("x", [1e4, -1e4, 1e300])
def test_cross_entropy_at_the_extremes(x):
    logits = Value(np.array([[x, -x]]))
    loss = nn.cross_entropy(logits, [0])
    loss.backward()
    assert loss.data == (0.0 if x > 0 else 2e4)
    np.testing.assert_allclose(logits.grad, [[0.0, 0.0]] if x > 0 else [[-1.0, 1.0]])


def test_cross_entropy_takes_any_leading_axes_and_keeps_float32():
    z = np.random.default_rng(0).normal(size=(2, 3, 4)).astype(np.float32)
    labels = np.array([[0, 1, 2], [3, 0, 1]], dtype=np.uint8)
    loss = nn.cross_entropy(Value(z), labels)
    assert loss.dtype == np.float32
    assert loss.data == pytest.approx(nn.cross_entropy(Value(z.reshape(6, 4)), labels.ravel()).data, rel=1e-6)
    assert nn.cross_entropy(Value(z[0, 0]), 0).shape == ()
    assert nn.cross_entropy(Value(z), cr.data(cr.softmax(z, axis=-1))).dtype == np.float32


def test_cross_entropy_differentiates_its_probabilities_too():
    p = Value(np.array([[0.25, 0.75]]))
    z = np.array([[0.0, 1.0]])
    nn.cross_entropy(z, p).backward()
    np.testing.assert_allclose(p.grad, -(z - np.log(1 + np.e)))


@pytest.mark.parametrize(("logits", "labels", "error", "match"), [
    ((2, 3), [0, 3], ValueError, "labels hold 3; expected 0 to 2"),
    ((2, 3), [-1, -2], ValueError, "labels hold -1 and 1 more such"),
    ((2, 3), [[0], [1]], ValueError, r"integers of shape \(2, 1\), logits are \(2, 3\); expected .*\(2,\)"),
    ((2, 3), [0, 1, 2], ValueError, r"expected labels of shape \(2,\)"),
    ((2, 3), [[1, 0, 0], [0, 1, 0]], ValueError, "or probabilities, as floats"),
    ((2, 3), [0.0, 1.0], TypeError, r"labels are float64 of shape \(2,\)"),
    ((2, 3), [True, False], TypeError, "labels are bool"),
    ((2, 3), [[0.5, 0.5, 0.5]] * 2, ValueError, "rows are not probabilities"),
    ((2, 3), [[1.5, -0.5, 0.0]] * 2, ValueError, "rows are not probabilities"),
    ((2, 3), [[np.nan, 0.5, 0.5]] * 2, ValueError, "rows are not probabilities"),
    ((), 0, ValueError, "logits is a single number"),
])  # fmt: skip
def test_cross_entropy_names_what_does_not_fit(logits, labels, error, match):
    with pytest.raises(error, match=match):
        nn.cross_entropy(Value(np.zeros(logits)), labels)


def test_mse_and_its_gradient():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 4, 3))
    prediction = Value(a)
    loss = nn.mse(prediction, b)
    loss.backward()
    assert loss.data == pytest.approx(sum((x - y) ** 2 for x, y in zip(a.flat, b.flat, strict=True)) / 12)
    np.testing.assert_allclose(prediction.grad, 2 * (a - b) / 12)


@pytest.mark.parametrize("loss", [nn.mse, nn.hinge, lambda a, b: nn.gaussian_nll(a, b, 0.0)])
@pytest.mark.parametrize(("a", "b"), [((4, 1), (4,)), ((4,), (4, 1)), ((4,), ()), ((4,), (3,)), ((), (1,))])
def test_shapes_that_would_broadcast_are_refused(loss, a, b):
    with pytest.raises(ValueError, match="expected the same shape") as caught:
        loss(Value(np.ones(a)), np.ones(b))
    assert ("[..., 0]" in str(caught.value)) == (abs(len(a) - len(b)) == 1 and 1 in (*a[-1:], *b[-1:]))


def test_hinge_against_its_definition():
    rng = np.random.default_rng(0)
    s, y = rng.normal(size=20) * 2, rng.choice([-1, 1], 20)
    scores = Value(s)
    loss = nn.hinge(scores, y)
    loss.backward()
    assert loss.data == pytest.approx(np.mean([max(0.0, 1 - a * b) for a, b in zip(s, y, strict=True)]))
    np.testing.assert_allclose(scores.grad, np.where(y * s < 1, -y, 0) / 20)


def test_hinge_at_its_kink_and_extremes():
    scores = Value(np.array([1.0, 1e300, -1e300]))
    nn.hinge(scores, [1, 1, 1]).backward()
    np.testing.assert_allclose(scores.grad * 3, [0.0, 0.0, -1.0])


def test_hinge_keeps_float32_with_integer_labels():
    assert nn.hinge(Value(np.ones(2, np.float32)), np.array([1, -1])).dtype == np.float32


@pytest.mark.parametrize("labels", [[0, 1], [1, 2], [np.nan, 1.0]])
def test_hinge_names_labels_that_are_not_signs(labels):
    with pytest.raises(ValueError, match="expected -1 and 1 only"):
        nn.hinge(Value(np.zeros(2)), labels)


def test_gaussian_nll_is_minus_the_log_density():
    rng = np.random.default_rng(0)
    mean, target, log_std = rng.normal(size=(3, 5))
    expected = -np.mean([
        float(mpmath.log(mpmath.npdf(t, m, mpmath.exp(s))))
        for m, t, s in zip(mean, target, log_std, strict=True)
    ])  # fmt: skip
    a, b = Value(mean), Value(mean)
    first = nn.gaussian_nll(a, target, log_std)
    second = nn.gaussian_nll(b, target, variance=np.exp(2 * log_std))
    assert first.data == pytest.approx(expected, rel=1e-14)
    assert second.data == pytest.approx(expected, rel=1e-14)
    first.backward(), second.backward()
    np.testing.assert_allclose(a.grad, (mean - target) / np.exp(2 * log_std) / 5)
    np.testing.assert_allclose(b.grad, a.grad)


def test_gaussian_nll_is_smallest_at_the_mean_and_variance_of_the_data():
    target = np.random.default_rng(0).normal(3.0, 2.0, size=50)
    spread = Value(np.log(target.std()))
    mean = Value(target.mean())
    nn.gaussian_nll(mean + np.zeros(50), target, spread).backward()
    assert abs(mean.grad) < 1e-12
    assert abs(spread.grad) < 1e-12


@pytest.mark.parametrize("log_std", [-300.0, 300.0])
def test_gaussian_nll_at_extreme_spreads(log_std):
    spread = Value(log_std)
    loss = nn.gaussian_nll(np.array([0.0]), np.array([np.exp(log_std)]), spread)
    loss.backward()
    assert loss.data == pytest.approx(0.5 + log_std + 0.5 * np.log(2 * np.pi))
    assert spread.grad == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("shape", [(), (1,), (3,), (4, 1), (4, 3)])
def test_gaussian_nll_broadcasts_the_spread_to_the_mean(shape):
    rng = np.random.default_rng(0)
    mean, target = rng.normal(size=(2, 4, 3))
    spread = rng.normal(size=shape)
    full = np.broadcast_to(spread, (4, 3))
    assert nn.gaussian_nll(mean, target, Value(spread)).data == pytest.approx(
        nn.gaussian_nll(mean, target, Value(full)).data
    )


@pytest.mark.parametrize(("options", "error", "match"), [
    ({}, TypeError, "neither of log_std and variance given"),
    ({"log_std": 0.0, "variance": 1.0}, TypeError, "both of log_std and variance given"),
    ({"variance": 0.0}, ValueError, "variance holds 0.0; expected positive"),
    ({"variance": np.array([1.0, -1.0, np.nan, 1.0])}, ValueError, "variance holds -1.0 and 1 more such"),
    ({"log_std": np.zeros((4, 4))}, ValueError, r"log_std is \(4, 4\), mean is \(4,\)"),
    ({"log_std": np.zeros(3)}, ValueError, r"log_std is \(3,\)"),
])  # fmt: skip
def test_gaussian_nll_names_what_does_not_fit(options, error, match):
    with pytest.raises(error, match=match):
        nn.gaussian_nll(Value(np.zeros(4)), np.zeros(4), **options)
