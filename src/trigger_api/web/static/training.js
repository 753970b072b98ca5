// Your own word: recordings of it, its training as a job of the service, and how far that is.
import { address, ask } from "./api.js";
import { find, make, percent } from "./elements.js";
import { startRecording } from "./microphone.js";
import { Status, formOf } from "./status.js";

const LONGEST_S = 4; // a recording of a word ends by itself
const ENDS = { queued: "waiting", done: "trained", failed: "failed" };

/** Wire the section up. `tryOut(model)` is called for a word that is to be tried. */
export async function startTraining(section, tryOut) {
  const status = new Status(find(".status", section));
  const takes = startTakes(section, status);
  const list = find(".trainings", section);

  /** The row of one word; it follows the training until that ends. */
  function row(item) {
    const element = make("li", { className: "training" });
    show(element, item);
    if (isOpen(item)) follow(element, item);
    return element;
  }

  function follow(element, { id }) {
    const events = new EventSource(address(`v1/training/${id}/events`));
    const update = ({ data }) => show(element, JSON.parse(data));
    events.addEventListener("progress", update);
    for (const end of ["done", "failed"]) {
      events.addEventListener(end, (event) => {
        events.close();
        update(event);
        const { word, error } = JSON.parse(event.data);
        if (error) status.fail(new Error(`“${word}” was not trained: ${error}.`));
        else status.say(`“${word}” is trained and served. Try it.`);
      });
    }
    events.addEventListener("deleted", () => (events.close(), element.remove()));
    events.onerror = () => events.readyState === EventSource.CLOSED && setTimeout(() => element.isConnected && follow(element, { id }), 5000);
  }

  function show(element, item) {
    const { word, status: state, progress, doing, error, model, version } = item;
    const bar = make("progress", { max: 1, value: progress, ariaLabel: `Training of ${word}` });
    const about = isOpen(item) ? `${percent(progress)} ${doing || ENDS[state] || ""}` : error ?? `${ENDS[state]}, version ${version}`;
    const first = make("p", {}, make("strong", {}, word), " ", make("span", { className: error ? "bad" : "soft" }, about));
    const use = state === "done" && make("button", { type: "button", onclick: () => tryOut(model) }, "Try it");
    const remove = make("button", { type: "button", ariaLabel: `${isOpen(item) ? "Cancel" : "Forget"} ${word}` }, isOpen(item) ? "Cancel" : "Forget");
    remove.onclick = () => ask("DELETE", `v1/training/${item.id}`).then(() => element.remove(), (failure) => status.fail(failure));
    const text = make("div", {}, first, isOpen(item) ? bar : null);
    element.replaceChildren(text, make("div", { className: "row" }, use || null, remove));
  }

  find("form", section).onsubmit = async (event) => {
    event.preventDefault();
    const word = find("[name=word]", section).value;
    const made = await status.send("v1/training", formOf({ word, recording: takes.files() }));
    if (!made) return;
    takes.clear();
    list.prepend(row(made));
    status.say(`“${made.word}” is being trained. You may leave this page.`);
  };

  try {
    const page = await ask("GET", "v1/training?limit=10");
    list.append(...page.items.map(row));
    for (const control of section.querySelectorAll("form :is(input, button)")) control.disabled = !page.available;
    if (page.advice) status.say(`${page.available ? "" : "Words cannot be trained here: "}${page.advice}.`);
  } catch (error) {
    status.fail(error);
  }
}

const isOpen = ({ status }) => status === "queued" || status === "running";

/** The reader's recordings of the word: made here, or chosen. */
function startTakes(section, status) {
  const list = find(".takes", section);
  const button = find("#say", section);
  const chooser = find("input[type=file]", section);
  const files = new Map();
  let stop = null;

  function count() {
    const length = files.size;
    find("#said", section).textContent = length ? `${length} ${length === 1 ? "recording" : "recordings"}.` : "No recordings yet; ten already help a lot.";
  }

  function add(file) {
    const player = make("audio", { controls: true, src: URL.createObjectURL(file), ariaLabel: `Recording ${list.children.length + 1}` });
    const remove = make("button", { type: "button", ariaLabel: `Remove recording ${list.children.length + 1}` }, "Remove");
    const item = make("li", {}, player, remove);
    files.set(item, file);
    remove.onclick = () => {
      files.delete(item);
      item.remove();
      count();
    };
    list.append(item);
    count();
  }

  async function finish() {
    const ending = stop;
    stop = null;
    button.textContent = "Record yourself";
    if (ending) add(await ending());
  }

  button.onclick = async () => {
    try {
      if (stop) return await finish();
      stop = await startRecording();
      button.textContent = "Stop recording";
      status.say("Recording: say the word once.");
      const mine = stop;
      setTimeout(() => stop === mine && finish(), 1000 * LONGEST_S);
    } catch (error) {
      status.fail(error);
    }
  };
  chooser.onchange = () => {
    for (const file of chooser.files) add(file);
    chooser.value = "";
  };

  return {
    files: () => [...files.values()],
    clear() {
      files.clear();
      list.replaceChildren();
      count();
    },
  };
}
