"""The page of networks that go to PyTorch says what the runs in its list said."""

from kerasnets.models.registry import NETWORKS
from kerasnets.project import translations
from tests.conftest import ROOT


def test_the_page_is_that_of_the_verdicts_in_the_list():
    assert (ROOT / "docs/to-torch.md").read_text() == translations.page(list(translations.read()))


def test_every_network_that_was_tried_is_translated_with_its_weights():
    for verdict in translations.read():
        assert verdict.refusal == ""
        assert float(verdict.difference) <= 2e-5
        assert verdict.weights == "equal"


def test_the_list_names_networks_that_there_are():
    for verdict in translations.read():
        assert verdict.network in (NETWORKS if verdict.library == "registry" else translations.APPLICATIONS)
