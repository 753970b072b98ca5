// The camera, frame by frame: the next is taken when the last is answered, so that none waits.
import { ask } from "./api.js";
import { openDevice } from "./microphone.js";

const WIDTH = 480; // pixels; faces on it are large enough

export class Camera {
  #video;
  #canvas = document.createElement("canvas");
  #device = null;

  constructor(video) {
    this.#video = video;
  }

  get open() {
    return this.#device !== null;
  }

  /** Show the camera's picture, and call `onFrame({ answer, ageMs })` for every answer, until `stop`. */
  async start(path, formOf, onFrame, onError) {
    this.#device = await openDevice({ video: { width: { ideal: 640 }, facingMode: "user" } });
    this.#video.srcObject = this.#device;
    await this.#video.play();
    this.#run(path, formOf, onFrame, onError);
  }

  stop() {
    this.#device?.getTracks().forEach((track) => track.stop());
    this.#device = this.#video.srcObject = null;
  }

  async #run(path, formOf, onFrame, onError) {
    while (this.open) {
      const taken = performance.now();
      try {
        const answer = await ask("POST", path, { form: formOf(await this.#frame()) });
        if (this.open) onFrame({ answer, ageMs: performance.now() - taken });
      } catch (error) {
        onError(error);
        if (!error.passes) return this.stop();
        await new Promise((resolve) => setTimeout(resolve, 1000 * (error.retryAfter || 1)));
      }
    }
  }

  async #frame() {
    const { videoWidth, videoHeight } = this.#video;
    this.#canvas.width = WIDTH;
    this.#canvas.height = Math.round((WIDTH * videoHeight) / videoWidth);
    this.#canvas.getContext("2d").drawImage(this.#video, 0, 0, this.#canvas.width, this.#canvas.height);
    const blob = await new Promise((resolve) => this.#canvas.toBlob(resolve, "image/jpeg", 0.8));
    return new File([blob], "frame.jpg", { type: "image/jpeg" });
  }
}
