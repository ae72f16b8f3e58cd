"""Look inside a network: the command `kerasnets inspect`."""

from kerasnets.cli import app, inspect

if __name__ == "__main__":
    app.run_script(inspect)
