"""What every process needs: the backend, worker processes, signals, whole files, provenance of figures.

This door exports nothing: a module is imported by its name, because a start needs two or three of them, and the others
load subprocess, multiprocessing and more.
"""
