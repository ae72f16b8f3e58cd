"""The cost of one call of a Keras operation besides its output: arrays inside it, and multiplications.

The rules are by the names of the classes, because Keras exports its layers but not its operations.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

from kerasnets.graph.weights import count

Shape = tuple[int | None, ...]
Rule = Callable[[Any, Sequence[Shape], Shape], int]  # (operation, shapes of its inputs, shape of its output) -> count
SLOW = 32  # multiplications of a matrix product in the time of one outside of such a product


def size(shape: Shape) -> int:
    """Return the number of elements of a shape; an open length, as of the batch, counts as 1."""
    return math.prod(length or 1 for length in shape)


def largest_array(operation: Any, inputs: Sequence[Shape], output: Shape) -> int:
    """Return the number of elements of the largest array on the way to an output, which may be the output itself."""
    return max(size(output), *(rule(operation, inputs, output) for rule in rules(ARRAYS, operation)), 0)


def work(operation: Any, inputs: Sequence[Shape], output: Shape) -> int:
    """Return about how many multiplications of a matrix product a call takes."""
    return by_weights(operation, output) + sum(rule(operation, inputs, output) for rule in rules(WORK, operation))


def rules(table: dict[str, Rule], operation: Any) -> list[Rule]:
    """Return the rules for the class of an operation and for its base classes."""
    return [table[kind.__name__] for kind in type(operation).__mro__ if kind.__name__ in table]


def by_weights(operation: Any, output: Shape) -> int:
    """Return how often the weights of a layer are applied, times their number; more for few filters."""
    weights = count(getattr(operation, "weights", ()))
    if not weights or len(output) < 2:
        return weights
    axis = 1 if getattr(operation, "data_format", None) == "channels_first" else -1
    filters = int(getattr(operation, "filters", 0) or getattr(operation, "depth_multiplier", 0) or SLOW)
    slowness = max(1, SLOW // max(1, filters // int(getattr(operation, "groups", 1))))
    return weights * slowness * size(output) // (output[axis] or 1)


# ---- arrays ----------------------------------------------------------------------------------------------------------


def scores(layer: Any, inputs: Sequence[Shape], output: Shape) -> int:
    """Return the size of the matrix of an attention, of each query and each value."""
    return heads_of(layer) * size(inputs[0][1:-1]) * size(inputs[1 if len(inputs) > 1 else 0][1:-1])


def scores_and_projections(layer: Any, inputs: Sequence[Shape], output: Shape) -> int:
    """Return the size of the matrix of an attention, or of the queries and values in all heads."""
    projections = (heads_of(layer) * width_of(layer) * size(shape[:-1]) for shape in inputs)
    return max(scores(layer, inputs, output), *projections)


def heads_of(layer: Any) -> int:
    """Return the number of heads of an attention, 1 without heads."""
    return int(getattr(layer, "num_heads", 0) or getattr(layer, "num_query_heads", 1))


def width_of(layer: Any) -> int:
    """Return the largest width of a query, key or value in one head of an attention, 1 without heads."""
    return max(getattr(layer, name, None) or 1 for name in ("key_dim", "value_dim", "head_dim"))


def sums(layer: Any, inputs: Sequence[Shape], output: Shape) -> int:
    """Return the size of the sums of each query and each value, which are added before the scores."""
    return scores(layer, inputs, output) * (inputs[0][-1] or 1)


def scores_of_heads(operation: Any, inputs: Sequence[Shape], output: Shape) -> int:
    """Return the size of the matrix of an attention over (batch, length, heads, width)."""
    (_, length, heads, _), (_, other, *_) = inputs[:2]
    return (length or 1) * (heads or 1) * (other or 1)


def by_depth(layer: Any, inputs: Sequence[Shape], output: Shape) -> int:
    """Return the size of the map between the two convolutions of a separable one."""
    channels = inputs[0][-1 if layer.data_format == "channels_last" else 1] or 1
    return size(output) // int(layer.filters) * channels * int(layer.depth_multiplier)


def one_hot(layer: Any, inputs: Sequence[Shape], output: Shape) -> int:
    return size(inputs[0]) * int(layer.num_tokens)


def steps_of_states(layer: Any, inputs: Sequence[Shape], output: Shape) -> int:
    """Return the size of the states of all steps, which a recurrent layer keeps even if it gives the last alone."""
    return size(output) * (1 if layer.return_sequences else steps(inputs))


def steps(inputs: Sequence[Shape]) -> int:
    return inputs[0][1] or 1


def frequencies(layer: Any, inputs: Sequence[Shape], output: Shape) -> int:
    """Return the size of the spectrum that a layer sums up, or of the matrix that does it."""
    return int(layer.fft_length) * (max(1, size(inputs[0]) // int(layer.sequence_stride)) + int(layer.num_mel_bins))


def padded(operation: Any, inputs: Sequence[Shape], output: Shape) -> int:
    """Return the size of a picture that is padded to the proportions of a size."""
    if not operation.pad_to_aspect_ratio:
        return 0
    height, width = operation.size if hasattr(operation, "size") else (operation.height, operation.width)
    sides = inputs[0][-3:-1] if operation.data_format == "channels_last" else inputs[0][-2:]
    rows, columns = (side or 1 for side in sides)
    channels = size(inputs[0]) // (rows * columns)
    return channels * max(rows, columns * height // width) * max(columns, rows * width // height)


def filters_by_filters(operation: Any, inputs: Sequence[Shape], output: Shape) -> int:
    """Return the size of the kernel that cuts patches out: each pixel of a patch is a filter over all of them."""
    return patch(operation, inputs) ** 2


def patch(operation: Any, inputs: Sequence[Shape]) -> int:
    """Return the number of elements of a patch."""
    axis = -1 if operation.data_format == "channels_last" else len(inputs[0]) - len(operation.size) - 1
    return math.prod(operation.size) * (inputs[0][axis] or 1)


def pairs(operation: Any, inputs: Sequence[Shape], output: Shape) -> int:
    """Return the product of the sizes of all inputs: their elements in pairs, if there are two."""
    return math.prod(map(size, inputs))


def differences(operation: Any, inputs: Sequence[Shape], output: Shape) -> int:
    """Return the size of the differences of each row and each other row."""
    return size(inputs[0]) * (inputs[1][-2] or 1)


def letters(operation: Any, inputs: Sequence[Shape], output: Shape) -> int:
    """Return the product of all lengths in an Einstein sum of three operands or more, which no array in it exceeds."""
    names = [part.strip().replace("...", "") for part in operation.subscripts.split("->")[0].split(",")]
    if len(inputs) < 3:
        return 0
    if any(len(name) != len(shape) for name, shape in zip(names, inputs, strict=True)):
        return pairs(operation, inputs, output)
    lengths: dict[str, int] = {}
    for name, shape in zip(names, inputs, strict=True):
        for letter, length in zip(name, shape, strict=True):
            lengths[letter] = max(length or 1, lengths.get(letter, 1))  # a length of 1 is broadcast
    return math.prod(lengths.values())


def bins(layer: Any, inputs: Sequence[Shape], output: Shape) -> int:
    return int(layer.bins)


ARRAYS: dict[str, Rule] = {
    "MultiHeadAttention": scores_and_projections,
    "GroupedQueryAttention": scores_and_projections,
    "Attention": scores,
    "AdditiveAttention": sums,
    "DotProductAttention": scores_of_heads,
    "SeparableConv1D": by_depth,
    "SeparableConv2D": by_depth,
    "CategoryEncoding": one_hot,
    "RNN": steps_of_states,
    "Bidirectional": steps_of_states,
    "MelSpectrogram": frequencies,
    "Resizing": padded,
    "Resize": padded,
    "ExtractPatches": filters_by_filters,
    "CDist": differences,
    "IsIn": pairs,
    "Einsum": letters,
    "Equalization": bins,
}  # fmt: skip


# ---- multiplications -------------------------------------------------------------------------------------------------


def contraction(operation: Any, inputs: Sequence[Shape], output: Shape) -> int:
    """Return the root of the product of three sizes, which no product of two arrays with that output exceeds.

    A product of (n, k) and (k, m) takes nkm, the root of nk times km times nm.
    """
    return max(math.isqrt(pairs(operation, inputs[:2], output) * size(output)), letters_in(operation, inputs, output))


def letters_in(operation: Any, inputs: Sequence[Shape], output: Shape) -> int:
    return letters(operation, inputs, output) if hasattr(operation, "subscripts") else 0


def with_scores(operation: Any, inputs: Sequence[Shape], output: Shape) -> int:
    """Return the two products of an attention: of queries and keys, and of scores and values."""
    arrays = [rule(operation, inputs, output) for rule in rules(ARRAYS, operation)]
    return 2 * max(arrays) * max(inputs[0][-1] or 1, width_of(operation))


def windows(operation: Any, inputs: Sequence[Shape], output: Shape) -> int:
    """Return the products of an output with a window for each of its numbers: of a pooling, a blur."""
    names = ("pool_size", "kernel_size", "filter_size")
    window = next(getattr(operation, name) for name in names if hasattr(operation, name))
    return SLOW * size(output) * (window ** (len(output) - 2) if isinstance(window, int) else math.prod(window))


def elastic(operation: Any, inputs: Sequence[Shape], output: Shape) -> int:
    return SLOW * size(output) * int(6 * operation.sigma + 1) ** 2


def kernel_of_tensor(operation: Any, inputs: Sequence[Shape], output: Shape) -> int:
    """Return the products of a convolution whose kernel is an input."""
    return SLOW * size(max(inputs[0], output, key=size)) * sum(size(kernel[:-1]) for kernel in inputs[1:])


def all_pairs(operation: Any, inputs: Sequence[Shape], output: Shape) -> int:
    return SLOW * pairs(operation, inputs, output)


def cubic(operation: Any, inputs: Sequence[Shape], output: Shape) -> int:
    """Return the products of a decomposition of matrices."""
    return SLOW * size(inputs[0]) * min(length or 1 for length in inputs[0][-2:])


def of_patches(operation: Any, inputs: Sequence[Shape], output: Shape) -> int:
    return size(output) * patch(operation, inputs)


def beams(operation: Any, inputs: Sequence[Shape], output: Shape) -> int:
    return SLOW**2 * size(inputs[0]) * int(operation.beam_width)


WORK: dict[str, Rule] = {
    **dict.fromkeys(("Matmul", "Dot", "Einsum", "Tensordot", "Inner", "Vdot", "CDist", "Corrcoef"), contraction),
    **dict.fromkeys(("MultiHeadAttention", "GroupedQueryAttention", "Attention", "DotProductAttention"), with_scores),
    **dict.fromkeys(("BasePooling", "MaxPool", "AveragePool", "GaussianBlur", "SSIM"), windows),
    **dict.fromkeys(("Conv", "DepthwiseConv", "SeparableConv", "ConvTranspose"), kernel_of_tensor),
    **dict.fromkeys(("Cholesky", "CholeskyInverse", "Det", "Eig", "Eigh", "Inv", "LuFactor", "Norm", "Qr"), cubic),
    **dict.fromkeys(("Solve", "SolveTriangular", "SVD", "Lstsq", "MatrixRank", "Pinv", "Logdet", "Slogdet"), cubic),
    "Correlate": all_pairs,
    "ElasticTransform": elastic,
    "ExtractPatches": of_patches,
    "CTCDecode": beams,
}  # fmt: skip
