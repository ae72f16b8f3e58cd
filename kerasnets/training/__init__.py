"""From a recipe to a model file: data, network and settings checked, trained by `fit`, judged, saved, reported."""
