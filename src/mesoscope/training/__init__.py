"""Training of networks: the only package, besides synth.stylegan, that imports torch."""
