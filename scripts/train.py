"""Train a recipe, or any network on any data: the command `kerasnets train`."""

from kerasnets.cli import app, train

if __name__ == "__main__":
    app.run_script(train)
