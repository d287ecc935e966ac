"""Attention: every place of a sequence looks at the others; and the transformer's block around it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from chainrule.functions import softmax
from chainrule.nn.activations import activation_and_initialiser
from chainrule.nn.arguments import as_operand, at_least, floating, size_of
from chainrule.nn.dropout import Dropout
from chainrule.nn.initialisers import glorot_uniform
from chainrule.nn.linear import Linear
from chainrule.nn.module import Module
from chainrule.nn.normalisation import LayerNorm
from chainrule.value import Value

__all__ = ["MultiHeadAttention", "TransformerBlock", "scaled_dot_product_attention"]


def scaled_dot_product_attention(
    query: Any,
    key: Any,
    value: Any,
    mask: Any = None,
    causal: bool = False,
    dropout: Callable[[Any], Any] | None = None,
) -> Any:
    """Attention: softmax(q kᵀ / √D + mask) v.

    Shapes: q is (..., T, D), k (..., S, D), v (..., S, E), the result (..., T, E).

    Parameters
    ----------
    query, key, value : Value or array
    mask : array, optional
        (..., T, S), or what broadcasts to it: booleans, True where place t may look at place s; or floats,
        added to the scores.  A place that may look nowhere gets zeros.
    causal : bool
        Whether place t looks at places s ≤ t only.
    dropout : callable, optional
        Applied to the weights.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import nn
    >>> x = np.eye(2)
    >>> nn.scaled_dot_product_attention(x, x, x, causal=True)
    array([[1.        , 0.        ],
           [0.33023845, 0.66976155]])
    """
    q, k = as_operand(query), as_operand(key)
    scores = q @ np.swapaxes(k, -1, -2) * q.shape[-1] ** -0.5
    if mask is not None:
        mask = as_operand(mask)
        if mask.dtype.kind == "b":
            scores = np.where(mask, scores, -np.inf)
        else:
            scores = scores + mask.astype(scores.dtype)
    if causal:
        scores = np.where(np.tri(*scores.shape[-2:]).astype(bool), scores, -np.inf)
    weights = softmax(scores, axis=-1)
    return (weights if dropout is None else dropout(weights)) @ as_operand(value)


class MultiHeadAttention(Module):
    """Several attentions side by side, each on its own projection of the inputs.

    (q, k, v) = (query Wqᵀ, key Wkᵀ, value Wvᵀ), cut into heads of width D = embed_dim / num_heads; then
    y = concat(softmax(q kᵀ / √D) v) W + b.

    Shapes: query is (N, T, embed_dim), key and value (N, S, embed_dim), the result (N, T, embed_dim).
    PyTorch's layer of nearly the same name has the batch second unless told otherwise, and returns the
    weights too.

    Parameters
    ----------
    embed_dim, num_heads : int
    dropout : float
        The share of the weights that is left out in training.
    bias : bool
    causal : bool
        Whether place t looks at places s ≤ t only.
    rng : numpy.random.Generator or int, optional
        Where initial weights and dropout's draws come from.
    dtype : dtype
        Of the parameters; see `Linear`.

    Attributes
    ----------
    in_proj_weight : Value
        Wq, Wk and Wv below each other, (3 embed_dim, embed_dim), as in PyTorch.
    in_proj_bias : Value or None
        (3 embed_dim,).
    out_proj : Linear

    Raises
    ------
    ValueError
        If embed_dim is no multiple of num_heads; when called, if shapes do not fit.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import nn
    >>> layer = nn.MultiHeadAttention(8, 2, causal=True, rng=0)
    >>> layer(np.ones((3, 5, 8))).shape
    (3, 5, 8)
    >>> [name for name, _ in layer.named_parameters()]
    ['in_proj_weight', 'in_proj_bias', 'out_proj.weight', 'out_proj.bias']
    """

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        dropout: float = 0.0,
        bias: bool = True,
        *,
        causal: bool = False,
        rng: np.random.Generator | int | None = None,
        dtype: DTypeLike = np.float64,
    ) -> None:
        self.embed_dim = at_least(1, embed_dim, "MultiHeadAttention", "embed_dim")
        self.num_heads = at_least(1, num_heads, "MultiHeadAttention", "num_heads")
        if embed_dim % num_heads:
            raise ValueError(
                f"MultiHeadAttention: embed_dim is {embed_dim}; expected a multiple of num_heads, {num_heads}"
            )
        given, rng = rng, np.random.default_rng(rng)
        dtype = floating(dtype, "MultiHeadAttention")
        self.causal = causal
        weight = glorot_uniform(rng, embed_dim, 3 * embed_dim, dtype)
        self.in_proj_weight = Value(np.ascontiguousarray(weight.T))
        self.in_proj_bias = Value(np.zeros(3 * embed_dim, dtype)) if bias else None
        self.out_proj = Linear(embed_dim, embed_dim, bias=bias, rng=rng, dtype=dtype)
        self.dropout = Dropout(dropout, rng=None if given is None else rng)

    def forward(self, query: Any, key: Any = None, value: Any = None, *, mask: Any = None) -> Any:
        """Attend from query to key and value: without a key to query itself, without a value to key.

        ``mask`` is that of `scaled_dot_product_attention`: (T, S), (N, T, S) or (N, num_heads, T, S), or what
        broadcasts to one of these; True where place t may look at place s.
        """
        q = self._checked(query, "query")
        k = q if key is None else self._checked(key, "key")
        v = k if value is None else self._checked(value, "value")
        if k.shape != v.shape or k.shape[0] != q.shape[0]:
            raise ValueError(
                f"MultiHeadAttention: query is {q.shape}, key {k.shape}, value {v.shape}; expected the same "
                "batch, and key and value of the same length"
            )
        if mask is not None:
            mask = self._mask(mask, (q.shape[0], self.num_heads, q.shape[1], k.shape[1]))
        heads, keys, values = self._heads(q, k, v)
        mixed = scaled_dot_product_attention(heads, keys, values, mask, self.causal, self.dropout)
        return self.out_proj(np.transpose(mixed, (0, 2, 1, 3)).reshape(q.shape))

    def _heads(self, q: Any, k: Any, v: Any) -> list[Any]:
        """The projections, (N, H, T, D) each; of one sequence in one product."""
        e, h = self.embed_dim, self.num_heads
        w, b = self.in_proj_weight, self.in_proj_bias
        if k is q and v is q:
            y = q @ w.T if b is None else q @ w.T + b
            y = y.reshape((*q.shape[:2], 3, h, e // h))
            return [np.transpose(y[:, :, j], (0, 2, 1, 3)) for j in range(3)]
        found = []
        for j, x in enumerate((q, k, v)):
            y = x @ w[j * e : (j + 1) * e].T
            y = y if b is None else y + b[j * e : (j + 1) * e]
            found.append(np.transpose(y.reshape((*x.shape[:2], h, e // h)), (0, 2, 1, 3)))
        return found

    def _checked(self, x: Any, name: str) -> Any:
        x = as_operand(x)
        if x.ndim != 3 or x.shape[-1] != self.embed_dim:
            raise ValueError(
                f"MultiHeadAttention: {name}: expected (N, T, {self.embed_dim}), got {x.shape}"
            )
        return x

    def _mask(self, mask: Any, shape: tuple[int, ...]) -> Any:
        mask = as_operand(mask)
        if mask.ndim == 3:
            mask = mask[:, None]
        try:
            fits = np.broadcast_shapes(mask.shape, shape) == shape
        except ValueError:
            fits = False
        if not fits or mask.dtype.kind not in "bf":
            n, h, t, s = shape
            raise ValueError(
                f"MultiHeadAttention: mask is {mask.dtype} of shape {mask.shape}; expected booleans or "
                f"floats, ({t}, {s}), ({n}, {t}, {s}) or ({n}, {h}, {t}, {s}), or what broadcasts to it"
            )
        return mask

    def __repr__(self) -> str:
        extras = "causal, " * self.causal + f"dropout {self.dropout.p}, " * (self.dropout.p > 0)
        size = sum(size_of(p) for p in (self.in_proj_weight, self.in_proj_bias, self.out_proj.weight))
        size += size_of(self.out_proj.bias)
        return (
            f"MultiHeadAttention({self.embed_dim}, {self.num_heads} heads, {extras}{size:,} parameters, "
            f"{self.in_proj_weight.dtype})"
        )


class TransformerBlock(Module):
    """A block of a transformer, norms first: x ← x + attention(norm1(x)), x ← x + mlp(norm2(x)).

    The mlp is linear2(φ(linear1(x))); what is added is dropped out in training.  Parameters have the names
    of PyTorch's ``TransformerEncoderLayer(norm_first=True)``.  Where in the sequence it is, a place does not
    know: add an `Embedding` of the positions before the first block.

    Shapes: x and y are (N, T, embed_dim).

    Parameters
    ----------
    embed_dim, num_heads : int
    dim_feedforward : int, optional
        The mlp's width; by default 4 embed_dim.
    dropout : float
    causal : bool
        Whether place t looks at places s ≤ t only.
    activation : str or callable
        φ: a name from `ACTIVATIONS`, or a function.
    bias : bool
        Whether the linear layers and norms have biases.
    rng : numpy.random.Generator or int, optional
        Where initial weights and dropout's draws come from.
    dtype : dtype
        Of the parameters; see `Linear`.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import nn
    >>> block = nn.TransformerBlock(16, 4, causal=True, rng=0)
    >>> block(np.ones((2, 5, 16))).shape, sum(p.size for p in block.parameters())
    ((2, 5, 16), 3280)
    """

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        dim_feedforward: int | None = None,
        dropout: float = 0.0,
        *,
        causal: bool = False,
        activation: str | Callable[[Any], Any] = "gelu",
        bias: bool = True,
        rng: np.random.Generator | int | None = None,
        dtype: DTypeLike = np.float64,
    ) -> None:
        given, rng = rng, np.random.default_rng(rng)
        self.activation, initialiser = activation_and_initialiser(activation, "TransformerBlock")
        width = 4 * embed_dim if dim_feedforward is None else dim_feedforward
        self.self_attn = MultiHeadAttention(
            embed_dim, num_heads, dropout, bias, causal=causal, rng=rng, dtype=dtype
        )
        self.self_attn.dropout.seeded = given is not None
        self.linear1 = Linear(embed_dim, width, bias=bias, rng=rng, dtype=dtype, initialiser=initialiser)
        self.linear2 = Linear(width, embed_dim, bias=bias, rng=rng, dtype=dtype)
        self.norm1 = LayerNorm(embed_dim, bias=bias, dtype=dtype)
        self.norm2 = LayerNorm(embed_dim, bias=bias, dtype=dtype)
        self.dropout = Dropout(dropout, rng=None if given is None else rng)

    def forward(self, x: Any, *, mask: Any = None) -> Any:
        """Mix the places, then transform each; ``mask`` as for `MultiHeadAttention`."""
        x = as_operand(x)
        x = x + self.dropout(self.self_attn(self.norm1(x), mask=mask))
        hidden = self.dropout(self.activation(self.linear1(self.norm2(x))))
        return x + self.dropout(self.linear2(hidden))
