"""One thin module per task: parse, call the task, map the result."""
