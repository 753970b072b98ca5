// The page of digits: drawn or on a picture.
import { ask } from "./api.js";
import { chart, find, make, percent, settled } from "./elements.js";
import { onPick, onSample } from "./picker.js";
import { NOT_A_PICTURE, Picture, isPicture } from "./picture.js";
import { Status, formOf } from "./status.js";

const status = new Status(find(".status"));
const picture = new Picture(find(".picture"));
const pad = find("#pad");
const pen = pad.getContext("2d", { willReadFrequently: true });
const LINE = 18; // the pen's width on a canvas of 800 x 400
const keeping = find("#keep");
let strokes = [];
let current = null; // the picture that was read

async function read(file) {
  if (!isPicture(file)) return status.fail(NOT_A_PICTURE);
  const answer = await status.send("v1/digits", formOf({ image: file }));
  if (!answer) return;
  current = file;
  if (keeping) keeping.elements.name.placeholder = file.name;
  picture.show(file);
  picture.mark(answer.digits.map(({ box, value, score }) => ({ box, label: `${value} · ${percent(score)}` })), answer.width, answer.height);
  find("#number").textContent = answer.lines.map((_, line) => numbersOf(answer, line)).join(" · ") || "–";
  status.say(answer.detected ? `Read ${answer.digits.length === 1 ? "one digit" : `${answer.digits.length} digits`}.` : "No digit was found.");
  find("#digits").replaceChildren(...answer.digits.map(card));
}

/** The numbers of one line, with spaces between them. */
function numbersOf({ digits, numbers }, line) {
  const indices = new Set(digits.filter((digit) => digit.line === line).map((digit) => digit.number));
  return [...indices].map((index) => numbers[index]).join(" ");
}

function card({ value, probabilities }) {
  const entries = probabilities.map((probability, digit) => [String(digit), probability]);
  return make("div", { className: "result" }, make("h3", {}, `${value} · ${percent(probabilities[value])}`), chart(entries, `Probabilities of digit ${value}`));
}

/** Keep the picture and what was read in the history, by the name that the reader gives it. */
async function keep(event) {
  event.preventDefault();
  if (!current) return warn("Nothing is chosen. Draw a number or choose a picture first.");
  const name = keeping.elements.name.value.trim() || current.name;
  try {
    await ask("POST", "v1/digits?save=true", { form: formOf({ image: new File([current], name, { type: current.type }) }) });
    warn(`Saved in your history as ${name}.`, true);
  } catch (error) {
    warn(error.message);
  }
}

function warn(text, good = false) {
  const box = find("#alert");
  box.classList.toggle("good", good);
  box.hidden = false;
  box.textContent = text;
}

function redraw() {
  pen.fillStyle = "#fff";
  pen.fillRect(0, 0, pad.width, pad.height);
  Object.assign(pen, { lineWidth: LINE, lineCap: "round", lineJoin: "round", strokeStyle: "#000" });
  for (const stroke of strokes) {
    pen.beginPath();
    stroke.forEach(([x, y]) => pen.lineTo(x, y));
    if (stroke.length === 1) pen.lineTo(stroke[0][0] + 0.1, stroke[0][1]);
    pen.stroke();
  }
}

const readPad = settled(() => {
  if (strokes.length) pad.toBlob((blob) => read(new File([blob], "drawing.png", { type: blob.type })));
}, 400);

function point(event) {
  const { left, top, width, height } = pad.getBoundingClientRect();
  return [((event.clientX - left) / width) * pad.width, ((event.clientY - top) / height) * pad.height];
}

pad.onpointerdown = (event) => {
  pad.setPointerCapture(event.pointerId);
  strokes.push([point(event)]);
  redraw();
};
pad.onpointermove = (event) => {
  if (!pad.hasPointerCapture(event.pointerId)) return;
  strokes.at(-1).push(point(event));
  redraw();
};
pad.onpointerup = readPad;
find("#undo").onclick = () => {
  strokes.pop();
  redraw();
  readPad();
};
find("#clear").onclick = () => {
  strokes = [];
  current = null;
  redraw();
  status.say("Draw one or more digits.");
};
if (keeping) keeping.onsubmit = keep;
redraw();
onPick(find(".drop"), read);
onSample(find("[data-sample]"), read);
