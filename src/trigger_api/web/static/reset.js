// A new password, by a link that an administrator has printed.
import { find } from "./elements.js";
import { Status } from "./status.js";

const status = new Status(find(".status"));
const secret = new URLSearchParams(location.search).get("token") ?? "";
history.replaceState(null, "", location.pathname); // the secret is not to be seen, nor to stay among visited pages
if (!secret) status.fail(new Error("This link is not complete. Copy all of it, or ask your administrator for a new one."));

find("form").onsubmit = async (event) => {
  event.preventDefault();
  const { password, again } = Object.fromEntries(new FormData(event.target));
  if (password !== again) return status.fail(new Error("The two passwords differ. Type the same one twice."));
  if (!(await status.ask("POST", "v1/accounts/reset", { json: { secret, new_password: password } }))) return;
  event.target.hidden = true;
  find("#done").hidden = false;
  status.say("The password was changed. Log in with the new one.");
};
