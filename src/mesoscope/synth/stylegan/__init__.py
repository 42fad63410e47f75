"""StyleGAN and StyleGAN2: safe loading, sampling and training; needs torch."""
