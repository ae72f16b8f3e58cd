"""A network of another program is evaluated and trained, and what was assumed about its pixels is said."""

import contextlib
import io

import numpy as np
import pytest
from sklearn.metrics import log_loss

import kerasnets
from kerasnets.training import evaluation
from tests.stand_ins import few_digits

NOTE = "theirs.keras was not made by kerasnets{}; pictures are prepared as mnist, pixels divided by 255"


def use(folder):
    """Return (evaluation, its notes, plain Keras' probabilities) of a network of ten sigmoids, and stderr of train."""
    import keras

    keras.utils.set_random_seed(0)
    parts = [keras.Input((28, 28, 1)), keras.layers.Flatten(), keras.layers.Dense(10, activation="sigmoid")]
    model, path, notes = keras.Sequential(parts), folder / "theirs.keras", []
    model.save(path)
    guest, few = kerasnets.Guest("mnist"), few_digits()
    result, card = evaluation.evaluate_file(path, few, guest, notes.append)
    probabilities = model.predict(few.test_images.astype("float32") / 255, verbose=0)
    with contextlib.redirect_stderr(io.StringIO()) as said, contextlib.redirect_stdout(io.StringIO()):
        kerasnets.train("mnist_cnn-digits", arrays=few, epochs=1, weights=path, guest=guest, out=folder / "tuned.keras")
    return result, card, notes, probabilities, said.getvalue()


def test_another_programs_network_is_evaluated_and_trained_with_a_note(workers, tmp_path):
    result, card, notes, probabilities, said = workers["torch"](use, tmp_path)
    assert card.multi_label
    each = [log_loss(few_digits().test_labels == k, probabilities[:, k], labels=[False, True]) for k in range(10)]
    assert result.loss == pytest.approx(np.mean(each), rel=1e-4)
    assert result.predictions.tolist() == probabilities.argmax(axis=1).tolist()
    [note] = notes
    assert note.endswith(NOTE.format(f" and names no classes: they are those of {few_digits().title}, in their order"))
    assert f"{NOTE.format('')}\n" in said
    tuned = kerasnets.Classifier.load(tmp_path / "tuned.keras").card
    assert not tuned.multi_label
    assert tuned.class_names == few_digits().class_names
