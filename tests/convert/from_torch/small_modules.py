"""Small modules of PyTorch, one for each operator and option; run in the workers.

A module is written as the expression that builds it. `Call(f)` is a module of the function f.
"""

import numpy as np

from kerasnets.project.conversions import randomize

PICTURE = (3, 9, 12)  # channels, height, width; not square

# expression -> shape of one input, without the batch
MODULES = {
    # convolutions
    "nn.Conv2d(3, 8, 3)": PICTURE,
    "nn.Conv2d(3, 8, (3, 5), padding=(1, 2), bias=False)": PICTURE,
    "nn.Conv2d(3, 8, 3, stride=2, padding=1)": PICTURE,
    "nn.Conv2d(3, 8, 3, stride=(2, 1), padding=(0, 3))": PICTURE,
    "nn.Conv2d(3, 8, 3, padding=2, dilation=2)": PICTURE,
    "nn.Conv2d(3, 8, (4, 2), padding='same')": PICTURE,
    "nn.Conv2d(3, 8, 3, padding='valid')": PICTURE,
    "nn.Conv2d(3, 8, 3, padding=1, padding_mode='reflect')": PICTURE,
    "nn.Conv2d(6, 9, 3, groups=3, padding=1)": (6, 9, 12),
    "nn.Conv2d(6, 6, 3, groups=6, stride=2, padding=1)": (6, 9, 12),
    "nn.Conv2d(6, 12, 5, groups=6, bias=False)": (6, 9, 12),
    "nn.Conv2d(6, 6, 3, groups=6, stride=(1, 2))": (6, 9, 12),
    "nn.Conv2d(6, 6, 3, groups=6, padding=2, dilation=2)": (6, 9, 12),
    "nn.Conv2d(6, 6, 3, stride=2, padding=2, dilation=2)": (6, 9, 12),
    "nn.Conv2d(6, 6, 3, stride=2, padding=2, dilation=2, groups=6)": (6, 9, 12),
    "nn.Conv1d(4, 6, 3, stride=2, padding=1)": (4, 11),
    "nn.ConvTranspose2d(3, 5, 3, stride=2, padding=1, output_padding=1)": PICTURE,
    "nn.ConvTranspose2d(3, 5, 2, stride=2, bias=False)": PICTURE,
    "nn.ConvTranspose2d(3, 5, 2, stride=3)": PICTURE,
    "nn.ConvTranspose2d(4, 6, 3, stride=2, padding=1, groups=2)": (4, 5, 6),
    "nn.ConvTranspose2d(3, 5, 2, stride=2, output_padding=1)": PICTURE,
    "nn.Conv2d(3, 4, 3, padding=(1, 2), padding_mode='replicate')": PICTURE,
    "nn.Conv2d(3, 4, 3, padding=1, padding_mode='circular')": PICTURE,
    "nn.utils.parametrizations.weight_norm(nn.Conv2d(3, 4, 3))": PICTURE,
    # dense layers and flattening
    "nn.Linear(7, 4)": (7,),
    "nn.Linear(12, 4, bias=False)": PICTURE,
    "nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.ReLU(), nn.Dropout(), nn.Linear(280, 5))": PICTURE,
    "nn.Sequential(nn.Flatten(), nn.BatchNorm1d(324), nn.Linear(324, 5))": PICTURE,
    "nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten())": PICTURE,
    "nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Softmax(1))": PICTURE,
    # normalization
    "nn.BatchNorm2d(3, eps=1e-3, momentum=0.3)": PICTURE,
    "nn.BatchNorm2d(3, affine=False)": PICTURE,
    "nn.BatchNorm2d(3, track_running_stats=False)": PICTURE,
    "nn.BatchNorm1d(5)": (5,),
    "nn.BatchNorm1d(5, affine=False)": (5, 6),
    "nn.LayerNorm(12)": PICTURE,
    "nn.LayerNorm((9, 12), eps=1e-3)": PICTURE,
    "nn.LayerNorm((3, 9, 12))": PICTURE,
    "nn.LayerNorm(12, elementwise_affine=False)": PICTURE,
    "nn.LayerNorm(12, bias=False)": PICTURE,
    "Call(lambda x: torch.addcmul(x, x.relu(), x.sigmoid(), value=0.5))": PICTURE,
    "nn.Sequential(nn.Conv2d(3, 4, 3), Call(lambda x: x * x.mean((2, 3), keepdim=True).expand_as(x)))": PICTURE,
    "Call(lambda x: x + torch.arange(12.0).repeat(x.shape[0], 3, 9, 1))": PICTURE,
    "nn.GroupNorm(2, 6)": (6, 5, 4),
    "nn.InstanceNorm2d(3, affine=True)": PICTURE,
    "nn.RMSNorm(12, eps=1e-6)": PICTURE,
    "Call(lambda x: F.normalize(x, dim=1))": PICTURE,
    # activations
    "nn.ReLU(inplace=True)": PICTURE,
    "nn.ReLU6()": PICTURE,
    "nn.Hardtanh(-2, 0.5)": PICTURE,
    "nn.Hardswish()": PICTURE,
    "nn.Hardsigmoid()": PICTURE,
    "nn.SiLU()": PICTURE,
    "nn.Mish()": PICTURE,
    "nn.GELU()": PICTURE,
    "nn.GELU(approximate='tanh')": PICTURE,
    "nn.Sigmoid()": PICTURE,
    "nn.Tanh()": PICTURE,
    "nn.LeakyReLU(0.2)": PICTURE,
    "nn.ELU(0.7)": PICTURE,
    "nn.SELU()": PICTURE,
    "nn.CELU(0.5)": PICTURE,
    "nn.Softplus()": PICTURE,
    "nn.LogSigmoid()": PICTURE,
    "nn.PReLU()": PICTURE,
    "nn.PReLU(3)": PICTURE,
    "nn.GLU(-1)": PICTURE,
    "nn.Softmax(1)": PICTURE,
    "nn.LogSoftmax(-1)": PICTURE,
    "Call(lambda x: F.softplus(x, 2) + F.softsign(x) + F.tanhshrink(x))": PICTURE,
    "Call(lambda x: F.hardshrink(x, 0.3) + F.softshrink(x, 0.2) + F.threshold(x, 0.1, -1))": PICTURE,
    "Call(lambda x: (x - x.max(1, True)[0]).exp() / (x - x.max(1, True)[0]).exp().sum(1, True))": PICTURE,
    # pooling
    "nn.MaxPool2d(2)": PICTURE,
    "nn.MaxPool2d(3, 2, 1)": PICTURE,
    "nn.MaxPool2d(3, 1, 1)": PICTURE,
    "nn.MaxPool2d(3, 2, ceil_mode=True)": PICTURE,
    "nn.MaxPool2d((2, 3), (3, 2), (1, 1), ceil_mode=True)": PICTURE,
    "nn.Sequential(nn.ReLU(), nn.MaxPool2d(3, 2, 1))": PICTURE,
    "nn.AvgPool2d(2)": PICTURE,
    "nn.AvgPool2d(3, 2, 1)": PICTURE,
    "nn.AvgPool2d(3, 2, 1, ceil_mode=True)": PICTURE,
    "nn.AvgPool2d(3, 2, 1, ceil_mode=True, count_include_pad=False)": PICTURE,
    "nn.AvgPool2d(3, 1, 1, count_include_pad=False)": PICTURE,
    "nn.AvgPool2d(2, divisor_override=3)": PICTURE,
    "nn.AdaptiveAvgPool2d(1)": PICTURE,
    "nn.AdaptiveAvgPool2d((3, 4))": PICTURE,
    "nn.AdaptiveAvgPool2d((None, 12))": PICTURE,
    "nn.AdaptiveAvgPool2d((18, 24))": PICTURE,
    "nn.AdaptiveAvgPool2d((7, 5))": PICTURE,
    "nn.AdaptiveMaxPool2d(1)": PICTURE,
    "nn.AdaptiveMaxPool2d((3, 4))": PICTURE,
    "nn.AdaptiveMaxPool2d((2, 5))": PICTURE,
    "nn.AdaptiveAvgPool1d(4)": (3, 13),
    "Call(lambda x: x.mean((2, 3)))": PICTURE,
    "Call(lambda x: x.mean((2, 3), keepdim=True))": PICTURE,
    "Call(lambda x: x.mean(1))": PICTURE,
    "Call(lambda x: x.amax(dim=-1))": PICTURE,
    "Call(lambda x: x.sum(2, keepdim=True))": PICTURE,
    "Call(lambda x: x.var(dim=(2, 3)))": PICTURE,
    # arithmetic
    "Call(lambda x: x + x.mean((2, 3), keepdim=True))": PICTURE,
    "Call(lambda x: 2 * x - 1)": PICTURE,
    "Call(lambda x: 1 - x / 3)": PICTURE,
    "Call(lambda x: 1 / (x * x + 1))": PICTURE,
    "Call(lambda x: torch.add(x, x, alpha=0.5) ** 2)": PICTURE,
    "Call(lambda x: (x - torch.tensor([0.1, 0.2, 0.3]).view(1, 3, 1, 1)) / torch.tensor(0.5))": PICTURE,
    "Call(lambda x: x + torch.arange(12.0))": PICTURE,
    "Call(lambda x: x + torch.arange(9.0).view(9, 1))": PICTURE,
    "Call(lambda x: x.clamp(-0.5, 0.7).exp().sqrt())": PICTURE,
    "Call(lambda x: torch.maximum(x, -x) - x.abs().neg())": PICTURE,
    "Call(lambda x: x.masked_fill(torch.arange(12) > 5, 0.25))": PICTURE,
    "Call(lambda x: x.masked_fill(x > 0.5, 0.25) * (x < 1) + (x >= 0).float().mean(1, True))": PICTURE,
    "Call(lambda x: torch.where((x > 0.5) | ~(x > -1), x, torch.arange(12.0)))": PICTURE,
    "Call(lambda x: x.topk(2, 1)[0] + x.cumsum(1)[:, :2] + x.argmax(1, keepdim=True) + x.min(1, True)[0])": PICTURE,
    # axes
    "Call(lambda x: x.permute(0, 2, 3, 1))": PICTURE,
    "Call(lambda x: x.transpose(1, 3).flatten(1, 2))": PICTURE,
    "Call(lambda x: x.flatten(2).transpose(1, 2))": PICTURE,
    "Call(lambda x: x.view(x.size(0), -1, 2, 6).sum(2))": PICTURE,
    "Call(lambda x: x.reshape(-1, 12))": PICTURE,
    "Call(lambda x: x.mean((2, 3))[:, :, None, None] * x)": PICTURE,
    "Call(lambda x: x.unsqueeze(2).squeeze(2))": PICTURE,
    "nn.ChannelShuffle(2)": (6, 9, 12),
    "Call(lambda x: x.view(x.size(0), 2, 3, 9, 12).transpose(1, 2).flatten(1, 2))": (6, 9, 12),
    "Call(lambda x: x.mean((2, 3), keepdim=True).expand(-1, -1, 2, 4))": PICTURE,
    "nn.PixelShuffle(2)": (8, 3, 5),
    "nn.PixelUnshuffle(2)": (3, 4, 6),
    # regions
    "Call(lambda x: torch.cat([x, x * 2], 1))": PICTURE,
    "Call(lambda x: torch.cat([x, x * 2], -1))": PICTURE,
    "Call(lambda x: torch.cat([x, x.permute(0, 1, 2, 3).flip(3)], 2))": PICTURE,
    "Call(lambda x: torch.stack([x, -x], 2).sum(2))": PICTURE,
    "Call(lambda x: x[:, 1:, ::2, -5:-1])": PICTURE,
    "Call(lambda x: x[:, 1])": PICTURE,
    "Call(lambda x: torch.cat([x, torch.arange(108.0).view(1, 1, 9, 12).expand(len(x), -1, -1, -1)], 1))": PICTURE,
    "Overwritten()": PICTURE,
    "Call(lambda x: torch.cat(x.chunk(2, 1)[::-1], 1))": (5, 4, 6),
    "Call(lambda x: x.split([2, 3], 1)[1])": (5, 4, 6),
    "Call(lambda x: x.unbind(1)[2])": PICTURE,
    "Call(lambda x: torch.roll(x, (1, -2), (2, 3)))": PICTURE,
    "Call(lambda x: x[:, [2, 1, 0]])": PICTURE,
    "nn.ZeroPad2d((1, 2, 0, 3))": PICTURE,
    "nn.ReflectionPad2d(2)": PICTURE,
    "nn.ConstantPad2d(1, 0.5)": PICTURE,
    "Call(lambda x: F.pad(x, (-1, 2)))": PICTURE,
    "nn.Upsample(scale_factor=2)": PICTURE,
    "nn.Upsample(scale_factor=2, mode='bilinear')": PICTURE,
    "nn.Upsample(scale_factor=2, mode='bilinear', align_corners=True)": PICTURE,
    "nn.Upsample(scale_factor=1.5, mode='bicubic')": PICTURE,
    "nn.Upsample((5, 7), mode='nearest')": PICTURE,
    "nn.Upsample(size=20, mode='linear')": (3, 7),
    # attention, parameters, stochastic depth
    "Attention()": (5, 8),
    "nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)": (5, 8),
    "Call(lambda x: F.scaled_dot_product_attention(x, x, x, is_causal=True))": (2, 5, 8),
    "Parameters()": PICTURE,
    "Token()": (5, 8),
    "Standardized()": PICTURE,
    "Twice()": PICTURE,
    "nn.Sequential(nn.Conv2d(3, 3, 1), StochasticDepth(0.5), nn.Dropout2d(0.3))": PICTURE,
}


def build_module(expression):
    """The module of an expression in evaluation, with weights and statistics unlike the initial ones."""
    from kerasnets.convert.from_torch.programs import load_torch

    load_torch()
    import torch
    import torch.nn.functional as F
    from torch import nn

    from tests.convert.from_torch import classes

    torch.manual_seed(0)
    names = {"torch": torch, "F": F, "nn": nn, **classes.build_classes()}
    module = eval(expression, names).eval()
    randomize(module)
    return module


def pictures(count, shape):
    """float32 (count, *shape), the same in every process."""
    return np.random.default_rng(0).normal(size=(count, *shape)).astype("float32")


def to_last(array):
    return array.transpose(0, 2, 3, 1) if array.ndim == 4 else array
