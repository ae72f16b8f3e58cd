"""The command line: one file per command; `main.py` lists the commands, `app.py` holds the manners of them all."""
