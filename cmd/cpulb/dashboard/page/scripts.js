// The scripts whose tasks have ended, the slowest or those that fail first.

import * as daemon from "./daemon.js";
import { byId, element, reconcile, segmented, setAttribute, setText } from "./element.js";
import { count, duration, scriptName, visible } from "./text.js";

const SHOWN = 12;
const AGAIN = 5000; // between two looks at why a script fails
const LONGEST = 200; // of what is shown of that

const ORDERS = {
  slowest: (a, b) => (b.p95_seconds ?? -1) - (a.p95_seconds ?? -1),
  failing: (a, b) => b.failed - a.failed || b.failed / b.seen - a.failed / a.seen,
  busiest: (a, b) => b.total_seconds - a.total_seconds,
};

export class Scripts {
  order = "slowest";
  all = [];
  reasons = new Map(); // why the last tasks of scripts failed, by script

  constructor({ openScript }) {
    this.openScript = openScript;
    this.rows = byId("script-rows");
    segmented(byId("script-orders"), [["slowest", "Slowest"], ["failing", "Failing"], ["busiest", "Most time"]], this.order, (order) => {
      this.order = order;
      this.draw();
    });
  }

  update(state) {
    this.all = state.scripts;
    this.administrator = state.administrator;
    this.draw();
  }

  draw() {
    const some = (this.order === "failing" ? this.all.filter((s) => s.failed > 0) : [...this.all]).sort(ORDERS[this.order]);
    if (this.order === "failing") some.slice(0, SHOWN).forEach((script) => this.explain(script));
    reconcile(this.rows, some.slice(0, SHOWN), nameOf, () => this.row(), (row, script) => this.fill(row, script));
    byId("scripts-empty").hidden = some.length > 0;
    setText(byId("scripts-empty"), this.all.length === 0
      ? "No task has ended in the last 15 minutes. Scripts are listed here once their tasks do."
      : "None of the tasks that were looked at has failed in the last 15 minutes.");
    setText(byId("scripts-note"), some.length > SHOWN ? "the first " + SHOWN + " of " + count(some.length) : "of the last 15 minutes");
  }

  row() {
    const row = element("tr");
    row.name = element("button", { type: "button", class: "link", onclick: () => this.openScript(row.script) });
    row.figures = Array.from({ length: 5 }, () => element("td", { class: "number" }));
    row.reason = element("div", { class: "quiet reason" });
    row.append(element("td", { class: "wide" }, row.name, row.reason), ...row.figures);
    return row;
  }

  fill(row, script) {
    row.script = script;
    setText(row.name, scriptName(script));
    setAttribute(row.name, "title", visible(script.script_path));
    const texts = [count(script.seen), count(script.failed), duration(script.median_seconds), duration(script.p95_seconds), duration(script.max_seconds)];
    texts.forEach((text, i) => setText(row.figures[i], text));
    setAttribute(row.figures[1], "data-look", script.failed > 0 ? "bad" : null);
    setText(row.reason, (this.order === "failing" && this.reasons.get(nameOf(script))?.text) || "");
  }

  // Asks why the last task of a script failed, unless that is known.
  async explain(script) {
    const known = this.reasons.get(nameOf(script));
    if (!script.last_failure || known?.id === script.last_failure || performance.now() - known?.at < AGAIN) return;
    const reason = { id: script.last_failure, at: performance.now(), text: known?.text ?? "" };
    this.reasons.set(nameOf(script), reason);
    try {
      const { error } = await daemon.result(script.last_failure);
      reason.text = error ? visible((error.type || error.code) + ": " + error.message.slice(0, LONGEST)) : "";
      this.draw();
    } catch { /* its result is no longer kept, or the daemon is gone: the next one may say it */ }
  }
}

function nameOf(script) {
  return script.script_path + "\0" + script.function;
}
