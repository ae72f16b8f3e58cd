"""What PyTorch has no class for: texts that a written file begins with, if it needs them."""

NORM = '''class {kind}BatchNorm{rank}d(nn.BatchNorm{rank}d):
    """Batch normalization without a {missing}, as Keras' {option}=False."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.{part}.requires_grad_(False)  # stays {value}
'''

HELPERS = {
    "Affine": '''class Affine(nn.Module):
    """x * scale + offset, for each channel."""

    def __init__(self, scale, offset, trailing_axes):
        super().__init__()
        shape = (-1,) + (1,) * trailing_axes
        scale = torch.tensor(scale).view(shape)
        offset = torch.tensor(offset).view(shape)
        self.register_buffer("scale", scale, persistent=False)
        self.register_buffer("offset", offset, persistent=False)

    def forward(self, x):
        return x * self.scale + self.offset
''',
    "LayerScale": '''class LayerScale(nn.Module):
    """x * gamma, for each channel; the channels are the last axis."""

    def __init__(self, channels):
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(channels))

    def forward(self, x):
        return x * self.gamma
''',
    "Weight": '''class Weight(nn.Module):
    """A parameter by itself."""

    def __init__(self, shape):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(shape))

    def forward(self):
        return self.weight
''',
    "Constant": '''class Constant(nn.Module):
    """Numbers that are not trained."""

    def __init__(self, shape):
        super().__init__()
        self.register_buffer("value", torch.zeros(shape))

    def forward(self):
        return self.value
''',
    "DropPath": '''class DropPath(nn.Module):
    """In training, set whole samples to zero with probability p; scale the others."""

    def __init__(self, p):
        super().__init__()
        self.p = p

    def forward(self, x):
        if not self.training:
            return x
        kept = torch.rand(len(x), *[1] * (x.ndim - 1), device=x.device) >= self.p
        return x * kept / (1 - self.p)
''',
    "pad_same": '''def pad_same(x, kernel_size, stride):
    """Pad as Keras' padding="same" does: the odd pixel goes to the end."""
    pads = []
    for size, kernel, step in zip(x.shape[2:], kernel_size, stride):
        total = max((-(-size // step) - 1) * step + kernel - size, 0)
        pads = [total // 2, total - total // 2, *pads]
    return F.pad(x, pads)
''',
    "average_pool_same": '''def average_pool_same(x, kernel_size, stride, pads):
    """Average the pixels in each window of a padded map, without the padding."""
    pool = (F.avg_pool1d, F.avg_pool2d, F.avg_pool3d)[x.ndim - 3]
    pixels = pool(F.pad(torch.ones_like(x), pads), kernel_size, stride)
    return pool(F.pad(x, pads), kernel_size, stride) / pixels
''',
    **{
        f"{kind}BatchNorm{rank}d": NORM.format(
            kind=kind, rank=rank, missing=missing, option=option, part=part, value=value
        )
        for rank in (1, 2, 3)
        for kind, missing, option, part, value in (
            ("Unscaled", "factor", "scale", "weight", 1),
            ("Uncentered", "bias", "center", "bias", 0),
        )
    },
}
