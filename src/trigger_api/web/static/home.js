// The first page: which models are served.
import { ask, pause } from "./api.js";
import { find, make } from "./elements.js";

const NAMES = { ready: "ready", loading: "loading", failed: "failed", found: "found", unloaded: "not loaded" };

async function show() {
  const models = await ask("GET", "v1/models");
  find("#models tbody").replaceChildren(...models.map(row));
  const serving = models.filter((model) => model.serving).length;
  find("#summary").textContent = `${serving} of ${models.length} models are ready.`;
  return models.every((model) => model.state !== "loading" && model.state !== "found");
}

function row({ task, name, version, state, reason, description }) {
  const kind = { ready: "good", failed: "bad" }[state] ?? "";
  const badge = make("span", { className: `badge ${kind}`, title: reason }, NAMES[state]);
  const cells = [task, make("strong", {}, name), version, badge, description];
  return make("tr", {}, ...cells.map((cell) => make("td", {}, cell)));
}

async function follow() {
  for (;;) {
    const done = await show().catch((error) => {
      find("#summary").textContent = error.message;
      return error.status === 401;
    });
    if (done) return;
    await pause(2);
  }
}

follow();
