// The microphone: as blocks of samples for a stream, or as one recording.

const REFUSED = {
  NotAllowedError: "The browser was not allowed to use it. Allow it beside the address of this page, and try again.",
  NotFoundError: "None was found. Connect one, and try again.",
  NotReadableError: "Another program is using it. Close that, and try again.",
};

/** Open a microphone or camera. Browsers allow that on HTTPS, and on the machine itself. */
export async function openDevice(wanted) {
  if (!navigator.mediaDevices) throw new Error("Browsers give a page the microphone and camera over HTTPS only.");
  try {
    return await navigator.mediaDevices.getUserMedia(wanted);
  } catch (error) {
    const device = wanted.video ? "The camera" : "The microphone";
    throw new Error(`${device} cannot be used. ${REFUSED[error.name] ?? error.message}`);
  }
}

/** Calls `onBlock` with about 80 ms of samples at a time, until `close`. */
export class Microphone {
  #device;
  #context;

  static async open(onBlock) {
    const microphone = new Microphone();
    microphone.#device = await openDevice({ audio: true });
    try {
      await microphone.#connect(onBlock);
    } catch (error) {
      microphone.close();
      throw error;
    }
    return microphone;
  }

  async #connect(onBlock) {
    this.#context = new AudioContext();
    if (this.rate > 48_000) {
      await this.#context.close();
      this.#context = new AudioContext({ sampleRate: 48_000 });
    }
    await this.#context.audioWorklet.addModule(new URL("recorder.js", import.meta.url));
    const recorder = new AudioWorkletNode(this.#context, "recorder", { numberOfOutputs: 0 });
    recorder.port.onmessage = ({ data }) => onBlock(data);
    this.#context.createMediaStreamSource(this.#device).connect(recorder);
    await this.#context.resume();
  }

  get rate() {
    return this.#context.sampleRate;
  }

  /** A short sound of two tones. */
  chime() {
    [880, 1320].forEach((frequency, k) => {
      const start = this.#context.currentTime + 0.12 * k;
      const tone = new OscillatorNode(this.#context, { frequency });
      const volume = new GainNode(this.#context, { gain: 0.15 });
      volume.gain.setTargetAtTime(0, start, 0.08);
      tone.connect(volume).connect(this.#context.destination);
      tone.start(start);
      tone.stop(start + 0.5);
    });
  }

  close() {
    this.#device.getTracks().forEach((track) => track.stop());
    if (this.#context && this.#context.state !== "closed") this.#context.close();
  }
}

/** Record until `stop`, which returns the file. */
export async function startRecording() {
  const device = await openDevice({ audio: true });
  const recorder = new MediaRecorder(device);
  const parts = [];
  recorder.ondataavailable = ({ data }) => parts.push(data);
  recorder.start();
  return () =>
    new Promise((resolve) => {
      recorder.onstop = () => {
        device.getTracks().forEach((track) => track.stop());
        resolve(new File(parts, "recording", { type: recorder.mimeType }));
      };
      recorder.stop();
    });
}
