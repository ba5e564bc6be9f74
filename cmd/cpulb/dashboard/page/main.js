// The page: asks the dashboard once a second and shows what it says.

import { Chart } from "./chart.js";
import { setClock } from "./clock.js";
import * as daemon from "./daemon.js";
import { ScriptDetails, WorkerDetails } from "./details.js";
import { byId, segmented } from "./element.js";
import { Health } from "./health.js";
import { History } from "./history.js";
import { Keys } from "./keys.js";
import { Scripts } from "./scripts.js";
import { Story } from "./story.js";
import { Tasks } from "./tasks.js";
import { duration, count, rate } from "./text.js";
import { nextTheme, startTheme } from "./theme.js";
import { Tiles } from "./tiles.js";
import { Workers } from "./workers.js";

const SECOND = 1000;

startTheme();
const history = new History();
const health = new Health();
const tiles = new Tiles(byId("tiles"));
const story = new Story({ changed: () => tasks.load() });
const openTask = (id) => {
  details.drawer.close();
  story.open(id);
};
const details = new ScriptDetails({ openTask });
const worker = new WorkerDetails();
const workers = new Workers({ openTask, openWorker: (w) => worker.open(w) });
const scripts = new Scripts({ openScript: (script) => details.open(script) });
const tasks = new Tasks({ openTask });

let range = 300;
const charts = [
  new Chart({ title: "Tasks", least: 4, format: count, lines: [
    { column: "waiting", name: "waiting", look: "area", kind: "max" }, { column: "running", name: "running", look: "quiet", kind: "max" }] }),
  new Chart({ title: "Tasks a second", least: 2, format: rate, lines: [
    { column: "completed", name: "completed", look: "area", kind: "mean" }, { column: "submitted", name: "submitted", look: "quiet", kind: "mean" },
    { column: "failed", name: "failed", look: "bad", kind: "mean" }] }),
  new Chart({ title: "Wait for a slot", least: 0.001, format: duration, lines: [
    { column: "wait_95", name: "95 %", look: "area", kind: "max" }, { column: "wait_median", name: "median", look: "quiet", kind: "mean" }] }),
];
byId("chart-list").replaceChildren(...charts.map((chart) => chart.root));
segmented(byId("ranges"), [[300, "5 min"], [900, "15 min"], [3600, "1 h"]], range, (seconds) => {
  range = seconds;
  drawCharts();
});

function drawCharts() {
  for (const chart of charts) chart.update(history, range);
}

function show(state) {
  const before = history.last("at"), seq = history.seq;
  setClock(state.now);
  history.add(state.columns, state.samples);
  const first = seq === 0;
  tasks.socket = state.socket;
  health.update(state, history);
  if (!first && history.seq === seq) return; // nothing new was seen
  tiles.update(state, history);
  drawCharts();
  scripts.update(state);
  if (state.status) workers.update(state, first || before === null ? 0 : history.last("at") - before);
}

let timer, polling = false;
async function poll() {
  if (polling) return;
  polling = true;
  clearTimeout(timer);
  let pause = document.hidden ? 10 * SECOND : SECOND, state = null;
  try {
    state = await daemon.state(history.seq);
  } catch (error) {
    health.lost(error);
    pause = 2 * SECOND;
  }
  polling = false;
  timer = setTimeout(poll, pause);
  if (state) show(state);
}

document.addEventListener("visibilitychange", () => {
  if (!document.hidden) {
    poll();
    tasks.load();
  }
});

const focus = (id) => () => {
  byId(id).focus();
  byId(id).scrollIntoView({ block: "start" });
};
const noDialog = () => !document.querySelector("dialog[open]");
const keys = new Keys([
  { key: "/", text: "find a task", when: noDialog, run: focus("find-text") },
  { key: "j", text: "next task", when: noDialog, run: () => tasks.move(1) },
  { key: "k", text: "task before", when: noDialog, run: () => tasks.move(-1) },
  { key: "Enter", text: "open what has the focus" },
  { key: "c", text: "cancel the task that is open", when: () => story.isOpen, run: () => story.ask() },
  { key: "r", text: "run the task that is open again", when: () => story.isOpen, run: () => story.rerun() },
  { key: "1", text: "figures over time", when: noDialog, run: focus("charts-title") },
  { key: "2", text: "workers", when: noDialog, run: focus("workers-title") },
  { key: "3", text: "scripts", when: noDialog, run: focus("scripts-title") },
  { key: "4", text: "tasks", when: noDialog, run: focus("tasks-title") },
  { key: "ArrowLeft", shown: "← →", text: "in a chart: the values of another moment" },
  { key: "t", text: "light, dark, or as the system", run: nextTheme },
  { key: "?", text: "this list", run: () => keys.help() },
  { key: "Escape", shown: "Esc", text: "close what is open" },
]);

poll();
tasks.load();
