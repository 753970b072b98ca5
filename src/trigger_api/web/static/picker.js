// A place to drop, choose or paste a file, and a button that takes a sample instead.
import { find } from "./elements.js";

/** Calls `take(file)` with whatever the reader chooses. */
export function onPick(place, take) {
  const input = find("input", place);
  input.onchange = () => input.files[0] && take(input.files[0]);
  place.ondragover = (event) => {
    event.preventDefault();
    place.classList.add("over");
  };
  place.ondragleave = () => place.classList.remove("over");
  place.ondrop = (event) => {
    event.preventDefault();
    place.classList.remove("over");
    if (event.dataTransfer.files[0]) take(event.dataTransfer.files[0]);
  };
  document.addEventListener("paste", ({ clipboardData }) => clipboardData.files[0] && take(clipboardData.files[0]));
}

/** Calls `take(file)` with the sample that a button names. */
export function onSample(button, take) {
  button.onclick = async () => {
    const answer = await fetch(new URL(`samples/${button.dataset.sample}`, import.meta.url));
    take(new File([await answer.blob()], button.dataset.sample, { type: answer.headers.get("Content-Type") }));
  };
}
