// A chart of some columns over time. A pointer or the arrow keys read the values of any moment.

import { element, svg, setAttribute, setText } from "./element.js";
import { duration } from "./text.js";

const HEIGHT = 132, TOP = 18, BOTTOM = 18, STEP = 3;

/** The next larger of 1, 2, 4, 10, 20, …, of which a half reads well, too. */
export function nice(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  for (const factor of [1, 2, 4]) {
    if (value <= factor * power * 1.0000001) return factor * power;
  }
  return 10 * power;
}

export class Chart {
  /** lines: {column, name, look ("area", "line", "quiet", "bad"), kind ("mean", "max")}. */
  constructor({ title, lines, format, least }) {
    Object.assign(this, { title, lines, format, least, back: null });
    this.values = lines.map(() => element("b", {}, ""));
    this.when = element("span", { class: "when" }, "");
    this.plot = svg("svg", { class: "plot", height: HEIGHT, "aria-hidden": "true" });
    this.frame = element("div", { class: "frame", tabindex: "0", role: "slider", "aria-label": title, "aria-orientation": "horizontal",
      onpointermove: (event) => this.point(event), onpointerleave: () => this.read(null),
      onkeydown: (event) => this.key(event), onblur: () => this.read(null) }, this.plot);
    this.root = element("figure", { class: "chart" },
      element("figcaption", {}, element("span", { class: "title" }, title), this.when,
        element("span", { class: "legend" }, lines.map((line, i) =>
          element("span", { class: "key " + line.look }, element("i", { "aria-hidden": "true" }), line.name + " ", this.values[i])))),
      this.frame);
    new ResizeObserver(() => this.draw()).observe(this.frame);
  }

  update(history, seconds) {
    Object.assign(this, { history, seconds });
    this.draw();
  }

  draw() {
    const width = this.frame.clientWidth;
    if (!this.history || width < 30) return;
    this.n = Math.max(10, Math.floor(width / STEP));
    this.parts = this.lines.map((line) => this.history.parts(line.column, this.seconds, this.n, line.kind));
    const most = Math.max(this.least, ...this.parts.flat().filter((v) => v !== null));
    this.top = nice(most);
    this.width = width;
    setAttribute(this.plot, "viewBox", `0 0 ${width} ${HEIGHT}`);
    setAttribute(this.plot, "width", width);
    this.plot.replaceChildren(...this.scale(), ...this.lines.flatMap((line, i) => this.line(line, this.parts[i])), this.mark());
    this.read(this.back);
  }

  x(i) {
    return ((i + 0.5) / this.n) * this.width;
  }

  y(value) {
    return HEIGHT - BOTTOM - (value / this.top) * (HEIGHT - TOP - BOTTOM);
  }

  scale() {
    const nodes = [];
    for (const share of [0, 0.5, 1]) {
      const y = Math.round(this.y(this.top * share)) + 0.5;
      nodes.push(svg("line", { class: "grid", x1: 0, x2: this.width, y1: y, y2: y }));
      if (share > 0) nodes.push(svg("text", { class: "tick", x: 0, y: y - 3 }, this.format(this.top * share)));
    }
    nodes.push(svg("text", { class: "tick", x: 0, y: HEIGHT - 4 }, duration(this.seconds).replace(/ 00 .*$/, "") + " ago"),
      svg("text", { class: "tick end", x: this.width, y: HEIGHT - 4 }, "now"));
    return nodes;
  }

  // What is not known leaves a gap.
  line(line, parts) {
    if (line.look === "bad" && parts.every((value) => !value)) return []; // nothing is wrong
    let stroke = "", area = "", began = null, last = null;
    const close = () => {
      if (began !== null) area += `L${this.x(last).toFixed(1)} ${this.y(0)}L${this.x(began).toFixed(1)} ${this.y(0)}Z`;
      began = null;
    };
    parts.forEach((value, i) => {
      if (value === null) {
        // Parts shorter than the time between two samples are empty and no gap.
        if (last !== null && (i - last) * (this.seconds / this.n) > 3) close();
        return;
      }
      const point = `${this.x(i).toFixed(1)} ${this.y(value).toFixed(1)}`;
      stroke += (began === null ? "M" : "L") + point;
      area += (began === null ? "M" : "L") + point;
      began ??= i;
      last = i;
    });
    close();
    const nodes = [svg("path", { class: "stroke " + line.look, d: stroke })];
    if (line.look === "area") nodes.unshift(svg("path", { class: "fill", d: area }));
    return nodes;
  }

  mark() {
    this.cursor = svg("line", { class: "cursor", y1: TOP - 6, y2: HEIGHT - BOTTOM, visibility: "hidden" });
    return this.cursor;
  }

  point(event) {
    const box = this.frame.getBoundingClientRect();
    const share = Math.min(1, Math.max(0, (event.clientX - box.left) / box.width));
    this.read(Math.round((1 - share) * (this.n - 1)));
  }

  key(event) {
    const step = { ArrowLeft: 1, ArrowRight: -1, PageUp: 20, PageDown: -20, Home: this.n, End: -this.n }[event.key];
    if (!step) return;
    event.preventDefault();
    this.read(Math.min(this.n - 1, Math.max(0, (this.back ?? 0) + step)));
  }

  /** Shows the values so many parts back; null: the latest. */
  read(back) {
    this.back = back;
    if (!this.parts) return;
    const i = this.n - 1 - (back ?? 0);
    const texts = this.lines.map((line, k) => {
      const value = back === null ? this.history.last(line.column) : nearest(this.parts[k], i, (3 * this.n) / this.seconds);
      setText(this.values[k], this.format(value));
      return line.name + " " + this.format(value);
    });
    const when = back === null ? "" : duration(Math.round(((back + 0.5) / this.n) * this.seconds)) + " ago";
    setText(this.when, when);
    setAttribute(this.cursor, "visibility", back === null ? "hidden" : "visible");
    setAttribute(this.cursor, "x1", this.x(i));
    setAttribute(this.cursor, "x2", this.x(i));
    setAttribute(this.frame, "aria-valuemin", -Math.round(this.seconds));
    setAttribute(this.frame, "aria-valuemax", 0);
    setAttribute(this.frame, "aria-valuenow", -Math.round(((back ?? 0) / this.n) * this.seconds));
    setAttribute(this.frame, "aria-valuetext", (when || "now") + ": " + texts.join(", "));
  }
}

/** The value at a place or, as parts may be empty, near it. */
function nearest(parts, i, far) {
  for (let d = 0; d <= far; d++) {
    if (parts[i - d] !== null && parts[i - d] !== undefined) return parts[i - d];
    if (parts[i + d] !== null && parts[i + d] !== undefined) return parts[i + d];
  }
  return null;
}
