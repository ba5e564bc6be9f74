// The workers by CPU, and what they run.

import { byId, element, reconcile, setAttribute, setText } from "./element.js";
import { bytes, count, elapsed, plural, rate, scriptName, visible } from "./text.js";

const SHOWN = 3; // tasks of one worker, unless more are asked for

export class Workers {
  before = new Map(); // tasks done, by worker and process
  open = new Set(); // the workers of which all tasks are shown

  constructor({ openTask, openWorker }) {
    Object.assign(this, { openTask, openWorker });
    this.rows = byId("worker-rows");
  }

  update(state, seconds) {
    const workers = [...(state.workers ?? [])].sort(byCore);
    this.rate(workers, seconds);
    const cores = new Map();
    for (const worker of workers) cores.set(worker.core, (cores.get(worker.core) ?? 0) + 1);
    let core = null;
    for (const worker of workers) {
      worker.span = worker.core === core ? 0 : cores.get(worker.core);
      core = worker.core;
    }
    reconcile(this.rows, workers, (w) => w.id + " " + w.pid + " " + w.state + (w.span > 0), () => this.row(), (row, w) => this.fill(row, w));
    byId("workers-empty").hidden = workers.length > 0;
    const ready = workers.filter((w) => w.state === "ready").length;
    setText(byId("workers-note"), workers.length === 0 ? "" : ready + " of " + plural(workers.length, "worker", "workers") + " ready" +
      (state.tasks_problem ? "; what runs can't be shown: " + visible(state.tasks_problem) : state.administrator ? "" : "; of what runs you see your own tasks"));
  }

  rate(workers, seconds) {
    const now = new Map();
    for (const worker of workers) {
      const name = worker.id + " " + worker.pid;
      const before = this.before.get(name);
      worker.rate = before === undefined || !seconds ? null : Math.max(0, worker.tasks_done - before) / seconds;
      now.set(name, worker.tasks_done);
    }
    if (seconds) this.before = now;
  }

  row() {
    const row = element("tr");
    row.core = element("th", { scope: "rowgroup", class: "core" });
    row.name = element("button", { type: "button", class: "link mono", onclick: () => this.openWorker(row.worker) });
    row.state = element("span", { class: "tag" });
    row.slots = element("span", { class: "slots", "aria-hidden": "true" });
    row.slotsText = element("span", { class: "quiet" });
    row.tasks = element("ul", { class: "runs" });
    row.more = element("button", { type: "button", class: "plain small", onclick: () => this.toggle(row) });
    row.rate = element("td", { class: "number" });
    row.memory = element("td", { class: "number" });
    row.restarts = element("td", { class: "number" });
    row.append(row.core, element("td", {}, row.name, " ", row.state), element("td", {}, element("div", { class: "slot-cell" }, row.slots, row.slotsText)),
      element("td", { class: "wide" }, row.tasks, row.more), row.rate, row.memory, row.restarts);
    return row;
  }

  fill(row, worker) {
    row.worker = worker;
    row.core.hidden = worker.span === 0;
    setAttribute(row.core, "rowspan", Math.max(1, worker.span));
    setText(row.core, worker.core < 0 ? "not pinned" : "CPU " + worker.core);
    setAttribute(row, "class", worker.span > 0 ? "first" : null);
    setText(row.name, visible(worker.id));
    const state = worker.degraded ? "degraded" : worker.trial || worker.state;
    row.state.hidden = state === "ready";
    setText(row.state, state);
    setAttribute(row.state, "data-look", worker.degraded || worker.state === "dead" ? "warn" : null);
    slots(row.slots, worker);
    setText(row.slotsText, count(worker.slots_busy) + " / " + count(worker.slots));
    const shown = this.open.has(worker.id) ? worker.tasks : worker.tasks.slice(0, SHOWN);
    reconcile(row.tasks, shown, (t) => t.task_id, () => this.task(), fillTask);
    // Where tasks come and go all that is below would jump with them.
    row.tasks.classList.toggle("steady", worker.slots > SHOWN);
    row.more.hidden = worker.slots <= SHOWN;
    row.more.style.visibility = worker.tasks.length > SHOWN ? "visible" : "hidden";
    setText(row.more, this.open.has(worker.id) ? "fewer" : count(Math.max(0, worker.tasks.length - SHOWN)) + " more");
    setAttribute(row.more, "aria-expanded", String(this.open.has(worker.id)));
    setText(row.rate, rate(worker.rate));
    setText(row.memory, bytes(worker.rss_bytes));
    setText(row.restarts, count(worker.restarts));
  }

  toggle(row) {
    const { id } = row.worker;
    if (!this.open.delete(id)) this.open.add(id);
    this.fill(row, row.worker);
  }

  task() {
    const item = element("li");
    item.name = element("button", { type: "button", class: "link", onclick: () => this.openTask(item.task.task_id) });
    item.time = element("span", { class: "quiet" });
    item.append(item.name, " ", item.time);
    return item;
  }
}

function fillTask(item, task) {
  item.task = task;
  setText(item.name, scriptName(task));
  setAttribute(item.name, "title", visible(task.script_path) + "\n" + task.task_id);
  setText(item.time, elapsed(task.seconds));
}

// Those that are not pinned come last.
function byCore(a, b) {
  const place = (worker) => (worker.core < 0 ? Infinity : worker.core);
  return (place(a) - place(b) || 0) || a.id.localeCompare(b.id, "en", { numeric: true });
}

// A square for each slot, of many a bar.
function slots(node, worker) {
  const many = worker.slots > 16;
  node.classList.toggle("many", many);
  const wanted = many ? 1 : worker.slots;
  while (node.children.length > wanted) node.lastChild.remove();
  while (node.children.length < wanted) node.append(element("i"));
  if (many) node.firstChild.style.inlineSize = ((100 * worker.slots_busy) / worker.slots).toFixed(1) + "%";
  else [...node.children].forEach((square, i) => square.classList.toggle("busy", i < worker.slots_busy));
}
