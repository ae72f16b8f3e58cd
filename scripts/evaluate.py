"""Measure a model on the test part of a data set: the command `kerasnets evaluate`."""

from kerasnets.cli import app, evaluate

if __name__ == "__main__":
    app.run_script(evaluate)
