// The list of tasks, the newest first, by state, label and path.

import { now } from "./clock.js";
import * as daemon from "./daemon.js";
import { byId, element, reconcile, segmented, setAttribute, setText } from "./element.js";
import { ago, coarse, count, moment, scriptName, secondsBetween, visible } from "./text.js";

const PAGE = 50, MOST = 1000; // as many as the daemon gives at once
const SOON = 2000, LATER = 5000; // between two looks at few, and at many

const STATES = [["", "All"], ["queued,pending", "Waiting"], ["running", "Running"], ["completed", "Completed"], ["failed,timed_out", "Failed"], ["cancelled", "Cancelled"]];
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** The row of a task, as a list of them has it. */
export function taskRow(openTask) {
  const row = element("tr");
  row.state = element("span", { class: "state" });
  row.name = element("button", { type: "button", class: "link", onclick: () => openTask(row.task.task_id) });
  row.labels = element("td", { class: "quiet clip spare" });
  row.where = element("td", { class: "quiet spare" });
  row.numbers = Array.from({ length: 3 }, () => element("td", { class: "number" }));
  row.append(element("td", {}, row.state), element("td", { class: "wide" }, row.name), row.labels, row.where, ...row.numbers);
  return row;
}

/** Shows a task in its row. */
export function fillTaskRow(row, task) {
  row.task = task;
  setText(row.state, task.status.replace("_", " "));
  setAttribute(row.state, "data-state", task.status);
  setText(row.name, scriptName(task));
  setAttribute(row.name, "title", visible(task.script_path) + "\n" + task.task_id);
  const labels = Object.entries(task.labels ?? {}).map(([name, value]) => visible(name) + "=" + visible(value)).join(" ");
  setText(row.labels, labels);
  setAttribute(row.labels, "title", labels || null);
  setText(row.where, visible(task.worker?.id ?? task.pool));
  const clock = new Date(now()).toISOString();
  setText(row.numbers[0], coarse(secondsBetween(task.submitted_at, task.started_at ?? (task.finished_at || clock))));
  setText(row.numbers[1], coarse(task.started_at ? secondsBetween(task.started_at, task.finished_at ?? clock) : null));
  setText(row.numbers[2], ago(task.submitted_at, now()));
  setAttribute(row.numbers[2], "title", moment(task.submitted_at));
}

export class Tasks {
  status = "";
  label = "";
  part = "";
  limit = PAGE;
  all = [];
  problem = null;
  seen = -1;

  constructor({ openTask, said }) {
    Object.assign(this, { openTask, said });
    this.rows = byId("task-rows");
    segmented(byId("states"), STATES, this.status, (status) => this.select({ status }));
    byId("tasks-more").addEventListener("click", () => this.older());
    byId("find").addEventListener("submit", (event) => {
      event.preventDefault();
      this.find(byId("find-text").value.trim());
    });
    byId("find-text").addEventListener("input", (event) => {
      const text = event.target.value.trim();
      if (text === "" && this.label) this.select({ label: "" });
      this.part = text.includes("=") || UUID.test(text) ? "" : text.toLowerCase();
      this.draw();
    });
  }

  /** Opens the task with this id, or shows the tasks with this label. */
  find(text) {
    if (UUID.test(text)) this.openTask(text);
    else if (text.includes("=")) this.select({ label: text });
  }

  select(what) {
    Object.assign(this, { limit: PAGE, all: [], problem: null, loaded: false }, what);
    this.draw();
    this.load();
  }

  older() {
    this.limit = Math.min(MOST, this.limit < 200 ? this.limit + 100 : this.limit * 2);
    this.load();
  }

  /** Looks again in a while, and so on; at once if something was selected. */
  async load() {
    clearTimeout(this.timer);
    const turn = (this.turn = {});
    const query = { order: "newest", limit: this.limit };
    if (this.status) query.status = this.status;
    if (this.label) query.label = this.label;
    try {
      const answer = await daemon.tasks(query);
      if (turn !== this.turn) return; // something else was selected meanwhile
      Object.assign(this, { all: answer.tasks, more: Boolean(answer.next), problem: null, loaded: true });
    } catch (error) {
      if (turn !== this.turn) return;
      this.problem = error;
    }
    if (!this.problem || this.all.length === 0) this.draw(); // else what is shown is from before
    this.timer = setTimeout(() => this.load(), document.hidden ? 10 * SOON : this.limit > 200 ? LATER : SOON);
  }

  draw() {
    const some = this.part ? this.all.filter((task) => (task.script_path + " " + task.function).toLowerCase().includes(this.part)) : this.all;
    reconcile(this.rows, some, (task) => task.task_id, () => taskRow(this.openTask), fillTaskRow);
    byId("tasks-more").hidden = !this.more || this.limit >= MOST || this.all.length === 0;
    byId("tasks-empty").hidden = some.length > 0 || (!this.loaded && !this.problem);
    byId("tasks-empty").replaceChildren(...this.empty());
    setText(byId("tasks-note"), this.note(some.length));
  }

  note(shown) {
    const parts = [];
    if (this.label) parts.push("with the label " + visible(this.label));
    if (shown) parts.push(this.part ? count(shown) + " of the newest " + count(this.all.length) : "the newest " + count(shown));
    if (this.more && this.limit >= MOST) parts.push("there are more: select by state or label");
    return parts.join(", ");
  }

  empty() {
    if (this.problem) return [element("p", {}, "The tasks can't be shown: " + visible(this.problem.message))];
    if (this.part) return [element("p", {}, "None of the tasks that are shown has this in its script's path.")];
    if (this.status || this.label) return [element("p", {}, "No task is in this selection.")];
    return [element("p", {}, "No tasks yet. Run one:"),
      element("pre", {}, "cpulb --socket " + visible(this.socket ?? "PATH") + " run script.py --params '{\"value\": 21}'")];
  }

  /** Moves the focus by so many rows. */
  move(by) {
    const rows = [...this.rows.children];
    const at = rows.findIndex((row) => row.contains(document.activeElement));
    const next = rows[Math.min(rows.length - 1, Math.max(0, at < 0 ? 0 : at + by))];
    next?.name.focus();
  }
}
