"""torchvision's published ImageNet weights, with their class names, scaling, resizing and cropping."""

import contextlib
import errno
import hashlib
import os
import re
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from kerasnets.convert.torchvision_names import torchvision_name
from kerasnets.convert.weight_files import import_torch
from kerasnets.errors import BadInputError, shorten

TIMEOUT = 20  # seconds without a reply of the server
DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EACCES, errno.EROFS)

# (mean, std) of pixels 0..1 of modules that transform their input once more: torchvision's GoogLeNet converts the
# normalization back to the original network's 0.5 (_transform_input in torchvision/models/googlenet.py).
TRANSFORMED = {"googlenet_torchvision": ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))}


@dataclass(frozen=True)
class Pretrained:
    """Published weights in a file, and the facts for a model file's card."""

    path: Path
    title: str  # as "ResNet50_Weights.IMAGENET1K_V2"
    class_names: tuple[str, ...]
    mean: tuple[float, ...]  # of pixels 0..1, by channel
    std: tuple[float, ...]
    input_kind: str  # a name in `pictures.KINDS`
    input_shape: tuple[int, int, int]
    accuracy: float  # on ImageNet's validation data, as a fraction, by torchvision's documentation


def pretrained(name: str, version: str = "DEFAULT") -> Pretrained:
    """Return the published weights of a network; downloaded unless torch.hub's folder or KERASNETS_DATA has them.

    Args:
        name: A name in MODELS.
        version: A name in torchvision's enumeration of weights, as "IMAGENET1K_V1".

    Raises:
        ValueError: torchvision publishes no such weights.
        ConnectionError: They cannot be downloaded.
        BadInputError: The download, or the file that is here, is damaged.
    """
    if torchvision_name(name) is None:
        raise ValueError(f"torchvision publishes no weights of {name!r}; it does of alexnet_torchvision, vgg16, ...")
    torch = import_torch("torchvision's weights")
    from torchvision import models

    known = models.get_model_weights(torchvision_name(name))
    complete = [weights.name for weights in known if weights.meta["categories"]]  # others lack a trained classifier
    if version not in (*complete, "DEFAULT"):
        raise ValueError(f"{name} has no weights {version!r} with classes; choose one of: {', '.join(complete)}")
    weights = getattr(known, version)
    transforms = weights.transforms()
    mean, std = TRANSFORMED.get(name, (tuple(transforms.mean), tuple(transforms.std)))
    path = Path(torch.hub.get_dir()) / "checkpoints" / Path(weights.url).name
    own = [Path(folder) / path.name for folder in (os.environ.get("KERASNETS_DATA"),) if folder]
    if found := next(filter(Path.is_file, [path, *own]), None):
        path = found
        check_sum(path)
    else:
        download(torch, weights, path)
    return Pretrained(
        path=path,
        title=str(weights),
        class_names=tuple(weights.meta["categories"]),
        mean=mean,
        std=std,
        input_kind=f"crop{transforms.resize_size[0]}",
        input_shape=(transforms.crop_size[0], transforms.crop_size[0], 3),
        accuracy=weights.meta["_metrics"]["ImageNet-1K"]["acc@1"] / 100,
    )


def download(torch: ModuleType, weights: Any, path: Path) -> None:
    """Download a file, whole or not at all; its name contains the beginning of its SHA-256, which is checked."""
    path.parent.mkdir(parents=True, exist_ok=True)
    checksum = re.search(r"-([0-9a-f]{8,})\.", path.name)
    with timeout(TIMEOUT):
        try:
            torch.hub.download_url_to_file(weights.url, str(path), checksum and checksum[1])
        except RuntimeError as error:  # the checksum
            raise BadInputError(f"the download of {weights} is damaged", remedy="try again") from error
        except Exception as error:  # OSError and http.client's own
            if isinstance(error, OSError) and error.errno in DISK_ERRORS:
                raise
            raise ConnectionError(
                f"{weights} cannot be downloaded; go online, or put {path.name} into {shorten(path.parent)}"
            ) from error


def check_sum(path: Path) -> None:
    """Raise BadInputError if the file name has a SHA-256 prefix, as torchvision's have, and the content differs."""
    checksum = re.search(r"-([0-9a-f]{8,})\.", path.name)
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if checksum and not digest.startswith(checksum[1]):
        problem = "is damaged: its SHA-256 is not the one in its name"
        raise BadInputError(problem, path=path, remedy="remove it, and fetch it again")


@contextlib.contextmanager
def timeout(seconds: float) -> Iterator[None]:
    """Limit the time without a reply of the server, for every socket that the block opens."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
