"""Style-based generators: StyleGAN and StyleGAN2, loaded safely, run and trained; needs torch."""
