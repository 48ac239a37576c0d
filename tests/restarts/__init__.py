"""Restarts under load: not one request may be lost. ``python -m tests.restarts`` runs it long."""
