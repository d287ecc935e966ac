"""Seeing a graph: `draw` it, and look at, print or save the `Picture`; `explore` it on a page of its own."""

from typing import Any

from chainrule.show.explorer import Explorer, explore
from chainrule.show.picture import Picture, draw

__all__ = ["Explorer", "Picture", "TrainingFilm", "draw", "explore"]


def __getattr__(name: str) -> Any:
    """Load `TrainingFilm` when it is asked for: it needs the training loop, pictures do not."""
    if name == "TrainingFilm":
        from chainrule.show.film import TrainingFilm

        return TrainingFilm
    raise AttributeError(f"module 'chainrule.show' has no attribute {name!r}")
