"""The rivals in plain PyTorch: a loop on tensors in memory, in either layout, and the tutorials' DataLoader."""

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader, Dataset, Subset
from torchvision import transforms

from kerasnets.proof import reference, twins

OPTIMIZERS = {  # with Keras' epsilon, by which the steps are the same
    "adam": lambda row, weights: torch.optim.Adam(weights, row.learning_rate, eps=1e-7),
    "rmsprop": lambda row, weights: torch.optim.RMSprop(weights, row.learning_rate, alpha=0.9, eps=1e-7),
    "sgd": lambda row, weights: torch.optim.SGD(weights, row.learning_rate, momentum=row.momentum),
}


def rivals(network, row, pixels, labels):
    """{name: function that trains one epoch in an order of the pictures and returns its (loss, accuracy)}.

    Each has a network of its own with the weights of `network`. pixels: uint8 (n, height, width, channels).
    """
    images, labels = scaled(row, pixels).to(place(network)), torch.from_numpy(labels).to(place(network))
    return {
        "PyTorch": in_memory(twin_of(network, row), row, images, labels),
        "PyTorch, channels_last": in_memory(
            twin_of(network, row).to(memory_format=torch.channels_last),
            row,
            images.contiguous(memory_format=torch.channels_last),
            labels,
        ),
        "tutorial (PyTorch, DataLoader)": by_data_loader(twin_of(network, row), row, pixels, labels),
    }


def scaled(row, pixels):
    """float32 (n, channels, height, width), as the recipe scales pixels."""
    scale, offset = (torch.tensor(np.float32(each)).reshape(-1, 1, 1) for each in row.scaling)
    return torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous() * scale + offset


def twin_of(network, row):
    options = {"input_shape": network.input_shape[1:], "num_classes": network.output_shape[-1], **row.options}
    twin = twins.build(row.model, **options)
    reference.load_twin(twin, network)
    return twin.train().to(place(network))


def place(network):
    """The device on which the network's weights are."""
    return network.variables[0].value.device


def in_memory(twin, row, images, labels):
    """A loop that fetches a batch by its indices."""
    step = step_of(twin, row)

    def train(order):
        return epoch(
            step, ((images[chosen], labels[chosen]) for chosen in torch.from_numpy(order).split(row.batch_size))
        )

    return train


def by_data_loader(twin, row, pixels, labels):
    """The tutorials' way: torchvision's data sets give a PIL picture at a time, which transforms bring to a tensor."""
    step = step_of(twin, row)
    mean, deviation = np.broadcast_to(row.mean, pixels.shape[-1:]), np.broadcast_to(row.std, pixels.shape[-1:])
    transform = transforms.Compose([transforms.ToTensor(), transforms.Normalize(mean.tolist(), deviation.tolist())])
    pictures = Pictures(pixels, labels, transform)

    def train(order):
        return epoch(step, DataLoader(Subset(pictures, order.tolist()), batch_size=row.batch_size))

    return train


class Pictures(Dataset):
    """As torchvision.datasets.MNIST and CIFAR10 hold them."""

    def __init__(self, pixels, labels, transform):
        self.pixels, self.labels, self.transform = (
            pixels.squeeze(-1) if pixels.shape[-1] == 1 else pixels,
            labels,
            transform,
        )

    def __len__(self):
        return len(self.pixels)

    def __getitem__(self, index):
        return self.transform(Image.fromarray(self.pixels[index])), int(self.labels[index])


def step_of(twin, row):
    """A function that trains one batch and returns (loss, how many are right), summed over its pictures."""
    optimizer = OPTIMIZERS[row.optimizer](row, twin.parameters())
    device = next(twin.parameters()).device

    def step(images, labels):
        images, labels = images.to(device), labels.to(device)
        optimizer.zero_grad(set_to_none=True)
        logits = twin(images)
        loss = nn.functional.cross_entropy(logits, labels)
        loss.backward()
        optimizer.step()
        return loss.item() * len(labels), (logits.argmax(1) == labels).sum().item()

    return step


def epoch(step, batches):
    loss = right = count = 0
    for images, labels in batches:
        one, of_these = step(images, labels)
        loss, right, count = loss + one, right + of_these, count + len(labels)
    return loss / count, right / count
