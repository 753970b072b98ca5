"""One recipe per task, reached by ``trigger-api train``."""
