"""Write a model for other programs: the command `kerasnets export`."""

from kerasnets.cli import app, export

if __name__ == "__main__":
    app.run_script(export)
