import { Stream } from "./stream.js";

const BLOCK_MS = 100; // of sound in each message

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
  const recorder = new MediaRecorder(microphone);
  const stream = new Stream(server, {
    ...query,
    onMessage,
    onOpen: () => recorder.start(BLOCK_MS), // not before: the server has to see how the recording begins
    onClose: (code) => {
      microphone.getTracks().forEach((track) => track.stop());
      stop.disabled = true;
      if (code !== 1000) status.textContent += ` The connection was closed (${code}).`;
    },
  });
  recorder.ondataavailable = ({ data }) => stream.send(data);
  recorder.onstop = () => stream.stop();
  stop.onclick = () => (recorder.state === "recording" ? recorder.stop() : stream.stop());
  stop.disabled = false;
}

form.onsubmit = (event) => {
  event.preventDefault();
  status.textContent = "Connecting …";
  listen(Object.fromEntries(new FormData(form))).catch((error) => {
    status.textContent = error.message;
  });
};
