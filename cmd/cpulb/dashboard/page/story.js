// One task: its state, its events as they come, what it has printed and how it has ended.

import { now } from "./clock.js";
import * as daemon from "./daemon.js";
import { Drawer } from "./drawer.js";
import { byId, element, setAttribute, setText } from "./element.js";
import { block, indented, Printed } from "./output.js";
import { ago, coarse, count, duration, moment, NONE, scriptName, secondsBetween, visible } from "./text.js";

const MOST_EVENTS = 500; // that are shown
const AGAIN = 1000; // after the events were cut off, and between two looks at a task that has not ended
const ENDED = ["completed", "failed", "cancelled", "timed_out"];
const TOGETHER = 50; // events that come within so many milliseconds are drawn together
const EXACT = 1 << 20; // longer data is not parsed twice

export class Story {
  constructor({ changed }) {
    this.changed = changed;
    this.drawer = new Drawer(byId("story"), () => this.leave());
  }

  get isOpen() {
    return this.drawer.isOpen;
  }

  leave() {
    clearTimeout(this.timer);
    clearTimeout(this.drawing);
    this.following?.abort();
    this.following = null;
    this.id = null;
  }

  /** Shows the task with this id, and follows it until its end. said is shown above it. */
  async open(id, said = "") {
    this.leave();
    Object.assign(this, { id, view: null, result: null, cursor: "", dropped: 0, asking: false, lines: [], drawing: null });
    this.build(said);
    try {
      const view = await daemon.task(id);
      if (this.id !== id) return;
      this.show(view);
    } catch (error) {
      if (this.id === id) this.fail(error);
      if (!(error instanceof daemon.Unreachable) && [404, 410, 401].includes(error.status)) return;
    }
    if (this.id !== id) return;
    this.look(id);
    this.follow(id);
  }

  // Not every change of the state is an event.
  look(id) {
    this.timer = setTimeout(async () => {
      if (this.id !== id || this.result) return;
      if (!document.hidden) await this.refresh();
      if (this.id === id) this.look(id);
    }, AGAIN);
  }

  build(said) {
    this.state = element("span", { class: "state" }, "");
    this.alert = element("p", { class: "alert", role: "alert", hidden: true });
    this.said = element("p", { class: "quiet", role: "status" }, said);
    this.cancelButton = element("button", { type: "button", "aria-keyshortcuts": "c", onclick: () => this.ask() }, "Cancel ", element("kbd", {}, "c"));
    this.rerunButton = element("button", { type: "button", "aria-keyshortcuts": "r", onclick: () => this.rerun() }, "Run again ", element("kbd", {}, "r"));
    this.buttons = element("div", { class: "buttons" }, this.cancelButton, this.rerunButton);
    this.question = element("div", { class: "buttons question", hidden: true }, element("span", {}, "Stop this task?"),
      element("button", { type: "button", class: "danger", onclick: () => this.cancel() }, "Cancel the task"),
      element("button", { type: "button", onclick: () => this.unask() }, "Keep it"));
    this.facts = element("dl", { class: "facts" });
    this.progress = element("progress", { max: "1", "aria-label": "Progress" });
    this.progressText = element("span", {}, "");
    this.progressLine = element("p", { class: "progress", hidden: true }, this.progress, this.progressText);
    this.printed = new Printed();
    this.end = element("div");
    this.eventsNote = element("span", { class: "quiet" }, "");
    this.events = element("ol", { class: "events", tabindex: "0", "aria-label": "Events" });
    this.drawer.show("Task", element("p", { class: "line" }, this.state, " ", element("code", { class: "mono all" }, this.id)), this.alert, this.said,
      this.buttons, this.question, this.progressLine, this.facts, this.printed.place, this.end,
      element("section", { class: "block" }, element("h3", {}, "Events ", this.eventsNote), this.events));
  }

