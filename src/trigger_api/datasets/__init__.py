"""Training and test material: readers of recordings, speech synthesis, pronunciation, augmentation."""
