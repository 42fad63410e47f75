"""Export of a trained network as a model file with its card."""
