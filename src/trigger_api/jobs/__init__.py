"""Recordings that are too long for one request: received in chunks, worked on in the background, by any server."""
