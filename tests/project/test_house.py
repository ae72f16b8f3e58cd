"""A stranger can survey the package: few packages, few arrows between them."""

from kerasnets.project import house
from tests.conftest import ROOT

MOST_PACKAGES, MOST_ARROWS = 22, 110


def test_every_package_and_module_is_in_one_layer():
    packages = [package for layer in house.layers() for package in layer]
    entries = {
        path.stem for path in (ROOT / "kerasnets").iterdir() if path.suffix == ".py" or (path / "__init__.py").is_file()
    }
    assert sorted(packages) == sorted(entries - {"__init__", "__main__"})


def test_there_are_few_packages_and_few_arrows():
    assert sum(map(len, house.layers())) <= MOST_PACKAGES
    arrows = house.arrows()
    assert arrows["training"] >= {"data", "saving"}  # the imports are seen at all
    assert sum(map(len, arrows.values())) <= MOST_ARROWS
