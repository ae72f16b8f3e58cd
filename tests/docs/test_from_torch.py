"""The page of networks of torchvision and timm says what the runs in its list said."""

from kerasnets.project import conversions
from tests.conftest import ROOT


def test_the_page_is_that_of_the_verdicts_in_the_list():
    assert (ROOT / "docs/from-torch.md").read_text() == conversions.page(list(conversions.read()))


def test_at_least_nine_in_ten_of_the_networks_of_timm_are_converted():
    verdicts = [each for each in conversions.read() if each.library == "timm"]
    good = [each for each in verdicts if not each.refusal]
    assert len(verdicts) >= 60
    assert len(good) >= 0.9 * len(verdicts)
    assert all(float(each.difference) <= 2e-5 for each in good)
