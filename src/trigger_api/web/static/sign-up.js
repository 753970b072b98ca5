// Make an account, and log in.
import { address } from "./api.js";
import { find } from "./elements.js";
import { Status } from "./status.js";

const status = new Status(find(".status"));

find("form").onsubmit = async (event) => {
  event.preventDefault();
  const { name, password, again } = Object.fromEntries(new FormData(event.target));
  if (password !== again) return status.fail(new Error("The two passwords differ. Type the same one twice."));
  if (!(await status.ask("POST", "v1/accounts", { json: { name, password } }))) return;
  if (await status.ask("POST", "v1/sessions", { json: { name, password } })) location.assign(address("account"));
};
