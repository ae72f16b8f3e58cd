"""`train --pretrained`: weights from a server of the test, a head that learns alone first, and then all layers."""

import contextlib
import hashlib
import http.server
import io
import json
import os
import threading
from functools import partial
from pathlib import Path
from unittest import mock

import numpy as np
import pytest

from kerasnets import saving
from kerasnets.cli import app, pretrained, train
from kerasnets.cli.app import UsageError
from kerasnets.errors import BadInputError
from tests.conftest import mostly_on_torch
from tests.convert.test_torchvision_weights import Quiet
from tests.data.test_synsets import write_pictures


def arguments(words):
    parser = app.Parser("", "train")
    train.add_arguments(parser)
    return parser.parse_args(words.split())


REFUSED = {
    "--head-epochs 2 --model resnet18 --dataset x": "--head-epochs goes with --pretrained",
    "--pretrained --model resnet18": "--pretrained goes with --dataset, and perhaps --model",
    "--pretrained --weights a.keras --dataset x": "--pretrained goes with --dataset, and perhaps --model",
    "--pretrained --model my_net.py:build --dataset x": "--pretrained goes with a network of torchvision",
    "--pretrained --model resnet18 --dataset x --freeze stem": "without --weights, --freeze and --image-size",
    "--pretrained --model resnet18 --dataset x --head-epochs 0": "--head-epochs must be at least 1, not 0",
}


@pytest.mark.parametrize("words", REFUSED)
def test_options_that_do_not_go_with_it_are_refused(words):
    with pytest.raises(UsageError, match=REFUSED[words]):
        pretrained.check(arguments(words))


@pytest.mark.parametrize(("count", "epochs"), [(60, (10, 30)), (600, (5, 15)), (20_000, (3, 10)), (10**6, (1, 5))])
def test_fewer_pictures_are_seen_more_often(monkeypatch, capsys, count, epochs):
    monkeypatch.setattr(pretrained, "pictures_in", lambda dataset: (count, 375))
    args = arguments("--pretrained --model resnet18 --dataset pets")
    recipe, head = pretrained.defaults_of(args, train.recipes.own("resnet18", "pets"))
    assert (head, recipe.epochs) == epochs
    assert (recipe.augmentation, recipe.learning_rate, recipe.schedule) == ("photo", 1e-4, ("cosine", 1))
    assert f"{count:,} pictures" in capsys.readouterr().err


def test_options_come_before_the_defaults(monkeypatch):
    monkeypatch.setattr(pretrained, "pictures_in", lambda dataset: (100, 375))
    words = "--pretrained --model resnet18 --dataset pets --learning-rate 0.01 --augment none --schedule constant"
    args = arguments(f"{words} --head-epochs 2")
    recipe = train.recipes.with_changes(train.recipes.own("resnet18", "pets"), learning_rate=0.01, augmentation="")
    recipe, head = pretrained.defaults_of(args, recipe)
    assert (recipe.learning_rate, recipe.schedule, recipe.augmentation, head) == (0.01, (), "", 2)


def test_steps_fall_after_thirds_of_the_epochs_that_the_pictures_decide(monkeypatch):
    monkeypatch.setattr(pretrained, "pictures_in", lambda dataset: (100, 375))
    args = arguments("--pretrained --model resnet18 --dataset pets --schedule steps --learning-rate 0.01")
    recipe, _ = pretrained.defaults_of(args, train.recipes.own("resnet18", "pets"))
    assert recipe.schedule == ("epochs", 0.1, (10, 20), 0)


def test_pictures_and_their_sizes_are_counted_without_a_framework(tmp_path):
    write_pictures(tmp_path / "pets", ("cat", "dog"))
    assert pretrained.pictures_in(str(tmp_path / "pets")) == (6, 20)
    assert pretrained.pictures_in("digits") == (1437, 1)


# ---- the whole way ----


def publish(folder, address):
    """Serve random weights as torchvision's and make a model file of them; return the first kernel."""
    import torch
    from torchvision import models

    from tests.docs.tutorials import shake

    module = models.resnet18(weights=None)
    shake(module)
    torch.save(module.state_dict(), folder / "made.pth")
    digest = hashlib.sha256((folder / "made.pth").read_bytes()).hexdigest()[:8]
    (folder / "made.pth").rename(folder / f"made-{digest}.pth")
    weights = models.ResNet18_Weights.DEFAULT
    url = f"{address}/made-{digest}.pth"
    with mock.patch.object(weights.value, "url", url), mock.patch.dict(os.environ, homes(folder)):
        pretrained.weights_of("resnet18")
    return module.state_dict()["conv1.weight"].numpy()


