// What a task has printed, returned or raised: text of somebody's, of any length.

import { element, setText } from "./element.js";
import { bytes, visibleLines } from "./text.js";

const FIRST = 64 << 10, MOST = 2 << 20;

/** A titled block of text, of which a long one is shown in part. */
export function block(title, text, { look = "", note = "" } = {}) {
  const pre = element("pre", { class: "output " + look, tabindex: "0", "aria-label": title }, visibleLines(text.slice(0, FIRST)));
  const parts = [element("h3", {}, title, note ? element("span", { class: "quiet" }, " " + note) : null), pre];
  if (text.length > FIRST) {
    const more = element("button", { type: "button", class: "plain", onclick: () => {
      setText(pre, visibleLines(text.slice(0, MOST)));
      if (text.length > MOST) more.replaceWith(element("p", { class: "quiet" }, "The rest is too long for a page: cpulb result has all of it."));
      else more.remove();
    } }, "Show " + (text.length > MOST ? "the first " + bytes(MOST) : "all") + " of " + bytes(text.length));
    parts.push(more);
  }
  return element("section", { class: "block" }, ...parts);
}

const LAST = 64 << 10;
const TITLES = { stderr: "Standard error", stdout: "Standard output" };

/** What a task prints while it runs: the last of it, in a block for each stream. The result has all of it, and takes its place. */
export class Printed {
  constructor() {
    this.place = element("div");
    this.clear();
  }

  clear() {
    this.attempt = null;
    this.streams = {};
    this.place.replaceChildren();
  }

  /** Takes an output event. A further attempt begins anew. */
  take({ cursor, stream, text, offset }) {
    const attempt = cursor.split(".")[0];
    if (!(stream in TITLES)) return; // of a later version
    if (attempt !== this.attempt) {
      this.clear();
      this.attempt = attempt;
    }
    const shown = (this.streams[stream] ??= this.begin(stream));
    const end = offset + new TextEncoder().encode(text).length;
    if (end <= shown.bytes) return; // it has come already
    if (offset !== shown.bytes) shown.text += "\n… (something is missing until the task has ended)\n";
    shown.bytes = end;
    shown.text += text;
    if (shown.text.length > LAST) {
      shown.text = shown.text.slice(-LAST);
      setText(shown.note, " so far, the last " + bytes(LAST));
    }
    const { pre } = shown, bottom = pre.scrollHeight - pre.scrollTop - pre.clientHeight < 30;
    setText(pre, visibleLines(shown.text));
    if (bottom) pre.scrollTop = pre.scrollHeight;
  }

  begin(stream) {
    const pre = element("pre", { class: "output", tabindex: "0", "aria-label": TITLES[stream] + " so far" });
    const note = element("span", { class: "quiet" }, " so far");
    this.place.append(element("section", { class: "block" }, element("h3", {}, TITLES[stream], note), pre));
    return { pre, note, text: "", bytes: 0 };
  }
}

/** JSON as it is, but indented. Numbers keep the digits that a browser's would lose. */
export function indented(text, pick) {
  const keep = (key, value, context) =>
    typeof value === "number" && context?.source !== undefined && String(value) !== context.source && JSON.rawJSON ? JSON.rawJSON(context.source) : value;
  return JSON.stringify(pick(JSON.parse(text, keep)), null, 2);
}
