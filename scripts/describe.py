"""Show a network layer by layer: the command `kerasnets describe`."""

from kerasnets.cli import app, describe

if __name__ == "__main__":
    app.run_script(describe)
