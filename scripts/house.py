"""Print the rooms of the package by layer, and which rooms each imports (needs import-linter).

python scripts/house.py
"""

from kerasnets.project import house

if __name__ == "__main__":
    print(house.plan())
