// A line that says what is happening, with a progress bar for uploads; screen readers hear it.
import { askUntilAnswered } from "./api.js";
import { find } from "./elements.js";

export class Status {
  #element;
  #text;
  #bar;
  #running = null;

  constructor(element) {
    this.#element = element;
    this.#text = find("p", element);
    this.#bar = find("progress", element);
  }

  say(text) {
    this.#element.classList.remove("error");
    this.#text.textContent = text;
  }

  fail(error) {
    this.#bar.hidden = true;
    this.#element.classList.add("error");
    this.#text.textContent = error.message;
  }

  /** Send a form and return the answer; null if it failed, which is said, or if a newer one replaced it. */
  async send(path, form) {
    return this.ask("POST", path, { form });
  }

  /** As `send`, for any request; `true` stands for an answer without content. */
  async ask(method, path, options) {
    this.#running?.abort();
    const running = (this.#running = new AbortController());
    const slow = setTimeout(() => this.say("The server is still working on it …"), 4000);
    try {
      this.say("Sending …");
      return (await askUntilAnswered(method, path, { ...options, ...this.#following(running) }, (text) => this.say(text))) ?? true;
    } catch (error) {
      if (error.name !== "AbortError") this.fail(error);
      return null;
    } finally {
      clearTimeout(slow);
      if (this.#running === running) this.#bar.hidden = true;
    }
  }

  #following(running) {
    const onProgress = (part) => {
      this.#bar.hidden = part >= 1;
      this.#bar.value = part;
      if (part >= 1) this.say("Sent. Waiting for the answer …");
    };
    return { signal: running.signal, onProgress };
  }
}

/** A form of fields; those without a value are left out, lists are repeated. */
export function formOf(fields) {
  const form = new FormData();
  for (const [name, value] of Object.entries(fields)) {
    for (const each of Array.isArray(value) ? value : [value]) {
      if (each instanceof File || !(each instanceof Blob)) each !== undefined && each !== "" && form.append(name, each);
      else form.append(name, each, "recording");
    }
  }
  return form;
}
