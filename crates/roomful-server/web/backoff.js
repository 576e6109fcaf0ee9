/**
 * How long to wait before the next try: full jitter (a random part of a span that doubles), so that a thousand
 * pages that lost the same server do not come back in step.
 */
export class Backoff {
  #tries = 0;
  #floorMs;
  #ceilingMs;

  /** @param {number} [floorMs] @param {number} [ceilingMs] */
  constructor(floorMs = 500, ceilingMs = 30_000) {
    this.#floorMs = floorMs;
    this.#ceilingMs = ceilingMs;
  }

  /** @returns {number} milliseconds, never under the floor */
  next() {
    this.#tries += 1;
    const span = Math.min(this.#ceilingMs, this.#floorMs * 2 ** this.#tries);
    return this.#floorMs + Math.random() * (span - this.#floorMs);
  }

  /** It worked: begin anew. */
  reset() {
    this.#tries = 0;
  }
}
