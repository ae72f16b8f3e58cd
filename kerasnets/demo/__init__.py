"""The demo page: draw a digit, drop a picture or use the camera, and see the answers of models."""

from kerasnets.demo.app import ADDRESS, PORT, serve

__all__ = ["ADDRESS", "PORT", "serve"]
