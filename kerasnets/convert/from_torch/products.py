"""Matrix products: Dense layers, products of two tensors, and attention as its parts."""

import math
import string
from typing import Any

import keras
from keras import ops

from kerasnets.convert.from_torch import activations, arithmetic, reshapes
from kerasnets.convert.from_torch.builder import Builder
from kerasnets.convert.from_torch.values import Value


def linear(net: Builder, x: Value, weight: Any, bias: Any = None) -> Value:
    """A Dense layer; after a flatten, its rows are permuted instead of the picture."""
    if isinstance(weight, Value):
        product = matmul(net, net.in_order(x), reshapes.transpose(net, weight, 0, 1))
        return product if bias is None else arithmetic.add(net, product, bias)
    if isinstance(bias, Value):
        return arithmetic.add(net, linear(net, x, weight), bias)
    last = x.rank - 1
    rows = x.rows
    if x.axes[-1] != last:
        x = net.arrange(x, (*(axis for axis in x.axes if axis != last), last))
    array = net.array(weight).T
    if rows is not None:
        array = array[rows]
    arrays = [array] if bias is None else [array, net.array(bias)]
    options: dict[str, Any] = {"units": int(weight.shape[0]), "use_bias": bias is not None}
    tensor = net.layer_with_weights(keras.layers.Dense, x.tensor, [weight, bias], arrays, **options)
    return Value(tensor, x.axes)


def matmul(net: Builder, a: Any, b: Any) -> Value:
    rank = max(len(a.shape), len(b.shape))
    if min(len(a.shape), len(b.shape)) < 2:
        raise net.refuse("a product with a vector is not converted")
    axes = tuple(range(rank))
    left, right = (_operand(net, x, rank) for x in (a, b))
    return Value(ops.matmul(left, right), axes)


def _operand(net: Builder, x: Any, rank: int) -> Any:
    if not isinstance(x, Value):
        if not x.requires_grad:
            return net.constant(x, rank, tuple(range(rank)))
        x = net.parameter(x)
    return net.arrange(net.widen(x, rank), tuple(range(rank))).tensor


def addmm(net: Builder, bias: Any, a: Any, b: Any, *, beta: float = 1, alpha: float = 1) -> Value:
    if beta != 1 or alpha != 1:
        raise net.refuse("beta and alpha are not converted")
    return arithmetic.add(net, matmul(net, a, b), bias)


def attention(
    net: Builder, query: Value, key: Value, value: Value, attn_mask: Any = None, dropout_p: float = 0.0,
    is_causal: bool = False, *, scale: float | None = None, enable_gqa: bool = False,
) -> Value:  # fmt: skip
    """Return softmax(query key' scale + mask) value."""
    if enable_gqa:
        raise net.refuse("grouped attention is not converted")
    if is_causal:
        import torch

        attn_mask = torch.ones(int(query.shape[-2]), int(key.shape[-2]), dtype=torch.bool).tril()
    rate = net.attention_rate(dropout_p)
    width = int(query.shape[-1])
    query = arithmetic.multiply(net, query, scale or 1 / math.sqrt(width))
    swapped = (*range(key.rank - 2), key.rank - 1, key.rank - 2)
    keys = net.arrange(key, swapped).tensor
    scores = Value(ops.matmul(net.arrange(query, range(query.rank)).tensor, keys), tuple(range(query.rank)))
    if attn_mask is not None:
        if not isinstance(attn_mask, Value) and str(attn_mask.dtype) == "torch.bool":
            attn_mask = attn_mask.logical_not().float().masked_fill(attn_mask.logical_not(), -1e9)
        scores = arithmetic.add(net, scores, attn_mask)
    shares = activations.softmax(net, scores, -1)
    if rate:
        shares = shares.same(net.layer(keras.layers.Dropout, shares.tensor, "dropout", rate=rate))
    return matmul(net, _with_shape(shares, query, key), value)


def _with_shape(x: Value, query: Value, key: Value) -> Value:
    return Value(x.tensor, x.axes, (*query.shape[:-1], key.shape[-2]))


def einsum(net: Builder, equation: str, tensors: list[Any], path: Any = None) -> Value:
    operands = [_operand(net, x, len(x.shape)) for x in tensors]
    equation = equation.replace(" ", "")
    letters = {letter: string.ascii_lowercase[i] for i, letter in enumerate(sorted(set(equation) - set("->,.")))}
    equation = "".join(letters.get(letter, letter) for letter in equation)
    result = equation.partition("->")[2]
    if not result or "." in equation:
        raise net.refuse("an einsum without a written result is not converted")
    return Value(ops.einsum(equation, *operands), tuple(range(len(result))))


OPERATORS = {
    "linear": linear,
    "matmul": matmul,
    "mm": matmul,
    "bmm": matmul,
    "addmm": addmm,
    "scaled_dot_product_attention": attention,
    "einsum": einsum,
}
