"""Module: something with parameters that can be called, and that passes messages.

A module is an ordinary object.  Whatever leaf `Value` is found in its attributes - directly, or inside
lists, tuples, dicts and other modules - is a parameter.  Nothing is registered and nothing is declared,
but for the names in `buffers`: Values that a module keeps for itself, and nobody trains.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar
from weakref import ref

from chainrule.nn.messages import Call, Hook, call_as_node, now
from chainrule.nn.tree import Tree, modules_of
from chainrule.traced import current_trace
from chainrule.value import next_serial

__all__ = ["Module"]


class Module(Tree):
    """Base of every layer and network: parameters, their gradients, and a call.

    Subclass it, put Values and other modules into attributes, and write `forward`.

    Parameters come in the order in which attributes were first assigned, lists and dicts in their own
    order, so the order is the same in every run.  A Value or module that is reached twice (tied weights, a
    layer used in two places) counts once, under the name it was met with first.  Sets are not searched: they
    have no order.

    `backward` and `parameter_gradients` follow from `forward`.  A class may write one or both by hand,
    reading ``self.inputs``: then every backward sweep uses them, and `chainrule.nn.check_module`
    compares them with what follows.

    Attributes
    ----------
    training : bool
        Whether layers that behave differently in training, such as dropout, do so; set by `train` and `eval`.
    buffers : tuple of str
        Of a class: names of attributes that are kept with the parameters but not trained.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import Value, nn
    >>> class Scale(nn.Module):
    ...     def __init__(self):
    ...         self.gain = Value(np.array([1.0, 2.0]))
    ...         self.shift = Value(0.5)
    ...     def forward(self, x):
    ...         return x * self.gain + self.shift
    >>> scale = Scale()
    >>> np.sum(scale(np.array([3.0, 4.0]))).backward()
    >>> {name: p.grad for name, p in scale.named_parameters()}
    {'gain': array([3., 4.]), 'shift': 2.0}
    """

    # Not among the attributes: what a module has computed is no part of it.
    __slots__ = ("__weakref__", "_seen", "_watched")

    _handmade: ClassVar[frozenset[str]] = frozenset()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        own = ("backward", "parameter_gradients")
        cls._handmade = frozenset(name for name in own if getattr(cls, name) is not getattr(Module, name))

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Compute the module's output; every subclass writes its own.

        Raises
        ------
        NotImplementedError
            When the subclass has none.
        """
        raise NotImplementedError(
            f"{type(self).__name__}: forward is not defined; write `def forward(self, x): ...` in the class"
        )

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        try:
            if (
                self._handmade
                or self._watching
                or "_forward_hooks" in (d := self.__dict__)
                or "_backward_hooks" in d
            ):
                return self._call_with_hooks(args, kwargs)
            return self._call(args, kwargs)
        except (ValueError, TypeError) as error:
            _locate(error, self)
            raise

    def _call(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        self._last = call = Call(self, args, kwargs, keep=False)
        running = now.running
        running.append(call)
        first = next_serial()
        try:
            return self.forward(*args, **kwargs)
        finally:
            running.pop()
            now.log.append((first, next_serial(), ref(self)))
            if now.held is not None:
                now.held.append(self)

    # ---------------------------------------------------------------- messages

    def backward(self, delta: Any) -> Any:
        """The gradients of the inputs of the last call, given those of its outputs.

        outgoing = delta · ∂outputs/∂inputs, by running `forward` again on the inputs and sweeping back.

        Parameters
        ----------
        delta : array or Value, or a container as the outputs
            Incoming gradients, of the outputs' shapes.

        Returns
        -------
        array, or tuple of them
            One for each input; None for what is not floating.

        Raises
        ------
        RuntimeError
            If the module has not been called, or its inputs are gone.
        ValueError
            If delta has not the outputs' shape.

        Examples
        --------
        >>> import numpy as np
        >>> from chainrule import nn
        >>> layer, x = nn.Linear(3, 2, rng=0), np.ones((5, 3))
        >>> y = layer(x)
        >>> layer.backward(np.ones((5, 2))).shape
        (5, 3)
        """
        return self._last_call("backward").derive(delta)[0]

    def parameter_gradients(self, delta: Any) -> dict[str, Any]:
        """The gradients of the parameters by name, given those of the last call's outputs; see `backward`.

        Nothing is added to the parameters' ``grad``.

        Examples
        --------
        >>> import numpy as np
        >>> from chainrule import nn
        >>> layer, x = nn.Linear(3, 2, rng=0), np.ones((5, 3))
        >>> y = layer(x)
        >>> layer.parameter_gradients(np.ones((5, 2)))["bias"]
        array([5., 5.])
        """
        return self._last_call("parameter_gradients").derive(delta)[1]

    @property
    def inputs(self) -> tuple[Any, ...]:
        """What the module was last called with; within `backward`, in the call that it belongs to."""
        return self._last_call("inputs").inputs

    @inputs.setter
    def inputs(self, new: Any) -> None:
        raise AttributeError(
            f"{type(self).__name__}.inputs: is what the module was last called with and cannot be assigned; "
            "give the attribute another name"
        )

    def register_forward_hook(self, hook: Callable[[Module, tuple[Any, ...], Any], Any]) -> Hook:
        """Call ``hook(module, inputs, outputs)`` after a call; what it returns, unless None, is the output.

        Returns
        -------
        Hook
            ``remove()`` ends it.
        """
        return self._register("_forward_hooks", hook)

    def register_backward_hook(self, hook: Callable[[Module, Any, Any], Any]) -> Hook:
        """Call ``hook(module, incoming, outgoing)`` when a backward sweep passes through a call.

        ``incoming`` are the gradients of the outputs, ``outgoing`` those of the inputs (a tuple if there are
        several, None for what has none).  What it returns, unless None, goes on in the place of ``outgoing``.

        Examples
        --------
        >>> import numpy as np
        >>> from chainrule import nn
        >>> layer = nn.Linear(3, 2, rng=0)
        >>> def show(module, incoming, outgoing):
        ...     print(incoming.shape, outgoing.shape)
        >>> hook = layer.register_backward_hook(show)
        >>> np.sum(layer(np.ones((5, 3)))).backward()
        (5, 2) (5, 3)
        >>> hook.remove()
        """
        return self._register("_backward_hooks", hook)

    def _register(self, which: str, hook: Callable[..., Any]) -> Hook:
        if not callable(hook):
            raise TypeError(f"{type(self).__name__}: hook is a {type(hook).__name__}; expected a function")
        hooks = self.__dict__.setdefault(which, [])
        hooks.append(hook)
        return Hook(hooks, hook)

    def _hooks(self, which: str) -> list[Callable[..., Any]]:
        hooks: list[Callable[..., Any]] = self.__dict__.get(f"_{which}_hooks", [])
        return hooks

    def _call_with_hooks(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if self._handmade or self._watching or self._hooks("backward"):
            out = call_as_node(self, args, kwargs)
        else:
            out = self._call(args, kwargs)
        for hook in self._hooks("forward"):
            replaced = hook(self, args, out)
            out = out if replaced is None else replaced
        return out

    @property
    def _watching(self) -> list[Any]:
        return getattr(self, "_watched", [])

    @_watching.setter
    def _watching(self, watching: list[Any]) -> None:
        self._watched = watching

    @property
    def _last(self) -> Call | None:
        trace = current_trace()
        if trace is None:
            return getattr(self, "_seen", None)
        return trace.calls.get(id(self))

    @_last.setter
    def _last(self, call: Call | None) -> None:
        trace = current_trace()
        if trace is None:
            self._seen = call
        else:
            trace.calls[id(self)] = call

    def _last_call(self, what: str) -> Call:
        call = self._last
        if call is None:
            raise RuntimeError(
                f"{type(self).__name__}.{what}: the module has not been called yet; call it first, as its "
                "messages belong to a call"
            )
        return call

    def __getstate__(self) -> dict[str, Any]:
        """For copies and pickles: the attributes, not what was computed."""
        return self.__dict__


def _locate(error: Exception, module: Module) -> None:
    """Put the path of the module that raised in front of the message."""
    child, path, message = getattr(error, "raised_in", (None, "", None))
    if child is None:
        if len(error.args) != 1 or type(error.args[0]) is not str:
            return
        if message is None or not error.args[0].endswith(message):
            # the path will say which layer it is
            message = error.args[0].removeprefix(f"{type(module).__name__}: ")
    else:
        step = next((p for p, m in modules_of(module) if m is child), type(child).__name__)
        path = f"{step}.{path}" if path else step
        error.args = (f"{path}: {message}",)
    # Beyond the outermost call the path ends: if the same exception is raised again, another begins.
    error.raised_in = (module, path, message) if now.running else (None, "", message)  # type: ignore[attr-defined]
