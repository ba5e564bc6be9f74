// The samples of the last hour, as the dashboard has taken them.

const KEPT = 3600;

export class History {
  rows = [];
  columns = {};

  /** The number of the last sample, 0 if there is none. */
  get seq() {
    return this.rows.length ? this.rows.at(-1)[this.columns.seq] : 0;
  }

  add(names, rows) {
    this.columns = Object.fromEntries(names.map((name, i) => [name, i]));
    this.rows.push(...rows);
    if (this.rows.length > KEPT) this.rows.splice(0, this.rows.length - KEPT);
  }

  /** The last value of a column. */
  last(column) {
    return this.rows.length ? this.rows.at(-1)[this.columns[column]] : null;
  }

  /** How long the daemon has not answered, in seconds. */
  get silence() {
    const { at, waiting } = this.columns;
    if (!this.rows.length) return 0;
    const answered = this.rows.findLast((row) => row[waiting] !== null) ?? this.rows[0];
    return this.rows.at(-1)[at] - answered[at];
  }

  /**
   * The last seconds in n parts of the same length: for each the value of a column, its mean or its
   * maximum. null: nothing is known.
   */
  parts(column, seconds, n, kind) {
    const parts = Array.from({ length: n }, () => ({ sum: 0, count: 0, max: null }));
    if (!this.rows.length) return parts.map(() => null);
    const { at } = this.columns, i = this.columns[column], end = this.rows.at(-1)[at];
    for (let r = this.rows.length - 1; r >= 0; r--) {
      const age = end - this.rows[r][at];
      if (age >= seconds) break;
      const value = this.rows[r][i];
      if (value === null) continue;
      const part = parts[n - 1 - Math.floor((age / seconds) * n)];
      part.sum += value;
      part.count++;
      part.max = Math.max(part.max ?? value, value);
    }
    return parts.map((part) => (part.count === 0 ? null : kind === "max" ? part.max : part.sum / part.count));
  }
}
