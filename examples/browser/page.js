import { Stream } from "./stream.js";

const form = document.getElementById("settings");
const stop = document.getElementById("stop");
const status = document.getElementById("status");
const detections = document.getElementById("detections");

const show = {
  ready: ({ words }) => `Listening for ${words.map(({ word }) => word).join(", ")}.`,
  stopped: () => "Stopped.",
  error: ({ detail }) => `The server says: ${detail}`,
};

function onMessage(message) {
  if (message.type === "detection") {
    const item = document.createElement("li");
    item.textContent = `${message.word} at ${(message.time_ms / 1000).toFixed(1)} s, score ${message.score.toFixed(2)}`;
    detections.prepend(item);
  } else if (message.type in show) {
    status.textContent = show[message.type](message);
  }
}

async function listen({ server, ...query }) {
  const microphone = await navigator.mediaDevices.getUserMedia({ audio: true });
  const context = new AudioContext();
  await context.audioWorklet.addModule("recorder.js");
  const stream = new Stream(server, {
    ...query,
    rate: context.sampleRate,
    onMessage,
    onClose: (code) => {
      microphone.getTracks().forEach((track) => track.stop());
      context.close();
      stop.disabled = true;
      if (code !== 1000) status.textContent += ` The connection was closed (${code}).`;
    },
  });
  const recorder = new AudioWorkletNode(context, "recorder", { numberOfOutputs: 0 });
  recorder.port.onmessage = ({ data }) => stream.send(data);
  context.createMediaStreamSource(microphone).connect(recorder);
  stop.onclick = () => stream.stop();
  stop.disabled = false;
}

form.onsubmit = (event) => {
  event.preventDefault();
  status.textContent = "Connecting …";
  listen(Object.fromEntries(new FormData(form))).catch((error) => {
    status.textContent = error.message;
  });
};
