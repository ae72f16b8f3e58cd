"""The competitors in plain PyTorch: a loop on tensors in memory, in either layout, and the tutorials' DataLoader."""

from collections.abc import Callable, Iterable
from typing import Any

import keras
import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader, Dataset, Subset
from torchvision import transforms

from kerasnets.benchmark.train import Learn
from kerasnets.proof import reference, twins
from kerasnets.recipes import Recipe

Batch = tuple[torch.Tensor, torch.Tensor]  # images, labels
TrainStep = Callable[[torch.Tensor, torch.Tensor], tuple[float, float]]  # -> (loss, correct answers), sums of the batch

# With Keras' epsilon, which makes the steps equal
OPTIMIZERS: dict[str, Callable[[Recipe, Any], torch.optim.Optimizer]] = {
    "adam": lambda recipe, weights: torch.optim.Adam(weights, recipe.learning_rate, eps=1e-7),
    "rmsprop": lambda recipe, weights: torch.optim.RMSprop(weights, recipe.learning_rate, alpha=0.9, eps=1e-7),
    "sgd": lambda recipe, weights: torch.optim.SGD(weights, recipe.learning_rate, momentum=recipe.momentum),
}


def competitors(network: keras.Model, recipe: Recipe, pixels: np.ndarray, labels: np.ndarray) -> dict[str, Learn]:
    """Return {name: function that trains one epoch}.

    Args:
        network: The network; each competitor has its own copy of the weights.
        recipe: Optimizer, batch size and scaling.
        pixels: uint8 (n, height, width, channels).
        labels: Integers (n,).
    """
    device = device_of(network)
    images, targets = scale_pixels(recipe, pixels).to(device), torch.from_numpy(labels).to(device)
    in_channels_last = images.contiguous(memory_format=torch.channels_last)
    twin_in_channels_last = twin_of(network, recipe).to(memory_format=torch.channels_last)
    return {
        "PyTorch": in_memory(twin_of(network, recipe), recipe, images, targets),
        "PyTorch, channels_last": in_memory(twin_in_channels_last, recipe, in_channels_last, targets),
        "tutorial (PyTorch, DataLoader)": by_data_loader(twin_of(network, recipe), recipe, pixels, labels),
    }


def scale_pixels(recipe: Recipe, pixels: np.ndarray) -> torch.Tensor:
    """Return float32 (n, channels, height, width), scaled as the recipe does."""
    scale, offset = (torch.tensor(np.asarray(each, np.float32)).reshape(-1, 1, 1) for each in recipe.scaling)
    return torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous() * scale + offset


def twin_of(network: keras.Model, recipe: Recipe) -> nn.Module:
    """Return the network in plain PyTorch, with the same weights, in training mode."""
    options = {"input_shape": network.input_shape[1:], "num_classes": network.output_shape[-1], **recipe.options}
    twin: nn.Module = twins.build(recipe.model, **options)
    reference.load_twin(twin, network)
    return twin.train().to(device_of(network))


def device_of(network: keras.Model) -> torch.device:
    """Return the device of the network's weights."""
    return network.variables[0].value.device


def in_memory(twin: nn.Module, recipe: Recipe, images: torch.Tensor, labels: torch.Tensor) -> Learn:
    """Return a loop that takes each batch from memory by its indices."""
    step = step_of(twin, recipe)

    def train(order: np.ndarray) -> tuple[float, float]:
        batches = torch.from_numpy(order).split(recipe.batch_size)
        return train_epoch(step, ((images[chosen], labels[chosen]) for chosen in batches))

    return train


def by_data_loader(twin: nn.Module, recipe: Recipe, pixels: np.ndarray, labels: np.ndarray) -> Learn:
    """Return the tutorials' loop: transforms turn the PIL pictures of torchvision's data sets into tensors, singly."""
    step = step_of(twin, recipe)
    channels = pixels.shape[-1:]
    mean, std = np.broadcast_to(recipe.mean, channels), np.broadcast_to(recipe.std, channels)
    transform = transforms.Compose([transforms.ToTensor(), transforms.Normalize(mean.tolist(), std.tolist())])
    pictures = Pictures(pixels, labels, transform)

    def train(order: np.ndarray) -> tuple[float, float]:
        return train_epoch(step, DataLoader(Subset(pictures, order.tolist()), batch_size=recipe.batch_size))

    return train


class Pictures(Dataset[tuple[torch.Tensor, int]]):
    """A data set like torchvision.datasets.MNIST and CIFAR10."""

    def __init__(
        self, pixels: np.ndarray, labels: np.ndarray, transform: Callable[[Image.Image], torch.Tensor]
    ) -> None:
        self.pixels = pixels.squeeze(-1) if pixels.shape[-1] == 1 else pixels
        self.labels, self.transform = labels, transform

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        return self.transform(Image.fromarray(self.pixels[index])), int(self.labels[index])


def step_of(twin: nn.Module, recipe: Recipe) -> TrainStep:
    """Return a function that trains on one batch."""
    optimizer = OPTIMIZERS[recipe.optimizer](recipe, twin.parameters())
    device = next(twin.parameters()).device

    def step(images: torch.Tensor, labels: torch.Tensor) -> tuple[float, float]:
        images, labels = images.to(device), labels.to(device)
        optimizer.zero_grad(set_to_none=True)
        logits = twin(images)
        loss = nn.functional.cross_entropy(logits, labels)
        loss.backward()
        optimizer.step()
        return loss.item() * len(labels), (logits.argmax(1) == labels).sum().item()

    return step


def train_epoch(step: TrainStep, batches: Iterable[Batch]) -> tuple[float, float]:
    """Train on each batch; return (loss, accuracy) of the epoch."""
    loss = right = 0.0
    count = 0
    for images, labels in batches:
        batch_loss, batch_right = step(images, labels)
        loss, right, count = loss + batch_loss, right + batch_right, count + len(labels)
    return loss / count, right / count
