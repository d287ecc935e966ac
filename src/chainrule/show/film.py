"""Training as it went: what every node held at many moments, for the explorer to go back and forth in."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from chainrule.graph import order
from chainrule.show.thumbnails import plain, text
from chainrule.show.training import BoundaryFilm
from chainrule.train.fitting import Callback, Run
from chainrule.value import Value

__all__ = ["TrainingFilm"]

LARGEST = 2_000  # nodes of a graph that are all noted; of a larger one only the leaves


@dataclass(slots=True)
class _Shot:
    step: int
    loss: float
    kinds: list[Any]  # of the nodes, by which graphs of the same structure are known
    leaves: list[Value | None]
    data: list[Any]
    gradients: list[Any]


class TrainingFilm(Callback):
    """Notes data and gradients of all nodes while something is trained; ``explore(loss, training=film)``.

    Call `record` in a loop after ``backward()``, or give it to `chainrule.train.fit` as a callback, which
    knows of the parameters alone. Of a long training it keeps moments at equal distances.

    Parameters
    ----------
    boundary : BoundaryFilm, optional
        Of a classifier in the plane: its picture at each of these moments.
    frames : int
        At most so many moments are kept, at least half as many of a long training.

    Raises
    ------
    ValueError
        For fewer than two frames.

    Examples
    --------
    >>> from chainrule.show.film import TrainingFilm
    >>> w, film = Value(3.0, name="w"), TrainingFilm()
    >>> for _ in range(5):
    ...     loss = w * w
    ...     w.grad = 0.0
    ...     loss.backward()
    ...     film.record(loss)
    ...     w.data -= 0.25 * w.grad
    >>> len(film), film.losses
    (5, [9.0, 2.25, 0.5625, 0.140625, 0.03515625])
    """

    def __init__(self, boundary: BoundaryFilm | None = None, frames: int = 60) -> None:
        if not isinstance(frames, int) or frames < 2:
            raise ValueError(f"TrainingFilm: frames is {frames!r}, expected an integer of at least 2")
        self.boundary = boundary
        self.most = frames
        self.every = 1
        self.step = 0
        self._shots: list[_Shot] = []
        self._pictures: list[Any] = []

    def __len__(self) -> int:
        return len(self._shots)

    @property
    def losses(self) -> list[float]:
        """The loss at each moment that was kept."""
        return [shot.loss for shot in self._shots]

    def record(self, loss: Value, step: int | None = None) -> None:
        """Note the graph of a loss as it is now; call it after ``backward()`` and before the update.

        Parameters
        ----------
        loss : Value
            One number.
        step : int, optional
            By default the number of earlier calls.

        Raises
        ------
        TypeError
            If loss is no Value of one number.
        """
        if not isinstance(loss, Value) or loss.size != 1:
            what = f"a Value of shape {loss.shape}" if isinstance(loss, Value) else type(loss).__name__
            raise TypeError(f"TrainingFilm.record: loss is {what}, expected a Value of one number")
        if self._is_due(step):
            nodes = order([loss])
            if len(nodes) > LARGEST:
                nodes = [v for v in nodes if v.primitive is None]
            self._note(nodes, loss.item())

    def on_step(self, run: Run) -> None:
        """For `fit`: note the parameters."""
        if self._is_due(run.step):
            self._note(run.model.parameters(), float(run.curves.last("loss")))

    def _is_due(self, step: int | None) -> bool:
        now = self.step if step is None else step
        self.step = now + 1
        self._now = now
        return now % self.every == 0

    def _note(self, nodes: Sequence[Value], loss: float) -> None:
        self._shots.append(
            _Shot(
                self._now,
                loss,
                [v.primitive and v.primitive.name for v in nodes],
                [v if v.primitive is None else None for v in nodes],
                [text(v._current()) for v in nodes],
                [None if (g := v._gradient) is None else text(g) for v in nodes],
            )
        )
        if self.boundary is not None:
            self.boundary.record(f"step {self._now}   loss {loss:.4g}")
            self._pictures.append(self.boundary._shots.pop())
        if len(self._shots) > self.most:
            self.every *= 2
            kept = [k for k, shot in enumerate(self._shots) if shot.step % self.every == 0]
            self._shots = [self._shots[k] for k in kept]
            self._pictures = [self._pictures[k] for k in kept if self._pictures]

    def frames(self, outputs: Sequence[Value], ids: Mapping[int, int]) -> dict[str, Any]:
        """What the explorer shows: the numbers by the places of nodes in the graph of the outputs.

        Nodes are those of the same place in a graph of the same structure; leaves are the same Values.
        """
        nodes = order(outputs)
        kinds = [v.primitive and v.primitive.name for v in nodes]
        frames = []
        for shot in self._shots:
            places: list[int | None]
            if shot.kinds == kinds:
                places = [ids.get(id(v)) for v in nodes]
            else:
                places = [None if v is None else ids.get(id(v)) for v in shot.leaves]
            frames.append(
                {
                    "data": {str(i): x for i, x in zip(places, shot.data) if i is not None},
                    "gradient": {
                        str(i): x for i, x in zip(places, shot.gradients) if i is not None and x is not None
                    },
                }
            )
        found: dict[str, Any] = {
            "steps": [shot.step for shot in self._shots],
            "loss": [plain(shot.loss) for shot in self._shots],
            "frames": frames,
        }
        if self.boundary is not None and self._pictures:
            found["boundary"] = self._boundary()
        return found

    def _boundary(self) -> list[str]:
        assert self.boundary is not None
        before = self.boundary._shots
        self.boundary._shots = self._pictures
        try:
            drawn = self.boundary.frames(caption=False)
        finally:
            self.boundary._shots = before
        urls = []
        for frame in drawn:
            file = io.BytesIO()
            frame.quantize(64).save(file, "PNG", optimize=True)
            urls.append("data:image/png;base64," + base64.b64encode(file.getvalue()).decode())
        return urls
