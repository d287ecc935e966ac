"""A progress bar where there is tqdm and a terminal; plain iteration elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Generic, TypeVar

__all__ = ["Progress", "progress"]

T = TypeVar("T")


class Progress(Generic[T]):
    """Iterates as what it was given does, and shows how far it is; made by `progress`."""

    def __init__(self, iterable: Iterable[T], bar: Any) -> None:
        self._iterable = iterable
        self._bar = bar

    def __iter__(self) -> Iterator[T]:
        yield from self._iterable if self._bar is None else self._bar

    def show(self, **numbers: float) -> None:
        """Show numbers beside the bar, such as the loss."""
        if self._bar is not None:
            self._bar.set_postfix({name: f"{number:.4g}" for name, number in numbers.items()}, refresh=False)


def progress(iterable: Iterable[T], *, label: str = "", show: bool | None = None) -> Progress[T]:
    """Wrap an iterable so that a loop over it shows its progress.

    Parameters
    ----------
    iterable : iterable
        What to loop over.
    label : str
        Stands before the bar.
    show : bool, optional
        True always shows the bar, False never; by default it is shown if standard error is a terminal.
        Without tqdm (``pip install 'chainrule[train]'``) there is no bar and everything else is the same.

    Examples
    --------
    >>> from chainrule import train
    >>> bar = train.progress(range(3), label="training", show=False)
    >>> for step in bar:
    ...     bar.show(loss=1.0 / (step + 1))
    """
    if show is False:
        return Progress(iterable, None)
    try:
        from tqdm import tqdm
    except ImportError:
        return Progress(iterable, None)
    # disable=None is tqdm's word for "unless this is a terminal"
    return Progress(
        iterable, tqdm(iterable, desc=label or None, leave=False, disable=None if show is None else False)
    )
