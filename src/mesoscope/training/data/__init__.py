"""Training samples: survey, framing, augmentation, pairing and mixing."""
