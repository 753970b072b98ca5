// The protocol of the WebSocket; no part of the page, so that it can be used elsewhere.

/** The WebSocket's address. Times in its messages count from when the stream began. */
export function streamUrl(server, { room, word }) {
  const url = new URL("v1/trigger/stream", server.endsWith("/") ? server : `${server}/`);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  url.search = new URLSearchParams({ room, word });
  return url.href;
}

/** Subprotocols: browsers cannot send headers with a WebSocket, so a token travels as one of them. */
export function subprotocols(token) {
  return token ? ["trigger-api", `bearer.${token}`] : ["trigger-api"];
}

/** An open stream: after `onOpen`, `send` what a recorder makes, from its beginning; then `stop`. `onMessage` gets every
 * message of the server, `onClose` the end. */
export class Stream {
  #socket;

  constructor(server, { token, onOpen, onMessage, onClose, ...query }) {
    this.#socket = new WebSocket(streamUrl(server, query), subprotocols(token));
    this.#socket.onopen = () => onOpen();
    this.#socket.onmessage = ({ data }) => onMessage(JSON.parse(data));
    this.#socket.onclose = ({ code }) => onClose(code);
  }

  send(recording) {
    if (this.#socket.readyState === 1) this.#socket.send(recording);
  }

  stop() {
    if (this.#socket.readyState === 1) this.#socket.send('{"type": "stop"}');
    else this.#socket.close();
  }
}
