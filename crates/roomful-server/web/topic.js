/**
 * What a room is about, learned from welcomes, answers and the log, which may overtake one another: the newest counts.
 */

export class Topic {
  text = "";
  /** @type {string | null} */
  #epoch = null;
  #seq = 0;

  /**
   * @param {string} text
   * @param {{ epoch: string | null, seq: number | null }} at how far the room was when this was its topic
   * @returns {boolean} whether it is another one now
   */
  learn(text, { epoch, seq }) {
    if (epoch === this.#epoch && (seq ?? 0) < this.#seq) return false;
    const changed = text !== this.text;
    this.text = text;
    this.#epoch = epoch;
    this.#seq = seq ?? 0;
    return changed;
  }
}
