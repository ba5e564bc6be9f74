// One script with tasks of it, and one worker with its stacks.

import * as daemon from "./daemon.js";
import { Drawer } from "./drawer.js";
import { byId, element, setText } from "./element.js";
import { block } from "./output.js";
import { fillTaskRow, taskRow } from "./tasks.js";
import { bytes, count, duration, scriptName, visible } from "./text.js";

function facts(all) {
  return element("dl", { class: "facts" }, all.map(([name, value]) => element("div", {}, element("dt", {}, name), element("dd", {}, value))));
}

export class ScriptDetails {
  constructor({ openTask }) {
    this.openTask = openTask;
    this.drawer = new Drawer(byId("script"));
  }

  async open(script) {
    const rows = element("tbody"), note = element("p", { class: "quiet", role: "status" }, "loading"), error = element("div");
    this.drawer.show(scriptName(script),
      facts([["Script", visible(script.script_path || "(source)")], ["Function", visible(script.function)],
        ["Tasks seen", count(script.seen) + ", " + count(script.failed) + " failed"],
        ["Run time", `median ${duration(script.median_seconds)}, 95 % ${duration(script.p95_seconds)}, longest ${duration(script.max_seconds)}, in all ${duration(script.total_seconds)}`]]),
      error,
      element("section", { class: "block" }, element("h3", {}, "Tasks that ended lately"), note,
        element("div", { class: "scroll" }, element("table", { class: "table" }, element("thead", {}, element("tr", {},
          ["State", "Script"].map((name) => element("th", { scope: "col" }, name)),
          ["Labels", "Where"].map((name) => element("th", { scope: "col", class: "spare" }, name)),
          ["Waited", "Ran", "Submitted"].map((name) => element("th", { scope: "col", class: "number" }, name)))), rows))));
    if (script.last_failure) this.explain(script.last_failure, error);
    try {
      const { tasks } = await daemon.recentOf(script);
      setText(note, tasks.length ? "" : "none");
      for (const task of tasks) {
        const row = taskRow((id) => this.openTask(id));
        fillTaskRow(row, task);
        rows.append(row);
      }
    } catch (problem) {
      setText(note, visible(problem.message));
    }
  }

  // Why the last one failed.
  async explain(id, into) {
    try {
      const { error } = await daemon.result(id);
      if (error) into.replaceChildren(block("Last failure", error.traceback || error.type + ": " + error.message, { look: "bad", note: error.code }));
    } catch { /* its result is no longer kept */ }
  }
}

export class WorkerDetails {
  constructor() {
    this.drawer = new Drawer(byId("worker"));
  }

  open(worker) {
    const stacks = element("div");
    const ask = element("button", { type: "button", onclick: () => this.stacks(worker, stacks) }, "Show what its threads do");
    const all = [["State", worker.state + (worker.leaving ? ": " + visible(worker.leaving) : "")], ["Pool", visible(worker.pool)],
      ["Executor", visible(worker.executor) + ", " + visible(worker.runtime)], ["Process", "pid " + worker.pid + ", up " + duration(worker.uptime_seconds)],
      ["CPUs", visible(worker.cpus_allowed)], ["Slots", count(worker.slots_busy) + " of " + count(worker.slots) + " busy"], ["Tasks done", count(worker.tasks_done)],
      ["Memory", bytes(worker.rss_bytes) + ", at most " + bytes(worker.peak_rss_bytes) + ({ none: ", not bounded", cgroup: ", bounded by a cgroup", rlimit_data: ", bounded by rlimit_data" }[worker.memory_limit] ?? "")],
      ["Restarts", count(worker.restarts)]];
    if (worker.degraded) all.push(["Degraded", visible(worker.degraded)]);
    this.drawer.show("Worker " + visible(worker.id), facts(all), element("div", { class: "buttons" }, ask), stacks);
  }

  async stacks(worker, into) {
    into.replaceChildren(element("p", { class: "quiet", role: "status" }, "asking"));
    try {
      const answer = await daemon.stacks(worker.id);
      into.replaceChildren(block("Stacks", answer.stacks));
    } catch (error) {
      into.replaceChildren(element("p", { class: "alert", role: "alert" }, visible(error.message)));
    }
  }
}
