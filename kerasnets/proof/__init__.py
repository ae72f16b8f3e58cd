"""The proof that each network is the right one, and the same one, on every backend and in either layout."""
