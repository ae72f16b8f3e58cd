"""Data sets, known ones and own ones: found, downloaded, checked, split.

Images stay uint8 (n, height, width, channels), 0..255, until they reach the network. Labels are int64 (n,). Own
pictures that exceed the memory are decoded batch by batch: `streams` has the design.
`catalogue` lists the data sets, `sources` finds them, and one file reads each form.
"""

from kerasnets.data.catalogue import DATASETS, Dataset
from kerasnets.data.dataset import Data, check, digest
from kerasnets.data.folders import Reading
from kerasnets.data.sources import check_name, is_path, load_data, load_like, load_present, load_test_images
from kerasnets.data.splits import split

__all__ = [
           "DATASETS",
           "Data",
           "Dataset",
           "Reading",
           "check",
           "check_name",
           "digest",
           "is_path",
           "load_data",
           "load_like",
           "load_present",
           "load_test_images",
           "split",
]  # fmt: skip
