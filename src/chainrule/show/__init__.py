"""Seeing a graph: `draw` it, and look at, print or save the `Picture`."""

from chainrule.show.picture import Picture, draw

__all__ = ["Picture", "draw"]
