/**
 * QR codes (ISO/IEC 18004) of a link: bytes, error correction level M, versions 1 to 10, which is up to 213 bytes of UTF-8.
 *
 * A code is built in the order of the standard: the data and their checks become one stretch of bits, the fixed patterns take
 * their places, the bits fill the rest in a zigzag, and of the eight masks the one is taken that readers find easiest.
 */

/** Of each version at level M: check bytes of each block, and how many data bytes each block has. */
const BLOCKS = [
  [10, [16]],
  [16, [28]],
  [26, [44]],
  [18, [32, 32]],
  [24, [43, 43]],
  [16, [27, 27, 27, 27]],
  [18, [31, 31, 31, 31]],
  [22, [38, 38, 39, 39]],
  [22, [36, 36, 36, 37, 37]],
  [26, [43, 43, 43, 43, 44]],
].map(([checks, blocks]) => ({ checks: Number(checks), blocks: /** @type {number[]} */ (blocks) }));

/** Where alignment patterns have their centres, in both directions. */
const ALIGNED = [[], [6, 18], [6, 22], [6, 26], [6, 30], [6, 34], [6, 22, 38], [6, 24, 42], [6, 26, 46], [6, 28, 50]];

/** Whether a mask turns the module in this row and column. @type {((y: number, x: number) => boolean)[]} */
const MASKS = [
  (y, x) => (y + x) % 2 === 0,
  (y) => y % 2 === 0,
  (_, x) => x % 3 === 0,
  (y, x) => (y + x) % 3 === 0,
  (y, x) => (Math.floor(y / 2) + Math.floor(x / 3)) % 2 === 0,
  (y, x) => ((y * x) % 2) + ((y * x) % 3) === 0,
  (y, x) => (((y * x) % 2) + ((y * x) % 3)) % 2 === 0,
  (y, x) => (((y + x) % 2) + ((y * x) % 3)) % 2 === 0,
];

/** @typedef {(boolean | null)[][]} Grid rows of modules; `true` is dark, `null` not decided yet */

/**
 * @param {string} text
 * @returns {boolean[][] | null} rows of modules, `true` for dark; `null` where the text is too long
 */
export function qrCode(text) {
  const bytes = new TextEncoder().encode(text);
  const version = BLOCKS.findIndex(({ blocks }, index) => bytes.length + (index < 9 ? 2 : 3) <= sum(blocks)) + 1;
  if (version === 0) return null;
  const bits = stretch(bytes, version);
  const fixed = fixedPatterns(version);
  const codes = MASKS.map((turns, mask) => {
    const grid = fixed.map((row) => [...row]);
    fill(grid, bits, turns);
    writeFormat(grid, mask);
    return /** @type {boolean[][]} */ (grid);
  });
  return codes.reduce((best, code) => (penalty(code) < penalty(best) ? code : best));
}

/** The data with their length and padding, cut into blocks, each with its checks, woven together. @param {Uint8Array} bytes @param {number} version */
function stretch(bytes, version) {
  const { checks, blocks } = BLOCKS[version - 1];
  /** @type {number[]} */
  const head = [];
  put(head, 0b0100, 4);
  put(head, bytes.length, version < 10 ? 8 : 16);
  for (const byte of bytes) put(head, byte, 8);
  // Four bits that end the data; what is left of the last byte is zero, too.
  const data = [...new Array(Math.ceil((head.length + 4) / 8))].map((_, at) => fromBits(head.slice(at * 8, at * 8 + 8)));
  for (let pad = 0; data.length < sum(blocks); pad += 1) data.push(pad % 2 === 0 ? 0xec : 0x11);
  data.length = sum(blocks);

  let start = 0;
  const parts = blocks.map((size) => data.slice(start, (start += size)));
  const woven = [...weave(parts), ...weave(parts.map((part) => remainder(part, checks)))];
  /** @type {number[]} */
  const bits = [];
  for (const byte of woven) put(bits, byte, 8);
  return bits;
}

/** The first of each, then the second of each, and so on. @param {number[][]} parts */
function weave(parts) {
  const longest = Math.max(...parts.map((part) => part.length));
  const turns = Array.from({ length: longest }, (_, at) => parts.filter((part) => at < part.length).map((part) => part[at]));
  return turns.flat();
}

/** Powers of two in the field of 256 elements with x⁸ + x⁴ + x³ + x² + 1, and which power an element is. */
const POWER = new Uint8Array(255);
const LOG = new Uint8Array(256);
for (let at = 0, value = 1; at < 255; at += 1, value = (value << 1) ^ (value > 127 ? 0x11d : 0)) {
  POWER[at] = value;
  LOG[value] = at;
}

/** @param {number} a @param {number} b */
const times = (a, b) => (a === 0 || b === 0 ? 0 : POWER[(LOG[a] + LOG[b]) % 255]);

