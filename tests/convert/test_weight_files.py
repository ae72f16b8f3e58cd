"""A .pth or .safetensors file is read without running code, or refused in one line, also by the script."""

import json
import resource
import tarfile
import time
import warnings
import zipfile
from functools import partial
from pathlib import Path

import numpy as np
import pytest

import kerasnets
from kerasnets.errors import BadInputError
from kerasnets.runtime.backends import BACKENDS
from tests.cli.test_app import only_line, run
from tests.conftest import ROOT, turns
from tests.docs.tutorials import load, refusal

MUTATIONS = 50  # in each run, a tenth of 500


SECONDS, MEBIBYTES = 5, 512  # the most that a bad file may take in addition to a good one


def make_files(folder):
    """Write a good file of each kind, an old one, and bad ones that only torch can write."""
    import torch

    from kerasnets import convert

    network = kerasnets.build("baseline_cnn", input_shape=(16, 16, 3))
    arrays, state = convert.named_arrays(network), convert.torch_state_dict(network)
    for suffix in (".pth", ".safetensors"):
        convert.write_tensors(arrays, folder / f"good{suffix}")
    safetensors_of_others(arrays, folder / "others.safetensors")
    torch.save(state, folder / "old.pth", _use_new_zipfile_serialization=False)
    torch.save(torch.nn.Linear(2, 2), folder / "module.pth")
    torch.save({"state_dict": state, "path": Path("/tmp")}, folder / "object.ckpt")
    torch.save(state["conv1.weight"], folder / "tensor.pth")
    torch.save(Malice(folder / "ran"), folder / "malice.pth")
    torch.save({"model": cycle()}, folder / "cycle.pth")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TorchScript is deprecated, but its files exist
        torch.jit.save(torch.jit.trace(torch.nn.Linear(2, 2), torch.zeros(1, 2)), str(folder / "script.pth"))


def safetensors_of_others(arrays, path):
    import safetensors.numpy

    safetensors.numpy.save_file(arrays, path)


