// A picture with boxes over it.
import { find, make } from "./elements.js";

export class Picture {
  #figure;
  #address = "";

  constructor(figure) {
    this.#figure = figure;
  }

  /** Show a picture file. */
  show(file) {
    URL.revokeObjectURL(this.#address);
    this.#address = URL.createObjectURL(file);
    const image = find("img", this.#figure);
    image.src = this.#address;
    image.alt = file.name ?? "the picture";
    this.#figure.hidden = false;
    this.mark([], 1, 1);
  }

  /** Draw boxes in pixels of a picture of some size, each with a label. */
  mark(items, width, height) {
    for (const old of this.#figure.querySelectorAll(".box")) old.remove();
    for (const { box, label } of items) {
      const frame = make("div", { className: box.y < 0.08 * height ? "box inside" : "box" });
      if (label) frame.append(make("span", {}, label));
      frame.style.left = `${(100 * box.x) / width}%`;
      frame.style.top = `${(100 * box.y) / height}%`;
      frame.style.width = `${(100 * box.width) / width}%`;
      frame.style.height = `${(100 * box.height) / height}%`;
      this.#figure.append(frame);
    }
  }
}

/** Whether a file may be a picture. What it really is, the server finds out. */
export function isPicture(file) {
  return file.type.startsWith("image/") || /\.(png|jpe?g|webp|gif|bmp|tiff?|avif|heic)$/i.test(file.name);
}
export const NOT_A_PICTURE = new Error("This is not a picture. Choose a PNG, JPEG, WebP, GIF, BMP, TIFF or AVIF file.");
