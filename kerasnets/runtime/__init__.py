"""What every process needs: the backend, worker processes, signals, whole files, provenance of figures."""
