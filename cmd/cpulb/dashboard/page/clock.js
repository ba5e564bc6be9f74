// The clock of the machine of the daemon: this browser's may be another one's, and wrong.

let ahead = 0;

export function setClock(text) {
  ahead = Date.parse(text) - Date.now();
}

export function now() {
  return Date.now() + ahead;
}
