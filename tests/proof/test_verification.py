"""The proof finds each fault, and says where it is."""

import dataclasses
import io
import json
import math
from concurrent.futures.process import BrokenProcessPool

import pytest

from kerasnets import models
from kerasnets.models.registry import NETWORKS
from kerasnets.proof import partial, report, verification
from kerasnets.proof.digest import digest
from kerasnets.proof.partial import Partial, path_of
from kerasnets.proof.verdict import QUANTITIES, SAME_BLOCKS, Proof
from kerasnets.runtime.backends import LAYOUTS
from tests.cli.test_app import only_line, run

GOOD = Proof(
    network="net",
    input_shape=(28, 35, 1),
    parameters=10,
    published=10,
    full_size=1e-6,
    pytorch={"logits": 1e-7, "training_logits": 1e-5, "gradients": 1e-13, "steps": 2.4e-12},
    keras={
        "jax channels_last": {"logits": 9e-6, "training_logits": 3e-5, "gradients": 1e-12, "steps": 9e-12},
        "torch channels_last": {"logits": 1e-6, "training_logits": 1e-6, "gradients": 1e-13, "steps": 1e-12},
    },
    pytorch_fit={"training_logits": 1e-5, "sgd": 2e-5},
    fit={"jax": {"training_logits": 3e-5, "sgd": 7e-5}, "torch": {"training_logits": 1e-6, "sgd": 2e-5}},
    unmoved={"jax channels_last": [], "torch channels_last": []},
    files={"torch to jax, .h5": 1e-6},
)


def with_distance(**change):
    return dataclasses.replace(GOOD, keras=GOOD.keras | {"jax channels_last": GOOD.keras["jax channels_last"] | change})


IN_FLOAT32 = {"jax channels_last": {"logits": 9e-6, "training_logits": 3e-5}}

# fault -> (proof, the fault in words)
FAULTS = {
    "logits": (with_distance(logits=1.1e-5), "logits of jax channels_last lie 1.1e-05 apart; allowed are 1.0e-05"),
    "NaN": (with_distance(logits=math.nan), "logits of jax channels_last lie nan apart; allowed are 1.0e-05"),
    "in training": (with_distance(training_logits=5e-5), "training_logits of jax channels_last lie 5.0e-05 apart;"),
    "gradients": (with_distance(gradients=1e-8), "gradients of jax channels_last lie 1.0e-08 apart; allowed are 1"),
    "steps": (with_distance(steps=math.inf), "steps of jax channels_last lie inf apart; allowed are 1.0e-09"),
    "yardstick": (
        dataclasses.replace(GOOD, pytorch=GOOD.pytorch | {"training_logits": 0.27}),
        "PyTorch's own training_logits lie 2.7e-01 apart: the case is ill-conditioned",
    ),
    "not measured": (
        dataclasses.replace(GOOD, keras={"torch": {"logits": 1e-6, "training_logits": 1e-6, "gradients": 1e-13}}),
        "steps of torch were not measured",
    ),
    "no gradient": (
        dataclasses.replace(GOOD, keras=GOOD.keras | IN_FLOAT32, fit={}),
        "no gradient on jax was measured",
    ),
    "no logits": (
        dataclasses.replace(GOOD, keras=GOOD.keras | {"jax channels_last": {"logits": 9e-6}}),
        "training_logits of jax channels_last were not measured",
    ),
    "part of fit": (
        dataclasses.replace(GOOD, fit=GOOD.fit | {"jax": {"training_logits": 3e-5}}),
        "fit on jax: sgd was not measured",
    ),
    "fit": (
        dataclasses.replace(GOOD, fit=GOOD.fit | {"jax": {"training_logits": 1e-6, "sgd": 9e-5}}),
        "fit on jax: sgd lies 9.0e-05 apart; allowed are 8.0e-05",
    ),
    "fit is NaN": (
        dataclasses.replace(GOOD, fit=GOOD.fit | {"jax": {"training_logits": math.nan, "sgd": 1e-6}}),
        "fit on jax: training_logits lies nan apart; allowed are 4.0e-05",
    ),
    "files": (dataclasses.replace(GOOD, files={"torch to jax, .h5": 1e-4}), "file torch to jax, .h5 is 1.0e-04 apart"),
    "logits of bad condition": (
        dataclasses.replace(with_distance(logits=2.1e-5), pytorch=GOOD.pytorch | {"logits": 5e-6}),
        "logits of jax channels_last lie 2.1e-05 apart; allowed are 2.0e-05",
    ),
    "files of bad condition": (
        dataclasses.replace(GOOD, pytorch=GOOD.pytorch | {"logits": 5e-6}, files={"torch to jax, .h5": 2.1e-5}),
        "file torch to jax, .h5 is 2.1e-05 apart",
    ),
    "unmoved": (dataclasses.replace(GOOD, unmoved={"jax": ["c1/kernel"]}), "one step on jax left c1/kernel"),
    "parameters": (dataclasses.replace(GOOD, published=11), "10 parameters; published are 11"),
    "full size": (dataclasses.replace(GOOD, full_size=2e-5), "logits at full size lie 2.0e-05 apart; allowed are 1.0e"),
    "names": (dataclasses.replace(GOOD, automatic_names=["conv2d_3"]), "automatic layer names: conv2d_3"),
    "broken": (Proof("net", broken="ValueError('no')"), "ValueError('no')"),
}  # fmt: skip


