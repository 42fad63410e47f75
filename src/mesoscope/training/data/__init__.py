"""Training pictures: read, framed, augmented, paired and mixed."""
