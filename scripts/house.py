"""Print the packages of kerasnets by layer, and the packages that each one imports."""

from kerasnets.cli import app
from kerasnets.project import house

if __name__ == "__main__":
    app.run_script(house)
