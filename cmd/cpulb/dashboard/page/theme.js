// Light, dark, or as the system has it.

import { byId } from "./element.js";

const KEPT = "cpulb-theme";
const CHOICES = ["auto", "light", "dark"];

function kept() {
  try {
    const choice = localStorage.getItem(KEPT);
    return CHOICES.includes(choice) ? choice : "auto";
  } catch {
    return "auto";
  }
}

let choice = kept();

function show() {
  const button = byId("theme");
  document.documentElement.dataset.theme = choice;
  button.textContent = { auto: "Theme: as the system", light: "Theme: light", dark: "Theme: dark" }[choice];
  button.setAttribute("aria-keyshortcuts", "t");
}

export function nextTheme() {
  choice = CHOICES[(CHOICES.indexOf(choice) + 1) % CHOICES.length];
  try {
    localStorage.setItem(KEPT, choice);
  } catch { /* it holds for this page */ }
  show();
}

export function startTheme() {
  byId("theme").addEventListener("click", nextTheme);
  show();
}
