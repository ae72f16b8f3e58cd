"""Under any dtype policy and floatx of Keras, a training gives the model file that it gives under float32."""

import numpy as np
import pytest

import kerasnets
from tests.conftest import mostly_on_torch

POLICIES = ("mixed_float16", "mixed_bfloat16", "float16", "float64")


def under(policy, folder):
    """Train under a policy; return the dtypes in the file, its answers, and the policy afterwards."""
    import keras

    keras.config.set_dtype_policy(policy)
    keras.config.set_floatx("float32" if policy.startswith("mixed") else policy)
    try:
        run = kerasnets.train("dnn_tabular-sum3-learned", epochs=1, out=folder / "a.keras")
        network = kerasnets.build("lenet5")
        card = kerasnets.Card("lenet5", tuple("0123456789"), (28, 28, 1))
        if policy != "float64":
            kerasnets.save(network, folder / "b.h5", card, scaling=(1 / 255, 0.0))
        after = keras.config.dtype_policy().name
    finally:
        keras.config.set_dtype_policy("float32")
        keras.config.set_floatx("float32")
    dtypes = set()
    for path in sorted(folder.glob("[ab].*")):
        model, _ = kerasnets.load(path)
        dtypes |= {layer.dtype_policy.name for layer in model.layers if layer.weights}
    return run.loss, dtypes, after


@mostly_on_torch
def test_a_policy_of_16_bits_neither_fails_nor_leaks_into_the_file(worker, tmp_path):
    (tmp_path / "plain").mkdir()
    loss, _, _ = worker(under, "float32", tmp_path / "plain")
    for policy in POLICIES:
        (tmp_path / policy).mkdir()
        result, dtypes, after = worker(under, policy, tmp_path / policy)
        assert (dtypes, after) == ({"float32"}, policy)
        if policy != "float64":
            assert result == pytest.approx(loss, rel=1e-5)
        assert np.isfinite(result).all()
