"""Minibatches whose orders come from a seed, and iterations that are continued in the middle."""

import json

import numpy as np
import pytest

from chainrule import train


def made(n=11, **options):
    options = {"batch_size": 4, "seed": 5} | options
    return train.batches(np.arange(n) * 10.0, np.arange(n), **options)


def given(parts, epochs=1):
    return [labels.tolist() for _ in range(epochs) for _, labels in parts]


@pytest.mark.parametrize("n", [1, 8, 11])
@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("drop_last", [True, False])
def test_continued_after_any_batch_the_rest_is_the_same(n, shuffle, drop_last):
    options = dict(n=n, shuffle=shuffle, drop_last=drop_last, batch_size=min(n, 4))
    whole, size = given(made(**options), epochs=3), len(made(**options))
    parts, done = made(**options), 0
    for epoch in range(3):
        for _, labels in parts:
            assert labels.tolist() == whole[done]
            done += 1
            state = json.loads(json.dumps(parts.state_dict()))
            again = made(**options, **({"seed": 99} if shuffle else {}))  # the state's seed counts
            again.load_state_dict(state)
            assert again.epoch == epoch
            assert again.state_dict() == state
            rest = given(again)
            assert rest == whole[done : (epoch + 1) * size]
            assert rest + given(again, epochs=2 - epoch) == whole[done:]
        assert (parts.epoch, parts.batch) == (epoch + 1, 0)


def test_a_state_before_the_first_batch_and_between_epochs():
    parts = made()
    assert (parts.epoch, parts.batch) == (0, 0)
    for epochs in range(3):
        again = made()
        again.load_state_dict(parts.state_dict())
        assert given(again) == given(made(), epochs=epochs + 1)[epochs * 3 :]
        given(parts)


def test_an_epoch_depends_on_seed_and_number_alone():
    jumped = made()
    jumped.load_state_dict(jumped.state_dict() | {"epoch": 2})
    assert given(jumped) == given(made(), epochs=3)[6:]
    assert len({str(given(made(seed=seed))) for seed in range(20)}) == 20
    # the numbers are not those of a generator that somebody else makes from the same seed
    assert given(made(50, batch_size=50))[0] != np.random.default_rng(5).permutation(50).tolist()


def test_an_epoch_that_was_left_early_is_over_unless_it_is_loaded():
    parts = made()
    for _ in parts:
        break
    assert given(parts) == given(made(), epochs=2)[3:]


def test_rng_draws_one_order_after_the_other_as_before():
    for rng in 3, np.random.default_rng(3):
        parts = made(50, batch_size=50, rng=rng, seed=None)
        expected = np.random.default_rng(3)
        for _ in range(3):
            assert given(parts)[0] == expected.permutation(50).tolist()
    with pytest.raises(
        ValueError, match=r"state_dict: the batches were made with rng=.*make them with seed="
    ):
        parts.state_dict()
    with pytest.raises(ValueError, match=r"load_state_dict: the batches were made with rng="):
        parts.load_state_dict({})


def test_without_rng_and_seed_orders_differ_and_can_still_be_continued():
    parts, other = (train.batches(np.arange(50), batch_size=50) for _ in range(2))
    state = json.loads(json.dumps(parts.state_dict()))
    (first,), (second,) = next(iter(parts)), next(iter(other))
    assert first.tolist() != second.tolist()
    other.load_state_dict(state)
    assert next(iter(other))[0].tolist() == first.tolist()


def test_drop_last_leaves_out_what_fills_no_batch():
    parts = made(11, drop_last=True)
    assert len(parts) == 2
    assert [len(labels) for labels in given(parts)] == [4, 4]
    assert len(made(12, drop_last=True)) == 3


def test_transform_makes_the_batch():
    images = np.full((5, 2, 2), 255, np.uint8)
    parts = train.batches(
        images, np.arange(5), batch_size=2, seed=0, transform=lambda x, y: (x.astype(np.float32) / 255, y)
    )
    for x, y in parts:
        assert x.dtype == np.float32
        assert (x == 1).all()
        assert len(x) == len(y)


def test_batches_are_the_readers_own_unless_in_order():
    X = np.zeros(8)
    for (x,) in train.batches(X, batch_size=4, seed=0):
        x += 1
    assert not X.any()
    assert all(np.shares_memory(x, X) for (x,) in train.batches(X, batch_size=4, shuffle=False))


@pytest.mark.parametrize(("options", "error", "match"), [
    (dict(rng=0), TypeError, "both rng and seed"),
    (dict(seed=-1), ValueError, "seed is -1; expected at least 0"),
    (dict(seed=1.5), TypeError, "seed is 1.5; expected an integer"),
    (dict(seed=True), TypeError, "seed is True"),
    (dict(n=3, drop_last=True), ValueError, "batch_size is 4, there are 3 samples, and drop_last"),
])  # fmt: skip
def test_options_that_will_not_do(options, error, match):
    with pytest.raises(error, match=match):
        made(**options)


@pytest.mark.parametrize(("change", "match"), [
    ({"samples": 12}, r"taken with samples 12 \(here 11\); make the batches"),
    ({"batch_size": 2, "shuffle": False}, r"batch_size 2 \(here 4\), shuffle False \(here True\)"),
    ({"drop_last": True}, "drop_last True"),
    ({"batch": 4}, "batch at most 3"),
    ({"epoch": -1}, "are 5, -1 and 1; expected integers from 0"),
    ({"seed": "5"}, "are '5', 0 and 1"),
    ({"batch": None}, "are 5, 0 and None"),
])  # fmt: skip
def test_states_that_do_not_fit_change_nothing(change, match):
    parts = made()
    next(iter(parts))
    before = parts.state_dict()
    with pytest.raises(ValueError, match=match):
        parts.load_state_dict(before | change)
    assert parts.state_dict() == before
