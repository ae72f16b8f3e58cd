"""Turn PyTorch weights into a model file, and back: the command `kerasnets convert`."""

from kerasnets.cli import app, convert

if __name__ == "__main__":
    app.run_script(convert)