  fail(error) {
    const words = { task_not_found: "No task of yours has this id. It may have been another user's, or forgotten since.",
      result_evicted: "The task has ended, and its result is no longer kept." };
    setText(this.alert, words[error.code] ?? visible(error.message));
    this.alert.hidden = false;
  }

  show(view) {
    this.view = view;
    setText(this.drawer.title, scriptName(view));
    setText(this.state, view.status.replace("_", " "));
    setAttribute(this.state, "data-state", view.status);
    const over = ENDED.includes(view.status);
    const lost = over && document.activeElement === this.cancelButton; // what is disabled can't have the focus
    this.cancelButton.disabled = over;
    if (lost) this.rerunButton.focus();
    if (over) this.unask(false);
    this.showFacts(view);
  }

  showFacts(view) {
    const r = this.result;
    const waited = r ? r.queue_seconds : secondsBetween(view.submitted_at, view.started_at ?? new Date(now()).toISOString());
    const ran = r ? r.run_seconds : view.started_at ? secondsBetween(view.started_at, new Date(now()).toISOString()) : null;
    const worker = view.worker;
    const facts = [
      ["Script", visible(view.script_path || "(source)") + (view.function && view.function !== "main" ? ", " + visible(view.function) : "")],
      ["Waited", (r ? duration : coarse)(waited)],
      ["Ran", (r ? duration : coarse)(ran) + (r?.cpu_seconds ? ", " + duration(r.cpu_seconds) + " on the CPU" : "")],
      ["Submitted", moment(view.submitted_at) + ", " + ago(view.submitted_at, now())],
      ["Ended", view.finished_at ? moment(view.finished_at) : NONE],
      ["Attempts", count(view.attempts)],
      ["Where", worker ? `${visible(worker.id)}, slot ${worker.slot}, pid ${worker.pid}` + (worker.core >= 0 ? `, CPU ${worker.core}` : "") : "pool " + visible(view.pool)],
      ["Priority", String(view.priority)],
    ];
    const labels = Object.entries(view.labels ?? {});
    if (labels.length) facts.push(["Labels", labels.map(([name, value]) => visible(name) + "=" + visible(value)).join(" ")]);
    this.facts.replaceChildren(...facts.map(([name, value]) => element("div", {}, element("dt", {}, name), element("dd", {}, value))));
  }

  async follow(id) {
    const following = (this.following = new AbortController());
    while (this.following === following) {
      if (document.hidden) { // a browser has few connections for all tabs together
        await new Promise((resolve) => document.addEventListener("visibilitychange", resolve, { once: true }));
        continue;
      }
      try {
        await daemon.events(id, this.cursor, following.signal, ({ event, text }) => this.following === following && this.take(event, text));
        return;
      } catch (error) {
        if (this.following !== following) return;
        if (error instanceof daemon.Problem && [401, 403, 404, 410].includes(error.status)) {
          this.fail(error);
          return;
        }
        setText(this.eventsNote, "cut off, going on as soon as the daemon answers");
        await new Promise((resolve) => setTimeout(resolve, AGAIN));
      }
    }
  }

  take(event, text) {
    this.cursor = event.cursor;
    setText(this.eventsNote, "");
    switch (event.event) {
      case "state":
        this.refresh();
        this.add("state", event.status.replace("_", " "));
        break;
      case "progress":
        this.add("progress", Math.round((event.fraction ?? 0) * 100) + " % " + visible(shorten(event.message ?? "")), { fraction: event.fraction ?? 0 });
        break;
      case "partial":
        this.add("yield", visible(shorten(JSON.stringify(event.value))));
        break;
      case "log":
        this.add(visible(event.level), visible(shorten(event.message)), { level: event.level });
        break;
      case "output":
        this.printed.take(event);
        break;
      case "gap":
        this.add("gap", count(event.missed) + " events were dropped here");
        break;
      case "result":
        this.add("result", event.result.status.replace("_", " "));
        this.finish(event.result, text);
        break;
    }
  }

