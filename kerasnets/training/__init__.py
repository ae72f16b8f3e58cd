"""From a recipe to a model file: prepare a job, fit, save, report."""