class Malice:
    """An object that writes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def cycle():
    made = {}
    made["model"] = made
    return made


def tar_of(path):
    with tarfile.open(path, "w") as archive:
        archive.add(ROOT / "README.md", "README.md")


def zip_of(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("model/readme.txt", "no weights")


def bomb(path):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", bytes(200_000_000))


def half(path):
    content = path.with_stem("good").read_bytes()
    path.write_bytes(content[: len(content) // 2])


def flipped(path):
    content = bytearray(path.with_stem("good").read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def written(content, path):
    path.write_bytes(content)


# name: (how it is written, None by make_files; words)
BAD_FILES = {
    "missing.pth": (lambda path: None, "No such file or directory; check name"),
    "folder.pth": (Path.mkdir, "a folder, not a file of weights; name"),
    "empty.pth": (Path.touch, "the file is empty; copy"),
    "empty.safetensors": (Path.touch, "the file is empty; copy"),
    "garbage.pth": (partial(written, bytes(range(256)) * 9), "is nothing that torch.save wrote, or damaged; copy"),
    "garbage.safetensors": (partial(written, bytes(range(256)) * 9), "the file is damaged"),
    "page.pth": (partial(written, b"<!DOCTYPE html><html>404</html>"), "is a web page; download"),
    "page.safetensors": (partial(written, b"<html>404</html>"), "is a web page; download"),
    "pointer.pth": (partial(written, b"version https://git-lfs.github.com/spec/v1"), "a pointer of Git LFS; fetch"),
    "weights.bin": (partial(written, b"x"), "is nothing that torch.save wrote, or damaged; copy"),
    "half.pth": (half, "the file is damaged or cut short"),
    "half.safetensors": (half, "the file is damaged"),
    "flipped.pth": (flipped, "fails its checksum"),
    "flipped.safetensors": (flipped, "its numbers are not those that were saved"),
    "other.pth": (zip_of, "a zip archive, but not one of torch.save; name"),
    "bomb.pth": (bomb, "its parts are packed, as torch.save never does"),
    "archive.pth": (tar_of, "the file is a tar archive; unpack"),
    "module.pth": (None, "no tensors fit the layer conv1, which takes"),
    "malice.pth": (None, "which is code and was not run; where it was made, save model.state_dict() alone"),
    "script.pth": (None, "a TorchScript program; where it was made, save model.state_dict() alone"),
    "tensor.pth": (None, "there is a Tensor in it, not a state_dict; save"),
    "cycle.pth": (None, "there are no weights in it; pass"),
}


@pytest.fixture(scope="module")
def folder(workers, tmp_path_factory):
    folder = tmp_path_factory.mktemp("weights")
    workers["torch"](make_files, folder)
    return folder


@pytest.mark.parametrize("name", BAD_FILES)
def test_a_bad_file_is_refused_in_one_line_that_names_it(workers, folder, name):
    make, words = BAD_FILES[name]
    if make:
        make(folder / name)
    kind, message, kept = workers["torch"](refusal, "baseline_cnn", folder / name, {"input_shape": (16, 16, 3)})
    assert words in message
    assert (kind, kept) == ("BadInputError", True)
    assert f"{name}: " in message
    assert "\n" not in message
    assert not (folder / "ran").exists()


def mutated(content, rng):
    """A file cut short, or with a bit, a byte of its beginning, or 64 bytes changed."""
    content, kind = bytearray(content), rng.integers(4)
    place = int(rng.integers(len(content) - 64))
    if kind == 0:
        del content[place:]
    elif kind == 1:
        content[place] ^= 1 << int(rng.integers(8))
    elif kind == 2:
        content[place % 2000] = int(rng.integers(256))
    else:
        content[place : place + 64] = rng.bytes(64)
    return bytes(content)


def judge_mutations(folder, name, count, seed):
    """Return {answer: count} over mutated files, the longest time in seconds, the growth of memory in MiB."""
    network = kerasnets.build("baseline_cnn", input_shape=(16, 16, 3))
    load(network, folder / name)
    good, content, rng = network.get_weights(), (folder / name).read_bytes(), np.random.default_rng(seed)
    path, answers, longest = folder / f"mutated-{name}", {}, 0
    Path("/proc/self/clear_refs").write_text("5")  # Linux forgets the most memory that earlier tests took
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(count):
        path.write_bytes(mutated(content, rng))
        started = time.monotonic()
        try:
            load(network, path)
            same = all(np.array_equal(old, new) for old, new in zip(good, network.get_weights(), strict=True))
            answer = "harmless" if same else "unnoticed"
            network.set_weights(good)
        except BadInputError:
            answer = "refused"
        longest = max(longest, time.monotonic() - started)
        answers[answer] = answers.get(answer, 0) + 1
    return answers, longest, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024


@pytest.mark.parametrize("seed", turns(10))
@pytest.mark.parametrize(
    ("name", "count"),
    [("good.pth", 2 * MUTATIONS // 5), ("good.safetensors", 2 * MUTATIONS // 5), ("old.pth", MUTATIONS // 10),
     ("others.safetensors", MUTATIONS // 10)],
)  # fmt: skip
def test_mutated_files_are_refused_quickly(workers, folder, name, count, seed):
    """Files of torch before 1.6 and other programs' .safetensors have no checksum: a small change can go unnoticed."""
    answers, longest, grown = workers["torch"](judge_mutations, folder, name, count, seed)
    assert answers["refused"] > count // 20
    assert longest < SECONDS
    assert grown < MEBIBYTES
    if name.startswith("good"):
        assert "unnoticed" not in answers


