"""A training step of StyleGAN2: losses, regularisation and the state that it updates."""

from __future__ import annotations

import copy
import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mesoscope.errors import OptionError
from mesoscope.synth.stylegan import ada
from mesoscope.synth.stylegan.layers import Discriminator
from mesoscope.synth.stylegan.networks import Generator, GeneratorConfig, mix

if TYPE_CHECKING:
    from mesoscope.types import Json


_MEAN_RATE = 0.01  # update rate of the mean path length


def discriminator_loss(real: Tensor, fake: Tensor) -> Tensor:
    """Compute the logistic loss of logits ``[N]`` (Goodfellow et al., 2014)."""
    return F.softplus(-real).mean() + F.softplus(fake).mean()


def generator_loss(fake: Tensor) -> Tensor:
    """Compute the non-saturating loss of logits ``[N]`` (Goodfellow et al., 2014, section 3)."""
    return F.softplus(-fake).mean()


def gradient_penalty(logits: Tensor, pictures: Tensor) -> Tensor:
    """Compute R1 without the factor γ/2: squared gradient norm (Mescheder et al., ICML 2018).

    Args:
        logits: ``[N]``, computed from the pictures.
        pictures: ``[N, 3, S, S]``, requiring a gradient.
    """
    (gradient,) = torch.autograd.grad(logits.sum(), pictures, create_graph=True)
    return gradient.square().sum((1, 2, 3)).mean()


def path_lengths(pictures: Tensor, styles: Tensor, noise: Tensor) -> Tensor:
    """Compute path lengths (StyleGAN2, section 3.2).

    Args:
        pictures: ``[N, 3, S, S]``, generated from the styles.
        styles: ``[N, layers, D]``, requiring a gradient.
        noise: ``[N, 3, S, S]`` from N(0, 1).

    Returns:
        ``[N]``.
    """
    scaled = noise / math.sqrt(pictures.shape[2] * pictures.shape[3])
    (gradient,) = torch.autograd.grad((pictures * scaled).sum(), styles, create_graph=True)
    return gradient.square().sum(2).mean(1).sqrt()


def path_penalty(lengths: Tensor, mean: Tensor) -> tuple[Tensor, Tensor]:
    """Return the squared deviation of path lengths ``[N]`` from the running mean, and the mean."""
    updated = mean + _MEAN_RATE * (lengths.mean().detach() - mean)
    return (lengths - updated).square().mean(), updated


EVERY_R1: Final = 16  # StyleGAN2, appendix B: lazy regularisation
EVERY_PATH: Final = 4
EVERY_ADA: Final = 4
_BETAS: Final = (0.0, 0.99)
_W_MEAN_RATE: Final = 0.002  # update rate of the mean style


@dataclass(frozen=True, slots=True)
class TrainSettings:
    """Training settings of a run.

    Attributes:
        architecture: Architecture of the generator; the discriminator is StyleGAN2's.
        size: Side of the pictures in pixels.
        style_dim: Size of a style.
        mapping_layers: Number of layers of the mapping network.
        channel_multiplier: See :class:`GeneratorConfig`.
        channels_max: See :class:`GeneratorConfig`.
        batch: Batch size.
        learning_rate: Learning rate of both networks.
        r1: γ, the weight of the gradient penalty; ``None`` for ``.0002 · size² / batch`` (Karras
            et al., NeurIPS 2020, appendix C).
        path_length: Weight of path length regularisation; 0 = off.
        mixing: Probability of style mixing.
        ada: Adaptive discriminator augmentation.
        mirror: Mirror half of the reals.
        ema_kimg: Half-life of the averaged weights, in thousand pictures.
        seed: Seed of all random numbers.

    Raises:
        OptionError: A value is out of range.
    """

    architecture: str = "stylegan2"
    size: int = 64
    style_dim: int = 512
    mapping_layers: int = 8
    channel_multiplier: float = 1.0
    channels_max: int = 512
    batch: int = 16
    learning_rate: float = 0.0025
    r1: float | None = None
    path_length: float = 2.0
    mixing: float = 0.9
    ada: bool = True
    mirror: bool = True
    ema_kimg: float = 10.0
    seed: int = 0

    def __post_init__(self) -> None:
        self.config()
        if self.size < 8:
            raise OptionError(f"size {self.size}: a generator is trained from 8 pixels on")
        if self.batch < 2:
            raise OptionError(f"batch {self.batch}: at least 2, as deviations are measured in it")
        if self.batch > 65_536:
            raise OptionError(f"batch {self.batch}: at most 65,536")
        if not 0 <= self.seed < 1 << 31:
            raise OptionError(f"seed {self.seed}: must lie in 0..{(1 << 31) - 1}")
        for name in ("learning_rate", "ema_kimg"):
            if not 0 < getattr(self, name) < math.inf:
                raise OptionError(f"{name} {getattr(self, name)}: must be above 0")
        for name in ("path_length", "r1"):
            if not 0 <= (getattr(self, name) or 0) < math.inf:
                raise OptionError(f"{name} {getattr(self, name)}: must be 0 or more")
        if not 0 <= self.mixing <= 1:
            raise OptionError(f"mixing {self.mixing}: must lie in 0..1")

    def config(self) -> GeneratorConfig:
        """Return the generator's configuration."""
        return GeneratorConfig(
            self.architecture, self.size, self.style_dim, self.mapping_layers,
            self.channel_multiplier, self.channels_max,
        )  # fmt: skip

    def gamma(self) -> float:
        """Return the weight of the gradient penalty."""
        return 0.0002 * self.size**2 / self.batch if self.r1 is None else self.r1

    def plain(self) -> dict[str, Json]:
        """Return the settings as JSON values."""
        return asdict(self)


