"""Look at a data set: the command `kerasnets data`."""

from kerasnets.cli import app, data

if __name__ == "__main__":
    app.run_script(data)
