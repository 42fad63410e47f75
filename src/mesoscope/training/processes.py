"""The devices and processes of a training run: opened, and one that is lost is said in one line."""

from __future__ import annotations

import logging
import os
import threading
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch
from lightning_fabric import Fabric

from mesoscope.errors import OutputError
from mesoscope.runtime.log import logger

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator, Sequence
    from pathlib import Path

PRECISION = {"32": "32-true", "bf16": "bf16-mixed"}
LOOK_S = 1.0  # between two looks at the processes that this one started
GRACE_S = 60.0  # for this process to notice by itself that one of them has failed


def open_fabric(accelerator: str, devices: int | str, nodes: int, precision: str) -> Fabric:
    """Open Lightning Fabric on these devices.

    Args:
        accelerator: ``auto``, ``cpu`` or ``gpu``.
        devices: Number of devices per machine.
        nodes: Machines.
        precision: A recipe's ``32`` or ``bf16``; a CPU that multiplies matrices of bfloat16 no
            faster than those of 32 bits takes 32.
    """
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    if accelerator == "auto" and not torch.cuda.is_available():
        accelerator, devices = "cpu", (1 if devices == "auto" else devices)
    if precision == "bf16" and accelerator == "cpu" and not bfloat16_pays():
        logger.info(
            "this processor multiplies no matrices of bfloat16 (AMX): precision = '32' is used in "
            "place of 'bf16', which would be slower here"
        )
        precision = "32"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # advice for data loaders that are not used here
        fabric = Fabric(
            accelerator=accelerator,
            devices=devices,
            num_nodes=nodes,
            precision=PRECISION[precision],  # type: ignore[arg-type]
        )
        fabric.launch()
    return fabric


def bfloat16_pays() -> bool:
    """Whether bfloat16 trains faster than 32 bits on the CPU.

    It does with matrix units (AMX). With the vector instructions alone (AVX-512 BF16) the seven
    stages of EfficientNet-Lite0 took 1.6 times as long as in 32 bits.
    """
    return bool(torch.cpu._is_amx_tile_supported())  # noqa: SLF001 - no public twin


@contextmanager
def lost_processes(run: Path, fabric: Fabric) -> Iterator[None]:
    """Within, the end of another process of a run ends this one with one line.

    Fabric kills this process within five seconds of the end of one that it started, whether or not
    it has said what is wrong. So this function looks after them in Fabric's place. A process that
    waits for a lost one is told so by Gloo or NCCL; one that notices nothing for ``GRACE_S``
    seconds is ended.

    Raises:
        OutputError: Another process of the run, or its machine, has ended.
    """
    lost = (
        f"{run}: another process of the run has ended, or cannot be reached: see what it said, "
        "then go on with `resume`; finished epochs are kept"
    )
    procs = getattr(fabric.strategy.launcher, "procs", [])
    started, procs[:] = list(procs), []
    done = threading.Event()
    if started:
        watch = threading.Thread(target=_look_after, args=(started, done, lost), daemon=True)
        watch.start()
    try:
        yield
    except RuntimeError as error:
        # Of NCCL it is a class of its own, of Gloo a plain one that names its source files.
        told = isinstance(error, torch.distributed.DistError) or "gloo" in str(error)
        if fabric.world_size == 1 or not told:
            raise
        raise OutputError(lost) from error
    finally:
        done.set()


def _look_after(
    started: Sequence[subprocess.Popen[bytes]], done: threading.Event, lost: str
) -> None:
    """End this process where one that it started has failed, and it does not notice in time."""
    while not done.wait(LOOK_S):
        if any(process.poll() for process in started):
            if not done.wait(GRACE_S):
                logger.error(lost)
                for process in started:
                    process.kill()
                os._exit(1)
            return
