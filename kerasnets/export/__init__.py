"""Model files written in the formats of other programs, and compared with Keras."""

from kerasnets.export.exports import Export, check, export, route_of
from kerasnets.export.quantization import MOST_CALIBRATION, MOST_TEST, Calibration

__all__ = ["MOST_CALIBRATION", "MOST_TEST", "Calibration", "Export", "check", "export", "route_of"]
