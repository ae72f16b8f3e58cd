"""The proof of the proof: what is wrong in one place is found, whatever the place."""

import pytest

from tests.conftest import ROOT

# Wrong on purpose -> (what is wrong, the column of docs/proof.md that must find it)
MUTANTS = {
    "shifted padding": ("a convolution's padding is moved by a pixel", "logits"),
    "transposed kernel": ("height and width of a kernel change places", "logits"),
    "BGR": ("the channels of the picture are in the opposite order", "logits"),
    "epsilon": ("batch norm adds 1e-5 to the variance, not 1e-3", "logits"),
    "slope": ("a ReLU lets a hundredth of its negative inputs through", "logits"),
    "average pooling": ("the mean of a window takes the place of its maximum", "logits"),
    "wider pooling": ("a window of three pixels takes the place of one of two", "logits"),
    "flatten order": ("a map is flattened channel by channel", "logits"),
    "missing bias": ("a dense layer does not add its bias", "logits"),
    "softmax": ("the last layer gives probabilities", "logits"),
    "eval mode": ("batch norm uses its moving statistics in training", "in training"),
    "dropout": ("a fifth of the activations is dropped", "in training"),
    "half the gradient": ("a layer passes half of its gradient", "gradients"),
    "frozen weight": ("a dense layer does not learn", "gradients"),
    "momentum": ("batch norm keeps 0.9 of its moving statistics in a step, not 0.99", "three steps"),
    "unbiased variance": ("the moving variance is PyTorch's, not Keras'", "three steps"),
    "pixels": ("`fit` divides pixels by 255 and does not move them to -1..1", "as trained"),
    "learning rate": ("the learning rate of `fit` is a hundredth too large", "as trained"),
    "momentum of SGD": ("the momentum of `fit` is 0.89, not 0.9", "as trained"),
    "no decay": ("`fit` leaves out the weight decay", "as trained"),
    "decay of kernels": ("`fit` spares biases and batch norms from the decay", "as trained"),
    "smoothing": ("`fit` spreads a hundredth of the label", "as trained"),
    "accumulation": ("`fit` takes one step for two batches", "as trained"),
    "bfloat16": ("`fit` computes in bfloat16", "as trained"),
    "learns though frozen": ("a frozen layer moves", "as trained"),
}
FEW = ("eval mode", "momentum of SGD", "learns though frozen")  # in every run


def columns_that_find(names):
    from tests.proof import mutants

    return mutants.columns_that_find(names)


@pytest.mark.parametrize("names", [FEW, pytest.param(tuple(MUTANTS), marks=pytest.mark.all_faults)], ids=["few", "all"])
def test_whatever_is_wrong_is_found_in_its_column_first(workers, names):
    found = workers["torch"](columns_that_find, ["", *names])
    assert found.pop("") == []
    assert {name: columns[:1] for name, columns in found.items()} == {name: [MUTANTS[name][1]] for name in names}


def test_the_page_lists_what_was_tried():
    page = (ROOT / "docs/mutants.md").read_text(encoding="utf-8")
    for words, column in MUTANTS.values():
        assert f"| {words} | {column} |" in page
