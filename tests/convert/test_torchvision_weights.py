"""torchvision's published weights, downloaded from a server of the test."""

import http.server
import threading
from functools import partial

import numpy as np
import pytest

import kerasnets
from tests.docs.tutorials import shake


def pretrained_error(name, version):
    from kerasnets.convert.torchvision_weights import pretrained

    try:
        pretrained(name, version)
    except ValueError as error:
        return str(error)


@pytest.mark.parametrize("version", ["IMAGENET1K_FEATURES", "IMAGENET1K_V9"])
def test_published_weights_without_a_classifier_are_refused_before_the_download(workers, version):
    message = workers["torch"](pretrained_error, "vgg16", version)
    assert message == f"vgg16 has no weights {version!r} with classes; choose one of: IMAGENET1K_V1"


def pretrained_over_the_network(folder, address, name):
    """Serve weights of our own as torchvision's published ones; compare with torchvision's preprocessing."""
    import hashlib
    import os

    import torch
    from PIL import Image
    from sklearn.datasets import load_sample_image
    from torchvision import models

    from kerasnets.convert import model_files

    os.environ["TORCH_HOME"] = str(folder / f"home-{name}")
    tv_name = name.removesuffix("_torchvision")
    module = getattr(models, tv_name)(weights=None, **({"init_weights": False} if name.startswith("goog") else {}))
    shake(module)
    torch.save(module.state_dict(), folder / "made.pth")
    digest = hashlib.sha256((folder / "made.pth").read_bytes()).hexdigest()[:8]
    (folder / "made.pth").rename(folder / f"made-{digest}.pth")
    weights = models.get_model_weights(tv_name).DEFAULT
    weights.value.url = f"{address}/made-{digest}.pth"
    model_files.make_pretrained_file(name, folder / f"{name}.keras")
    picture = load_sample_image("china.jpg")
    if name.startswith("goog"):
        module.transform_input = True  # as torchvision sets it with its weights
    with torch.no_grad():
        theirs = module.eval()(weights.transforms()(Image.fromarray(picture))[None])[0].softmax(0).numpy()
    [answer] = kerasnets.Classifier.load(folder / f"{name}.keras").predict([picture])
    card = kerasnets.Classifier.load(folder / f"{name}.keras").card
    ours = np.array([share for _, share in answer.ranking])
    best = weights.meta["categories"][int(theirs.argmax())]
    return float(np.abs(ours - np.sort(theirs)[::-1]).max()), float(theirs.max()), answer.label == best, card


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments):
        pass


@pytest.mark.parametrize("name", ["resnet18", "googlenet_torchvision"])
def test_published_weights_give_the_same_as_torchvision(workers, tmp_path, name):
    """torchvision's own preprocessing and module on a photo, against the model file alone."""
    handler = partial(Quiet, directory=tmp_path)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever).start()
        try:
            address = f"http://127.0.0.1:{server.server_port}"
            apart, largest, same_label, card = workers["torch"](pretrained_over_the_network, tmp_path, address, name)
        finally:
            server.shutdown()
    assert apart < 1e-5 * max(largest, 0.01)
    assert same_label
    assert (len(card.class_names), card.class_names[207], card.input_kind) == (1000, "golden retriever", "crop256")
    assert card.source.endswith("IMAGENET1K_V1")