# ---- run in the workers ----


def replace_lenet5(average_pooling):
    """Let this process build another network as lenet5: one with max-pooling; undo it by True."""
    from kerasnets import models
    from kerasnets.models.lenet import lenet5

    def impostor(input_shape=(28, 28, 1), num_classes=10):
        import keras

        network = lenet5(input_shape, num_classes)

        def change(layer):
            kind = keras.layers.MaxPooling2D if isinstance(layer, keras.layers.AveragePooling2D) else type(layer)
            return kind.from_config(layer.get_config())

        return keras.models.clone_model(network, clone_function=change)

    models.MODELS["lenet5"] = lenet5 if average_pooling else impostor


def layers_of(name):
    """Return the settings of each kind of layer in a network, without names, widths and places."""
    from kerasnets import models

    settings = ("kernel_size", "pool_size", "strides", "padding", "use_bias", "epsilon", "momentum", "activation")
    network = models.build(name, input_shape=(32, 32, 3))
    return {(type(layer).__name__, *(str(getattr(layer, key, "")) for key in settings)) for layer in network.layers}


# ---- tests ----


def test_a_proof_without_faults_has_none():
    assert GOOD.faults == []
    assert GOOD.worst("logits") == 9e-6


def test_gradients_may_be_as_far_as_pytorchs_own_rounding_takes_it():
    """A ResNet of 152 layers: PyTorch's float64 is 2e-8 from itself if the images of a batch change places."""
    far = with_distance(steps=7e-8)
    assert dataclasses.replace(far, pytorch=GOOD.pytorch | {"steps": 2e-8}).faults == []
    assert len(dataclasses.replace(far, pytorch=GOOD.pytorch | {"steps": 1e-8}).faults) == 1


@pytest.mark.parametrize(("depth", "words"), [
    (30, ""),
    (31, "float64 on torch alone"),
    (100, "float64 on torch alone"),
    (101, "float64 and channels_first on torch alone"),
])  # fmt: skip
def test_what_compiling_would_take_minutes_is_measured_on_torch_alone(depth, words):
    assert verification.left_out("net", depth, LAYOUTS) == words


def test_a_network_of_several_heads_is_measured_in_float64_whatever_its_depth():
    assert verification.left_out("googlenet_torchvision", 60, LAYOUTS, is_fitted=False) == ""


def test_what_fit_trains_may_be_measured_by_a_network_of_the_same_blocks():
    deep = dataclasses.replace(
        GOOD, network="resnet101", keras=GOOD.keras | IN_FLOAT32, fit={"torch": GOOD.fit["torch"]}
    )
    assert deep.faults == []
    assert dataclasses.replace(deep, network="resnet50").faults == ["no gradient on jax was measured"]
    assert verification.left_out("resnet101", 104, LAYOUTS) == (
        "float64 and channels_first on torch alone; as trained on torch alone, elsewhere resnet50, of the same blocks"
    )


@pytest.mark.parametrize(("deep", "shallow"), SAME_BLOCKS.items())
def test_a_network_has_the_layers_of_the_one_that_stands_for_it(deep, shallow, workers):
    assert workers["torch"](layers_of, deep) == workers["torch"](layers_of, shallow)


def test_each_backend_measures_each_layout_and_torch_all_of_it():
    first, second = LAYOUTS
    assert verification.layouts_on("torch", 500, LAYOUTS) == {first: True, second: True}
    assert verification.layouts_on("jax", 30, LAYOUTS) == {first: True, second: False}
    assert verification.layouts_on("jax", 31, LAYOUTS) == {first: False, second: False}
    assert verification.layouts_on("jax", 101, LAYOUTS) == {first: False}
    assert verification.layouts_on("jax", 101, LAYOUTS, is_fitted=False) == {first: True}


def test_a_backend_may_leave_float64_to_torch():
    assert dataclasses.replace(GOOD, keras=GOOD.keras | IN_FLOAT32).faults == []


