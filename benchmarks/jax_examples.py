"""The losses of the examples as they are written in JAX, of parameters with PyTorch's names and shapes."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from benchmarks.side_by_side import jax_cross_entropy


def linear(p: Any, name: str, x: Any) -> Any:
    return x @ p[f"{name}.weight"].T + p[f"{name}.bias"]


def mlp(p: Any, name: str, activation: Any, x: Any) -> Any:
    for k in range(2):
        x = activation(linear(p, f"{name}{k}", x))
    return linear(p, f"{name}2", x)


def gelu(x: Any) -> Any:
    return jax.nn.gelu(x, approximate=False)


def digits(p: Any, images: Any, labels: Any) -> Any:
    return jax_cross_entropy(mlp(p, "layers.", jax.nn.relu, images), labels)


def clothes(p: Any, images: Any, labels: Any) -> Any:
    def layer(name: str, x: Any) -> Any:  # channels last, as Flax has them
        order = ("NHWC", "OIHW", "NHWC")
        x = lax.conv_general_dilated(x, p[f"{name}.weight"], (1, 1), "SAME", dimension_numbers=order)
        n, h, w, c = x.shape
        x = jax.nn.relu(x + p[f"{name}.bias"]).reshape(n, h // 2, 2, w // 2, 2, c)
        return jnp.max(x, axis=(2, 4))  # lax.reduce_window, as in Flax, takes 2.5 times as long

    x = layer("3", layer("0", jnp.transpose(images, (0, 2, 3, 1))))
    x = jnp.transpose(x, (0, 3, 1, 2)).reshape(len(images), -1)
    return jax_cross_entropy(linear(p, "10", jax.nn.relu(linear(p, "7", x))), labels)


def text(p: Any, codes: Any, following: Any, heads: int, blocks: int) -> Any:
    def norm(name: str, x: Any) -> Any:
        x = x - jnp.mean(x, axis=-1, keepdims=True)
        scale = lax.rsqrt(jnp.mean(x * x, axis=-1, keepdims=True) + 1e-5)
        return x * scale * p[f"{name}.weight"] + p[f"{name}.bias"]

    n, t = codes.shape
    x = p["symbols.weight"][codes] + p["places.weight"]
    for k in range(blocks):
        a = f"blocks.{k}.self_attn."
        qkv = norm(f"blocks.{k}.norm1", x) @ p[f"{a}in_proj_weight"].T + p[f"{a}in_proj_bias"]
        q, k_, v = jnp.moveaxis(qkv.reshape(n, t, 3, heads, -1), 2, 0)  # (N, T, H, D) each
        mixed = jax.nn.dot_product_attention(q, k_, v, is_causal=True)
        x = x + linear(p, f"{a}out_proj", mixed.reshape(n, t, -1))
        hidden = gelu(linear(p, f"blocks.{k}.linear1", norm(f"blocks.{k}.norm2", x)))
        x = x + linear(p, f"blocks.{k}.linear2", hidden)
    return jax_cross_entropy(linear(p, "head", norm("norm", x)), following)


def names(p: Any, codes: Any, following: Any) -> Any:
    def step(h: Any, x: Any) -> tuple[Any, Any]:
        rx, zx, nx = jnp.split(x, 3, axis=1)
        past = h @ p["memory.weight_hh_l0"].T + p["memory.bias_hh_l0"]
        rh, zh, nh = jnp.split(past, 3, axis=1)
        r, z = jax.nn.sigmoid(rx + rh), jax.nn.sigmoid(zx + zh)
        n = jnp.tanh(nx + r * nh)
        h = (1 - z) * n + z * h
        return h, h

    letters = jnp.swapaxes(p["letters.weight"][codes], 0, 1)  # (T, N, C)
    x = letters @ p["memory.weight_ih_l0"].T + p["memory.bias_ih_l0"]
    _, y = lax.scan(step, jnp.zeros((len(codes), 128), x.dtype), x)
    return jax_cross_entropy(linear(p, "head", jnp.swapaxes(y, 0, 1)), following)


def plane(p: Any, images: Any, noise: Any) -> Any:
    found = mlp(p, "encoder.layers.", gelu, images)
    mean, log_spread = found[:, :2], found[:, 2:]
    logits = mlp(p, "decoder.layers.", gelu, mean + jnp.exp(log_spread) * noise)
    pixels = jnp.sum(jnp.maximum(logits, 0) - logits * images + jnp.log1p(jnp.exp(-jnp.abs(logits))))
    place = 0.5 * jnp.sum(mean**2 + jnp.exp(2 * log_spread) - 1 - 2 * log_spread)
    return (pixels + place) / len(images)
