"""One async service that serves Keras models with typed answers."""

import os

__version__ = "0.1.0"

# ONNX Runtime would report to its makers over the network. It reads this when it is first imported.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
