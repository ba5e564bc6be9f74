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

/** JSON as it is, but indented. Numbers keep the digits that a browser's would lose. */
export function indented(text, pick) {
  const keep = (key, value, context) =>
    typeof value === "number" && context?.source !== undefined && String(value) !== context.source && JSON.rawJSON ? JSON.rawJSON(context.source) : value;
  return JSON.stringify(pick(JSON.parse(text, keep)), null, 2);
}
