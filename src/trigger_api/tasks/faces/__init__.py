"""Faces on photos: MTCNN, a cascade of three networks."""
