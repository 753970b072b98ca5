// The page of entities: a text, its names highlighted, and its words above their tags.
import { find, make, percent, settled } from "./elements.js";
import { Status } from "./status.js";

const NAMES = { PER: "person", ORG: "organisation", LOC: "place", MISC: "other" };
const CHARACTER = 8.6; // pixels, about
const status = new Status(find(".status"));
const input = find("textarea");

async function tag() {
  const text = input.value;
  if (!text.trim()) return status.say("Type a text.");
  const answer = await status.ask("POST", "v1/entities", { json: { text } });
  if (!answer) return;
  find(".text").replaceChildren(...highlighted(text, answer.entities));
  find("#aligned").textContent = aligned(answer.tokens);
  const count = answer.entities.length;
  status.say(count ? `${count} ${count === 1 ? "name" : "names"} found.` : "No name was found.");
}

/** The text with its entities marked. Offsets count characters, not the halves that JavaScript counts. */
function highlighted(text, entities) {
  const characters = [...text];
  const parts = [];
  let end = 0;
  for (const entity of entities) {
    parts.push(characters.slice(end, entity.start).join(""));
    const title = `${NAMES[entity.type] ?? entity.type}, ${percent(entity.score)}`;
    parts.push(make("mark", { className: entity.type, title }, entity.text, make("small", {}, entity.type)));
    end = entity.end;
  }
  return [...parts, characters.slice(end).join("")];
}

/** Words above their tags: each column as wide as its longer cell, in lines that fit. */
function aligned(tokens) {
  const columns = find("#aligned").clientWidth / CHARACTER - 3;
  const lines = [["", ""]];
  for (const { text, tag } of tokens) {
    const width = Math.max(text.length, tag.length) + 1;
    if (lines.at(-1)[0].length + width > columns) lines.push(["", ""]);
    const line = lines.at(-1);
    line[0] += text.padEnd(width);
    line[1] += tag.padEnd(width);
  }
  return lines.map((line) => line.join("\n")).join("\n\n");
}

input.oninput = settled(tag, 400);
find("form").onsubmit = (event) => {
  event.preventDefault();
  tag();
};
for (const button of document.querySelectorAll("[data-text]")) {
  button.onclick = () => {
    input.value = button.dataset.text;
    tag();
  };
}
