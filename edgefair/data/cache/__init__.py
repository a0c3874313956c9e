"""Decoded images on disk, found again by their content."""
