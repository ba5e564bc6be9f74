// The calls: of this page to the dashboard, which passes them on to the daemon.

const KEPT = "cpulb-token";

/** What a call was refused with, RFC 9457. */
export class Problem extends Error {
  constructor(status, body) {
    super(body.detail || body.title || "the answer is " + status);
    this.status = status;
    this.code = body.code || "";
  }
}

/** Nobody has answered: the dashboard itself has ended. */
export class Unreachable extends Error {}

// The token is behind the # of the address, which no request contains. It is kept for this tab,
// for when the page is loaded again, and taken out of the address, which others may see.
function takeToken() {
  const given = new URLSearchParams(location.hash.slice(1)).get("token");
  if (given) {
    try {
      sessionStorage.setItem(KEPT, given);
    } catch { /* storage is off: it is in memory */ }
    history.replaceState(null, "", location.pathname);
    return given;
  }
  try {
    return sessionStorage.getItem(KEPT) || "";
  } catch {
    return "";
  }
}

let token = takeToken();

// A new address that is opened in the tab that shows this page changes the # alone.
addEventListener("hashchange", () => {
  if (location.hash.startsWith("#token=")) token = takeToken();
});

async function call(method, path, options = {}) {
  let response;
  try {
    response = await fetch(path, { method, ...options, headers: { Authorization: "Bearer " + token, ...options.headers }, credentials: "omit" });
  } catch (error) {
    if (options.signal?.aborted) throw error;
    throw new Unreachable("the dashboard does not answer");
  }
  if (response.ok) return response;
  let body = {};
  try {
    body = await response.json();
  } catch { /* its status says it */ }
  throw new Problem(response.status, body);
}

async function json(method, path, options) {
  const response = await call(method, path, options);
  try {
    return await response.json();
  } catch {
    throw new Unreachable("the answer was cut off");
  }
}

export function state(after) {
  return json("GET", "/dashboard/state?after=" + after);
}

export function tasks(query) {
  return json("GET", "/v1/tasks?" + new URLSearchParams(query));
}

export function recentOf(script) {
  return json("GET", "/dashboard/script?" + new URLSearchParams({ script_path: script.script_path, function: script.function }));
}

export function task(id) {
  return json("GET", "/v1/tasks/" + encodeURIComponent(id));
}

export function result(id) {
  return json("GET", "/v1/tasks/" + encodeURIComponent(id) + "/result");
}

export function cancel(id) {
  return json("DELETE", "/v1/tasks/" + encodeURIComponent(id));
}

export function rerun(id) {
  return json("POST", "/v1/tasks/" + encodeURIComponent(id) + "/rerun");
}

export function stacks(worker) {
  return json("GET", "/v1/workers/" + encodeURIComponent(worker) + "/stacks");
}

/**
 * Calls take with each event of a task, as {event, text}, after a cursor. It returns once the result
 * has come, and throws when it is cut off before: go on after the last cursor.
 */
export async function events(id, after, signal, take) {
  const query = after ? "?after=" + encodeURIComponent(after) : "";
  const response = await call("GET", "/v1/tasks/" + encodeURIComponent(id) + "/events" + query, { signal });
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = [];
  for (;;) {
    let part;
    try {
      part = await reader.read();
    } catch (error) {
      if (signal.aborted) throw error;
      throw new Unreachable("the events were cut off");
    }
    if (part.done) throw new Unreachable("the events have ended without a result");
    const lines = part.value.split("\n");
    rest.push(lines[0]);
    for (const next of lines.slice(1)) {
      const text = rest.join("");
      rest = [next];
      if (text === "") continue;
      const event = JSON.parse(text);
      take({ event, text });
      if (event.event === "result") {
        reader.cancel().catch(() => {});
        return;
      }
    }
  }
}
