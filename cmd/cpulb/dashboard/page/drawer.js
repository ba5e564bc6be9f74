// A dialog at the side. The browser keeps the focus in it, and gives it back at its end.

import { element } from "./element.js";

export class Drawer {
  /** closed is called when it is closed, however. */
  constructor(dialog, closed = () => {}) {
    this.dialog = dialog;
    dialog.addEventListener("close", () => closed());
    dialog.addEventListener("click", (event) => {
      if (event.target === dialog) dialog.close(); // beside it
    });
  }

  get isOpen() {
    return this.dialog.open;
  }

  close() {
    this.dialog.close();
  }

  /** Shows a title and what is under it. */
  show(title, ...children) {
    const id = this.dialog.getAttribute("aria-labelledby");
    this.title = element("h2", { id, tabindex: "-1" }, title);
    this.dialog.replaceChildren(
      element("div", { class: "drawer-head" }, this.title,
        element("button", { type: "button", class: "plain", "aria-keyshortcuts": "Escape", onclick: () => this.close() }, "Close ", element("kbd", {}, "Esc"))),
      element("div", { class: "drawer-body" }, ...children));
    if (!this.dialog.open) this.dialog.showModal();
    this.title.focus();
  }
}
