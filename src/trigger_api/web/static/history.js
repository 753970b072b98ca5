// The history: what was predicted, with the pictures and recordings.
import { address, ask } from "./api.js";
import { find, make } from "./elements.js";
import { Status } from "./status.js";

const status = new Status(find(".status"));
const form = find("form");
let next = null;

/** The filters that are filled in. Days begin and end where the reader is. */
function query() {
  const { since, until, ...others } = Object.fromEntries(new FormData(form));
  const wanted = Object.entries(others).filter(([, value]) => value);
  if (since) wanted.push(["since", new Date(`${since}T00:00`).toISOString()]);
  if (until) wanted.push(["until", new Date(`${until}T23:59:59.999`).toISOString()]);
  return wanted;
}

async function show({ further = false } = {}) {
  const wanted = new URLSearchParams([...query(), ["limit", 20], ...(further ? [["cursor", next]] : [])]);
  const page = await status.ask("GET", `v1/history?${wanted}`);
  if (!page) return;
  if (!further) find("#entries").replaceChildren();
  find("#entries").append(...page.items.map(entry));
  next = page.next;
  find("#older").hidden = !next;
  const count = find("#entries").children.length;
  status.say(count ? `${count} shown${next ? ", and there are older ones" : ""}.` : "Nothing is kept that matches.");
  find("#export").href = address(`v1/history/export?${new URLSearchParams([...query(), ["media", true]])}`);
}

function entry(item) {
  const title = item.labels.join(", ") || "nothing found";
  const about = [item.file_name, item.model, new Date(item.created_at).toLocaleString()].filter(Boolean).join(" · ");
  const box = make("li", { className: "card entry" });
  const text = make("div", {}, make("h2", {}, title), make("p", { className: "soft" }, `${item.task} · ${about}`));
  text.append(answerOf(item), make("div", { className: "row" }, ...actions(item, box)));
  box.append(media(item) ?? "", text);
  return box;
}

const mediaAddress = ({ id }) => address(`v1/history/${id}/media`);

function media(item) {
  const kind = item.media_type?.split("/")[0];
  const src = mediaAddress(item);
  if (kind === "image") return make("img", { src, loading: "lazy", alt: item.file_name ?? "the picture", width: 160, height: 120, onerror: hide });
  if (kind === "audio" || kind === "video") return make("audio", { src, controls: true, preload: "none", ariaLabel: item.file_name ?? "the recording" });
  return null;
}

/** Browsers know fewer formats than the service: one that is not shown can be downloaded. */
const hide = ({ target }) => target.remove();

/** The whole answer, fetched once it is opened. */
function answerOf({ id }) {
  const text = make("pre", { tabIndex: 0 });
  const details = make("details", {}, make("summary", {}, "The answer"), text);
  details.ontoggle = async () => {
    if (!details.open || text.textContent) return;
    const whole = await ask("GET", `v1/history/${id}`).catch((error) => ({ answer: error.message }));
    text.textContent = JSON.stringify(whole.answer, null, 2);
  };
  return details;
}

function actions(item, box) {
  const remove = make("button", { type: "button", className: "danger", ariaLabel: `Delete ${item.file_name ?? item.labels.join(", ")}` }, "Delete");
  remove.onclick = async () => {
    try {
      await ask("DELETE", `v1/history/${item.id}`);
      box.remove();
      status.say("Deleted.");
    } catch (error) {
      status.fail(error);
    }
  };
  const download = make("a", { className: "button", href: mediaAddress(item), download: item.file_name ?? "" }, "Download");
  return item.media_type ? [download, remove] : [remove];
}

form.onsubmit = (event) => {
  event.preventDefault();
  show();
};
form.onreset = () => setTimeout(show);
find("#older").onclick = () => show({ further: true });
show();
