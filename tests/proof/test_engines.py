"""The engines in bfloat16 and compiled are judged by the twin; a bias in bfloat16 has the gradient of its whole sum."""

import dataclasses
import math

import numpy as np
import pytest

from kerasnets.models.registry import NETWORKS
from kerasnets.proof import engines
from kerasnets.proof.engines import BFLOAT16, COMPILED, EngineProof, EngineReport
from tests.cli.test_app import only_line, run

# all weights together, then two weights
GOOD = EngineProof(
    "net", BFLOAT16, {"sgd": [1e-2, 4e-2, 1e-3]}, {"jax": {"sgd": [1.1e-2, 3e-2, 3e-2]}, "torch": {"sgd": [9e-3, 0, 0]}}
)


def on_jax(*distances):
    return dataclasses.replace(GOOD, distances={"jax": {"sgd": distances}})


# fault -> (proof, the fault in words)
FAULTS = {
    "all": (on_jax(1.6e-2, 0, 0), "jax: sgd lies 1.6e-02 apart; allowed are 1.5e-02"),
    "NaN": (on_jax(math.nan, 0, 0), "jax: sgd lies nan apart; allowed are 1.5e-02"),
    "one": (on_jax(1e-2, 0, 4.1e-2), "jax: one weight by sgd lies 4.1e-02 apart; allowed are 4.0e-02"),
    "one NaN": (on_jax(1e-2, math.nan, 0), "jax: one weight by sgd lies nan apart; allowed are 1.6e-01"),
    "compiled": (EngineProof("net", COMPILED, {"sgd": [1e-6]}, {"torch": {"sgd": [1.1e-5]}}),
                 "torch: sgd lies 1.1e-05 apart; allowed are 1.0e-05"),
    "missing": (dataclasses.replace(GOOD, distances={"jax": {}}), "jax: sgd was not measured"),
    "nothing": (EngineProof("net", BFLOAT16), "nothing was measured"),
    "blind": (dataclasses.replace(GOOD, yardstick={"sgd": [0.6, 0, 0]}), "PyTorch's own sgd lies 6.0e-01 apart: the"),
    "broken": (EngineProof("net", BFLOAT16, errors=["jax: no"]), "jax: no"),
}  # fmt: skip


def test_a_proof_without_faults_has_none():
    assert GOOD.faults == []


@pytest.mark.parametrize("case", FAULTS)
def test_each_fault_is_found_and_named(case):
    proof, words = FAULTS[case]
    assert len(proof.faults) == 1
    assert proof.faults[0].startswith(words)


def test_of_many_steps_one_that_is_not_finite_counts_and_one_far_away_does_not(workers):
    steps = [[0.1, 0.1, 0.1], [0.3, math.inf, 0.1], [0.2, 0.1, math.nan], [9.0, 0.1, 0.1], [0.2, 0.1, 0.1]]
    np.testing.assert_equal(workers["torch"](typical_of, steps), [0.2, math.nan, math.nan])


def typical_of(steps):
    from kerasnets.proof.engine_distances import typical

    return typical(steps)


def test_the_report_counts_the_faulty():
    report = EngineReport([GOOD, FAULTS["all"][0]], {"jax": {"keras": "3"}}, 60)
    assert report.line() == "result engines=2 proven=1 faulty=1 seconds=60"
    assert "| `net` | bfloat16 | 1.0e-02 | 9.0e-03 |  | 1.1e-02 | verified |" in report.markdown().splitlines()
    assert "1 of 2 rows verified; minutes: 1." in report.markdown()


def train_on_large_maps():
    """Train one step of SGD in bfloat16 on maps of ones; return (logits before, change of the kernel, of the bias)."""
    import keras

    from kerasnets.proof.distances import logits_of
    from kerasnets.recipes import RECIPES
    from kerasnets.training.batches import Batches, as_fit_takes
    from kerasnets.training.trainee import trainee_of

    inputs = keras.Input((56, 56, 1), name="input")
    x = keras.layers.Conv2D(2, 1, kernel_initializer="ones", name="conv")(inputs)
    x = keras.layers.Flatten(name="flat")(keras.layers.AveragePooling2D(56, name="mean")(x))
    network = keras.Model(inputs, keras.layers.Dense(2, name="logits")(x), name="net")
    network.get_layer("logits").set_weights([np.array([[1, 1], [0, 3]], "float32"), np.array([3, 0], "float32")])
    recipe = dataclasses.replace(
        RECIPES["lenet5-mnist"], precision="mixed_bfloat16", learning_rate=1.0, schedule=(), batch_size=0
    )
    trainee = trainee_of(network, recipe, None, 1)
    pixels = np.ones((4, 56, 56, 1), "float32")
    logits = logits_of(trainee, pixels, training=True)
    before = trainee.get_layer("conv").get_weights()
    plan = Batches(pixels, np.zeros(len(pixels), "int64"), batch_size=0, epochs=1, seed=0)
    trainee.fit(as_fit_takes(plan), steps_per_epoch=1, epochs=1, shuffle=False, verbose=0)
    kernel, bias = (new - old for new, old in zip(trainee.get_layer("conv").get_weights(), before, strict=True))
    return logits[0], kernel.ravel(), bias


@pytest.mark.parametrize("backend", ["tensorflow", "jax"])
def test_sums_in_bfloat16_are_made_in_float32(workers, backend):
    """The means are (1, 1), the logits (1 + 3, 1 + 3), their gradient (-1/2, 1/2), and that of the means (0, 3/2).

    Each is a sum of 56 x 56 equal numbers or more: one of 8 bits would stop at 256 times the first.
    """
    logits, kernel, bias = workers[backend](train_on_large_maps)
    np.testing.assert_allclose(logits, [4, 4], rtol=1e-2)
    np.testing.assert_allclose(kernel, [0, -1.5], rtol=1e-2)
    np.testing.assert_allclose(bias, [0, -1.5], rtol=1e-2)


def test_bfloat16_is_as_exact_as_pytorchs_on_each_backend(workers):
    """TensorFlow summed the gradient of the first bias to 8 bits: 0.16 away, where PyTorch is 0.004."""
    proof = next(engines.verify(NETWORKS["lenet5"], workers))
    assert (proof.engine, set(proof.distances), proof.faults) == (BFLOAT16, set(workers), [])


def measure_with_biases_in_bfloat16(case):
    from kerasnets.proof.engine_distances import measure_bfloat16
    from kerasnets.training.fast import bfloat16_layers

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bfloat16_layers, "FLOAT_BIAS", {})
        return measure_bfloat16(case)


def judge_lenet5(folder):
    from kerasnets.proof.engine_reference import judge

    return judge(NETWORKS["lenet5"], folder)


def test_biases_that_are_summed_in_bfloat16_are_found(workers, tmp_path):
    reference, own = workers["torch"](judge_lenet5, tmp_path / "case")
    distances = {"jax": workers["jax"](measure_with_biases_in_bfloat16, reference.case)}
    [fault] = EngineProof("lenet5", BFLOAT16, own, distances).faults
    assert fault.startswith("jax: ")


@pytest.mark.whole_registry
def test_a_compiled_step_is_as_exact_as_the_usual_one(workers):
    proofs = list(engines.verify(NETWORKS["small_cnn"], workers))
    assert [(proof.engine, proof.faults) for proof in proofs] == [(BFLOAT16, []), (COMPILED, [])]


def test_engines_are_verified_in_one_run(tmp_path):
    assert "in one run" in only_line(run(tmp_path, "verify.py", "lenet5", "--engines", "--json"), 2)
