"""The page of networks of torchvision and timm says what the runs in its list said."""

from kerasnets.project import conversions
from tests.conftest import ROOT


def test_the_page_is_that_of_the_verdicts_in_the_list():
    assert (ROOT / "docs/from-torch.md").read_text() == conversions.page(
        list(conversions.read()), dict(conversions.read_files())
    )


def test_files_that_were_tried_on_every_backend_agree_with_pytorch():
    files = dict(conversions.read_files())
    assert len(files) >= 12
    for words in files.values():
        assert all(float(word) <= 2e-5 for word in words if word != "no"), words
        assert "no" not in (words[0], words[1], words[3])  # OpenCV, and .keras on either backend


def test_all_classifiers_of_torchvision_that_were_tried_are_converted():
    verdicts = [each for each in conversions.read() if each.library == "torchvision"]
    assert [each.network for each in verdicts if each.refusal] == []
    assert all(float(each.difference) <= 2e-5 for each in verdicts)


def test_at_least_nine_in_ten_of_the_networks_of_timm_are_converted():
    verdicts = [each for each in conversions.read() if each.library == "timm"]
    good = [each for each in verdicts if not each.refusal]
    assert len(verdicts) >= 60
    assert len(good) >= 0.9 * len(verdicts)
    assert all(float(each.difference) <= 2e-5 for each in good)
