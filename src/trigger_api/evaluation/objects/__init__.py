"""How well objects are found: COCO's average precision."""