# A script of a person who knows PyTorch and not kerasnets.
TUTORIAL = """
import json, sys, torch, torch.nn as nn, torch.nn.functional as F
from PIL import Image
import numpy as np

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 32, 3)
        self.conv2 = nn.Conv2d(32, 64, 3)
        self.conv3 = nn.Conv2d(64, 64, 3)
        self.fc1 = nn.Linear(576, 64)
        self.fc2 = nn.Linear(64, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        x = torch.flatten(F.relu(self.conv3(x)), 1)
        return self.fc2(F.relu(self.fc1(x)))

torch.manual_seed(3)
model = Net()
torch.save(model.state_dict(), "tutorial.pth")
picture = np.random.default_rng(4).integers(0, 256, (28, 28), np.uint8)
Image.fromarray(picture).save("picture.png")
x = (torch.from_numpy(picture)[None, None] / 255 - 0.1307) / 0.3081
print(json.dumps(F.softmax(model(x), 1)[0].tolist()))
"""


def probabilities(done):
    assert done.returncode == 0, done.stderr
    return {row["label"]: row["probability"] for row in json.loads(done.stdout)[0]["top"]}


def test_a_plain_pytorch_scripts_weights_give_its_answers_on_every_backend(tmp_path):
    (tmp_path / "tutorial.py").write_text(TUTORIAL)
    answered = run(tmp_path, tmp_path / "tutorial.py")
    assert answered.returncode == 0, answered.stderr
    wanted = json.loads(answered.stdout)
    names = list("abcdefghij")
    scaling = ["--mean", "0.1307", "--std", "0.3081", "--classes", ",".join(names)]
    made = run(tmp_path, "convert_weights.py", "mnist_cnn", "tutorial.pth", "--out", "a.keras", *scaling)
    assert made.returncode == 0, made.stderr
    assert made.stdout.splitlines()[-1].startswith(
        "result model=mnist_cnn source=tutorial.pth tensors=10 parameters=93322 classes=10 input=28x28x1 "
    )
    back = run(tmp_path, "convert_weights.py", "a.keras", "--out", "a.safetensors", "--json", backend="jax")
    assert json.loads(back.stdout)["tensors"] == 10
    again = run(tmp_path, "convert_weights.py", "mnist_cnn", "a.safetensors", "--out", "b.h5", *scaling, backend="jax")
    assert again.returncode == 0, again.stderr
    for backend, model in zip(BACKENDS, ("a.keras", "b.h5", "a.keras"), strict=True):
        found = probabilities(
            run(tmp_path, "predict_image.py", model, "picture.png", "--top", 10, "--json", backend=backend)
        )
        np.testing.assert_allclose([found[name] for name in names], wanted, rtol=0, atol=1e-5)


FAILURES = {
    "nothing to convert": (["mnist_cnn", "--out", "a.keras"], 2, "name a network with FILE or --pretrained"),
    "no such network": (["mnist_cnm", "good.pth", "--out", "a.keras"], 2, "unknown network 'mnist_cnm'"),
    "no such option": (["lenet5", "good.pth", "--out", "a.keras", "--option", "deep=3"], 2, "has no option 'deep'"),
    "no such kind": (["lenet5", "good.pth", "--out", "a.keras", "--input-kind", "x"], 2, "unknown input kind 'x'"),
    "too few names": (
        ["lenet5", "good.pth", "--out", "a.keras", "--classes", "a,b", "--num-classes", "3"], 2, "2 class names for 3"),
    "std of zero": (["lenet5", "good.pth", "--out", "a.keras", "--std", "0"], 2, "std must be above 0"),
    "mean of 0..255": (["lenet5", "good.pth", "--out", "a.keras", "--mean", "33"], 2, "mean is of pixels 0..1"),
    "two means": (["lenet5", "good.pth", "--out", "a.keras", "--mean", "0", "1"], 2, "mean must be one number or 1"),
    "out of another kind": (["lenet5", "good.pth", "--out", "a.onnx"], 2, "a.onnx is no name for a model file"),
    "weights of another network": (["lenet5", "good.pth", "--out", "a.keras"], 3, "good.pth: no tensors fit the layer"),
    "code": (["lenet5", "malice.pth", "--out", "a.keras"], 3, "where it was made, save model.state_dict() alone"),
    "order of a .safetensors": (
        ["lenet5", "good.safetensors", "--in-order", "--out", "a.keras"], 3, "good.safetensors: a .safetensors file"),
    "not published": (["lenet5", "--pretrained", "--out", "a.keras"], 2, "torchvision publishes no weights of"),
    "no network": (
        ["alexnet_torchvision", "--pretrained", "--out", "a.keras"], 4,
        "AlexNet_Weights.IMAGENET1K_V1 cannot be downloaded; go online, or put alexnet-owt-7be5be79.pth into"),
}  # fmt: skip


