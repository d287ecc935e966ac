"""Seeing a graph: `draw` it, and look at, print or save the `Picture`; `explore` it on a page of its own."""

from chainrule.show.explorer import Explorer, explore
from chainrule.show.picture import Picture, draw

__all__ = ["Explorer", "Picture", "draw", "explore"]
