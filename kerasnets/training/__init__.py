"""From a recipe to a model file: prepare a job, fit, save, report.

This door exports nothing: `kerasnets.train` and `kerasnets.Run` are public, and other packages import a module by its
name. Some of them, such as `run` and `evaluation`, load no framework, which `train` does.
"""
