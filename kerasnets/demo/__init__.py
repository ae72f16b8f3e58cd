"""The demo page: a digit is drawn, a picture dropped, a camera held at something, and models say what they see."""

from kerasnets.demo.app import ADDRESS, PORT, serve

__all__ = ["ADDRESS", "PORT", "serve"]
