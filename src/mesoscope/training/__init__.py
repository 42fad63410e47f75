"""Training of networks; the only package, but for synth.stylegan, that imports torch."""
