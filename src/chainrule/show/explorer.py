"""`explore` and what it gives back: a page on which one walks through a graph, forward and backward."""

from __future__ import annotations

import inspect
import os
import sys
import tempfile
import webbrowser
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import optree

from chainrule.containers import flatten
from chainrule.native.graph import ProgramGraph
from chainrule.primitives import fit
from chainrule.running import Notes, noted
from chainrule.show import names as naming
from chainrule.show.description import describe
from chainrule.show.document import as_json, document, iframe
from chainrule.show.picture import Picture, values_of, write
from chainrule.show.program import survey_program
from chainrule.show.survey import Survey, survey
from chainrule.show.widget import widget
from chainrule.value import Value

if TYPE_CHECKING:
    from chainrule.show.film import TrainingFilm

__all__ = ["Explorer", "explore", "explore_noted"]

_HEIGHT = 640  # pixels, in a notebook
_PICTURED = 100  # nodes, up to which a notebook that does not show pages shows a picture


class Explorer:
    """A graph as it was when it was explored, as one page that needs no network.

    In a notebook it shows itself.

    Attributes
    ----------
    data : dict
        The survey: columns of plain data.
    html : str
        The page.
    """

    def __init__(self, data: dict[str, Any], picture: Picture | None = None) -> None:
        self.data = data
        self._picture = picture

    @cached_property
    def html(self) -> str:
        return document(self.data)

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the page; it is there whole or not at all, and one that was there before is replaced.

        Parameters
        ----------
        path : str or path-like
            Ending in .html, or in .json for the data alone.

        Returns
        -------
        pathlib.Path

        Raises
        ------
        ValueError
            For another suffix.
        """
        path = Path(path)
        suffix = path.suffix.lower()
        if suffix not in {".html", ".json"}:
            raise ValueError(
                f"Explorer.save: {path.name!r} ends in {path.suffix or 'no suffix'!r}, expected .html or "
                ".json; for a picture of the graph: chainrule.draw(v).save('graph.svg')"
            )
        write(path, self.html if suffix == ".html" else as_json(self.data))
        return path

    def open(self) -> Path:
        """Show the page in the browser, from a file of one's own among the temporary ones.

        Returns
        -------
        pathlib.Path
            The file.
        """
        folder = tempfile.mkdtemp(prefix="chainrule-")  # readable by its owner alone
        path = self.save(Path(folder) / "graph.html")
        webbrowser.open(path.as_uri())
        return path

    def widget(self, height: int = _HEIGHT) -> Any:
        """The page as a widget for notebooks, which knows what is selected in it.

        Returns
        -------
        anywidget.AnyWidget
            ``selected`` is the place of the selected node in ``data["nodes"]``, or None; ``step`` is how far
            one has stepped. Both may be set, and observed.

        Raises
        ------
        ImportError
            If anywidget is not installed: ``pip install 'chainrule[notebook]'``.
        """
        return widget(self.html, self.data["title"], len(self.data["nodes"]["kind"]), height)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        """For Jupyter and VS Code: the page in a frame, a picture of a small graph, and a text."""
        bundle = {"text/plain": repr(self), "text/html": iframe(self.html, self.data["title"], _HEIGHT)}
        if self._picture is not None:
            bundle = {**self._picture._repr_mimebundle_(), "text/html": bundle["text/html"]}
        return bundle

    def __repr__(self) -> str:
        count = len(self.data["nodes"]["kind"])
        rest = f", {self.data['left_out']:,} left out" if self.data["left_out"] else ""
        return f"<Explorer of {count:,} nodes{rest}; .save(path), .open()>"


def explore(
    value: Any,
    *args: Any,
    loss: Callable[..., Any] | None = None,
    names: Mapping[str, Any] | None = None,
    training: TrainingFilm | None = None,
) -> Explorer:
    """Explore a graph on a page: step through it forward and backward, open what is collapsed, search.

    ========================== ==========================================================
    ``explore(v)``             the graph that Values were computed from, with their gradients
    ``explore(model, x, y)``   a module's loss, with the messages between its modules
    ``explore(f, *args)``      what a function computes, line by line and round by round
    ``explore(compiled)``      the program of a compiled function
    ========================== ==========================================================

    Nothing is changed: no gradient, no parameter, no buffer. A function is run once on Values in the place
    of the floats and arrays among its arguments; a model twice. The gradients shown are those in ``.grad``
    for Values, and those of a scalar result for what was run here.

    Parameters
    ----------
    value : Value, list, tuple or dict of Values, Module, callable, or graph of a compiled function
    *args
        For a function its arguments; for a module its inputs and, after these, a target.
    loss : callable, optional
        ``loss(outputs, y)`` for a module with a target. By default the mean square for floats, cross-entropy
        for labels, and for one logit that of two classes.
    names : mapping from str to object, optional
        Names for nodes, looked up before the caller's own variables.
    training : TrainingFilm, optional
        What was noted during a training, to go through step by step.

    Returns
    -------
    Explorer

    Raises
    ------
    TypeError
        If there is nothing in it that can be explored.

    Examples
    --------
    >>> from chainrule import Value
    >>> a, b = Value(2.0), Value(-3.0)
    >>> c = a * b + a
    >>> c.backward()
    >>> page = explore(c)
    >>> page
    <Explorer of 4 nodes; .save(path), .open()>
    >>> page.data["nodes"]["gradient"]
    [-2.0, 2.0, 1.0, 1.0]
    >>> explore(lambda x: np.sum(x * x), np.ones(3)).data["nodes"]["gradient"]
    ['[2 2 2]', '[1 1 1]', 1.0]
    """
    if names is not None and not isinstance(names, Mapping):
        raise TypeError(f"explore: names is {type(names).__name__}, expected a dict from names to objects")
    scopes = [*([] if names is None else [names]), *naming.caller()]
    compiled = _is(value, "chainrule.native.compile", "Compiled")
    if isinstance(value, ProgramGraph) or (compiled and not args):
        return Explorer(survey_program(value.graph if compiled else value))
    if _is(value, "chainrule.nn.module", "Module"):
        outputs, found = _model(value, args, loss, scopes)
    elif callable(value):
        outputs, found = _function(value.function if compiled else value, args, scopes)
    elif args:
        raise TypeError(
            f"explore: value is {type(value).__name__}, which takes no arguments, and {len(args)} came with "
            "it; give several Values as a list"
        )
    else:
        outputs = values_of("explore", value)
        found = survey(outputs, scopes, _title(outputs, scopes))
    if training is not None:
        found.data["training"] = training.frames(outputs, found.ids)
    return Explorer(found.data, _picture(outputs, scopes, found))


def explore_noted(found: tuple[Any, Mapping[str, Any]], notes: Notes) -> Explorer:
    """Explore what a run has left, with its notes; ``found`` is what to look at, and all variables."""
    value, scope = found
    if not isinstance(value, Value | Mapping | Sequence):
        return explore(value, names=scope)
    scopes = [naming.written(scope)]
    outputs = values_of("explore", value)
    result = survey(outputs, scopes, _title(outputs, scopes), notes, _seeds(outputs))
    return Explorer(result.data, _picture(outputs, scopes, result))


def _picture(outputs: Sequence[Value], scopes: Sequence[Mapping[str, Any]], found: Survey) -> Picture | None:
    small = len(found.data["nodes"]["kind"]) <= _PICTURED
    return Picture(describe(outputs, scopes, _PICTURED)) if small else None


def _seeds(outputs: Sequence[Value]) -> list[tuple[Value, Any]]:
    """What a sweep may start from, where no backward has been: the one result that is a real number."""
    scalars = [v for v in outputs if not v.shape and v.dtype.kind == "f"]
    if len(scalars) != 1 or any(v._gradient is not None for v in outputs):
        return []
    return [(scalars[0], fit(1.0, scalars[0]._raw))]


def _model(
    model: Any, args: tuple[Any, ...], loss: Any, scopes: Sequence[Mapping[str, Any]]
) -> tuple[list[Value], Survey]:
    """A module, watched."""
    from chainrule.show import modules

    outputs, notes, seen = modules.run(model, args, loss)
    found = survey(outputs, scopes, f"Graph of {type(model).__name__}", notes, _seeds(outputs))
    nodes = found.data["nodes"]
    rows = modules.signals(model, seen, found.groups)
    found.data["modules"] = rows
    found.data["module_edges"] = modules.edges(rows, found.groups, nodes["group"], nodes["inputs"])
    if (network := modules.network(model, seen)) is not None:
        found.data["network"] = network
    return outputs, found


def _function(
    f: Callable[..., Any], args: tuple[Any, ...], scopes: Sequence[Mapping[str, Any]]
) -> tuple[list[Value], Survey]:
    """A function, run on Values."""
    name = getattr(f, "__name__", type(f).__name__)
    lifted = [_lifted(x) for x in args]
    layers: list[Sequence[Any]] = []
    if _is(f, "chainrule.micrograd.nn", "MLP") and len(args) == 1:
        out, notes = noted(_layer_by_layer, f, lifted[0], layers)
    else:
        out, notes = noted(f, *lifted)
    outputs = list({id(v): v for v in flatten(out)[0] if type(v) is Value}.values())
    if not outputs:
        raise TypeError(
            f"explore: {name} returned {type(out).__name__} without a Value in it, so nothing was recorded; "
            "give it floats or arrays of floats, and let it return what it computes from them"
        )
    scopes = [dict(zip(_parameters(f, len(args)), lifted)), *scopes]
    found = survey(outputs, scopes, f"Graph of {name}", notes, _seeds(outputs))
    if layers:
        found.data["network"] = _scalar_network(f, layers, found)
    return outputs, found


def _lifted(x: Any) -> Any:
    """Values in the place of what can be differentiated with respect to."""
    leaves, spec = flatten(x, none_is_leaf=True)
    return optree.tree_unflatten(spec, [Value(a) if _is_floating(a) else a for a in leaves])


def _is_floating(a: Any) -> bool:
    if isinstance(a, np.ndarray):
        return a.dtype.kind in "fc"
    return isinstance(a, float | complex | np.inexact)


def _parameters(f: Callable[..., Any], count: int) -> list[str]:
    """What a function calls its arguments."""
    try:
        parameters = list(inspect.signature(f).parameters.values())
    except (TypeError, ValueError):  # some of what is written in C does not tell
        parameters = []
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    known = [p.name for p in parameters if p.kind in kinds][:count]
    return known + [f"argument {i}" for i in range(len(known), count)]


def _layer_by_layer(model: Any, out: Any, layers: list[Sequence[Any]]) -> Any:
    """Micrograd's network, with what each layer gives."""
    layers.append(out)
    for layer in model.layers:
        out = layer([out] if type(out) is Value else out)
        layers.append([out] if type(out) is Value else out)
    return out


def _scalar_network(model: Any, layers: Sequence[Sequence[Any]], found: Survey) -> dict[str, Any]:
    nodes = found.data["nodes"]

    def of(column: str, units: Sequence[Any]) -> list[Any]:
        return [nodes[column][found.ids[id(v)]] if id(v) in found.ids else None for v in units]

    last = len(layers) - 1
    return {
        "layers": [
            {
                "name": "inputs" if k == 0 else "outputs" if k == last else f"hidden {k}",
                "values": of("data", units),
                "gradients": of("gradient", units),
            }
            for k, units in enumerate(layers)
        ],
        "weights": [
            [list(column) for column in zip(*[of("data", neuron.w) for neuron in layer.neurons])]
            for layer in model.layers
        ],
        "activation": "relu",
    }


def _is(x: Any, module: str, name: str) -> bool:
    """Whether something is of a class of a part of the package that may not even be loaded."""
    loaded = sys.modules.get(module)
    return loaded is not None and isinstance(x, getattr(loaded, name))


def _title(outputs: Sequence[Value], scopes: Sequence[Mapping[str, Any]]) -> str:
    names = naming.find(outputs[:5], scopes).values()
    return "Graph of " + ", ".join(names) if names else "Graph"
