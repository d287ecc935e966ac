"""Minibatches: a data set in random parts, a new order every time round."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeGuard

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["Batches", "Loader", "as_batches", "batches"]


class Batches:
    """What `batches` returns: iterate over it for one epoch, again for the next; ``len`` counts the parts.

    ``epoch`` is the number of the epoch under way, or of the next one between two, and ``batch`` how many of
    its batches have been given out.
    """

    def __init__(
        self,
        arrays: tuple[NDArray[Any], ...],
        batch_size: int,
        *,
        rng: np.random.Generator | None,
        seed: int,
        shuffle: bool,
        drop_last: bool,
        transform: Callable[..., Any] | None,
    ) -> None:
        self.arrays = arrays
        self.batch_size = batch_size
        self.rng = rng
        self.seed = seed
        self.shuffle = shuffle
        self.drop_last = drop_last
        self.transform = transform
        self.epoch = 0
        self.batch = 0
        self._resumed = False

    def __len__(self) -> int:
        n = len(self.arrays[0])
        return n // self.batch_size if self.drop_last else -(-n // self.batch_size)

    @property
    def last(self) -> bool:
        """Whether the last batch of the epoch under way has been given out."""
        return self.batch >= len(self)

    def __iter__(self) -> Iterator[Any]:
        if self.batch and not self._resumed:  # the last time round was left before its end
            self.epoch, self.batch = self.epoch + 1, 0
        self._resumed = False
        epoch, order = self.epoch, self._order()
        for k in range(self.batch, len(self)):
            self.epoch, self.batch = epoch, k + 1
            part = slice(k * self.batch_size, (k + 1) * self.batch_size)
            # not np.take, which makes a copy of all of an array that is a view, such as windows of a text
            found = tuple(array[part if order is None else order[part]] for array in self.arrays)
            yield found if self.transform is None else self.transform(*found)
        self.epoch, self.batch = epoch + 1, 0

    def _order(self) -> NDArray[np.intp] | None:
        if not self.shuffle:
            return None
        rng = self.rng
        if rng is None:  # from seed and epoch alone: nothing that went before has to be repeated
            rng = np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=(self.epoch,)))
        return rng.permutation(len(self.arrays[0]))

    def _kind(self) -> dict[str, Any]:
        """Return what has to be the same where a state was taken and where it is loaded."""
        return {
            "samples": len(self.arrays[0]),
            "batch_size": self.batch_size,
            "shuffle": self.shuffle,
            "drop_last": self.drop_last,
        }

    def state_dict(self) -> dict[str, Any]:
        """Return where the iteration stands, as a few numbers that JSON can hold.

        A batch counts as done when it has been given out.  Taken in the body of the loop, the state continues
        with the batch after the one in hand; after the last batch it continues with none, and the epoch ends.

        Raises
        ------
        ValueError
            If rng decides the order: it cannot be found again from a number.

        Examples
        --------
        See `batches`.
        """
        self._refuse_rng("state_dict")
        return {**self._kind(), "seed": self.seed, "epoch": self.epoch, "batch": self.batch}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue where `state_dict` was taken: the next iteration gives the rest of that epoch.

        Raises
        ------
        ValueError
            If the state was taken from other data, batches of another size, or is none; nothing has changed
            then.
        """
        self._refuse_rng("load_state_dict")
        kind = self._kind()
        other = [
            f"{name} {state.get(name)!r} (here {wanted!r})"
            for name, wanted in kind.items()
            if state.get(name) != wanted
        ]
        if other:
            raise ValueError(
                f"load_state_dict: the state was taken with {', '.join(other)}; make the batches as they "
                "were made then"
            )
        seed, epoch, batch = (state.get(name) for name in ("seed", "epoch", "batch"))
        if not (_whole(seed) and _whole(epoch) and _whole(batch) and batch <= len(self)):
            raise ValueError(
                f"load_state_dict: seed, epoch and batch are {seed!r}, {epoch!r} and {batch!r}; expected "
                f"integers from 0, batch at most {len(self)}: what state_dict() returned"
            )
        self.seed, self.epoch, self.batch = seed, epoch, batch
        self._resumed = True

    def _refuse_rng(self, name: str) -> None:
        if self.rng is not None and self.shuffle:
            raise ValueError(
                f"{name}: the batches were made with rng=, whose orders cannot be found again; make them "
                "with seed=, as in batches(X, y, batch_size=64, seed=0)"
            )


