// Requests to the service that sent this page.

/** The service's address. Scripts lie two folders below it, whatever prefix a proxy adds. */
const root = new URL("../../", import.meta.url);
export const address = (path) => new URL(path, root);

/** An answer that is an error: `message` is a sentence for the reader, `status` 0 if there was no answer. */
export class Problem extends Error {
  constructor(status, message, retryAfter = 0) {
    super(message);
    Object.assign(this, { status, retryAfter });
  }

  /** Whether the same request may succeed in a moment. */
  get passes() {
    return [0, 429, 502, 503, 504].includes(this.status);
  }
}

const UNREACHABLE = "The server cannot be reached.";

/** Ask once. `form` is a FormData and `json` any value; `onProgress` gets the part of the upload that is done. */
export function ask(method, path, { form, json, onProgress, signal } = {}) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open(method, address(path));
    request.setRequestHeader("Accept", "application/json");
    if (json !== undefined) request.setRequestHeader("Content-Type", "application/json");
    request.upload.onprogress = ({ loaded, total }) => onProgress?.(total ? loaded / total : 0);
    request.onload = () => {
      const answer = parse(request.responseText);
      if (request.status < 400) resolve(answer);
      else reject(problem(request, answer));
    };
    request.onerror = () => reject(new Problem(0, UNREACHABLE));
    request.onabort = () => reject(new DOMException("a newer request replaces this one", "AbortError"));
    if (signal?.aborted) return request.onabort();
    signal?.addEventListener("abort", () => request.abort());
    request.send(json === undefined ? form : JSON.stringify(json));
  });
}

/** Ask until there is an answer: while the server is away or busy, say so and try again. */
export async function askUntilAnswered(method, path, options, say) {
  for (let wait = 1; ; wait = Math.min(2 * wait, 8)) {
    try {
      return await ask(method, path, options);
    } catch (error) {
      if (!error.passes) throw error;
      const seconds = error.retryAfter || wait;
      say(`${error.message} Trying again in ${seconds} s …`);
      await pause(seconds, options?.signal);
    }
  }
}

/** Wait, or stop waiting when the signal is given. */
export function pause(seconds, signal) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, 1000 * seconds);
    signal?.addEventListener("abort", () => (clearTimeout(timer), resolve()));
  });
}

function parse(text) {
  try {
    return text ? JSON.parse(text) : null;
  } catch {
    return null;
  }
}

function problem(request, answer) {
  const known = typeof answer?.detail === "string" ? answer.detail : `The server answered with status ${request.status}.`;
  const advice = request.status === 401 ? " Log in, and try again." : "";
  return new Problem(request.status, sentence(known) + advice, Number(request.getResponseHeader("Retry-After")));
}

/** A text with a capital letter first and a full stop at its end. */
export function sentence(text) {
  const whole = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?…]$/.test(whole) ? whole : `${whole}.`;
}
