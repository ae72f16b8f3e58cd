"""Run recipes over seeds and backends, and write the tables of results."""

from kerasnets.cli import app
from kerasnets.project import reproduce

if __name__ == "__main__":
    app.run_script(reproduce)
