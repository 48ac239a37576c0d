"""Fuzz targets: ``python -m fuzz.http1 --seconds 60``."""