class Loader:
    """Batches that somebody else makes.

    They can be continued in the middle if they are a list, or have state_dict and load_state_dict themselves.
    """

    def __init__(self, given: Any) -> None:
        self.given = given
        self.batch = 0  # of the epoch under way
        self._resumed = False
        self._own = all(callable(getattr(given, f"{verb}state_dict", None)) for verb in ("", "load_"))

    def __len__(self) -> int:
        return len(self.given)  # TypeError where there is no length, which progress bars understand

    @property
    def last(self) -> bool:
        """Whether the last batch has been given out; without a length, False until the end."""
        return hasattr(self.given, "__len__") and self.batch >= len(self)

    def __iter__(self) -> Iterator[Any]:
        done = self.batch if self._resumed else 0
        self.batch, self._resumed = done, False
        for found in self.given[done:] if done and not self._own else self.given:
            self.batch += 1
            yield found
        self.batch = 0

    def state_dict(self) -> dict[str, Any]:
        """How many batches of this epoch have been given out, and what the loader says itself."""
        if self._own:
            return {"batch": self.batch, "loader": self.given.state_dict()}
        if isinstance(self.given, list):
            return {"batch": self.batch, "batches": len(self)}
        raise TypeError(
            f"fit: a checkpoint is asked for, and data is a {type(self.given).__name__}, whose place cannot "
            "be stored; expected a tuple of arrays, train.batches(..., seed=0), a list of batches, or an "
            "object with state_dict() and load_state_dict(state) of its own"
        )

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue where `state_dict` was taken."""
        expected = {"batch", "loader" if self._own else "batches"}
        if state.keys() != expected or not _whole(state["batch"]):
            raise ValueError(
                f"load_state_dict: the state is {dict(state)!r}; expected {', '.join(sorted(expected))}: "
                "what batches of this kind gave"
            )
        if self._own:
            self.given.load_state_dict(state["loader"])
        elif state["batches"] != len(self) or state["batch"] > len(self):
            raise ValueError(
                f"load_state_dict: the state is that of {state['batches']} batches, here are {len(self)}; "
                "give the same list"
            )
        self.batch, self._resumed = state["batch"], True


def as_batches(
    owner: str, data: Any, *, batch_size: int, seed: int = 0, shuffle: bool = True, drop_last: bool = False
) -> Batches | Loader:
    """What `fit` and `evaluate` take as data, as batches: arrays, `Batches`, or whatever yields batches."""
    if isinstance(data, Batches):
        return data
    if isinstance(data, Iterator):
        raise TypeError(
            f"{owner}: data is a {type(data).__name__}, which can be gone through once; expected arrays, "
            "train.batches(...), a list of batches, or an object whose __iter__ starts anew"
        )
    if isinstance(data, list) and data and all(isinstance(part, tuple) for part in data):
        return Loader(data)
    if isinstance(data, tuple | list) or hasattr(data, "__array__"):
        arrays = data if isinstance(data, tuple | list) else (data,)
        return batches(*arrays, batch_size=batch_size, seed=seed, shuffle=shuffle, drop_last=drop_last)
    if isinstance(data, Mapping | str) or not isinstance(data, Iterable):
        raise TypeError(
            f"{owner}: data is a {type(data).__name__}; expected a tuple of arrays, such as (X, y), "
            "train.batches(...), or another iterable of batches"
        )
    return Loader(data)


def batches(
    *arrays: ArrayLike,
    batch_size: int,
    rng: np.random.Generator | int | None = None,
    seed: int | None = None,
    shuffle: bool = True,
    drop_last: bool = False,
    transform: Callable[..., Any] | None = None,
) -> Batches:
    """Cut arrays into minibatches along their first axis, in step with each other.

    Every sample comes once per epoch; the last batch holds what is left and may be smaller.

    Parameters
    ----------
    *arrays : array_like
        Inputs, labels, ...: all of the same length.
    batch_size : int
        Samples in a batch, at least 1.
    rng : numpy.random.Generator or int, optional
        Decides the orders, one drawn after the other; the same seed gives the same orders.
    seed : int, optional
        Decides the orders too, each by itself from seed and the number of the epoch.  Such batches can be
        continued in the middle, see `Batches.state_dict`.  Without rng and seed one is chosen, and orders
        differ from run to run.
    shuffle : bool
        False keeps the samples in their order; the batches are then views, not copies.
    drop_last : bool
        True leaves out a last batch that is smaller than the others.
    transform : callable, optional
        Called with the parts of each batch; what it returns is the batch.  A place to turn bytes into
        numbers: ``lambda x, y: (x.astype(np.float32) / 255, y)``.

    Returns
    -------
    Batches
        Yields one tuple per batch with a part of each array, also for a single array.  It can be iterated
        again: each time round is an epoch with an order of its own.

    Raises
    ------
    TypeError
        If there are no arrays, batch_size or seed is not an integer, or both rng and seed are given.
    ValueError
        If the arrays are empty, scalars or differ in length, batch_size is below 1, seed below 0, or
        drop_last leaves nothing.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import train
    >>> X, y = np.zeros((10, 3)), np.arange(10)
    >>> parts = train.batches(X, y, batch_size=4, seed=0)
    >>> len(parts), [x.shape for x, _ in parts]
    (3, [(4, 3), (4, 3), (2, 3)])
    >>> sorted(np.concatenate([labels for _, labels in parts]).tolist())
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]

    Stopped after the first batch of three, continued elsewhere:

    >>> for x, labels in parts:
    ...     state = parts.state_dict()
    ...     break
    >>> again = train.batches(X, y, batch_size=4, seed=0)
    >>> again.load_state_dict(state)
    >>> rest = np.concatenate([labels for _, labels in again])
    >>> sorted([*labels.tolist(), *rest.tolist()])
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
    """
    if not arrays:
        raise TypeError("batches: no arrays given; expected at least one, as in batches(X, y, batch_size=64)")
    found = tuple(np.asarray(array) for array in arrays)
    if any(array.ndim == 0 for array in found):
        raise ValueError("batches: an array is a single number; expected samples along the first axis")
    lengths = [len(array) for array in found]
    if len(set(lengths)) != 1:
        raise ValueError(
            f"batches: the arrays have lengths {lengths}; expected one length: a row per sample in each"
        )
    if not lengths[0]:
        raise ValueError("batches: the arrays are empty; expected at least one sample")
    if not _integer(batch_size):
        raise TypeError(f"batches: batch_size is {batch_size!r}; expected an integer")
    if batch_size < 1:
        raise ValueError(f"batches: batch_size is {batch_size}; expected at least 1")
    if drop_last and batch_size > lengths[0]:
        raise ValueError(
            f"batches: batch_size is {batch_size}, there are {lengths[0]} samples, and drop_last leaves out "
            "what fills no batch; expected a smaller batch_size, or drop_last=False"
        )
    if rng is not None and seed is not None:
        raise TypeError(
            "batches: both rng and seed are given; expected one: seed, if training is to be resumed"
        )
    if seed is not None and not _integer(seed):
        raise TypeError(f"batches: seed is {seed!r}; expected an integer")
    if seed is not None and seed < 0:
        raise ValueError(f"batches: seed is {seed}; expected at least 0")
    chosen: Any = np.random.SeedSequence(None if seed is None else int(seed)).entropy
    return Batches(
        found,
        int(batch_size),
        rng=None if rng is None else np.random.default_rng(rng),
        seed=chosen,
        shuffle=shuffle,
        drop_last=drop_last,
        transform=transform,
    )


def _integer(value: object) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def _whole(value: Any) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
