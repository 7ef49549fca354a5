"""Twisted's reactor and Deferred, from lariat's shared library."""

__version__: str = "0.1.0"
