"""Modules of PyTorch as tutorials write them, and what a network makes of their weights; run in the workers."""

import numpy as np

import kerasnets


def load(network, source, **how):
    from kerasnets import convert

    return convert.load_torch_weights(network, source, **how)


def tutorials():
    """name -> (name of a network, its options, module, shape of its input)."""
    import torch
    import torch.nn.functional as F
    from torch import nn

    class Backwards(nn.Module):
        """The layers of mnist_cnn, the last defined first, ending in log_softmax as in PyTorch's MNIST example."""

        def __init__(self):
            super().__init__()
            self.fc2, self.fc1 = nn.Linear(64, 10), nn.Linear(576, 64)
            self.c, self.b, self.a = nn.Conv2d(64, 64, 3), nn.Conv2d(32, 64, 3), nn.Conv2d(1, 32, 3)

        def forward(self, x):
            x = F.max_pool2d(F.relu(self.a(x), inplace=True), 2)
            x = F.relu(self.c(F.max_pool2d(F.relu(self.b(x)), 2)))
            return F.log_softmax(self.fc2(F.relu(self.fc1(x.view(x.size(0), -1)))), dim=1)

    class SwappedNames(nn.Module):
        """Names that are our network's, on layers that are not: conv2 of one is conv1 of the other."""

        def __init__(self):
            super().__init__()
            for name, shape in (("dense2", (8, 8)), ("dense1", (784, 8)), ("logits", (8, 10))):
                self.add_module(name, nn.Linear(*shape))

        def forward(self, x):
            return self.logits(F.relu(self.dense2(F.relu(self.dense1(torch.flatten(x, 1))))))

    class HeightWidthChannels(nn.Module):
        """A module whose author flattened as Keras does, on a picture of three channels."""

        def __init__(self):
            super().__init__()
            self.conv, self.norm = nn.Conv2d(3, 6, 5, padding=2), nn.BatchNorm2d(6, eps=1e-3)
            self.out, self.hidden = nn.Linear(128, 10), nn.Linear(8 * 10 * 6, 128)

        def forward(self, x):
            x = F.max_pool2d(F.relu(self.norm(self.conv(x))), 2)
            return self.out(F.relu(self.hidden(x.permute(0, 2, 3, 1).flatten(1))))

    class Inception(nn.Module):
        """Three convolutions of one shape on one input; defined in another order than they are joined."""

        def __init__(self, channels):
            super().__init__()
            self.third, self.pool = nn.Conv2d(channels, 16, 1), nn.Conv2d(channels, 24, 1)
            self.first, self.second = nn.Conv2d(channels, 16, 1), nn.Conv2d(channels, 16, 1)
            self.second3, self.second2 = nn.Conv2d(24, 24, 3, padding=1), nn.Conv2d(16, 24, 3, padding=1)
            self.third2 = nn.Conv2d(16, 24, 5, padding=2)

        def forward(self, x):
            second = self.second3(self.second2(self.second(x)))
            return torch.cat([self.first(x), second, self.third2(self.third(x)), self.pool(x)], 1)

    class Mini(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc, self.inc2, self.inc1 = nn.Linear(1408, 10), Inception(20), Inception(10)
            self.conv1, self.conv2 = nn.Conv2d(1, 10, 5), nn.Conv2d(88, 20, 5)

        def forward(self, x):
            x = self.inc1(F.max_pool2d(F.relu(self.conv1(x)), 2))
            return self.fc(self.inc2(F.max_pool2d(F.relu(self.conv2(x)), 2)).flatten(1))

    made = {
        "backwards": ("mnist_cnn", {}, Backwards(), (1, 28, 28)),
        "swapped": ("fc2layer", {}, SwappedNames(), (1, 28, 28)),
        "flattened as Keras does": ("baseline_cnn", {"input_shape": (16, 20, 3)}, HeightWidthChannels(), (3, 16, 20)),
        "branches of one shape": ("googlenet_mini", {}, Mini(), (1, 28, 28)),
    }
    for _, _, module, _ in made.values():
        shake(module)
    return made


def shake(module, seed=0):
    """Statistics and scales of batch norm that are not those of the beginning."""
    import torch

    torch.manual_seed(seed)
    for part in module.modules():
        if isinstance(part, torch.nn.BatchNorm2d):
            part.running_mean.normal_(0, 0.1)
            for tensor in (part.running_var, part.weight.data):
                tensor.uniform_(0.5, 1.5)


def apart(network, module, shape):
    """How far the logits of both lie apart on other pictures than any before, as a fraction of their scale."""
    import torch

    pictures = np.random.default_rng(9).normal(size=(2, *shape)).astype("float32")
    with torch.no_grad():
        theirs = module.eval()(torch.from_numpy(pictures)).numpy()
    ours = network.predict_on_batch(pictures.transpose(0, 2, 3, 1))
    if (theirs <= 0).all():  # it ends in log_softmax
        ours = ours - np.log(np.exp(ours).sum(1, keepdims=True))
    return float(np.abs(ours - theirs).max() / np.abs(theirs).max())


def mnist_cnn_state(**changes):
    """A state_dict for mnist_cnn under a tutorial's names, its shapes all different; None takes a tensor out."""
    shapes = {
        "conv1": (32, 1, 3, 3),
        "conv2": (64, 32, 3, 3),
        "conv3": (64, 64, 3, 3),
        "fc1": (64, 576),
        "fc2": (10, 64),
    }
    rng, state = np.random.default_rng(5), {}
    for name, shape in shapes.items():
        state[f"{name}.weight"] = rng.normal(0, 0.05, shape).astype("float32")
        state[f"{name}.bias"] = rng.normal(0, 0.05, shape[:1]).astype("float32")
    state |= {name.replace("__", "."): value for name, value in changes.items()}
    return {name: value for name, value in state.items() if value is not None}


def refusal(name, source, options=None, **how):
    """The message of a refusal, and whether the network kept its weights."""
    network = kerasnets.build(name, **(options or {}))
    before = network.get_weights()
    try:
        load(network, source, **how)
    except ValueError as error:
        kept = all(np.array_equal(old, new) for old, new in zip(before, network.get_weights(), strict=True))
        return type(error).__name__, str(error), kept
    return "", "", True
