// The page of objects: a photo, and the limits of what counts.
import { bars, find, percent, settled } from "./elements.js";
import { onPick, onSample } from "./picker.js";
import { NOT_A_PICTURE, Picture, isPicture } from "./picture.js";
import { Status, formOf } from "./status.js";

const status = new Status(find(".status"));
const picture = new Picture(find(".picture"));
const sliders = [...document.querySelectorAll("[type=range]")];
let file = null;

async function take(chosen) {
  if (!isPicture(chosen)) return status.fail(NOT_A_PICTURE);
  file = chosen;
  picture.show(file);
  await detect();
}

async function detect() {
  const limits = Object.fromEntries(sliders.map((slider) => [slider.name, slider.value]));
  const answer = await status.send("v1/objects", formOf({ image: file, ...limits }));
  if (!answer) return;
  const { objects, width, height } = answer;
  picture.mark(objects.map(({ box, label, score }) => ({ box, label: `${label} · ${percent(score)}` })), width, height);
  find("#objects").replaceChildren(bars(objects.map(({ label, score }) => [label, score]), "Objects"));
  status.say(objects.length ? `${objects.length} ${objects.length === 1 ? "object" : "objects"}.` : "No object, within these limits.");
}

const detectAgain = settled(() => file && detect(), 150);
for (const slider of sliders) {
  slider.oninput = () => {
    slider.previousElementSibling.textContent = slider.value;
    detectAgain();
  };
}
onPick(find(".drop"), take);
onSample(find("[data-sample]"), take);