@pytest.mark.parametrize("case", FAULTS)
def test_each_fault_is_found_and_named(case):
    proof, words = FAULTS[case]
    assert len(proof.faults) == 1
    assert proof.faults[0].startswith(words)


def test_a_wrong_layer_on_one_backend_is_found_there_and_only_there(workers):
    workers["tensorflow"](replace_lenet5, False)
    try:
        [proof] = verification.verify([NETWORKS["lenet5"]], workers)
    finally:
        workers["tensorflow"](replace_lenet5, True)
    for quantity in QUANTITIES:
        result = [fault for fault in proof.faults if fault.startswith(f"{quantity} of")]
        assert [fault.split()[2] for fault in result] == ["tensorflow"] * (2 if "logits" in quantity else 1)
        assert proof.worst(quantity) > 1e-2
    assert {fault.split(":")[0] for fault in proof.faults if fault.startswith("fit on")} == {"fit on tensorflow"}


def test_a_network_that_cannot_be_judged_is_a_fault_and_the_next_is_verified(workers):
    unknown = dataclasses.replace(NETWORKS["fc2layer"], name="fc3layer")
    first, second = verification.verify([unknown, NETWORKS["fc2layer"]], workers)
    assert first.faults == ["judge: KeyError('fc3layer')"]
    assert second.faults == []


class DeadWorker:
    def submit(self, *call):
        raise BrokenProcessPool("terminated abruptly")


def test_a_process_that_has_ended_is_the_fault_of_every_network():
    proofs = list(verification.verify([NETWORKS["lenet5"], NETWORKS["nin"]], {"torch": DeadWorker()}))
    assert [(proof.network, proof.faults) for proof in proofs] == [
        ("lenet5", ["judge: BrokenProcessPool('terminated abruptly')"]),
        ("nin", ["judge: BrokenProcessPool('terminated abruptly')"]),
    ]


def test_patterns_choose_networks_and_their_variants():
    assert [form.title for form in models.forms(["resnet18", "lenet5"])] == [
        "lenet5",
        "resnet18",
        "resnet18 small_stem=True",
    ]
    assert len(models.forms([])) > len(NETWORKS)
    with pytest.raises(ValueError, match="unknown network 'resnet19'; choose one of: resnet1"):
        models.forms(["resnet19"])


def test_the_report_shows_every_proof_and_every_fault():
    page = report.Report([GOOD, FAULTS["gradients"][0]], {"jax": {"keras": "3"}}, 60)
    assert "1 of 2 verified, in 1 minutes. Not run: lenet5, lenet5_sigmoid, mnist_cnn, " in page.markdown()
    assert page.line() == "result networks=2 proven=1 faulty=1 backends=jax seconds=60"
    lines = page.markdown().splitlines()
    cells = "9.0e-06 (1.0e-07) | 3.0e-05 (1.0e-05) | 1.0e-12 (1.0e-13) | 9.0e-12 (2.4e-12) | 7.0e-05 (2.0e-05)"
    assert f"| `net` | 28x35x1 | 10 = published | {cells} | 1e-06 | 1e-06 | verified |" in lines
    assert any(line.endswith("allowed are 1.0e-09 |") for line in lines)
    assert json.loads(page.json())[0]["faults"] == []


def test_the_script_proves_a_network_and_refuses_an_unknown_one(tmp_path):
    assert "unknown network 'lenet6'" in only_line(run(tmp_path, "verify.py", "lenet6"), 2)
    process = run(tmp_path, "verify.py", "dnn_tabular", "--out", "proof.md", "--json")
    assert process.returncode == 0, process.stderr
    [proof] = json.loads(process.stdout)
    assert (proof["network"], proof["faults"], len(proof["keras"])) == ("dnn_tabular", [], 6)
    assert "| `dnn_tabular` | 3 | 98 = published |" in (tmp_path / "proof.md").read_text()


# ---- interrupted runs ----


def loaded(path, networks=None):
    """Return the proofs as they were saved, without their code and commit, and the seconds."""
    read = Partial.load(path, networks)
    names = [each.name for each in dataclasses.fields(Proof)]
    return Partial([Proof(**{name: getattr(proof, name) for name in names}) for proof in read.proofs], read.seconds)


def test_proofs_are_read_again_as_they_were(tmp_path):
    faulty = dataclasses.replace(FAULTS["logits"][0], network="lenet5")
    Partial([GOOD, faulty], 60.5).save(tmp_path / "proofs.json")
    assert loaded(tmp_path / "proofs.json", ["net", "lenet5"]) == Partial([GOOD], 60.5)
    assert loaded(tmp_path / "proofs.json", ["lenet5"]) == Partial([], 60.5)


