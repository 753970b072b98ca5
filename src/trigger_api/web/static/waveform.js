// A canvas with a waveform, score curves over it, their thresholds, and where playback is.
import { colour } from "./elements.js";

export const CURVES = ["curve-0", "curve-1", "curve-2", "curve-3"];
const DASHES = [[], [8, 3], [3, 3], [10, 3, 2, 3]];

export class Waveform {
  #canvas;
  #samples = new Float32Array();
  #curves = [];
  #gain = 1; // quiet recordings are drawn larger
  #duration = 0;
  #position = 0;

  constructor(canvas) {
    this.#canvas = canvas;
    new ResizeObserver(() => this.draw()).observe(canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
  }

  /** Samples from -1 to 1, and how long they last, in milliseconds. */
  setSamples(samples, duration) {
    this.#samples = samples;
    this.#gain = 0.9 / samples.reduce((peak, sample) => Math.max(peak, Math.abs(sample)), 0.05);
    this.#duration = duration;
    this.#curves = [];
    this.draw();
  }

  /** Curves `{ values, hop_ms, threshold }`, and how long the recording is, in milliseconds. */
  setCurves(curves, duration) {
    this.#curves = curves;
    this.#duration = duration;
    this.draw();
  }

  /** Where playback is, from 0 to 1. */
  setPosition(position) {
    this.#position = position;
    this.draw();
  }

  draw() {
    const scale = devicePixelRatio;
    const { clientWidth: width, clientHeight: height } = this.#canvas;
    Object.assign(this.#canvas, { width: width * scale, height: height * scale });
    const pen = this.#canvas.getContext("2d");
    pen.scale(scale, scale);
    this.#drawSamples(pen, width, height);
    this.#curves.forEach((curve, k) => this.#drawCurve(pen, width, height, curve, k));
    pen.fillStyle = colour("text");
    if (this.#position) pen.fillRect(this.#position * width, 0, 1.5, height);
  }

  #drawSamples(pen, width, height) {
    const step = this.#samples.length / width;
    pen.fillStyle = colour("wave");
    for (let x = 0; step && x < width; x++) {
      let low = 0;
      let high = 0;
      for (let i = Math.floor(x * step); i < (x + 1) * step; i++) {
        low = Math.min(low, this.#gain * this.#samples[i]);
        high = Math.max(high, this.#gain * this.#samples[i]);
      }
      pen.fillRect(x, (height / 2) * (1 - high), 1, Math.max(1, (height / 2) * (high - low)));
    }
  }

  #drawCurve(pen, width, height, { values, hop_ms, threshold }, k) {
    const y = (score) => height - 2 - score * (height - 4);
    pen.strokeStyle = colour(CURVES[k % CURVES.length]);
    pen.lineWidth = 2;
    pen.setLineDash(DASHES[k % DASHES.length]);
    pen.beginPath();
    values.forEach((score, i) => pen.lineTo((Math.min((i + 1) * hop_ms, this.#duration) / this.#duration) * width, y(score)));
    pen.stroke();
    pen.lineWidth = 1;
    pen.setLineDash([4, 4]);
    pen.strokeRect(-2, y(threshold), width + 4, height + 4);
    pen.setLineDash([]);
  }
}
