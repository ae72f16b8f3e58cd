"""Model files written in the formats of other programs, and compared with Keras."""

from kerasnets.export.exports import Export, export, route_of

__all__ = ["Export", "export", "route_of"]
