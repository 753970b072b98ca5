// All rooms live: who is streaming, and what was said where.
import { address, ask, pause } from "./api.js";
import { find, make } from "./elements.js";
import { Status } from "./status.js";

const SHOWN = 100; // detections
const status = new Status(find(".status"));

function follow() {
  const events = new EventSource(address("v1/trigger/events"));
  events.onopen = () => status.say("Connected: detections appear as they happen.");
  events.addEventListener("detection", ({ data }) => add(JSON.parse(data)));
  events.addEventListener("gap", () => status.say("Connected again. Some detections may be missing."));
  events.onerror = () => {
    status.fail(new Error("The connection was lost. Connecting again …"));
    if (events.readyState === EventSource.CLOSED) setTimeout(follow, 5000); // browsers give up after an error status
  };
}

function add({ at, room, word, score }) {
  const time = make("time", { dateTime: at }, new Date(at).toLocaleTimeString());
  const item = make("li", {}, make("strong", {}, word), ` in ${room}, `, time, `, score ${score.toFixed(2)}`);
  find("#detections").prepend(item);
  find("#detections").children[SHOWN]?.remove();
  find("#none").hidden = true;
}

async function list() {
  for (;;) {
    if (!document.hidden) {
      const rooms = await ask("GET", "v1/rooms").catch(() => null);
      if (rooms) show(rooms);
    }
    await pause(2);
  }
}

function show(rooms) {
  find("#nobody").hidden = rooms.length > 0;
  find("#rooms").hidden = !rooms.length;
  find("#rooms tbody").replaceChildren(...rooms.map(row));
}

function row({ room, words, heard_ms, level_dbfs, detections }) {
  const cells = [room, words.join(", "), `${Math.round(heard_ms / 1000)} s`, loudness(level_dbfs), detections];
  return make("tr", {}, ...cells.map((cell) => make("td", {}, String(cell))));
}

const loudness = (level) => (level === null ? "–" : `${Math.round(level)} dBFS`);

follow();
list();
