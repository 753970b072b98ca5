"""HTTP routes: one thin module per task, which parses a request, calls the task and maps its result to a schema."""
