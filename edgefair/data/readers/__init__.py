"""Readers of published data sets and of the user's own files, one format a module."""
