"""Module: something with parameters that can be called, and that passes messages.

A module is an ordinary object.  Whatever leaf `Value` is found in its attributes - directly, or inside
lists, tuples, dicts and other modules - is a parameter.  Nothing is registered and nothing is declared,
but for the names in `buffers`: Values that a module keeps for itself, and nobody trains.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from reprlib import recursive_repr
from types import MappingProxyType
from typing import Any, ClassVar, Self
from weakref import ref

import numpy as np
from numpy.typing import ArrayLike, NDArray

from chainrule.nn.messages import Call, Hook, call_as_node, now
from chainrule.traced import current_trace
from chainrule.value import Value, current, data, next_serial

__all__ = ["Module", "inside", "values_of"]


class Module:
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
    __slots__ = ("__dict__", "__weakref__", "_seen", "_watched")

    training = True
    buffers: ClassVar[tuple[str, ...]] = ()
    _frozen: Mapping[str, tuple[Any, Any]] = MappingProxyType({})  # attributes with Values, and without
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

    # ---------------------------------------------------------------- parameters

    def named_parameters(self) -> list[tuple[str, Value]]:
        """List every parameter with the path that leads to it, such as ``layers.0.weight``.

        Returns
        -------
        list of (str, Value)
            In the order of definition, each Value once.  Buffers and what is frozen are not among them.

        Examples
        --------
        >>> from chainrule import nn
        >>> [name for name, _ in nn.MLP([2, 3, 1], rng=0).named_parameters()]
        ['layers.0.weight', 'layers.0.bias', 'layers.1.weight', 'layers.1.bias']
        """
        return [(path, v) for path, v, kind in values_of(self) if kind == "parameter"]

    def parameters(self) -> list[Value]:
        """List every parameter in the order of definition, each once; what an optimiser takes.

        Examples
        --------
        >>> from chainrule import nn
        >>> [p.shape for p in nn.Linear(3, 2, rng=0).parameters()]
        [(3, 2), (2,)]
        """
        return [parameter for _, parameter in self.named_parameters()]

    def modules(self) -> list[Module]:
        """List this module and every module inside it, each once."""
        return [m for _, m in _modules(self)]

    def children(self) -> list[Module]:
        """List the modules directly inside this one, or in its lists, tuples and dicts, each once.

        Examples
        --------
        >>> from chainrule import nn
        >>> nn.Sequential(nn.Flatten(), nn.Residual(nn.Tanh())).children()
        [Flatten(1, -1), Residual(
          module = Tanh()
        )]
        """
        return [m for _, m in _direct(self) if isinstance(m, Module) and m is not self]

    def named_modules(self) -> list[tuple[str, Module]]:
        """List this module, as ``""``, and every module inside it with its path, each once.

        Examples
        --------
        >>> from chainrule import nn
        >>> [path for path, _ in nn.MLP([2, 3, 1], rng=0).named_modules()]
        ['', 'layers.0', 'layers.1']
        """
        return list(_modules(self))

    def named_buffers(self) -> list[tuple[str, Value]]:
        """List what the module keeps for itself, such as running statistics, with its path."""
        return [(path, v) for path, v, kind in values_of(self) if kind == "buffer"]

    def zero_grad(self) -> None:
        """Forget the gradients, so that the next `backward` starts from none instead of adding to them."""
        for parameter in self.parameters():
            parameter.grad = None

    # ---------------------------------------------------------------- state

    def state_dict(self) -> dict[str, NDArray[Any]]:
        """Copies of all parameters and buffers, frozen ones too, by path.

        Examples
        --------
        >>> from chainrule import nn
        >>> {name: a.shape for name, a in nn.Linear(3, 2, rng=0).state_dict().items()}
        {'weight': (3, 2), 'bias': (2,)}
        """
        return {path: np.array(current(v)) for path, v, _ in values_of(self)}

    def load_state_dict(self, state: Mapping[str, ArrayLike], strict: bool = True) -> None:
        """Give every parameter and buffer the numbers of its name, in its own dtype; all of them or none.

        Parameters
        ----------
        state : mapping of str to array
        strict : bool
            False passes over names that are missing or unexpected; shapes must fit still.

        Raises
        ------
        ValueError
            If names are missing, unexpected, have other shapes or no real numbers: all of these are listed,
            and nothing has changed.
        """
        values = {path: v for path, v, _ in values_of(self)}
        new = {path: np.asarray(data(a)) for path, a in state.items()}
        known = [(path, new[path], v) for path, v in values.items() if path in new]
        wrong = [
            f"{what}: {', '.join(paths)}"
            for what, paths in (
                ("missing", [p for p in values if strict and p not in new]),
                ("unexpected", [p for p in new if strict and p not in values]),
                (
                    "of another shape",
                    [f"{p} is {a.shape}, expected {v.shape}" for p, a, v in known if a.shape != v.shape],
                ),
                (
                    "not numbers",
                    [f"{p} is of dtype {a.dtype}" for p, a, v in known if a.dtype.kind not in _kinds(v)],
                ),
            )
            if paths
        ]
        if wrong:
            raise ValueError(
                f"{type(self).__name__}.load_state_dict: the state is not that of this module; "
                + "; ".join(wrong)
            )
        for _, a, v in known:
            v.data = a.astype(v.dtype)[()]
        for m in self.modules():
            m._put_frozen([name for name in m._frozen if m._is_frozen(name)])

    def train(self, mode: bool = True) -> Self:
        """Let this module and all inside it behave as in training (or, with ``mode=False``, as after it)."""
        for m in self.modules():
            m.training = mode
        return self

    def eval(self) -> Self:
        """Let this module and all inside it behave as after training: no dropout, statistics as learnt."""
        return self.train(False)

    def freeze(self) -> Self:
        """Take the parameters of this module and all inside it out of training.

        They are no longer among `parameters`, and no gradient is computed for them; `state_dict` has them
        still.  An optimiser made before leaves them as they are.  Meanwhile attributes such as ``weight`` are
        plain arrays.  A Value that other modules have too (tied weights) is frozen there as well.

        Examples
        --------
        >>> from chainrule import nn
        >>> model = nn.MLP([2, 3, 1], rng=0)
        >>> _ = model.layers[0].freeze()
        >>> [name for name, _ in model.named_parameters()]
        ['layers.1.weight', 'layers.1.bias']
        """
        for m in self.modules():
            for name, item in list(vars(m).items()):
                own = [] if name in _OWN or name in m.buffers else [*values_of(item, modules=False)]
                for _, v, _ in own:
                    v.grad = None
                    v.params = {"frozen": v.params.get("frozen", 0) + 1}
                if own:
                    m._frozen = {**m._frozen, name: (item, item)}
                    m._put_frozen([name])
        return self

    def unfreeze(self) -> Self:
        """Undo `freeze`: the same Values are parameters again, unless another module has them frozen too."""
        for m in self.modules():
            for name, (item, _) in m._frozen.items():
                for _, v, _ in values_of(item, modules=False):
                    count = v.params.get("frozen", 0) - 1
                    v.params = {"frozen": count} if count > 0 else {}
                if m._is_frozen(name):
                    setattr(m, name, item)
            m._frozen = {}
        return self

    def _put_frozen(self, names: list[str]) -> None:
        """Put plain numbers and arrays, as they are now, in the place of frozen Values."""
        for name in names:
            item = self._frozen[name][0]
            self._frozen = {**self._frozen, name: (item, plain := _plain(item))}
            setattr(self, name, plain)

    def _is_frozen(self, name: str) -> bool:
        """Whether an attribute is what `freeze` has put there; it may have been assigned since."""
        if name not in self._frozen:
            return False
        now, put = self.__dict__.get(name), self._frozen[name][1]
        # a pickle makes two of one float
        return now is put or (type(now) is type(put) is float and now == put)

    @recursive_repr()
    def __repr__(self) -> str:
        lines = [
            f"  {name} = {_show(item)}".replace("\n", "\n  ")
            for name, item in vars(self).items()
            if _holds_parameters(item)
        ]
        body = "\n" + "\n".join(lines) + "\n" if lines else ""
        return f"{type(self).__name__}({body})"


_OWN = ("_frozen", "_forward_hooks", "_backward_hooks")  # attributes of every module


def _kinds(v: Value) -> str:
    """The kinds of dtypes that a Value takes numbers of."""
    return f"bfiu{v.dtype.kind}"


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
        step = next((p for p, m in _modules(module) if m is child), type(child).__name__)
        path = f"{step}.{path}" if path else step
        error.args = (f"{path}: {message}",)
    # Beyond the outermost call the path ends: if the same exception is raised again, another begins.
    error.raised_in = (module, path, message) if now.running else (None, "", message)  # type: ignore[attr-defined]


def inside(item: Any) -> Iterator[tuple[str, Any]]:
    """Yield the name and content of everything directly inside a module or container."""
    if isinstance(item, Module):
        for name, inner in vars(item).items():
            if name not in _OWN:
                yield name, item._frozen[name][0] if item._is_frozen(name) else inner
    elif isinstance(item, dict):
        yield from ((str(key), inner) for key, inner in item.items())
    elif isinstance(item, list | tuple):
        yield from ((str(i), inner) for i, inner in enumerate(item))


def _direct(item: Any) -> Iterator[tuple[str, Any]]:
    """Yield what is inside a module, and inside its containers, but not inside the modules in it."""
    waiting = list(inside(item))[::-1]
    seen: set[int] = set()
    while waiting:
        path, inner = waiting.pop()
        if id(inner) in seen:
            continue
        seen.add(id(inner))
        yield path, inner
        if not isinstance(inner, Module):
            waiting += [(f"{path}.{name}", x) for name, x in inside(inner)][::-1]


def values_of(item: Any, modules: bool = True) -> Iterator[tuple[str, Value, str]]:
    """Yield the path of every leaf Value under `item`, depth first, the Value, and its kind.

    Raises
    ------
    ValueError
        If two Values have the same path.
    """
    paths: set[str] = set()
    for path, x, kind in _walk(item, modules):
        # A module may keep a result it computed (an activation, a loss): that is not a parameter.
        if not isinstance(x, Value) or x.primitive is not None:
            continue
        if path in paths:
            raise ValueError(
                f"parameters: two Values have the path {path!r}; give them different names: a key is "
                "the same as its text, {1: v} as {'1': v}, and a point leads inside, {'a.b': v} as "
                "{'a': {'b': v}}"
            )
        paths.add(path)
        yield path, x, "frozen" if x.params and kind == "parameter" else kind


def _walk(item: Any, modules: bool = True) -> Iterator[tuple[str, Any, str]]:
    """Yield everything under `item`, itself first, depth first and each once: its path, it, and its kind."""
    seen: set[int] = set()  # identities, which also ends cycles
    waiting: list[tuple[str, Any, str]] = [("", item, "parameter")]
    while waiting:
        path, item, kind = waiting.pop()
        if not isinstance(item, Value | Module | dict | list | tuple) or id(item) in seen:
            continue
        seen.add(id(item))
        yield path, item, kind
        if modules or not isinstance(item, Module):
            found = [
                (f"{path}.{name}" if path else name, x, _kind(item, name, kind)) for name, x in inside(item)
            ]
            waiting += found[::-1]


def _kind(item: Any, name: str, kind: str) -> str:
    """What Values in an attribute or entry are: parameters or buffers."""
    if isinstance(item, Module):
        return "buffer" if name in item.buffers else "parameter"
    return kind


def _modules(item: Any) -> Iterator[tuple[str, Module]]:
    return ((path, x) for path, x, _ in _walk(item) if isinstance(x, Module))


def _plain(item: Any) -> Any:
    """An attribute with plain numbers and arrays in the place of its Values."""
    if isinstance(item, Value):
        return item.data if item.primitive is None else item
    if isinstance(item, dict):
        return {key: _plain(inner) for key, inner in item.items()}
    return type(item)(map(_plain, item)) if isinstance(item, list | tuple) else item


def _holds_parameters(item: Any) -> bool:
    return isinstance(item, Module) or next(values_of(item), None) is not None


def _show(item: Any) -> str:
    """Show one attribute: modules by their repr, Values by shape and dtype, containers by their content."""
    if isinstance(item, Value):
        return f"Value{item.shape} {item.dtype}"
    if isinstance(item, dict):
        return "{" + ", ".join(f"{key!r}: {_show(inner)}" for key, inner in item.items()) + "}"
    if isinstance(item, list | tuple):
        return "[" + ", ".join(_show(inner) for inner in item) + "]"
    return repr(item)
