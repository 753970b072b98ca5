// The live section of the page of trigger words: level, scores and detections while the microphone streams.
import { find, make, seconds } from "./elements.js";
import { Microphone } from "./microphone.js";
import { Status } from "./status.js";
import { Stream } from "./stream.js";
import { Waveform } from "./waveform.js";

const KEPT = 125; // scores on the screen: ten seconds
const QUIETEST = -60; // dBFS, the left end of the level meter
const GONE = new Set([1006, 1011, 1012, 1013]); // closed, but not for good

/** Wire the section up. `words()` returns what to listen for. */
export function startLive(section, words) {
  const status = new Status(find(".status", section));
  const button = find("button", section);
  const scope = new Waveform(find("canvas", section));
  const curves = new Map();
  let microphone = null;
  let stream = null;

  const show = {
    ready(message) {
      curves.clear();
      for (const { word, threshold } of message.words) curves.set(word, { values: [], hop_ms: message.hop_ms, threshold });
      status.say(`Listening for ${[...curves.keys()].join(", ")}.`);
    },
    score({ word, score, level_dbfs }) {
      const curve = curves.get(word);
      curve.values = [...curve.values, score].slice(-KEPT);
      scope.setCurves([...curves.values()], KEPT * curve.hop_ms);
      find(".level span", section).style.width = `${Math.max(0, 100 * (1 - level_dbfs / QUIETEST))}%`;
    },
    detection({ word, time_ms, score }) {
      if (find("[name=chime]", section).checked) microphone?.chime();
      find(".feed", section).prepend(make("li", {}, `${word} at ${seconds(time_ms)}, score ${score.toFixed(2)}`));
    },
    error: ({ detail }) => status.fail(new Error(`The server says: ${detail}.`)),
  };

  function connect() {
    const query = [["room", find("[name=room]", section).value || "browser"], ["rate", microphone.rate], ["scores", true]];
    words().forEach((word) => query.push(["word", word]));
    stream = new Stream(query, (message) => show[message.type]?.(message), onClose);
  }

  function onClose(code) {
    if (!microphone) return;
    if (!GONE.has(code)) return stop();
    status.fail(new Error("The connection was lost. Connecting again …"));
    setTimeout(() => microphone && connect(), 2000);
  }

  function stop() {
    stream?.stop();
    microphone?.close();
    microphone = stream = null;
    button.textContent = "Listen";
    find(".level span", section).style.width = "0";
  }

  button.onclick = async () => {
    if (microphone) {
      stop();
      return status.say("Stopped.");
    }
    try {
      button.disabled = true;
      microphone = await Microphone.open((block) => stream?.send(block));
      connect();
      button.textContent = "Stop";
    } catch (error) {
      status.fail(error);
    } finally {
      button.disabled = false;
    }
  };
}
