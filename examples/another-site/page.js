// Calls the service from a page of another origin. Cookies of the service stay out of it: only a token lets the page in.
const form = document.querySelector("form");
const status = document.getElementById("status");

async function findNames({ server, token, text }) {
  const headers = { "Content-Type": "application/json", ...(token && { "X-Api-Token": token }) };
  const answer = await fetch(new URL("v1/entities", `${server}/`), { method: "POST", headers, body: JSON.stringify({ text }) });
  const body = await answer.json();
  if (!answer.ok) throw new Error(body.detail);
  return body.entities;
}

form.onsubmit = async (event) => {
  event.preventDefault();
  status.textContent = "Asking …";
  try {
    const entities = await findNames(Object.fromEntries(new FormData(form)));
    const items = entities.map(({ text, type }) => Object.assign(document.createElement("li"), { textContent: `${text} (${type})` }));
    document.getElementById("names").replaceChildren(...items);
    status.textContent = `${entities.length} names.`;
  } catch (error) {
    status.textContent = error.message;
  }
};
