// A clip that plays with its faces boxed and its timeline under it; without its file, the timeline alone.
import { atEnd, button, draw, make } from "./dom.js";
import { faceLabel } from "./model.js";
import { faceBox, fit, layers, put, spread } from "./picture.js";
import { neighbour, timeline } from "./timeline.js";
import { words } from "./words.js";

const SHAPES = {
  play: "M7 4l13 8-13 8z",
  pause: "M6 4h4v16H6zM14 4h4v16h-4z",
  previous: "M6 5h2.5v14H6zM20 5v14L9.5 12z",
  following: "M15.5 5H18v14h-2.5zM4 5l10.5 7L4 19z",
  sound: "M4 9h4l5-4v14l-5-4H4zM16 8.5a5 5 0 010 7l1.2 1.2a6.8 6.8 0 000-9.4z",
  silent: "M4 9h4l5-4v14l-5-4H4zM16 9l1-1 2 2 2-2 1 1-2 2 2 2-1 1-2-2-2 2-1-1 2-2z",
};

const icon = (name) =>
  draw("svg", { viewBox: "0 0 24 24", "aria-hidden": "true" }, draw("path", { d: SHAPES[name] }));
const iconButton = (name, label, act) => button(icon(name), act, { class: "icon", "aria-label": label, title: label });

function turn(control, name, label) {
  control.replaceChildren(icon(name));
  control.setAttribute("aria-label", label);
  control.title = label;
}

// `check(blob, time)` is called with a frame that is to be checked by itself.
// `film` is a moving picture that was taken apart already, in place of a source.
export function clipOf({ source, film, name, verdict, check }) {
  const line = timeline(verdict, (time) => go(time));
  const video = film ?? (source && make("video", { src: source, playsinline: true, preload: "auto" }));
  if (video) named(video, words.clip(name));
  const stage = video && make("div", { class: "stage" }, video);
  const now = make("output", { class: "now" });
  const part = make("div", { class: "clip" });
  let at = 0;
  const show = (time) => {
    at = time;
    const told = line.show(time);
    now.textContent = `${words.seconds(time)} / ${words.seconds(line.length)}${told ? ` · ${told}` : ""}`;
    if (stage) place(time);
  };
  const go = (time) => {
    if (video && video.readyState > 0) video.currentTime = time;
    show(time);
  };
  const place = boxer(stage, video, verdict, line);
  const steps = [
    iconButton("previous", words.previous, () => hop(false)),
    iconButton("following", words.following, () => hop(true)),
  ];
  const hop = (forward) => {
    video?.pause();
    const time = neighbour(line.judged, at, forward);
    if (time !== null) go(time);
  };
  const controls = make("div", { class: "controls" }, ...(video ? playing(video, show) : []), ...steps, now);
  const extra = extras(video, stage, verdict, go, check);
  if (video) {
    const begin = () => {
      fit(stage, { width: video.videoWidth, height: video.videoHeight });
      go(line.judged[0]?.time ?? 0);
    };
    if (video.readyState > 0) begin();
    else video.addEventListener("loadedmetadata", begin);
    video.addEventListener("error", () => {
      stage.replaceWith(make("p", { class: "absent" }, words.cannotPlay));
      controls.replaceChildren(...steps, now);
      extra.replaceChildren(extra.firstChild);
    }, { once: true });
  }
  part.append(stage ?? make("p", { class: "absent" }, words.noClip), controls, line.element,
    make("p", { class: "hint" }, words.timelineHint), extra);
  show(line.judged[0]?.time ?? 0);
  return { part, go: (time) => { video?.pause(); go(time); } };
}

function extras(video, stage, verdict, go, check) {
  const suspicious = button(words.most, () => {
    video?.pause();
    go(verdict.faces.reduce((best, face) => (face.p_fake > best.p_fake ? face : best)).time_s);
  });
  if (!video) return make("div", { class: "extra" }, suspicious);
  const frame = button(words.checkFrame, async () => {
    video.pause();
    check(await taken(video), words.seconds(video.currentTime));
  });
  return make("div", { class: "extra" }, suspicious, frame, layers(stage, ["boxes"]));
}

function named(element, text) {
  element.setAttribute("aria-label", text);
  if (element.tagName === "CANVAS") element.setAttribute("role", "img");
}

function playing(video, show) {
  const play = iconButton("play", words.play, () => (video.paused ? video.play() : video.pause()));
  const sound = iconButton("sound", words.mute, () => { video.muted = !video.muted; });
  let asked = 0;
  const follow = () => {
    show(video.currentTime);
    asked = video.paused ? 0 : requestAnimationFrame(follow);
  };
  video.addEventListener("play", () => {
    turn(play, "pause", words.pause);
    if (!asked) follow();
  });
  video.addEventListener("pause", () => turn(play, "play", words.play));
  video.addEventListener("volumechange", () =>
    turn(sound, video.muted ? "silent" : "sound", video.muted ? words.unmute : words.mute));
  video.addEventListener("seeked", () => show(video.currentTime));
  atEnd(video, () => {
    video.pause();
    if (!video.load) return;
    video.removeAttribute("src");
    video.load();
  });
  return video.load ? [play, sound] : [play];
}

// Boxes of each person, moved to where they are at a time: between two judged frames, in between.
function boxer(stage, video, verdict, line) {
  const several = verdict.persons.length > 1;
  const boxes = new Map();
  const of = (person) => {
    if (!boxes.has(person)) {
      const box = faceBox("", several ? String(person + 1) : "");
      boxes.set(person, box);
      stage.append(box);
    }
    return boxes.get(person);
  };
  const faces = Map.groupBy ? Map.groupBy(verdict.faces, (face) => face.person) : grouped(verdict.faces);
  return (time) => {
    if (!video.videoWidth) return;
    for (const [person, seen] of faces) {
      const before = seen.findLast((face) => face.time_s <= time);
      const after = seen.find((face) => face.time_s > time);
      const near = !before || (after && after.time_s - time < time - before.time_s) ? after : before;
      const box = of(person);
      box.hidden = Math.abs(near.time_s - time) > line.gap * 1.25;
      const joined = before && after && after.time_s - before.time_s <= 2.5 * line.gap;
      const share = joined ? (time - before.time_s) / (after.time_s - before.time_s) : 0;
      const where = joined ? before.box.map((v, i) => v + share * (after.box[i] - v)) : near.box;
      box.classList.remove("fake", "real", "inconclusive", "unfamiliar");
      box.classList.add(faceLabel(near));
      put(box, spread(where), { width: video.videoWidth, height: video.videoHeight });
    }
  };
}

function grouped(faces) {
  const found = new Map();
  for (const face of faces) found.set(face.person, [...(found.get(face.person) ?? []), face]);
  return found;
}

// What a video or camera shows now, as PNG: nothing is lost.
export function taken(video) {
  const canvas = make("canvas", { width: video.videoWidth, height: video.videoHeight });
  canvas.getContext("2d").drawImage(video, 0, 0);
  return new Promise((go) => canvas.toBlob(go, "image/png"));
}
