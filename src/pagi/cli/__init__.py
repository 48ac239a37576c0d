"""The command line: ``pagi run``, ``pagi check``, ``pagi config``, ``pagi version``.

The only package that imports click, and the only one that may know both server and toolkit.
"""
