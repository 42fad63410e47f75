// A photograph by the camera, as PNG.
import { taken } from "./clip.js";
import { $, tell } from "./dom.js";
import { words } from "./words.js";

export function listenToCamera(take) {
  const dialog = $("camera");
  const video = $("camera-video");
  let stream = null;
  $("use-camera").addEventListener("click", async () => {
    if (!navigator.mediaDevices) {
      tell(words.cameraInsecure);
      return;
    }
    try {
      stream = await navigator.mediaDevices.getUserMedia({ video: { width: { ideal: 1920 }, facingMode: "user" } });
    } catch {
      tell(words.cameraDenied);
      return;
    }
    video.srcObject = stream;
    dialog.showModal();
    await video.play();
  });
  $("camera-take").addEventListener("click", async () => {
    if (!video.videoWidth) return;
    const blob = await taken(video);
    const time = new Date().toTimeString().slice(0, 8).replaceAll(":", "-");
    dialog.close();
    take([new File([blob], `${words.photo} ${time}.png`, { type: "image/png" })]);
  });
  $("camera-close").addEventListener("click", () => dialog.close());
  dialog.addEventListener("close", () => {
    stream?.getTracks().forEach((track) => track.stop());
    video.srcObject = null;
  });
}
