"""The loop that kerasnets is compared with trains the same network on the same pictures."""

import cv2
import numpy as np


def both_outputs(folder):
    """Outputs of kerasnets' network of a file and of the loop's with that file's weights, of random pictures."""
    import torch

    import kerasnets
    from kerasnets import saving
    from kerasnets.project import own_pictures

    network = own_pictures.network((32, 32, 3), 5)
    rng = np.random.default_rng(0)
    for layer in network.layers:
        is_norm = layer.name.startswith("norm")
        draw = (lambda shape: rng.uniform(0.5, 1.5, shape)) if is_norm else (lambda shape: rng.normal(0, 0.1, shape))
        layer.set_weights([draw(weight.shape) for weight in layer.weights])
    card = saving.Card("small", tuple("abcde"), (32, 32, 3))
    kerasnets.save(network, folder / "a.keras", card, (1 / 127.5, -1.0))
    pictures = rng.integers(0, 256, (8, 32, 32, 3), np.uint8)
    module = own_pictures.pytorch_network(5).eval()
    own_pictures.copy(folder / "a.keras", module)
    kernel, bias = network.layers[-1].get_weights()
    with torch.no_grad():
        module[-1].weight.copy_(torch.tensor(kernel.T))
        module[-1].bias.copy_(torch.tensor(bias))
        theirs = module(torch.tensor(pictures).permute(0, 3, 1, 2).float() / 127.5 - 1).softmax(1).numpy()
    return saving.load(folder / "a.keras")[0].predict(pictures, verbose=0), theirs


def test_the_loop_has_kerasnets_network(workers, tmp_path):
    ours, theirs = workers["torch"](both_outputs, tmp_path)
    assert ours.max() < 0.99  # no class has all
    np.testing.assert_allclose(theirs, ours, rtol=1e-4, atol=1e-6)


def drawn(folder):
    from kerasnets.project import own_pictures

    own_pictures.write(folder / "set", own_pictures.NAMES[0], 10, 1)


def test_pictures_are_drawn_for_each_class(workers, tmp_path):
    workers["torch"](drawn, tmp_path)
    files = sorted((tmp_path / "set/train").glob("*/*.png"))
    assert [file.parent.name for file in files] == sorted(["stripes", "checks", "dots", "ring", "triangle"] * 2)
    assert len(list((tmp_path / "set/test").glob("*/*.png"))) == 1000
    pictures = [cv2.imread(str(file)) for file in files]
    assert {picture.shape for picture in pictures} == {(32, 32, 3)}
    assert len({picture.tobytes() for picture in pictures}) == 10