@pytest.mark.parametrize("case", FAILURES)
def test_a_failure_of_the_script_is_one_line_with_its_exit_code(folder, case):
    arguments, code, words = FAILURES[case]
    done = run(folder, "convert_weights.py", *arguments, TORCH_HOME=str(folder / "hub"))
    assert words in only_line(done, code)
    assert not list(folder.glob("a.*"))


def test_a_pth_is_read_without_torch(folder):
    options = ["--num-classes", "10", "--input-shape", "16", "16", "3", "--out", "b.keras"]
    done = run(folder, "convert_weights.py", "baseline_cnn", "object.ckpt", *options, backend="jax")
    assert "backend=jax" in done.stdout, done.stderr


def safetensors_by_hand(header, content=b""):
    header = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(header).to_bytes(8, "little") + header + content


def tensor(shape=(1,), offsets=(0, 4), dtype="F32"):
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets}


BAD_SAFETENSORS = {
    "no header": b"\xff" * 8,
    "a long header": safetensors_by_hand(b" " * 2**22 + b"{}"),
    "a deep header": safetensors_by_hand(b'{"__metadata__":' + b"[" * 50_000 + b"]" * 50_000 + b"}"),
    "metadata of text": safetensors_by_hand({"__metadata__": "x", "a": tensor()}, bytes(4)),
    "a large shape of nothing": safetensors_by_hand({"a": tensor((2**62, 0), (0, 0))}),
    "a negative shape": safetensors_by_hand({"a": tensor((-1,), (0, 0))}),
    "rank 1,000": safetensors_by_hand({"a": tensor([1] * 1000)}, bytes(4)),
    "many tensors": safetensors_by_hand({str(i): tensor((0,), (0, 0)) for i in range(20_000)}),
    "beyond the end": safetensors_by_hand({"a": tensor((10**6,), (0, 4 * 10**6))}, bytes(4)),
    "overlap": safetensors_by_hand({"a": tensor(), "b": tensor()}, bytes(4)),
    "a gap": safetensors_by_hand({"a": tensor(offsets=(4, 8))}, bytes(8)),
    "more bytes": safetensors_by_hand({"a": tensor()}, bytes(8)),
    "float8": safetensors_by_hand({"a": tensor(offsets=(0, 1), dtype="F8_E4M3")}, bytes(1)),
    "no dict": safetensors_by_hand(b"[1]"),
}


def first_tensor(path):
    from kerasnets.convert import weight_files

    return list(weight_files.read_tensors(path)["a"])


@pytest.mark.parametrize("case", BAD_SAFETENSORS)
def test_a_safetensors_that_contradicts_itself_is_refused_in_one_line(workers, tmp_path, case):
    path = tmp_path / "a.safetensors"
    path.write_bytes(BAD_SAFETENSORS[case])
    with pytest.raises(BadInputError) as caught:
        workers["torch"](first_tensor, path)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 200


def test_a_safetensors_without_metadata_is_read(workers, tmp_path):
    path = tmp_path / "a.safetensors"
    path.write_bytes(safetensors_by_hand({"__metadata__": None, "a": tensor()}, np.float32(7).tobytes()))
    assert workers["torch"](first_tensor, path) == [7]


def test_a_pth_of_far_too_many_objects_is_refused_before_torch_reads_it(workers, tmp_path):
    path = tmp_path / "a.pth"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", b"N" * 2**22)
    with pytest.raises(BadInputError, match="more names and objects than any network"):
        workers["torch"](first_tensor, path)
    path.write_bytes(b"\x80\x02" + b"N" * 2**20)
    with pytest.raises(BadInputError, match="more names and objects than any network"):
        workers["torch"](first_tensor, path)
