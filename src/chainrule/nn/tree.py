"""Tree: what a module holds, parameters, buffers and other modules, found in its attributes.

Whatever leaf `Value` is found in the attributes of an object - directly, or inside lists, tuples, dicts and
other such objects - is a parameter, but for the names in `buffers`. Nothing is registered.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from reprlib import recursive_repr
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from chainrule.value import Value, current, data, freeze

if TYPE_CHECKING:
    from chainrule.nn.module import Module

__all__ = ["Tree", "inside", "modules_of", "values_of"]


class Tree:
    """Base of `chainrule.nn.Module`: its parameters, its state, and the modules inside it."""

    __slots__ = ("__dict__",)

    training = True
    buffers: ClassVar[tuple[str, ...]] = ()
    _frozen: Mapping[str, tuple[Any, Any]] = MappingProxyType({})  # attributes with Values, and without

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
        return [m for _, m in modules_of(self)]

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
        return [m for _, m in _direct(self) if isinstance(m, Tree) and m is not self]  # type: ignore[misc]

    def named_modules(self) -> list[tuple[str, Module]]:
        """List this module, as ``""``, and every module inside it with its path, each once.

        Examples
        --------
        >>> from chainrule import nn
        >>> [path for path, _ in nn.MLP([2, 3, 1], rng=0).named_modules()]
        ['', 'layers.0', 'layers.1']
        """
        return list(modules_of(self))

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
                    freeze(v, 1)
                if own:
                    m._frozen = {**m._frozen, name: (item, item)}
                    m._put_frozen([name])
        return self

    def unfreeze(self) -> Self:
        """Undo `freeze`: the same Values are parameters again, unless another module has them frozen too."""
        for m in self.modules():
            for name, (item, _) in m._frozen.items():
                for _, v, _ in values_of(item, modules=False):
                    freeze(v, -1)
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


def inside(item: Any) -> Iterator[tuple[str, Any]]:
    """Yield the name and content of everything directly inside a module or container."""
    if isinstance(item, Tree):
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
        if not isinstance(inner, Tree):
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
        if not isinstance(item, Value | Tree | dict | list | tuple) or id(item) in seen:
            continue
        seen.add(id(item))
        yield path, item, kind
        if modules or not isinstance(item, Tree):
            found = [
                (f"{path}.{name}" if path else name, x, _kind(item, name, kind)) for name, x in inside(item)
            ]
            waiting += found[::-1]


def _kind(item: Any, name: str, kind: str) -> str:
    """What Values in an attribute or entry are: parameters or buffers."""
    if isinstance(item, Tree):
        return "buffer" if name in item.buffers else "parameter"
    return kind


def modules_of(item: Any) -> Iterator[tuple[str, Any]]:
    """Yield the path of every module under `item`, itself first, and the module; each once."""
    return ((path, x) for path, x, _ in _walk(item) if isinstance(x, Tree))


def _plain(item: Any) -> Any:
    """An attribute with plain numbers and arrays in the place of its Values."""
    if isinstance(item, Value):
        return item.data if item.primitive is None else item
    if isinstance(item, dict):
        return {key: _plain(inner) for key, inner in item.items()}
    return type(item)(map(_plain, item)) if isinstance(item, list | tuple) else item


def _holds_parameters(item: Any) -> bool:
    return isinstance(item, Tree) or next(values_of(item), None) is not None


def _show(item: Any) -> str:
    """Show one attribute: modules by their repr, Values by shape and dtype, containers by their content."""
    if isinstance(item, Value):
        return f"Value{item.shape} {item.dtype}"
    if isinstance(item, dict):
        return "{" + ", ".join(f"{key!r}: {_show(inner)}" for key, inner in item.items()) + "}"
    if isinstance(item, list | tuple):
        return "[" + ", ".join(_show(inner) for inner in item) + "]"
    return repr(item)
