"""The networks written once more in torch.nn alone, from the papers and tutorials: the independent judge.

They take the same arrays (n, height, width, channels) as the Keras networks.
"""

from torch import nn


class HWC(nn.Module):
    """From torch's (n, channels, height, width) back to the order in which Keras flattens."""

    def forward(self, x):
        return x.permute(0, 2, 3, 1).flatten(1)


class CHW(nn.Module):
    def forward(self, x):
        return x.permute(0, 3, 1, 2)


def lenet5():
    return nn.Sequential(
        CHW(),
        nn.Conv2d(1, 6, 5, padding=2), nn.Tanh(), nn.AvgPool2d(2),
        nn.Conv2d(6, 16, 5), nn.Tanh(), nn.AvgPool2d(2),
        nn.Conv2d(16, 120, 5), nn.Tanh(), HWC(),
        nn.Linear(120, 84), nn.Tanh(), nn.Linear(84, 10),
    )  # fmt: skip


def mnist_cnn():
    return nn.Sequential(
        CHW(),
        nn.Conv2d(1, 32, 3), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(64, 64, 3), nn.ReLU(), HWC(),
        nn.Linear(576, 64), nn.ReLU(), nn.Linear(64, 10),
    )  # fmt: skip


def baseline_cnn():
    return nn.Sequential(
        CHW(),
        nn.Conv2d(3, 6, 5, padding=2), nn.BatchNorm2d(6, eps=1e-3), nn.ReLU(), nn.MaxPool2d(2), nn.Dropout(0.2), HWC(),
        nn.Linear(16 * 16 * 6, 128), nn.ReLU(), nn.Dropout(0.2), nn.Linear(128, 10),
    )  # fmt: skip


def dnn_mnist():
    return nn.Sequential(
        CHW(), HWC(),
        nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 256), nn.ReLU(), nn.Linear(256, 128), nn.ReLU(),
        nn.Linear(128, 64), nn.ReLU(), nn.Linear(64, 10),
    )  # fmt: skip


TWINS = {"lenet5": lenet5, "mnist_cnn": mnist_cnn, "baseline_cnn": baseline_cnn, "dnn_mnist": dnn_mnist}


def logits(name, weights, images):
    """What the twin of `name` answers, with the weights of the Keras network in their order. Both are NumPy arrays."""
    import torch

    twin = TWINS[name]().eval()
    weights = iter(weights)
    with torch.no_grad():
        for layer in twin:
            if isinstance(layer, nn.Conv2d):
                layer.weight.copy_(torch.from_numpy(next(weights).transpose(3, 2, 0, 1)))  # HWIO -> OIHW
                layer.bias.copy_(torch.from_numpy(next(weights)))
            elif isinstance(layer, nn.Linear):
                layer.weight.copy_(torch.from_numpy(next(weights).T))
                layer.bias.copy_(torch.from_numpy(next(weights)))
            elif isinstance(layer, nn.BatchNorm2d):
                for tensor in (layer.weight, layer.bias, layer.running_mean, layer.running_var):
                    tensor.copy_(torch.from_numpy(next(weights)))
        assert next(weights, None) is None, "the twin has fewer weights"
        return twin(torch.from_numpy(images)).numpy()
