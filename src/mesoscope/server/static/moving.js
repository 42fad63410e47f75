// An animated picture as a canvas that can be asked as a <video> is: played, stopped, put to a time.
import { make } from "./dom.js";

const KINDS = { "474946": "image/gif", "89504e": "image/png", "524946": "image/webp" };

// Null where this browser cannot take such files apart: then it is shown as it is.
export async function movingPicture(file) {
  if (!("ImageDecoder" in globalThis)) return null;
  const data = await file.arrayBuffer();
  const first = [...new Uint8Array(data.slice(0, 3))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  if (!(first in KINDS)) return null;
  try {
    const decoder = new ImageDecoder({ data, type: KINDS[first] });
    await decoder.tracks.ready;
    await decoder.completed;
    return await player(decoder, decoder.tracks.selectedTrack.frameCount);
  } catch {
    return null;
  }
}

async function player(decoder, count) {
  const starts = [];
  let length = 0;
  let size = null;
  for (let n = 0; n < count; n += 1) {
    const { image } = await decoder.decode({ frameIndex: n });
    starts.push(length);
    length += (image.duration ?? 100_000) / 1e6;
    size ??= { width: image.displayWidth, height: image.displayHeight };
    image.close();
  }
  const canvas = make("canvas", size);
  const told = (name) => canvas.dispatchEvent(new Event(name));
  let at = 0;
  let playing = false;
  let last = 0;
  let busy = false;
  const frameAt = (time) => Math.max(0, starts.findLastIndex((start) => start <= time + 0.0005));
  const paint = async () => {
    if (busy) return;
    busy = true;
    for (let shown = -1; shown !== frameAt(at);) {
      shown = frameAt(at);
      const { image } = await decoder.decode({ frameIndex: shown });
      canvas.getContext("2d").drawImage(image, 0, 0);
      image.close();
    }
    busy = false;
    told("seeked");
  };
  const turn = (now) => {
    if (!playing || !canvas.isConnected) return;
    at = (at + (now - last) / 1000) % length;
    last = now;
    paint();
    requestAnimationFrame(turn);
  };
  Object.defineProperties(canvas, {
    videoWidth: { value: size.width }, videoHeight: { value: size.height }, readyState: { value: 4 },
    paused: { get: () => !playing },
    currentTime: { get: () => at, set: (time) => { at = Math.min(Math.max(time, 0), length); paint(); } },
    play: { value: () => { playing = true; last = performance.now(); told("play"); requestAnimationFrame(turn); } },
    pause: { value: () => { playing = false; told("pause"); } },
  });
  await paint();
  return canvas;
}
