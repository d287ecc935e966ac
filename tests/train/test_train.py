"""Minibatches, curves, accuracy, progress."""

import builtins
import sys

import numpy as np
import pytest

from chainrule import Value, train


@pytest.mark.parametrize("n", [1, 7, 64, 65, 128])
@pytest.mark.parametrize("shuffle", [True, False])
def test_an_epoch_holds_every_sample_once_and_keeps_pairs_together(n, shuffle):
    X, y = np.arange(n) * 10.0, np.arange(n)
    parts = train.batches(X, y, batch_size=64, rng=0, shuffle=shuffle)
    seen = list(parts)
    assert len(seen) == len(parts) == -(-n // 64)
    assert all(len(x) == 64 for x, _ in seen[:-1])
    assert all(np.array_equal(x, 10.0 * labels) for x, labels in seen)
    order = np.concatenate([labels for _, labels in seen])
    assert sorted(order) == list(range(n))
    assert shuffle or np.array_equal(order, np.arange(n))


def test_the_seed_decides_the_orders_and_epochs_differ():
    def epochs(seed):
        parts = train.batches(np.arange(50), batch_size=8, rng=seed)
        return [np.concatenate([x for (x,) in parts]) for _ in range(2)]

    first, second = epochs(3)
    again = epochs(3)
    assert np.array_equal(first, again[0])
    assert np.array_equal(second, again[1])
    assert not np.array_equal(first, second)


@pytest.mark.parametrize(("arrays", "size", "error", "match"), [
    ((), 4, TypeError, "no arrays given"),
    ((np.ones(3), np.ones(4)), 4, ValueError, r"lengths \[3, 4\]"),
    ((np.ones(0),), 4, ValueError, "empty"),
    ((1.0,), 4, ValueError, "a single number"),
    ((np.ones(3),), 0, ValueError, "batch_size is 0; expected at least 1"),
    ((np.ones(3),), 2.5, TypeError, "batch_size is 2.5; expected an integer"),
])  # fmt: skip
def test_batches_complains_when_called_not_when_iterated(arrays, size, error, match):
    with pytest.raises(error, match=match):
        train.batches(*arrays, batch_size=size)


def test_curves_keep_each_name_with_its_own_steps():
    curves = train.Curves()
    for k in range(4):
        curves.record(k, loss=Value(1.0 / (k + 1)))
    curves.record(3, accuracy=np.float32(0.5))
    assert list(curves) == ["loss", "accuracy"]
    assert len(curves) == 2
    steps, losses = curves["loss"]
    np.testing.assert_allclose(steps, [0, 1, 2, 3])
    np.testing.assert_allclose(losses, [1, 1 / 2, 1 / 3, 1 / 4])
    assert curves.last("accuracy") == 0.5
    assert "loss: 4 points, last 0.25" in repr(curves)
    with pytest.raises(KeyError):
        curves["speed"]


def test_accuracy_by_class_and_by_sign():
    scores = np.array([[0.1, 0.9], [0.8, 0.2], [0.3, 0.7]])
    assert train.accuracy(Value(scores), [1, 0, 0]) == pytest.approx(2 / 3)
    assert train.accuracy(np.array([0.0, -1.0, 2.0]), [1, 1, 1]) == pytest.approx(2 / 3)
    with pytest.raises(ValueError, match=r"scores are \(3, 2\), labels are \(2,\)"):
        train.accuracy(scores, [1, 0])


@pytest.mark.parametrize("show", [None, False, True])
def test_progress_passes_everything_through(show, capsys):
    bar = train.progress([1, 2, 3], label="work", show=show)
    seen = []
    for x in bar:
        seen.append(x)
        bar.show(loss=0.5)
    assert seen == [1, 2, 3]
    shown = capsys.readouterr().err
    assert ("work" in shown) == (show is True)


def test_progress_without_tqdm_is_plain_iteration(monkeypatch):
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name.startswith("tqdm"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.delitem(sys.modules, "tqdm", raising=False)
    monkeypatch.setattr(builtins, "__import__", without)
    bar = train.progress(range(3), show=True)
    assert list(bar) == [0, 1, 2]
    bar.show(loss=1.0)
