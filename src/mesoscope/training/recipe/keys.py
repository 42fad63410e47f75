"""The sections of a recipe, key by key.

Ranges of numbers are in :mod:`mesoscope.training.recipe.ranges`, rules across keys in
:mod:`mesoscope.training.recipe.recipe`.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class NetworkKeys:
    """``[network]``; the keys from ``stem`` to ``attention`` apply to ``meso4_ira`` only.

    Attributes:
        architecture: One of :data:`~mesoscope.types.names.ARCHITECTURES`.
        dropout: Dropout rate before each dense layer.
        initial: ``random``; ``imagenet`` for pretrained filters; ``teacher`` for the teacher's
            weights; or the run folder of a network of the same shape, whose best weights are
            loaded; relative to the working directory.
        stem: Filters of the first convolution.
        stem_stride: Stride of the first convolution: 4 (6×6 filters, initially a mean over 2×2
            pixels) or 2 (3×3 filters on the pixels as they are, four times the work).
        stem_residuals: Number of high-pass filters in the stem.
        widths: Channels after each stage; four stages as in Meso-4, up to seven for a teacher.
        expanded: Channels within each inverted residual block after the first.
        attention: ``none``, ``se``, ``eca`` or ``cbam``.
        channels: Channels that structured pruning left, by group; any network.
        frozen_stages: Stages, from the input on, that keep their initial weights and norms; any
            network.
    """

    architecture: str = "meso4"
    dropout: float = 0.5
    initial: str = "random"
    stem: int = 32
    stem_stride: int = 4
    stem_residuals: int = 0
    widths: tuple[int, ...] = (16, 24, 40, 80)
    expanded: tuple[int, ...] = (96, 144, 144, 240, 240, 480, 480)
    attention: str = "se"
    channels: dict[str, int] = field(default_factory=dict)
    frozen_stages: int = 0


@dataclass(frozen=True, slots=True)
class DataKeys:
    """``[data]``.

    Attributes:
        images_per_epoch: Pictures drawn per epoch; 0 = as many as the train split holds.
        balance_classes: Draw as many real as fake pictures of each source.
        source_power: A source is drawn in proportion to its size to this power: 1 = by size, 0 =
            all sources equally.
        crop_margin: Margin of the crop, see :mod:`mesoscope.faces.crop`; 1 for pictures that are
            faces.
        face_margin: Written to the card: side of inference crops in longest sides of a found face's
            box; how tightly these pictures were cropped.
        further_margins: The same for further crops of each found face, whose scores are averaged;
            for models that were trained on many framings.
        pairs: Put a real and a forged picture of one group into the same step, augmented alike, see
            :mod:`mesoscope.training.data.augment`.
        source_pairs: Put a fake of the same source after each other real picture, augmented alike;
            the forgery that replaces it is then made of that very picture.
        leave_out: Sources excluded from training and validation, to test on later.
        read: ``random`` reads pictures as they are drawn, from folders or shards; ``stream`` reads
            shards front to back, see :mod:`mesoscope.data.shards.stream`.
        buffer: Number of pictures that a stream holds and mixes.
    """

    images_per_epoch: int = 0
    balance_classes: bool = True
    source_power: float = 0.5
    crop_margin: float = 1.0
    face_margin: float = 1.3
    further_margins: tuple[float, ...] = ()
    pairs: bool = False
    source_pairs: bool = False
    leave_out: tuple[str, ...] = ()
    read: str = "random"
    buffer: int = 4096


@dataclass(frozen=True, slots=True)
class AugmentKeys:
    """``[augment]``: probabilities (0 to 1) and strengths, the same for both classes.

    Attributes:
        crop_scale_min: Random resized crop: smallest side, as a share of the picture's.
        crop_scale_max: Largest side; above 1 the crop exceeds the picture, whose border is
            mirrored.
        reframe: Probability of a crop around the face instead, as a face finder makes it: see
            :mod:`mesoscope.training.data.faces`.
        reframe_margin_min: Smallest side of such a crop, in longest sides of the face's box.
        reframe_margin_max: The largest; no crop is larger than ``crop_scale_max`` times the
            picture's shorter side.
        flip: Probability of a horizontal flip.
        colour: Probability of random brightness, contrast, saturation and tint.
        colour_strength: Largest relative change of these.
        rescale: Probability of downscaling and upscaling.
        rescale_min: Smallest size in between, as a share.
        blur: Probability of a Gaussian blur.
        blur_sigma_max_px: Largest standard deviation of the blur.
        noise: Probability of Gaussian noise.
        noise_sigma_max: Largest standard deviation of the noise, in grey levels of 255.
        jpeg: Probability of JPEG compression.
        jpeg_quality_min: Lowest JPEG quality.
        native: Probability of the whole crop, resized only where the picture is not of the
            network's size, instead of a random resized one: traces of generators and of resampling
            are kept.
        window_px: Side of a random window of the crop to train on; 0 = the whole crop. Inference
            sees the whole crop.
        sharpen: Probability of an unsharp mask.
        smooth: Probability of a median or bilateral filter, as telephones smooth skin.
        gamma: Probability of a tone curve.
        webp: Probability of WebP compression, in the range of JPEG qualities.
        video: Probability of H.264 compression as one frame of a clip.
        hevc: The same with HEVC.
        video_crf_max: Coarsest rate factor of both; they begin at 18, which is nearly lossless.
        full_chroma: Share of the JPEG files with colour at full resolution (4:4:4), as photo
            editors write them.
        avif: Probability of AVIF compression, in the range of JPEG qualities.
        messengers: Probability of two or three rounds of resizing and JPEG, as messengers do.
        screenshot: Probability of a resampling as by a screenshot.
        self_blend: Probability that a forgery made of a real picture of the same source replaces a
            fake, see :mod:`mesoscope.training.data.forging`.
        warped: The same for a face warped from a small size, see :mod:`mesoscope.synth.warped`.
        reconstructed: The same for a picture or face reconstructed by a small autoencoder, see
            :mod:`mesoscope.training.data.reconstruct`.
        autoencoders: A run folder, or a file of one, whose autoencoders are taken; relative to the
            working directory. Empty: they are trained before the first epoch.
        averaged: The same for a face averaged with that of another person, see
            :mod:`mesoscope.synth.averaged`.
        swapped: The same for the face of another person blended in, see
            :mod:`mesoscope.synth.swap`.
    """

    crop_scale_min: float = 0.8
    crop_scale_max: float = 1.0
    reframe: float = 0.0
    reframe_margin_min: float = 1.0
    reframe_margin_max: float = 2.0
    flip: float = 0.5
    colour: float = 0.3
    colour_strength: float = 0.2
    rescale: float = 0.2
    rescale_min: float = 0.5
    blur: float = 0.1
    blur_sigma_max_px: float = 1.5
    noise: float = 0.1
    noise_sigma_max: float = 6.0
    jpeg: float = 0.3
    jpeg_quality_min: int = 50
    native: float = 0.0
    window_px: int = 0
    sharpen: float = 0.0
    smooth: float = 0.0
    gamma: float = 0.0
    webp: float = 0.0
    video: float = 0.0
    hevc: float = 0.0
    video_crf_max: int = 35
    full_chroma: float = 0.0
    avif: float = 0.0
    messengers: float = 0.0
    screenshot: float = 0.0
    self_blend: float = 0.0
    warped: float = 0.0
    reconstructed: float = 0.0
    autoencoders: str = ""
    averaged: float = 0.0
    swapped: float = 0.0

    @property
    def needs_landmarks(self) -> bool:
        """Whether a maker of forgeries works only where landmarks are known."""
        return bool(self.averaged or self.swapped)


@dataclass(frozen=True, slots=True)
class SynthKeys:
    """``[synth]``: forgeries made of real pictures, see :mod:`mesoscope.training.data.forging`.

    Values are shares of all pictures in an epoch. Made forgeries replace the source's own fakes; a
    source without fakes gets half of its pictures forged, in these proportions.

    Attributes:
        blend: Share of self-blended images, see :mod:`mesoscope.synth.blend`.
        edit: Share of simulated photo edits, see :mod:`mesoscope.synth.edits`.
    """

    blend: float = 0.0
    edit: float = 0.0


@dataclass(frozen=True, slots=True)
class MixKeys:
    """``[mix]``: probabilities per batch, see :mod:`mesoscope.training.data.augment`.

    Attributes:
        mixup: Probability of mixup.
        cutmix: Probability of CutMix.
    """

    mixup: float = 0.0
    cutmix: float = 0.0


@dataclass(frozen=True, slots=True)
class DistilKeys:
    """``[distil]``, see :mod:`mesoscope.training.fit.distil`.

    Attributes:
        teacher: A model file; relative to the working directory.
        share: Weight of its ``p_fake`` in the label; 0 = no teacher.
    """

    teacher: str = ""
    share: float = 0.0


@dataclass(frozen=True, slots=True)
class GeneraliseKeys:
    """``[generalise]``, see :mod:`mesoscope.training.fit.generalise`; zero = off.

    Attributes:
        mixstyle: Probability, per batch and stage, of mixing the statistics of early features
            between pictures (MixStyle).
        sam_radius: Radius of sharpness-aware minimisation (SAM), which doubles the cost; 0 = none.
        worst_group: Step size by which classes of sources with a larger loss weigh more (group
            DRO); 0 = all weigh alike.
        contrastive: Weight of a supervised contrastive term on features.
        consistency: Weight of a term that asks for the same answer on two augmentations of each
            crop, which doubles the cost.
    """

    mixstyle: float = 0.0
    sam_radius: float = 0.0
    worst_group: float = 0.0
    contrastive: float = 0.0
    consistency: float = 0.0


@dataclass(frozen=True, slots=True)
class OptimiseKeys:
    """``[optimise]``.

    Attributes:
        epochs: Largest number of epochs.
        batch_size: Pictures per step, over all devices.
        learning_rate: Peak learning rate of AdamW (Loshchilov & Hutter 2019).
        weight_decay: Decay of weights, not of biases and norms.
        warmup_epochs: Linear warm-up of the learning rate; cosine decay to zero follows.
        loss: ``bce`` (cross-entropy) or ``mse`` (mean squared error of the probability, as the
            MesoNet authors train).
        label_smoothing: Labels are moved inwards by half of this.
        ema_decay: Decay of the moving average of weights that is validated and exported; 0 = none.
        initial_share: Share of the initial weights in those that are validated and exported, as in
            WiSE-FT (Wortsman et al., *Robust fine-tuning of zero-shot models*, CVPR 2022, section
            3). They were trained before, so ``network.initial`` names a run or a model. The last
            epoch is exported, not the best.
        patience: Stop after so many epochs without a better validation AUC; 0 = never.
    """

    epochs: int = 15
    batch_size: int = 32
    learning_rate: float = 2e-3
    weight_decay: float = 1e-4
    warmup_epochs: float = 0.5
    loss: str = "bce"
    label_smoothing: float = 0.02
    ema_decay: float = 0.998
    initial_share: float = 0.0
    patience: int = 0


@dataclass(frozen=True, slots=True)
class DecideKeys:
    """``[decide]``: calibration and thresholds, on validation data.

    Attributes:
        calibration: ``platt`` (scale and shift of the logit) or ``temperature`` (scale alone).
        rule: ``target_error``, or ``half_error``: half the error of deciding every face.
        target_error: For that rule: target share of wrong labels among the decided, on each side.
        least_decided: For the rule ``half_error``: smallest share of decided faces.
        guard: Fit the guard against unfamiliar faces.
    """

    calibration: str = "platt"
    rule: str = "target_error"
    target_error: float = 0.15
    least_decided: float = 0.7
    guard: bool = True