def test_proofs_of_other_networks_are_kept(tmp_path):
    path = tmp_path / "proofs.json"
    other = dataclasses.replace(GOOD, network="other")
    Partial([GOOD, other], 60).save(path)
    Partial([GOOD], 70).save(path)
    assert loaded(path) == Partial([GOOD, other], 70)


def test_after_a_run_its_proofs_serve_the_next(tmp_path):
    """A network measured anew replaces its proof of before; the seconds are those of an interrupted run alone."""
    page = tmp_path / "proof.md"
    Partial([GOOD, dataclasses.replace(GOOD, network="other")], 60).save(path_of(page))
    partial.finish(page)
    assert (sorted(path.name for path in tmp_path.iterdir()), loaded(path_of(page)).seconds) == (
        ["proof-proofs.json"],
        0,
    )
    better = dataclasses.replace(GOOD, full_size=0.0)
    Partial([better], 5).save(path_of(page))
    partial.finish(page)
    assert {proof.network: proof.full_size for proof in loaded(path_of(page)).proofs} == {
        "net": 0.0, "other": GOOD.full_size,
    }  # fmt: skip
    Partial([dataclasses.replace(FAULTS["logits"][0], network="other")], 5).save(path_of(page))
    for _ in range(2):  # while the run goes on, and afterwards: a fault is not covered by the proof of before
        assert [proof.network for proof in loaded(path_of(page)).proofs] == ["net"]
        partial.finish(page)


def test_the_page_tells_the_commits_of_earlier_proofs(tmp_path, monkeypatch):
    proofs = [dataclasses.replace(GOOD, network=network) for network in ("net", "other", "third")]
    monkeypatch.setattr(partial.provenance, "commit", lambda: "0123456789ab")
    Partial(proofs[:2], 1).save(tmp_path / "proofs.json")
    earlier = Partial.load(tmp_path / "proofs.json").proofs
    assert "Networks whose code" not in report.Report(earlier, {}, 60).markdown()
    monkeypatch.setattr(partial.provenance, "commit", lambda: "ba9876543210")
    words = "Networks whose code is the same since they were measured: 2 of commit 0123456789ab.\n"
    assert words in report.Report([*earlier, proofs[2]], {}, 60).markdown()


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"of": 1}', None])
def test_a_broken_file_of_proofs_is_none(tmp_path, content):
    path = tmp_path / "proofs.json"
    if content is not None:
        path.write_text(content)
    assert loaded(path) == Partial([])


@pytest.mark.parametrize(
    "broken",
    [1, {"network": "net"}, {**dataclasses.asdict(GOOD), "keras": 5, "code": digest(network="net"), "commit": ""}],
)
def test_a_broken_proof_is_none(tmp_path, broken):
    path = tmp_path / "proofs.json"
    path.write_text(json.dumps({"of": partial.of(), "seconds": 1, "proofs": [broken]}))
    assert loaded(path) == Partial([])


def test_proofs_of_other_code_are_none(tmp_path, monkeypatch):
    Partial([GOOD], 1).save(tmp_path / "proofs.json")
    monkeypatch.setattr(partial, "digest", lambda network: "0123456789abcdef")
    assert loaded(tmp_path / "proofs.json", ["net"]) == Partial([])


def test_a_run_goes_on_where_it_was_stopped(tmp_path):
    """The first network is not verified again: its proof of before, which has a mark, is on the page."""
    forms = [NETWORKS["fc2layer"], NETWORKS["dnn_tabular"]]
    page, lines = tmp_path / "proof.md", io.StringIO()
    Partial([dataclasses.replace(GOOD, network="fc2layer")], 600).save(path_of(page))
    result = verification.prove(forms, page, lines, resume=True)
    assert [(proof.network, proof.faults) for proof in result.proofs] == [("fc2layer", []), ("dnn_tabular", [])]
    assert result.proofs[0].pytorch == GOOD.pytorch
    assert result.seconds > 600
    assert [line.split()[0] for line in lines.getvalue().splitlines()[1:]] == ["fc2layer", "dnn_tabular"]
    assert "| `fc2layer` | 28x35x1 |" in page.read_text()
    assert not path_of(page).exists()
    again = verification.prove(forms, page, io.StringIO(), resume=True)
    assert [dataclasses.astuple(proof)[:9] for proof in again.proofs] == [
        dataclasses.astuple(proof)[:9] for proof in result.proofs
    ]
    assert again.seconds < 600


def test_resume_needs_the_file(tmp_path):
    assert "name it with --out" in only_line(run(tmp_path, "verify.py", "lenet5", "--resume"), 2)
