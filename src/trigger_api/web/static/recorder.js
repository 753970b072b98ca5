// An audio worklet: hands the microphone's samples to the page in blocks of about 80 ms.
class Recorder extends AudioWorkletProcessor {
  #block = new Float32Array(Math.round(sampleRate * 0.08));
  #filled = 0;

  process([[samples]]) {
    for (const sample of samples ?? []) {
      this.#block[this.#filled++] = sample;
      if (this.#filled === this.#block.length) {
        this.port.postMessage(this.#block.slice());
        this.#filled = 0;
      }
    }
    return true;
  }
}

registerProcessor("recorder", Recorder);
