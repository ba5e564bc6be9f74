// The figures of this moment.

import { element, setAttribute, setText } from "./element.js";
import { count, duration, rate, NONE } from "./text.js";

class Tile {
  constructor(name) {
    this.value = element("span", { class: "value" }, NONE);
    this.more = element("span", { class: "more" }, "");
    this.bar = element("span", { class: "bar", "aria-hidden": "true" }, element("i"));
    this.root = element("div", { class: "tile" }, element("dt", {}, name), element("dd", {}, this.value, this.bar, this.more));
  }

  show(value, more, { share = null, look = "" } = {}) {
    setText(this.value, value);
    setText(this.more, more);
    setAttribute(this.root, "data-look", look || null);
    this.bar.style.visibility = share === null ? "hidden" : "visible";
    if (share !== null) this.bar.firstChild.style.inlineSize = Math.min(100, share * 100).toFixed(1) + "%";
  }
}

export class Tiles {
  constructor(list) {
    this.waiting = new Tile("Waiting");
    this.running = new Tile("Slots busy");
    this.completed = new Tile("Completed a second");
    this.failed = new Tile("Failed a second");
    this.wait = new Tile("Wait for a slot, 95 %");
    this.run = new Tile("Run time, 95 %");
    list.replaceChildren(...[this.waiting, this.running, this.completed, this.failed, this.wait, this.run].map((tile) => tile.root));
  }

  update(state, history) {
    const queue = state.status?.components.input_queue?.metrics ?? {};
    const tasks = state.status?.engine?.tasks ?? {};
    const { waiting, busy, slots, completed, submitted, failed } = Object.fromEntries(
      ["waiting", "busy", "slots", "completed", "submitted", "failed"].map((name) => [name, history.last(name)]));
    const capacity = queue.capacity;
    this.waiting.show(count(waiting), capacity ? "of " + count(capacity) : "", capacity ? { share: waiting / capacity, look: waiting >= capacity * 0.6 ? "warn" : "" } : {});
    this.running.show(slots === null ? NONE : count(busy) + " / " + count(slots), slots ? Math.round((100 * busy) / slots) + " %" : "", slots ? { share: busy / slots } : {});
    this.completed.show(rate(completed), submitted === null ? "" : rate(submitted) + " submitted");
    const known = (tasks.failed ?? 0) + (tasks.timed_out ?? 0);
    this.failed.show(rate(failed), !state.status ? "" : known ? count(known) + " kept" : "none kept", { look: failed > 0 ? "bad" : "" });
    this.wait.show(duration(history.last("wait_95")), "median " + duration(history.last("wait_median")));
    this.run.show(duration(history.last("run_95")), "median " + duration(history.last("run_median")));
  }
}
