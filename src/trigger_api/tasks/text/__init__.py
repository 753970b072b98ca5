"""Text for named entities: words with offsets, word pieces, tags, spans."""
