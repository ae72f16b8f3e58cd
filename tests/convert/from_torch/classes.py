"""Modules that are no single expression, as people write them."""


def build_classes():
    """{name: class}; torch is imported here, in a worker."""
    import torch
    import torch.nn.functional as F
    from torch import nn

    class Call(nn.Module):
        def __init__(self, function):
            super().__init__()
            self.function = function

        def forward(self, x):
            return self.function(x)

    class Attention(nn.Module):
        def __init__(self):
            super().__init__()
            self.attention = nn.MultiheadAttention(8, 2, batch_first=True)

        def forward(self, x):
            return self.attention(x, x, x, need_weights=False)[0]

    class Parameters(nn.Module):
        """A scale for each channel, a bias for each pixel and one temperature."""

        def __init__(self):
            super().__init__()
            self.scale = nn.Parameter(torch.rand(3, 1, 1))
            self.position_bias = nn.Parameter(torch.rand(1, 3, 9, 12))
            self.temperature = nn.Parameter(torch.tensor(0.7))

        def forward(self, x):
            return (x * self.scale + self.position_bias) / self.temperature.exp()

    class Token(nn.Module):
        """A class token before a sequence, as a vision transformer has it."""

        def __init__(self):
            super().__init__()
            self.token = nn.Parameter(torch.rand(1, 1, 8))

        def forward(self, x):
            return torch.cat([self.token.expand(x.shape[0], -1, -1), x], 1)[:, 0] + x[:, 1]

    class Standardized(nn.Conv2d):
        """A convolution by a kernel of mean 0 and variance 1."""

        def __init__(self):
            super().__init__(3, 4, 3)

        def forward(self, x):
            flat = self.weight.view(1, self.out_channels, -1)
            weight = F.batch_norm(flat, None, None, training=True, momentum=0.0, eps=1e-6).view_as(self.weight)
            return F.conv2d(x, weight, self.bias, self.stride, self.padding)

    class Twice(nn.Module):
        """One layer called twice, and a sum in place."""

        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 3, 3, padding=1)

        def forward(self, x):
            y = self.conv(F.relu(self.conv(x)))
            y += x
            return y.relu_()

    class Overwritten(nn.Module):
        """Parts of a copy written over in place; the original is read later."""

        def forward(self, x):
            y = x.clone()
            y[:, :1, 2:4] = 0.5
            y[:, 1:].mul_(2)
            return x + y

    class Named(nn.Module):
        """Two outputs by name, in an order that is not that of the alphabet."""

        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 3)

        def forward(self, x):
            x = self.conv(x)
            return {"second": x.mean((2, 3)), "first": x.amax((1, 2, 3))}

    class StochasticDepth(nn.Module):
        """As torchvision has it."""

        def __init__(self, p):
            super().__init__()
            self.p, self.mode = p, "row"

        def forward(self, x):
            if not self.training or self.p == 0:
                return x
            noise = torch.empty([len(x), 1, 1, 1]).bernoulli_(1 - self.p)
            return x * noise.div_(1 - self.p)

    class Block(nn.Module):
        """A residual block with a scale of its own for each channel."""

        def __init__(self, dropout):
            super().__init__()
            self.conv1, self.bn1 = nn.Conv2d(4, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4)
            self.scale, self.dropout = nn.Parameter(torch.full((4, 1, 1), 0.5)), nn.Dropout(dropout)

        def forward(self, x):
            return x + self.dropout(F.relu(self.bn1(self.conv1(x)))) * self.scale

    class Network(nn.Module):
        def __init__(self, dropout=0.1):
            super().__init__()
            self.stem = nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.SiLU(), nn.AvgPool2d(3, 1, 1))
            self.block, self.head = Block(dropout), nn.Linear(256, 5)

        def forward(self, x):
            return self.head(torch.flatten(self.block(self.stem(x)), 1))

    return {key: value for key, value in locals().items() if isinstance(value, type)}
