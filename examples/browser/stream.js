// The protocol of the WebSocket; no part of the page, so that it can be used elsewhere.

/** The WebSocket's address. Times in its messages count from when the stream began. */
export function streamUrl(server, { room, word, rate }) {
  const url = new URL("v1/trigger/stream", server.endsWith("/") ? server : `${server}/`);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  url.search = new URLSearchParams({ room, word, rate });
  return url.href;
}

/** Subprotocols: browsers cannot send headers with a WebSocket, so a token travels as one of them. */
export function subprotocols(token) {
  return token ? ["trigger-api", `bearer.${token}`] : ["trigger-api"];
}

/** Samples from -1 to 1 as 16-bit little-endian PCM. */
export function toPcm16(samples) {
  const view = new DataView(new ArrayBuffer(2 * samples.length));
  samples.forEach((sample, i) => view.setInt16(2 * i, Math.round(Math.max(-1, Math.min(1, sample)) * 32767), true));
  return view.buffer;
}

/** An open stream: `send` samples, then `stop`. `onMessage` gets every message of the server, `onClose` the end. */
export class Stream {
  #socket;

  constructor(server, { token, onMessage, onClose, ...query }) {
    this.#socket = new WebSocket(streamUrl(server, query), subprotocols(token));
    this.#socket.onmessage = ({ data }) => onMessage(JSON.parse(data));
    this.#socket.onclose = ({ code }) => onClose(code);
  }

  send(samples) {
    if (this.#socket.readyState === 1) this.#socket.send(toPcm16(samples));
  }

  stop() {
    if (this.#socket.readyState === 1) this.#socket.send('{"type": "stop"}');
    else this.#socket.close();
  }
}
