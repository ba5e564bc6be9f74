// Whether the daemon answers, what is wrong with it, and who looks.

import { byId, element, setText } from "./element.js";
import { duration, elapsed, visible } from "./text.js";
import * as daemon from "./daemon.js";

export class Health {
  pid = null;
  wasDown = false;

  update(state, history) {
    if (state.problem) this.down(state, history);
    else this.up(state);
  }

  up(state) {
    const { engine, components } = state.status;
    if (this.wasDown) this.say("The daemon answers again.");
    if (this.pid !== null && this.pid !== engine.pid) this.say("The daemon was restarted.");
    this.wasDown = false;
    this.pid = engine.pid;
    const kind = engine.draining ? "draining" : engine.is_running ? "running" : "stopped";
    this.pill(kind, kind);
    setText(byId("daemon-more"), `cpulbd ${visible(engine.version)}, pid ${engine.pid}, up ${duration(Math.floor(engine.uptime_seconds))}` +
      (state.administrator ? "" : ", your tasks only"));
    const wrong = Object.entries(components).filter(([, part]) => part.health === "degraded").map(([name, part]) => visible(name.replaceAll("_", " ")) + ": " + visible(part.reason || "degraded"));
    if (engine.draining) wrong.unshift("It is draining: it accepts and starts no tasks. cpulb resume ends that.");
    this.notice("warn", wrong);
    document.title = (state.status.components.input_queue?.metrics.size ?? 0) + " waiting · cpulb";
    document.body.dataset.stale = "no";
  }

  down(state, history) {
    this.wasDown = true;
    this.pill(state.denied ? "denied" : "down", (state.denied ? "no right" : "no daemon") + ", for " + elapsed(history.silence));
    setText(byId("daemon-more"), visible(state.socket));
    this.notice("bad", [visible(state.problem), state.denied
      ? "The page has the rights of who runs cpulb dashboard. Once they have changed, run it again."
      : (this.pid === null ? "" : "What is shown below is from before. ") + "The page goes on by itself once a daemon answers."]);
    document.title = "no daemon · cpulb";
    document.body.dataset.stale = "yes";
  }

  /** The dashboard itself does not answer, or not to this page. */
  lost(error) {
    const refused = error instanceof daemon.Problem && error.status === 401;
    this.pill("down", refused ? "not let in" : "dashboard ended");
    this.notice("bad", refused
      ? ["This page has no token, or that of another run of cpulb dashboard. Open the address that it has printed."]
      : error instanceof daemon.Problem ? [visible(error.message)] : ["cpulb dashboard does not answer: it has ended, or the connection to it is cut. Start it again, and open the address that it prints."]);
    document.title = "not connected · cpulb";
    document.body.dataset.stale = "yes";
  }

  pill(kind, text) {
    byId("daemon").dataset.state = kind;
    setText(byId("daemon-text"), text);
  }

  // An alert is read aloud: only when it has changed.
  notice(look, lines) {
    const box = byId("notice");
    const text = lines.join("\n");
    if (box.said === text) return;
    box.said = text;
    box.hidden = lines.length === 0;
    box.dataset.look = look;
    box.replaceChildren(...lines.map((line) => element("p", {}, line)));
  }

  say(text) {
    setText(byId("said"), text);
  }
}
