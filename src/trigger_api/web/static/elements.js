// Small helpers for elements.

export const find = (selector, within = document) => within.querySelector(selector);

/** A new element: its properties, then its children. */
export function make(tag, properties = {}, ...children) {
  const { data = {}, ...others } = properties;
  const element = Object.assign(document.createElement(tag), others);
  Object.assign(element.dataset, data);
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

export const percent = (fraction) => `${Math.round(100 * fraction)} %`;
export const seconds = (ms) => `${(ms / 1000).toFixed(2)} s`;

/** Probabilities as bars: `[[label, 0..1], …]`. */
export function bars(entries, label) {
  const list = make("ul", { className: "bars", ariaLabel: label });
  for (const [name, value] of entries) {
    const fill = make("span");
    fill.style.width = `${100 * value}%`;
    const bar = make("span", { className: "bar", ariaHidden: "true" }, fill);
    list.append(make("li", {}, make("span", {}, name), bar, make("span", { className: "value" }, percent(value))));
  }
  return list;
}

/** Probabilities as a chart of upright bars, for many at once. */
export function chart(entries, label) {
  const list = make("ul", { className: "chart", ariaLabel: label });
  for (const [name, value] of entries) {
    const bar = make("span", { ariaHidden: "true" });
    bar.style.height = `${75 * value}%`;
    list.append(make("li", { title: percent(value) }, bar, name, make("b", { className: "unseen" }, `: ${percent(value)}`)));
  }
  return list;
}

/** Calls `act` once it has not been asked for that many milliseconds. */
export function settled(act, ms = 250) {
  let timer = 0;
  return (...given) => {
    clearTimeout(timer);
    timer = setTimeout(() => act(...given), ms);
  };
}

/** A colour of the style sheet, for a canvas. */
export const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
