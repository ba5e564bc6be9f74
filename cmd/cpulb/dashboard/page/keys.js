// The keys, and the list of them.

import { byId, element } from "./element.js";

export class Keys {
  /** keys: {key, text, run, when}; when says whether it holds now. */
  constructor(keys) {
    this.keys = keys;
    document.addEventListener("keydown", (event) => this.press(event));
    byId("help-open").addEventListener("click", () => this.help());
    byId("help").addEventListener("click", (event) => {
      if (event.target === byId("help")) byId("help").close();
    });
  }

  press(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || event.target.closest?.("input, textarea, select")) return;
    const found = this.keys.find(({ key, when }) => key === event.key && (!when || when()));
    if (!found?.run) return;
    event.preventDefault();
    found.run();
  }

  help() {
    const dialog = byId("help");
    if (dialog.open) {
      dialog.close();
      return;
    }
    dialog.replaceChildren(element("div", { class: "drawer-head" }, element("h2", { id: "help-title" }, "Keys"),
      element("button", { type: "button", class: "plain", onclick: () => dialog.close() }, "Close ", element("kbd", {}, "Esc"))),
      element("dl", { class: "keys" }, this.keys.filter(({ text }) => text).map(({ shown, key, text }) => element("div", {}, element("dt", {}, element("kbd", {}, shown ?? key)), element("dd", {}, text)))));
    dialog.showModal();
  }
}
