"""Print the rooms of the package by layer, and the rooms that each one imports."""

from kerasnets.cli import app
from kerasnets.project import house

if __name__ == "__main__":
    app.run_script(house)
