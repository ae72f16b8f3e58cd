"""Run the lessons in docs/lessons, and write the page of each one."""

from kerasnets.cli import app
from kerasnets.project import write_lessons

if __name__ == "__main__":
    app.run_script(write_lessons)