class StepPosition:
    """The training state: both networks, averaged weights, optimisers and augmentation.

    The random numbers of a step depend only on the seed and the step's number, so a resumed run
    gives the same result as an uninterrupted one: exactly on a CPU, and up to rounding on a GPU.

    Args:
        settings: Training settings.
        device: Device to train on.
    """

    def __init__(self, settings: TrainSettings, device: torch.device) -> None:
        self.settings, self.device = settings, device
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(settings.seed)
            self.generator = Generator(settings.config()).to(device)
            self.discriminator = Discriminator(settings.config()).to(device)
        self.averaged = copy.deepcopy(self.generator).eval().requires_grad_(False)
        lazy = EVERY_PATH if settings.path_length else 0
        self.of_generator = _adam(self.generator, settings.learning_rate, lazy)
        self.of_discriminator = _adam(self.discriminator, settings.learning_rate, EVERY_R1)
        self.controller = ada.Controller()
        self.path_mean = torch.zeros((), device=device)
        self.step = 0

    @property
    def shown(self) -> int:
        """Number of reals shown to the discriminator."""
        return self.step * self.settings.batch

    def advance(self, reals: Tensor) -> dict[str, float]:
        """Train one step on reals ``[batch, 3, S, S]``; return the losses."""
        rng = torch.Generator().manual_seed(self.settings.seed * 2**32 + self.step)
        losses = self._train_discriminator(reals, rng) | self._train_generator(rng)
        self.step += 1
        if self.settings.ada and self.step % EVERY_ADA == 0:
            self.controller.update()
        self._average()
        return losses

    def _train_discriminator(self, reals: Tensor, rng: torch.Generator) -> dict[str, float]:
        """Update the discriminator on augmented reals and fakes."""
        with torch.no_grad():
            fakes = self._fakes(len(reals), rng)[0]
            fakes, reals = (self._augment(x, rng) for x in (fakes, reals))
        self.discriminator.requires_grad_(True)
        of_reals, of_fakes = self.discriminator(reals), self.discriminator(fakes)
        self.controller.accumulate(of_reals)
        loss = discriminator_loss(of_reals, of_fakes)
        _apply(self.of_discriminator, loss)
        losses = {"loss_d": loss.item(), "real_sign": of_reals.sign().mean().item()}
        gamma = self.settings.gamma()
        if gamma and self.step % EVERY_R1 == 0:
            # The penalty is on the augmented pictures: grid_sample is differentiable only once, and
            # the discriminator's gradient is to be bounded.
            inputs = reals.detach().requires_grad_()
            penalty = gradient_penalty(self.discriminator(inputs), inputs)
            _apply(self.of_discriminator, penalty * (gamma / 2 * EVERY_R1))
            losses["r1"] = penalty.item()
        return losses

    def _train_generator(self, rng: torch.Generator) -> dict[str, float]:
        """Update the generator."""
        s = self.settings
        self.discriminator.requires_grad_(False)
        fakes = self._augment(self._fakes(s.batch, rng)[0], rng)
        loss = generator_loss(self.discriminator(fakes))
        _apply(self.of_generator, loss)
        losses = {"loss_g": loss.item()}
        if s.path_length and self.step % EVERY_PATH == 0:
            pictures, styles = self._fakes(max(1, s.batch // 2), rng)
            noise = torch.randn(pictures.shape, generator=rng).to(self.device)
            lengths = path_lengths(pictures, styles, noise)
            penalty, self.path_mean = path_penalty(lengths, self.path_mean)
            _apply(self.of_generator, penalty * (s.path_length * EVERY_PATH))
            losses["path"] = lengths.mean().item()
        return losses

    def _fakes(self, count: int, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """Generate pictures ``[count, 3, S, S]``; also return their styles."""
        s, config = self.settings, self.generator.config
        z = torch.randn(2, count, s.style_dim, generator=rng).to(self.device)
        styles = self.generator.styles(z[0])
        with torch.no_grad():
            batch_mean = styles[:, 0].mean(0)
            self.generator.w_mean.lerp_(batch_mean, _W_MEAN_RATE)
        if torch.rand((), generator=rng) < s.mixing:
            cut = int(torch.randint(1, config.style_layers, (), generator=rng))
            styles = mix(styles, self.generator.styles(z[1]), cut)
        noises = [
            torch.randn(count, 1, side, side, generator=rng).to(self.device)
            for side in config.noise_sizes
        ]
        return self.generator(styles, noises), styles

    def _augment(self, pictures: Tensor, rng: torch.Generator) -> Tensor:
        return ada.augment(pictures, self.controller.p, rng) if self.settings.ada else pictures

    @torch.no_grad()
    def _average(self) -> None:
        """Update the exponential moving average of the weights."""
        s = self.settings
        half_life = min(s.ema_kimg * 1000, self.shown * 0.05)  # NeurIPS 2020, appendix C
        decay = 0.5 ** (s.batch / max(half_life, 1e-8))
        for mean, new in zip(self.averaged.parameters(), self.generator.parameters(), strict=True):
            mean.lerp_(new, 1 - decay)
        self.averaged.w_mean.copy_(self.generator.w_mean)


def _adam(network: nn.Module, learning_rate: float, lazy: int) -> torch.optim.Adam:
    """Return Adam with hyperparameters adjusted for lazy regularisation (StyleGAN2, appendix B)."""
    share = lazy / (lazy + 1) if lazy else 1.0
    betas = (_BETAS[0] ** share, _BETAS[1] ** share)
    return torch.optim.Adam(network.parameters(), learning_rate * share, betas, eps=1e-8)


def _apply(optimiser: torch.optim.Optimizer, loss: Tensor) -> None:
    optimiser.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    optimiser.step()
