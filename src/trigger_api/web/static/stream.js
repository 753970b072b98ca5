// The protocol of the WebSocket for live audio.
import { address } from "./api.js";

/** Samples from -1 to 1 as 16-bit little-endian PCM. */
function toPcm16(samples) {
  const view = new DataView(new ArrayBuffer(2 * samples.length));
  samples.forEach((sample, i) => view.setInt16(2 * i, Math.round(Math.max(-1, Math.min(1, sample)) * 32767), true));
  return view.buffer;
}

/** An open stream: `send` samples, then `stop`. `onMessage` gets every message of the server, `onClose` the code. */
export class Stream {
  #socket;

  constructor(query, onMessage, onClose) {
    const url = address("v1/trigger/stream");
    url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    url.search = new URLSearchParams(query);
    this.#socket = new WebSocket(url, ["trigger-api"]);
    this.#socket.onmessage = ({ data }) => onMessage(JSON.parse(data));
    this.#socket.onclose = ({ code }) => onClose(code);
  }

  send(samples) {
    if (this.#socket.readyState === WebSocket.OPEN) this.#socket.send(toPcm16(samples));
  }

  stop() {
    if (this.#socket.readyState === WebSocket.OPEN) this.#socket.send('{"type": "stop"}');
    else this.#socket.close();
  }
}
