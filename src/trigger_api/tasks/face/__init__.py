"""How faces are found (MTCNN), cut out and drawn: arrays in, arrays out."""
