// The page of trigger words: a recording, its scores, and what a threshold makes of them.
import { ask } from "./api.js";
import { decide } from "./decision.js";
import { find, make, seconds } from "./elements.js";
import { startLive } from "./live.js";
import { startRecording } from "./microphone.js";
import { onPick, onSample } from "./picker.js";
import { Status, formOf } from "./status.js";
import { startTraining } from "./training.js";
import { CURVES, Waveform } from "./waveform.js";

const LEAD_S = 1; // playing begins that long before the end of a word
const status = new Status(find("#clip .status"));
const scope = new Waveform(find("#clip canvas"));
const player = find("audio");
let answer = null;
let thresholds = [];

const words = () => [...document.querySelectorAll("[name=word]:checked")].map((box) => box.value);

async function listWords(only) {
  const models = await ask("GET", "v1/models");
  const names = [...new Set(models.filter((model) => model.task === "trigger" && model.serving).map((model) => model.name))];
  const boxes = names.map((name, k) => {
    const box = make("input", { type: "checkbox", name: "word", value: name, checked: only ? name === only : k < 4 });
    return make("label", {}, box, ` ${name}`);
  });
  for (const label of document.querySelectorAll("#words label")) label.remove();
  find("#words").append(...boxes);
  find("#words").hidden = names.length < 2;
}

async function take(file) {
  find("#result").hidden = false;
  player.src = URL.createObjectURL(file);
  answer = null;
  find("#marks").replaceChildren();
  find("#tuning").replaceChildren();
  await Promise.all([drawSamples(file), detect(file)]);
}

async function drawSamples(file) {
  try {
    const context = new OfflineAudioContext(1, 1, 16_000);
    const { duration, ...audio } = await context.decodeAudioData(await file.arrayBuffer()).then((buffer) => ({
      duration: buffer.duration,
      samples: buffer.getChannelData(0),
    }));
    scope.setSamples(audio.samples, 1000 * duration);
    if (answer) decideAll();
  } catch {
    scope.setSamples(new Float32Array(), 1); // the browser does not know the format; the service may
  }
}

async function detect(file) {
  const found = await status.send("v1/trigger", formOf({ audio: file, word: words(), scores: "true" }));
  if (!found) return;
  answer = found;
  thresholds = answer.words.map(({ threshold }) => threshold);
  find("#tuning").replaceChildren(...answer.words.map(tuner));
  decideAll();
}

/** A slider for the threshold of one word. */
function tuner({ word }, k) {
  const swatch = make("span", { className: "swatch" });
  swatch.style.background = `var(--${CURVES[k % CURVES.length]})`;
  const value = make("span", {}, thresholds[k].toFixed(2));
  const slider = make("input", { type: "range", min: 0.02, max: 1, step: 0.01, value: thresholds[k] });
  slider.oninput = () => {
    thresholds[k] = Number(slider.value);
    value.textContent = thresholds[k].toFixed(2);
    decideAll();
  };
  return make("label", { className: "field" }, swatch, `${word}: threshold `, value, slider);
}

function decideAll() {
  scope.setCurves(answer.words.map(({ scores }, k) => ({ ...scores, threshold: thresholds[k] })), answer.duration_ms);
  const hits = answer.words.flatMap(({ word, scores }, k) =>
    decide(scores, thresholds[k], answer.duration_ms).map((hit) => ({ word, ...hit })),
  );
  hits.sort((one, other) => one.time_ms - other.time_ms);
  find("#marks").replaceChildren(...hits.map(mark));
  status.say(said(hits) + (answer.truncated ? " The recording is damaged or was cut off; the rest of it was searched." : ""));
}

function said(hits) {
  if (!hits.length) return "No word was said, at this threshold.";
  return `${hits.map(({ word, time_ms }) => `“${word}” at ${seconds(time_ms)}`).join(", ")}.`;
}

/** A button over the waveform that plays from just before a word. */
function mark({ word, time_ms, score }) {
  const name = `Play ${word} at ${seconds(time_ms)}, score ${score.toFixed(2)}`;
  const button = make("button", { type: "button", className: "mark", ariaLabel: name, title: name });
  button.style.left = `${(100 * time_ms) / answer.duration_ms}%`;
  button.onclick = () => {
    player.currentTime = Math.max(0, time_ms / 1000 - LEAD_S);
    player.play();
  };
  return button;
}

function follow() {
  const length = answer ? answer.duration_ms / 1000 : player.duration;
  scope.setPosition(length ? player.currentTime / length : 0);
  if (!player.paused) requestAnimationFrame(follow);
}

find("#clip canvas").onclick = (event) => {
  if (answer) player.currentTime = (event.offsetX / event.target.clientWidth) * (answer.duration_ms / 1000);
};
player.onplay = player.onseeked = follow;

let stopRecording = null;
find("#record").onclick = async ({ currentTarget: button }) => {
  try {
    if (stopRecording) {
      const file = await stopRecording();
      stopRecording = null;
      button.textContent = "Record";
      return take(file);
    }
    stopRecording = await startRecording();
    button.textContent = "Stop recording";
    status.say("Recording. Say a word, then stop.");
  } catch (error) {
    status.fail(error);
  }
};

onPick(find(".drop"), take);
onSample(find("[data-sample]"), take);
startLive(find("#live"), words);
if (find("#training")) startTraining(find("#training"), tryOut);
listWords().catch((error) => status.fail(error));

/** Listen for a word that has just been trained, and for no other. */
async function tryOut(name) {
  await listWords(name);
  find("#clip-title").scrollIntoView();
  find("#record").focus();
  status.say(`Record “${name}”, choose a recording, or listen live.`);
}
