"""A card is read only if each of its fields is of the field's kind: a command would fail at the first that is not."""

import json

import pytest

from kerasnets.errors import BadInputError
from kerasnets.saving import Card
from kerasnets.saving.card import as_json, from_json

CARD = Card("tiny", ("cat", "dog"), (4, 5, 3), accuracy=0.5, versions={"keras": "3"}, settings={"epochs": 3})
WRONG = [
    *((name, value) for name in ("model", "dataset", "recipe", "commit", "source", "weights_sha256", "date", "parent",
                                 "parent_sha256", "data_digest", "input_kind")
      for value in (None, 3, ["a"], {"a": "b"})),
    *((name, value) for name in ("epochs", "seed") for value in (None, "3", 0.5, [3])),
    *((name, value) for name in ("accuracy", "val_accuracy", "temperature", "sure_from")
      for value in ("0.5", [0.5], float("nan"), float("inf"), 10**400, -1e308)),
    *((name, value) for name in ("multi_label", "bgr") for value in (None, 1, "true")),
    *((name, value) for name in ("versions", "settings") for value in (None, "keras", ["keras"], 3)),
    ("versions", {"keras": 3}), ("class_names", [["cat"], "dog"]), ("class_names", 3), ("class_names", ["cat", "cat"]),
    ("input_shape", [4, 5, 10**400]), ("input_shape", [4, 5.0, 3]), ("input_shape", None), 
    ("input_shape", [True, 5, 3]),
    ("temperature", 0), ("temperature", -1.0), ("temperature", 5e-324), ("temperature", 1e200), ("temperature", None),
    ("scaling", [10**400, 0]), ("scaling", ["1", 0]), ("scaling", [1.0]), ("unknown", 3),
]  # fmt: skip


@pytest.mark.parametrize(("name", "value"), WRONG)
def test_a_field_of_another_kind_is_refused_in_one_line(name, value):
    text = json.dumps(json.loads(as_json(CARD)) | {name: value})
    with pytest.raises(BadInputError, match=r"tiny.onnx has a card that cannot be read \(") as caught:
        from_json(text, "tiny.onnx")
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("text", ["", "null", "[]", "3", '"card"', "{}", "[" * 100_000, "\ud800"])
def test_a_text_that_is_no_card_is_refused(text):
    with pytest.raises(BadInputError, match="has a card that cannot be read"):
        from_json(text, "tiny.onnx")


def test_a_card_comes_back():
    assert from_json(as_json(CARD), "tiny.onnx") == CARD
