"""Open a page in the browser: the command `kerasnets demo`."""

from kerasnets.cli import app, demo

if __name__ == "__main__":
    app.run_script(demo)
