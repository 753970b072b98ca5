"""One async service that serves Keras models with typed answers."""

__version__ = "0.1.0"
