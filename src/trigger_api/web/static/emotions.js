// The page of emotions: a photo, or the camera.
import { Camera } from "./camera.js";
import { bars, find, make, percent } from "./elements.js";
import { onPick, onSample } from "./picker.js";
import { NOT_A_PICTURE, Picture, isPicture } from "./picture.js";
import { Status, formOf } from "./status.js";

const status = new Status(find(".status"));
const photo = new Picture(find("#photo"));
const live = new Picture(find("#live"));
const camera = new Camera(find("video"));
const model = find("#model");
let file = null;
let shown = []; // when the latest answers of the camera were shown

async function take(chosen) {
  if (!isPicture(chosen)) return status.fail(NOT_A_PICTURE);
  stopCamera();
  file = chosen;
  await read();
}

async function read() {
  const answer = await status.send("v1/emotions", formOf({ image: file, model: model.value }));
  if (!answer) return;
  photo.show(file);
  showFaces(photo, answer);
  status.say(answer.detected ? `${count(answer.faces.length)} on this photo.` : "No face was found. Try a photo with a larger face.");
}

const count = (faces) => (faces === 1 ? "One face" : `${faces} faces`);

function showFaces(picture, { faces, width, height }) {
  picture.mark(faces.map(({ box, emotion, probability }) => ({ box, label: `${emotion} · ${percent(probability)}` })), width, height);
  find("#faces").replaceChildren(...faces.map(card));
}

function card({ emotion, probabilities }, k) {
  const ranked = Object.entries(probabilities).sort((one, other) => other[1] - one[1]);
  return make("div", { className: "result" }, make("h3", {}, `Face ${k + 1}: ${emotion}`), bars(ranked, `Emotions of face ${k + 1}`));
}

function showFrame({ answer, ageMs }) {
  showFaces(live, answer);
  const now = performance.now();
  shown = [...shown.filter((time) => now - time < 2000), now];
  find("#rate").textContent = `${Math.round(shown.length / 2)} frames a second, each ${Math.round(ageMs)} ms old when shown.`;
}

function stopCamera() {
  camera.stop();
  find("#live").hidden = true;
  find("#rate").textContent = "";
  find("#camera").textContent = "Use the camera";
}

find("#camera").onclick = async () => {
  if (camera.open) {
    stopCamera();
    return status.say("The camera is off.");
  }
  try {
    find("#photo").hidden = true;
    find("#live").hidden = false;
    await camera.start("v1/emotions", (frame) => formOf({ image: frame, model: model.value }), showFrame, (error) => status.fail(error));
    find("#camera").textContent = "Stop the camera";
    status.say("The camera is on. Frames are not kept.");
  } catch (error) {
    stopCamera();
    status.fail(error);
  }
};
model.onchange = () => file && !camera.open && read();
onPick(find(".drop"), take);
onSample(find("[data-sample]"), take);
