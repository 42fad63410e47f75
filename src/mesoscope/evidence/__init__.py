"""What a verdict rests on, as a picture."""
