"""One package of recipes per task, reached by ``trigger-api train``."""
