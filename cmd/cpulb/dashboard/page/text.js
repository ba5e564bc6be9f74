// Figures and foreign text, as people read them.

// What would steer a reader, or hide: control characters, and those that turn the direction of text.
const HIDDEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g;
const COLOURS = /\u001b\[[0-9;]*m/g;

function escaped(character) {
  return "\\u{" + character.codePointAt(0).toString(16) + "}";
}

/** Text of somebody's, on one line: what can't be seen is escaped. */
export function visible(text) {
  return String(text).replace(/[\n\t]/g, escaped).replace(HIDDEN, escaped);
}

/** The same of several lines. Colours meant for a terminal are left out. */
export function visibleLines(text) {
  return String(text).replace(COLOURS, "").replace(/\r\n/g, "\n").replace(HIDDEN, escaped);
}

/** The last part of a path. */
export function fileName(path) {
  return visible(path === "" || path === undefined ? "(source)" : path.slice(path.lastIndexOf("/") + 1) || path);
}

/** A script with its function, if that is not main. */
export function scriptName(script) {
  return fileName(script.script_path) + (script.function && script.function !== "main" ? " · " + visible(script.function) : "");
}

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const oneDigit = new Intl.NumberFormat("en", { minimumFractionDigits: 1, maximumFractionDigits: 1 });
const compact = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });

export const NONE = "–";

export function count(n) {
  if (n === null || n === undefined) return NONE;
  return n >= 1e6 ? compact.format(n) : whole.format(n);
}

/** How many a second. */
export function rate(n) {
  if (n === null || n === undefined) return NONE;
  return n > 0 && n < 10 ? oneDigit.format(n) : count(n);
}

export function bytes(n) {
  if (!n) return NONE;
  for (const unit of ["B", "KiB", "MiB", "GiB"]) {
    if (n < 1024 || unit === "GiB") return (n < 10 && unit !== "B" ? oneDigit : whole).format(n) + " " + unit;
    n /= 1024;
  }
}

/** A duration in seconds, in about three digits. */
export function duration(seconds) {
  if (seconds === null || seconds === undefined || Number.isNaN(seconds)) return NONE;
  if (seconds < 0.0000005) return "0 s";
  if (seconds < 0.001) return (seconds * 1e6).toPrecision(seconds < 0.0001 ? 2 : 3) + " µs";
  if (seconds < 0.9995) return short(seconds * 1000) + " ms";
  if (seconds < 60) return short(seconds) + " s";
  const s = Math.round(seconds);
  if (s < 3600) return Math.floor(s / 60) + " min " + String(s % 60).padStart(2, "0") + " s";
  if (s < 86400) return Math.floor(s / 3600) + " h " + String(Math.floor(s / 60) % 60).padStart(2, "0") + " min";
  return Math.floor(s / 86400) + " d " + (Math.floor(s / 3600) % 24) + " h";
}

function short(n) {
  return n >= 99.95 ? n.toFixed(0) : n >= 9.995 ? n.toFixed(1) : n.toFixed(2);
}

/** A duration between two times that are told in milliseconds. */
export function coarse(seconds) {
  return seconds !== null && seconds < 0.001 ? "<1 ms" : seconds !== null && seconds < 0.1 ? Math.round(seconds * 1000) + " ms" : duration(seconds);
}

/** How long something goes on: without digits that would only flicker. */
export function elapsed(seconds) {
  return seconds < 1 ? "<1 s" : seconds < 60 ? Math.floor(seconds) + " s" : duration(seconds);
}

export function secondsBetween(from, to) {
  return from && to ? Math.max(0, (Date.parse(to) - Date.parse(from)) / 1000) : null;
}

export function moment(time) {
  return time ? new Date(time).toLocaleString(undefined, { dateStyle: "short", timeStyle: "medium" }) : NONE;
}

export function ago(time, now) {
  if (!time) return NONE;
  const seconds = Math.max(0, (now - Date.parse(time)) / 1000);
  return seconds < 1 ? "now" : elapsed(seconds).replace(/ min \d+ s$/, " min") + " ago";
}

export function plural(n, one, many) {
  return count(n) + " " + (n === 1 ? one : many);
}