def serve_and_publish(workers, folder):
    """Run `publish` on torch with a server of the folder; return what it returns."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder)) as server:
        threading.Thread(target=server.serve_forever).start()
        try:
            return workers["torch"](publish, folder, f"http://127.0.0.1:{server.server_port}")
        finally:
            server.shutdown()


def homes(folder):
    return {"TORCH_HOME": str(folder / "torch"), "KERAS_HOME": str(folder / "keras")}


def finetune_again(folder):
    """Make files of one name three times, the first once more with --resume, and one with two seeds; return notes."""
    os.chdir(folder)
    words = "--pretrained --model resnet18 --dataset pets --head-epochs 1 --epochs 1 --batch-size 8 --json"
    output, printed = io.StringIO(), io.StringIO()
    redirected = contextlib.redirect_stdout(printed), contextlib.redirect_stderr(output)
    with mock.patch.dict(os.environ, homes(folder)), redirected[0], redirected[1]:
        train.run(arguments(words))
        train.run(arguments(f"{words} --learning-rate 0.01"))
        train.run(arguments(f"{words} --resume"))
        train.run(arguments(f"{words} --seeds 0 1"))
    return output.getvalue()


@mostly_on_torch
def test_each_run_has_a_head_of_its_own_and_can_be_resumed(workers, worker, tmp_path):
    write_pictures(tmp_path / "pets", ("cat", "dog"))
    serve_and_publish(workers, tmp_path)
    output = worker(finetune_again, tmp_path)
    names = [f"resnet18-pets-finetuned{ending}" for ending in ("", "-2", "-seed0", "-seed1")]
    assert sorted(path.stem for path in (tmp_path / "models_saved").glob("*.keras")) == names
    heads = [saving.load_card(tmp_path / "models_saved" / name / "head.keras") for name in names]
    assert [head.settings["learning_rate"] for head in heads] == [1e-3, 0.1, 1e-3, 1e-3]
    assert [head.seed for head in heads] == [0, 0, 0, 1]
    assert heads[2].weights_sha256 != heads[3].weights_sha256
    assert output.count("the run is finished, with all 1 epochs") == 2  # its head, and all layers
    assert "resnet18-pets-finetuned.keras is there already (--overwrite replaces it): this run writes" in output


def finetune(folder):
    """Train from that file; return (stderr, weights of the three files by layer)."""
    import kerasnets

    out, output, printed = folder / "model.keras", io.StringIO(), io.StringIO()
    words = f"--pretrained --model resnet18 --dataset {folder / 'pets'} --head-epochs 1 --epochs 1 --out {out} --json"
    redirected = contextlib.redirect_stdout(printed), contextlib.redirect_stderr(output)
    with mock.patch.dict(os.environ, homes(folder)), redirected[0], redirected[1]:
        train.run(arguments(words))
    files = [folder / "keras/models/kerasnets-resnet18-imagenet.keras", folder / "model/head.keras", out]
    layers = [
        {layer.name: layer.get_weights() for layer in kerasnets.load(file)[0].layers if layer.weights} for file in files
    ]
    assert json.loads(printed.getvalue())["files"] == [str(out)]
    return output.getvalue(), layers


@mostly_on_torch
def test_a_head_learns_alone_and_then_all_layers_from_torchvisions_weights(workers, worker, tmp_path):
    write_pictures(tmp_path / "pets", ("cat", "dog"))
    kernel = serve_and_publish(workers, tmp_path)
    output, (published, head, final) = worker(finetune, tmp_path)
    np.testing.assert_array_equal(published["stem_conv"][0], kernel.transpose(2, 3, 1, 0))
    for name in published.keys() - {"logits"}:  # also the moving averages of the frozen normalizations
        for before, after in zip(published[name], head[name], strict=True):
            np.testing.assert_array_equal(after, before, err_msg=name)
    assert published["logits"][1].shape == (1000,)
    assert head["logits"][1].shape == (2,)
    step = np.abs(final["logits"][0] - head["logits"][0]).max()
    assert 0 < step < 0.01  # the head was kept: a fresh one would be as far away as its weights are large
    assert any(np.abs(a - b).max() > 0 for a, b in zip(final["stem_conv"], head["stem_conv"], strict=True))
    cards = [saving.load_card(tmp_path / name) for name in ("model/head.keras", "model.keras")]
    assert [card.parent for card in cards] == ["kerasnets-resnet18-imagenet.keras"] * 2
    assert [card.settings["learning_rate"] for card in cards] == [1e-3, 1e-4]
    assert [card.input_kind for card in cards] == ["crop256", "crop256"]
    assert cards[0].parent_sha256 == cards[1].parent_sha256 != cards[0].weights_sha256
    assert cards[1].class_names == ("cat", "dog")
    assert "first the head alone, 1 epochs" in output
    assert "about 6 pictures to train on: adam at 0.0001, 1 epochs" in output
    notes = [line for line in output.splitlines() if line.startswith("note: ")]
    assert len(notes) > 1
    assert len(notes) == len(set(notes)), notes  # the second training is of the same data


def test_weights_that_were_made_once_are_taken_again(monkeypatch, tmp_path):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    path = tmp_path / "models/kerasnets-resnet18-imagenet.keras"
    path.parent.mkdir()
    path.write_bytes(b"PK")
    assert pretrained.weights_of("resnet18") == str(path)


def test_weights_in_a_folder_of_ones_own_must_have_the_checksum_in_their_name(workers, tmp_path):
    good = tmp_path / f"resnet18-{hashlib.sha256(b'weights').hexdigest()[:8]}.pth"
    bad = tmp_path / "resnet18-00000000.pth"
    for path in (good, bad):
        path.write_bytes(b"weights")
    assert workers["torch"](sum_error, good) == ""
    assert "is damaged: its SHA-256 is not the one in its name" in workers["torch"](sum_error, bad)


def cache_error(folder: Path) -> str:
    """Put other weights into PyTorch's cache under the name of published ones; return what is said of them."""
    from kerasnets.convert.torchvision_weights import pretrained

    (folder / "hub/checkpoints").mkdir(parents=True)
    (folder / "hub/checkpoints/resnet18-f37072fd.pth").write_bytes(b"others")
    try:
        with mock.patch.dict(os.environ, {"TORCH_HOME": str(folder)}):
            pretrained("resnet18")
    except BadInputError as error:
        return str(error)
    return ""


def test_weights_in_pytorchs_cache_must_have_the_checksum_in_their_name_too(workers, tmp_path):
    message = workers["torch"](cache_error, tmp_path)
    assert "resnet18-f37072fd.pth is damaged: its SHA-256 is not the one in its name; remove it" in message


def sum_error(path: Path) -> str:
    from kerasnets.convert.torchvision_weights import check_sum

    try:
        check_sum(path)
    except BadInputError as error:
        return str(error)
    return ""
