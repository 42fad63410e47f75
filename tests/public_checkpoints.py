"""StyleGAN2 checkpoints in the public layout, for tests of what loads them."""

from mesoscope.synth.stylegan.public_layout import kernels, places


def to_public(generator):
    """Return a StyleGAN2's tensors by their public names, with the blur kernels."""
    state = generator.state_dict()
    tensors = {
        name: state[place.ours].detach().clone().reshape(place.shape)
        for name, place in places(generator.config).items()
    }
    return tensors | {name: kernel.clone() for name, kernel in kernels(generator.config).items()}
