// The account: API tokens, sessions, password, export, deletion.
import { address, ask } from "./api.js";
import { find, make } from "./elements.js";
import { Status } from "./status.js";

const day = (date) => (date ? new Date(date).toLocaleDateString() : "never");
const moment = (date) => new Date(date).toLocaleString();
const status = (id) => new Status(find(`${id} .status`));

async function showAccount() {
  const account = await ask("GET", "v1/accounts/me");
  find("#name").textContent = account.name;
  find("#since").textContent = `Member since ${day(account.created_at)}${account.is_admin ? ", administrator" : ""}.`;
  find("[name=keeps_history]").checked = account.keeps_history;
  if (!account.is_admin) find("[value='models:admin']").closest("label").remove();
}

/** A table's body of the service's rows, or a sentence where there are none. */
async function list(id, path, cells, remove) {
  const rows = await ask("GET", path);
  find(`${id} .none`).hidden = rows.length > 0;
  find(`${id} table`).hidden = !rows.length;
  find(`${id} tbody`).replaceChildren(
    ...rows.map((row) => make("tr", {}, ...cells(row).map((cell) => make("td", {}, cell)), make("td", {}, remove(row)))),
  );
}

const showTokens = () => list("#tokens", "v1/tokens", tokenCells, (token) => removal("Revoke", token.name, "#tokens", `v1/tokens/${token.id}`, showTokens));
const tokenCells = ({ name, scopes, expires_at, used_at }) => [name, scopes.join(", "), day(expires_at), day(used_at)];

const showSessions = () => list("#sessions", "v1/sessions", sessionCells, (session) =>
  session.current ? "this one" : removal("End", session.address, "#sessions", `v1/sessions/${session.id}`, showSessions));
const sessionCells = ({ user_agent, address: from, seen_at }) => [browser(user_agent), from, moment(seen_at)];
const browser = (agent) => /(Firefox|Edg|Chrome|Safari|curl|python-httpx)/.exec(agent)?.[0].replace("Edg", "Edge") ?? "unknown";

function removal(word, name, id, path, then) {
  const button = make("button", { type: "button", className: "danger", ariaLabel: `${word} ${name}` }, word);
  button.onclick = async () => {
    try {
      await ask("DELETE", path);
      await then();
      status(id).say("Done.");
    } catch (error) {
      status(id).fail(error);
    }
  };
  return button;
}

/** Handle a form: `act(fields, form)` returns what to say. */
function onSubmit(id, act) {
  const line = status(id);
  find(`${id} form`).onsubmit = async (event) => {
    event.preventDefault();
    try {
      line.say(await act(new FormData(event.target), event.target));
    } catch (error) {
      line.fail(error);
    }
  };
}

onSubmit("#tokens", async (fields, form) => {
  const days = fields.get("days");
  const json = { name: fields.get("name"), scopes: fields.getAll("scopes"), days: days ? Number(days) : null };
  if (!json.scopes.length) throw new Error("Choose what the token may be used for.");
  const made = await ask("POST", "v1/tokens", { json });
  find("#secret").hidden = false;
  find("#secret code").textContent = made.token;
  form.reset();
  await showTokens();
  return "The token was made. Copy it now: it is not shown again.";
});

onSubmit("#password", async (fields, form) => {
  const json = { password: fields.get("password"), new_password: fields.get("new_password") };
  await ask("PUT", "v1/accounts/me/password", { json });
  form.reset();
  await showSessions();
  return "The password was changed, and all other sessions have ended.";
});

onSubmit("#deletion", async (fields) => {
  await ask("DELETE", "v1/accounts/me", { json: { password: fields.get("password") } });
  location.assign(address(""));
  return "The account was deleted.";
});

find("[name=keeps_history]").onchange = ({ target }) =>
  status("#keeping").ask("PATCH", "v1/accounts/me", { json: { keeps_history: target.checked } })
    .then((account) => account && status("#keeping").say(account.keeps_history ? "Predictions are kept." : "Predictions are kept only on request."));

showAccount()
  .then(() => Promise.all([showTokens(), showSessions()]))
  .catch((error) => (error.status === 401 ? location.assign(address("log-in?next=account")) : status("#keeping").fail(error)));
