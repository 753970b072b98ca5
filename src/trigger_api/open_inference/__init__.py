"""The Open Inference Protocol without a transport: what its HTTP and its gRPC have in common."""
