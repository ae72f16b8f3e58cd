"""Measure speed and memory on this machine: the command `kerasnets bench`."""

from kerasnets.cli import app, bench

if __name__ == "__main__":
    app.run_script(bench)
