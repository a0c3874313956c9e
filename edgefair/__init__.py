"""Distil a vision model for the edge without making it less fair, and prove both on the runtime that ships."""

__version__ = "0.2.0"