  async refresh() {
    const id = this.id;
    try {
      const view = await daemon.task(id);
      if (this.id === id && !this.result) this.show(view);
    } catch { /* that it is cut off is said with its events */ }
  }

  add(kind, text, more = {}) {
    this.lines.push({ kind, text, ...more });
    this.drawing ??= setTimeout(() => this.draw(), TOGETHER);
  }

  // A script may report thousands of events in a moment: the page is laid out once for all.
  draw() {
    this.drawing = null;
    const lines = this.lines.splice(0);
    const bottom = this.events.scrollHeight - this.events.scrollTop - this.events.clientHeight < 30;
    const progress = lines.findLast((line) => line.fraction !== undefined);
    if (progress && !this.result) {
      this.progressLine.hidden = false;
      this.progress.value = progress.fraction;
      setText(this.progressText, progress.text);
    }
    const shown = lines.slice(-MOST_EVENTS);
    this.events.append(...shown.map(({ kind, text, level }) =>
      element("li", { "data-level": level || null }, element("span", { class: "kind" }, kind), element("span", {}, text))));
    this.dropped += lines.length - shown.length;
    for (; this.events.children.length > MOST_EVENTS; this.dropped++) this.events.firstChild.remove();
    if (this.dropped) setText(this.eventsNote, count(this.dropped) + " earlier ones are not shown");
    if (bottom) this.events.scrollTop = this.events.scrollHeight;
  }

  finish(result, text) {
    this.result = result;
    this.progressLine.hidden = true;
    this.printed.clear();
    this.show({ ...this.view, status: result.status, attempts: result.attempts, worker: result.worker ?? this.view?.worker, submitted_at: result.submitted_at,
      started_at: result.started_at, finished_at: result.finished_at });
    const parts = [];
    if (result.error) {
      const { type, message, code, traceback } = result.error;
      parts.push(element("div", { class: "failure" }, element("strong", {}, visible(type || code)), " ", element("span", { class: "tag" }, code), element("p", { class: "lines" }, shorten(message))));
      if (traceback) parts.push(block("Traceback", traceback, { look: "bad" }));
    } else {
      parts.push(block("Returned", text.length < EXACT ? indented(text, (event) => event.result.data) : JSON.stringify(result.data)));
    }
    const cut = result.truncated ? "cut off: it printed more than the daemon keeps" : "";
    if (result.stderr) parts.push(block("Standard error", result.stderr, { note: cut }));
    if (result.stdout) parts.push(block("Standard output", result.stdout, { note: cut }));
    this.end.replaceChildren(...parts);
    clearTimeout(this.drawing); // nothing more comes
    this.draw();
  }

  ask() {
    if (!this.isOpen || this.cancelButton.disabled || !this.view) return;
    this.question.hidden = false;
    this.buttons.hidden = true;
    this.question.querySelector("button").focus();
  }

  unask(focus = true) {
    if (this.question.hidden) return;
    this.question.hidden = true;
    this.buttons.hidden = false;
    (focus && !this.cancelButton.disabled ? this.cancelButton : this.drawer.title).focus();
  }

  async cancel() {
    const id = this.id;
    this.unask();
    try {
      const view = await daemon.cancel(id);
      if (this.id !== id) return;
      if (!this.result) this.show(view);
      setText(this.said, ENDED.includes(view.status) ? "" : "It was asked to stop.");
      this.changed();
    } catch (error) {
      if (this.id === id) this.fail(error);
    }
  }

  async rerun() {
    if (!this.isOpen || !this.view || this.asking) return;
    const id = this.id;
    this.asking = true;
    try {
      const view = await daemon.rerun(id);
      if (this.id !== id) return;
      this.changed();
      this.open(view.task_id, "This is the new task. The one before was " + id + ".");
    } catch (error) {
      if (this.id === id) this.fail(error);
    } finally {
      this.asking = false;
    }
  }
}

function shorten(text) {
  return text.length > 4096 ? text.slice(0, 4096) + " … (" + count(text.length - 4096) + " more characters)" : text;
}
