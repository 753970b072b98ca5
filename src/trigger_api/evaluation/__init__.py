"""One package of measurements per task, through the path that serves."""
