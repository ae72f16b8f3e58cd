"""Networks that came from PyTorch go back: parameters by themselves, constants, parts of tensors. PyTorch judges."""

import pytest

from tests.convert.from_torch.small_modules import build_module, pictures

PICTURE = (3, 9, 12)
MODULES = {  # expression -> a line or part of one that the text has
    "Parameters()": "Weight(shape=(1, 3, 1, 1))",
    "Network()": " * self.block_scale()",
    "Call(lambda x: x + torch.arange(12.0))": "Constant(shape=(1, 1, 1, 12))",
    "nn.Upsample(scale_factor=2, mode='bilinear', align_corners=True)": 'torch.einsum("nchw,ih,jw->ncij"',
    "Call(lambda x: torch.cat(x.split([1, 2], 1)[::-1], 1)[:, 1:, ::2, -5:-1])": ".split((1, 2), dim=1)",
    "Call(lambda x: x.flatten(2) @ x.flatten(2).transpose(1, 2))": " @ ",
}


def there_and_back(expression, folder):
    """The difference from the first module, the text, whether the weights of a third one are those of the second."""
    module = build_module(expression)
    import keras
    import torch

    import kerasnets

    x = torch.from_numpy(pictures(2, (3, 16, 16) if expression == "Network()" else PICTURE))
    model = kerasnets.from_torch(module, x)
    model.save(folder / "m.keras")
    back = kerasnets.to_torch(keras.models.load_model(folder / "m.keras"))
    with torch.no_grad():
        expected, result = module(x), back(x)
    again = kerasnets.from_torch(back, x)
    first, third = (sorted(weight.tobytes() for weight in network.get_weights()) for network in (model, again))
    same = first == third
    trained = [p.numel() for p in module.parameters()], [p.numel() for p in back.parameters()]
    return float((result - expected).abs().max()), back.source, same, [sorted(sizes) for sizes in trained]


@pytest.mark.parametrize("expression", MODULES)
def test_a_network_of_pytorch_comes_back(workers, expression, tmp_path):
    difference, text, same, (before, after) = workers["torch"](there_and_back, expression, tmp_path)
    assert difference < 2e-5
    assert MODULES[expression] in text
    assert "ones_like" not in text
    assert same
    assert before == after
