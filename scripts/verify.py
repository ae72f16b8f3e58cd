"""Verify networks against plain PyTorch: the command `kerasnets verify`."""

from kerasnets.cli import app, verify

if __name__ == "__main__":
    app.run_script(verify)
