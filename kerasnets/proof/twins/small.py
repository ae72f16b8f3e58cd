"""The small convolutional networks in torch.nn, from the tutorials' listings."""

from collections import OrderedDict

from torch import nn


def mnist_cnn(input_shape: tuple[int, int, int] = (28, 28, 1), num_classes: int = 10) -> nn.Module:
    """Chollet 2017, section 5.1."""
    height, width, channels = input_shape
    rows, columns = [((side - 2) // 2 - 2) // 2 - 2 for side in (height, width)]
    return nn.Sequential(
        OrderedDict(
            conv1=nn.Conv2d(channels, 32, 3),
            relu1=nn.ReLU(),
            pool1=nn.MaxPool2d(2),
            conv2=nn.Conv2d(32, 64, 3),
            relu2=nn.ReLU(),
            pool2=nn.MaxPool2d(2),
            conv3=nn.Conv2d(64, 64, 3),
            relu3=nn.ReLU(),
            flatten=nn.Flatten(),
            dense1=nn.Linear(64 * rows * columns, 64),
            relu4=nn.ReLU(),
            logits=nn.Linear(64, num_classes),
        )
    )


def baseline_cnn(
    input_shape: tuple[int, int, int] = (32, 32, 3), num_classes: int = 10, *, dropout: float = 0.2
) -> nn.Module:
    """The course's block, with its constants of batch normalization, which are Keras': epsilon 1e-3, momentum 0.99."""
    height, width, channels = input_shape
    rows, columns = -(-height // 2), -(-width // 2)
    return nn.Sequential(
        OrderedDict(
            conv1=nn.Conv2d(channels, 6, 5, padding=2),
            norm1=nn.BatchNorm2d(6, eps=1e-3, momentum=0.01),
            relu1=nn.ReLU(),
            pool1=nn.MaxPool2d(2, ceil_mode=True),
            dropout1=nn.Dropout(dropout),
            flatten=nn.Flatten(),
            dense1=nn.Linear(6 * rows * columns, 128),
            relu2=nn.ReLU(),
            dropout2=nn.Dropout(dropout),
            logits=nn.Linear(128, num_classes),
        )
    )


def sigmoid_cnn(input_shape: tuple[int, int, int] = (36, 36, 1), num_classes: int = 10) -> nn.Module:
    """Three times convolution, sigmoid and pooling; 36 pixels shrink to 16, 6 and 1."""
    height, width, channels = input_shape
    rows, columns = [(((side - 4) // 2 - 4) // 2 - 4) // 2 for side in (height, width)]
    return nn.Sequential(
        OrderedDict(
            conv1=nn.Conv2d(channels, 6, 5),
            sigmoid1=nn.Sigmoid(),
            pool1=nn.MaxPool2d(2),
            conv2=nn.Conv2d(6, 6, 5),
            sigmoid2=nn.Sigmoid(),
            pool2=nn.MaxPool2d(2),
            conv3=nn.Conv2d(6, 6, 5),
            sigmoid3=nn.Sigmoid(),
            pool3=nn.MaxPool2d(2),
            flatten=nn.Flatten(),
            logits=nn.Linear(6 * rows * columns, num_classes),
        )
    )


def small_cnn(input_shape: tuple[int, int, int] = (28, 28, 1), num_classes: int = 10) -> nn.Module:
    """The course's CNN with 6 features."""
    return two_convolutions(input_shape, (6, 6), (50,), num_classes)


def fashion_cnn(input_shape: tuple[int, int, int] = (28, 28, 1), num_classes: int = 10) -> nn.Module:
    """deeplizard's network for Fashion-MNIST."""
    return two_convolutions(input_shape, (6, 12), (120, 60), num_classes)


def cifar_net(input_shape: tuple[int, int, int] = (32, 32, 3), num_classes: int = 10) -> nn.Module:
    """The network of PyTorch's tutorial "Training a Classifier"."""
    return two_convolutions(input_shape, (6, 16), (120, 84), num_classes)


def two_convolutions(
    input_shape: tuple[int, int, int], filters: tuple[int, int], units: tuple[int, ...], num_classes: int
) -> nn.Module:
    """Two 5x5 convolutions with ReLU and pooling; 28 pixels shrink to 12 and 4, 32 to 14 and 5."""
    height, width, channels = input_shape
    rows, columns = [((side - 4) // 2 - 4) // 2 for side in (height, width)]
    modules: OrderedDict[str, nn.Module] = OrderedDict(
        conv1=nn.Conv2d(channels, filters[0], 5),
        relu1=nn.ReLU(),
        pool1=nn.MaxPool2d(2),
        conv2=nn.Conv2d(filters[0], filters[1], 5),
        relu2=nn.ReLU(),
        pool2=nn.MaxPool2d(2),
        flatten=nn.Flatten(),
    )
    features = filters[1] * rows * columns
    for i, count in enumerate(units, start=1):
        modules[f"dense{i}"] = nn.Linear(features, count)
        modules[f"dense_relu{i}"] = nn.ReLU()
        features = count
    modules["logits"] = nn.Linear(features, num_classes)
    return nn.Sequential(modules)
