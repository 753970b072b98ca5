// What every page does: copy buttons, and a word when the server is lost.
import { ask, pause } from "./api.js";
import { find } from "./elements.js";

for (const button of document.querySelectorAll(".copy")) {
  button.onclick = async () => {
    await copy(find("code", button.closest(".call")));
    button.textContent = "Copied";
    setTimeout(() => (button.textContent = "Copy"), 1500);
  };
}

/** Copy a text. Only pages on HTTPS or on this machine may use the clipboard; elsewhere the text is selected. */
async function copy(code) {
  try {
    await navigator.clipboard.writeText(code.textContent);
  } catch {
    getSelection().selectAllChildren(code);
    document.execCommand("copy");
  }
}

/** Show that the server is lost, and look for it until it is back. */
async function watch() {
  const banner = find("#lost");
  let wait = 15;
  for (;;) {
    await pause(wait);
    if (document.hidden) continue;
    try {
      await ask("GET", "health/live");
      banner.textContent = "";
      wait = 15;
    } catch {
      banner.textContent = "The server cannot be reached. This page goes on by itself when it is back.";
      wait = 2;
    }
    banner.hidden = !banner.textContent;
  }
}

find("nav [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });
watch();
find("#log-out")?.addEventListener("click", async (event) => {
  event.preventDefault();
  await ask("DELETE", "v1/sessions/current").catch(() => {});
  location.assign(event.target.href);
});