/** Reed-Solomon: what is left of the data, as a polynomial, divided by (x − 2⁰)(x − 2¹)… @param {number[]} data @param {number} count */
function remainder(data, count) {
  let divisor = [1];
  for (let at = 0; at < count; at += 1) {
    divisor = [...divisor, 0].map((factor, index) => factor ^ times(divisor[index - 1] ?? 0, POWER[at]));
  }
  const rest = [...data, ...new Array(count).fill(0)];
  for (let at = 0; at < data.length; at += 1) {
    const factor = rest[at];
    divisor.forEach((part, index) => (rest[at + index] ^= times(part, factor)));
  }
  return rest.slice(data.length);
}

/** @param {number} version @returns {Grid} all that is the same for every text */
function fixedPatterns(version) {
  const size = 17 + 4 * version;
  const grid = Array.from({ length: size }, () => /** @type {(boolean | null)[]} */ (new Array(size).fill(null)));
  const ring = (/** @type {number} */ cy, /** @type {number} */ cx, /** @type {number} */ reach, /** @type {number[]} */ light) => {
    for (let y = cy - reach; y <= cy + reach; y += 1) {
      for (let x = cx - reach; x <= cx + reach; x += 1) {
        if (grid[y]?.[x] !== undefined) grid[y][x] = !light.includes(Math.max(Math.abs(y - cy), Math.abs(x - cx)));
      }
    }
  };
  const places = ALIGNED[version - 1];
  const far = places.at(-1);
  for (const y of places) {
    for (const x of places) {
      // Three corners are the finders'.
      const corner = (y === 6 && (x === 6 || x === far)) || (y === far && x === 6);
      if (!corner) ring(y, x, 2, [1]);
    }
  }
  for (let at = 0; at < size; at += 1) grid[6][at] = grid[at][6] = at % 2 === 0;
  for (const [y, x] of [[3, 3], [3, size - 4], [size - 4, 3]]) ring(y, x, 4, [2, 4]);
  if (version >= 7) {
    const bits = (version << 12) | divided(version << 12, 0x1f25, 12);
    for (let at = 0; at < 18; at += 1) {
      const [there, here] = [size - 11 + (at % 3), Math.floor(at / 3)];
      grid[there][here] = grid[here][there] = ((bits >> at) & 1) === 1;
    }
  }
  // Its place is kept until the mask is known.
  writeFormat(grid, 0);
  return grid;
}

/** Level M and the mask, twice, with checks. @param {Grid} grid @param {number} mask */
function writeFormat(grid, mask) {
  const size = grid.length;
  const bits = ((mask << 10) | divided(mask << 10, 0x537, 10)) ^ 0x5412;
  for (let at = 0; at < 15; at += 1) {
    const dark = ((bits >> at) & 1) === 1;
    const along = at < 6 ? at : at < 8 ? at + 1 : size - 15 + at;
    const back = at < 8 ? size - 1 - at : at === 8 ? 7 : 14 - at;
    grid[along][8] = dark;
    grid[8][back] = dark;
  }
  grid[size - 8][8] = true;
}

/** What is left of `value` divided by `by`, as polynomials of bits. @param {number} value @param {number} by @param {number} degree */
function divided(value, by, degree) {
  let rest = value;
  for (let at = 31 - Math.clz32(rest); at >= degree; at -= 1) if ((rest >> at) & 1) rest ^= by << (at - degree);
  return rest;
}

/** From the right lower corner, two columns wide, up and down. @param {Grid} grid @param {number[]} bits @param {(y: number, x: number) => boolean} turns */
function fill(grid, bits, turns) {
  const size = grid.length;
  let next = 0;
  let up = true;
  for (let right = size - 1; right > 0; right -= 2, up = !up) {
    if (right === 6) right = 5;
    for (let step = 0; step < size; step += 1) {
      const y = up ? size - 1 - step : step;
      for (const x of [right, right - 1]) {
        if (grid[y][x] === null) grid[y][x] = (bits[next++] === 1) !== turns(y, x);
      }
    }
  }
}

/** How hard it is to read, by the standard's four rules. @param {boolean[][]} code */
function penalty(code) {
  const columns = code.map((_, x) => code.map((row) => row[x]));
  let points = 0;
  for (const row of [...code, ...columns]) {
    const text = row.map(Number).join("");
    for (const [run] of text.matchAll(/(.)\1{4,}/g)) points += run.length - 2;
    points += 40 * [...text.matchAll(/(?=10111010000|00001011101)/g)].length;
  }
  code.forEach((row, y) =>
    row.forEach((dark, x) => {
      const next = code[y + 1];
      if (next !== undefined && x > 0 && dark === row[x - 1] && dark === next[x] && dark === next[x - 1]) points += 3;
    }),
  );
  const share = sum(code.flat().map(Number)) / code.length ** 2;
  return points + 10 * Math.floor(Math.abs(share * 100 - 50) / 5);
}

/** @param {number[]} bits @param {number} value @param {number} count the highest bit first */
function put(bits, value, count) {
  for (let at = count - 1; at >= 0; at -= 1) bits.push((value >> at) & 1);
}

/** @param {number[]} bits the highest first, up to eight of them */
const fromBits = (bits) => bits.reduce((byte, bit, at) => byte | (bit << (7 - at)), 0);

/** @param {number[]} numbers */
const sum = (numbers) => numbers.reduce((all, one) => all + one, 0);
