"""Read pictures with a model: the command `kerasnets predict`."""

from kerasnets.cli import app, predict

if __name__ == "__main__":
    app.run_script(predict)
