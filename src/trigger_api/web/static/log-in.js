// Log in, and go on to where the reader wanted to go.
import { address } from "./api.js";
import { find } from "./elements.js";
import { Status } from "./status.js";

const status = new Status(find(".status"));

/** Where to go on: a page of this service, never one of another host. */
function destination() {
  const home = address("");
  try {
    const wanted = new URL(new URLSearchParams(location.search).get("next") ?? "", home);
    return wanted.origin === home.origin && wanted.pathname.startsWith(home.pathname) ? wanted : home;
  } catch {
    return home;
  }
}

find("form").onsubmit = async (event) => {
  event.preventDefault();
  const { name, password } = Object.fromEntries(new FormData(event.target));
  if (await status.ask("POST", "v1/sessions", { json: { name, password } })) location.assign(destination());
};
