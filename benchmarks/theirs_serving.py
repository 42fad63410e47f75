"""The peers' service: one FastAPI route that calls Meso-4 in Keras, run by the peers' interpreter.

What one writes on an afternoon: decode, resize, scale, predict, one by one. The way to call
the model is named by ``serving.py``, which measures all: ``predict`` as the
authors' example does, ``call`` the model, or a compiled ``function``.

Usage: theirs_serving.py WEIGHTS.h5 WAY; prints its address.
"""

from __future__ import annotations

import io
import socket
import sys

import numpy as np
import tensorflow as tf
import uvicorn
from fastapi import FastAPI, Request
from fastapi.concurrency import run_in_threadpool
from PIL import Image

from theirs import SIDE, build, load

WAYS = ("predict", "call", "function")


def main() -> None:
    weights, way = sys.argv[1:]
    model = build()
    load(model, weights)
    compiled = tf.function(
        lambda x: model(x, training=False),
        input_signature=[tf.TensorSpec((1, SIDE, SIDE, 3), tf.float32)],
        jit_compile=False,
    )
    calls = {
        "predict": lambda x: model.predict(x, verbose=0),
        "call": lambda x: model(x, training=False).numpy(),
        "function": lambda x: compiled(tf.constant(x)).numpy(),
    }

    def judge(data: bytes) -> float:
        picture = Image.open(io.BytesIO(data)).convert("RGB").resize((SIDE, SIDE))
        return float(calls[way](np.asarray(picture, np.float32)[None] / 255)[0, 0])

    app = FastAPI()

    @app.post("/v1/check")
    async def check(request: Request) -> dict[str, float]:
        return {"real": await run_in_threadpool(judge, await request.body())}

    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    listening.listen(1024)
    print(f"http://127.0.0.1:{listening.getsockname()[1]}", flush=True)
    config = uvicorn.Config(app, access_log=False, log_level="warning")
    uvicorn.Server(config).run([listening])


if __name__ == "__main__":
    main()
