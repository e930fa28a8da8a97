/* A charrnn model in JavaScript: reads and writes one symbol at a time, in a browser and in Node, with nothing else.
 *
 *   const model = await load("model.bin");
 *   const text = await model.generate({ seed: 7, length: 200, temperature: 0.8 });
 *
 * The letters and the numbers of the equations are those of charrnn/nn/rnn.py, gru.py and lstm.py. A seed draws the text that
 * `charrnn sample --seed` draws, since the random numbers are numpy's and the filters those of charrnn/sampling/sampler.py.
 * (Two symbols within rounding of a draw could be told apart differently: products are summed in another order.)
 *
 * Letters: V symbols, H cells per layer, L layers, E numbers per embedded symbol. W_ih, W_hh, b are weights and biases; a is what
 * a layer adds up before its nonlinearities; h is what a cell says, c what an LSTM's cell remembers.
 */

const REPLACEMENT = "\ufffd"; // for unknown characters and bytes that are no UTF-8
const STEPS = 127; // int8 steps from 0 to the scale of a row
const SLICE = 12; // milliseconds of work before others have their turn

/**
 * @typedef {{cell: "rnn" | "gru" | "lstm", layers: number, hidden: number, embedding: number, nonlinearity: string}} Config
 * @typedef {{pairs: boolean, labels: {column: string, values: string[]}[]}} ItemSymbols
 * @typedef {{dtype: string, shape: number[], data_offsets: [number, number]}} Place
 * @typedef {{h: Float32Array, c?: Float32Array}} State
 * @typedef {{temperature?: number, topK?: number, topP?: number, minP?: number}} Filters
 * @typedef {{symbol: number, probability: number, position: number}} Drawn
 * @typedef {Filters & {prime?: string, seed?: number | bigint, length?: number, stop?: string | string[], label?: Record<string, string>,
 *   input?: string, unknown?: "error" | "skip", onCharacter?: (text: string, drawn: Drawn) => void}} Settings
 */

/** The model of a file that `charrnn export --to web --module` wrote; in Node also by a path or a file: address.
 * @param {string | URL} address
 * @returns {Promise<Model>} */
export async function load(address) {
  const inNode = typeof process === "object" && Boolean(process.versions?.node);
  if (inNode && !/^https?:/.test(String(address))) {
    const { readFile } = await import("node:fs/promises");
    const place = String(address).startsWith("file:") ? new URL(address) : address;
    return new Model(new Uint8Array(await readFile(place)));
  }
  const answer = await fetch(address);
  if (!answer.ok) throw new Error(`${address} cannot be loaded: ${answer.status} ${answer.statusText}`);
  return new Model(new Uint8Array(await answer.arrayBuffer()));
}

/* ---- The file: 8 bytes for the length of the header, the header as JSON, the tensors (the safetensors format). */

/** The tensors as float32 by name, and what the header says besides.
 * @param {Uint8Array} bytes
 * @returns {{about: any, tensors: Map<string, Float32Array>}} */
function unpack(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const length = bytes.length < 8 ? -1 : Number(view.getBigUint64(0, true));
  if (length < 2 || length > bytes.length - 8) throw new Error("this is no model of charrnn for the web: its header is cut");
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + length)));
  if (!header.__metadata__?.web) throw new Error("this is no model of charrnn for the web: charrnn export --to web writes one");
  /** @param {Place} place */
  const raw = ({ data_offsets: [start, stop] }) => bytes.slice(8 + length + start, 8 + length + stop).buffer; // at an even address
  const tensors = new Map();
  for (const [name, place] of Object.entries(header)) {
    if (name === "__metadata__" || name.endsWith(".scale")) continue;
    if (place.dtype === "F32") tensors.set(name, new Float32Array(raw(place)));
    else if (place.dtype === "F16") tensors.set(name, halves(new Uint16Array(raw(place))));
    else if (place.dtype === "I8") tensors.set(name, scaled(new Int8Array(raw(place)), new Float32Array(raw(header[name + ".scale"]))));
    else throw new Error(`tensor ${name} has type ${place.dtype}, which this module does not read`);
  }
  const about = JSON.parse(header.__metadata__.web), first = `${about.config.cell}.weight_ih_l0`;
  if (!about.config.embedding && tensors.has(first)) { // of one-hot input a column is looked up: it shall be a row
    tensors.set(first, transposed(tensors.get(first), header[first].shape[1]));
  }
  return { about, tensors };
}

/** 16-bit floats from their bits: sign, 5 bits of exponent, 10 of fraction.
 * @param {Uint16Array} bits */
function halves(bits) {
  const values = new Float32Array(1 << 16), found = new Float32Array(bits.length);
  for (let k = 0; k < values.length; k++) {
    const exponent = k >> 10 & 31, fraction = k & 1023;
    const size = exponent ? (1024 + fraction) * 2 ** (exponent - 25) : fraction * 2 ** -24;
    values[k] = k & 0x8000 ? -size : size;
  }
  for (let k = 0; k < bits.length; k++) found[k] = values[bits[k]];
  return found;
}

/** Rows in int8 steps of their scales.
 * @param {Int8Array} steps
 * @param {Float32Array} scales */
function scaled(steps, scales) {
  const columns = steps.length / scales.length, found = new Float32Array(steps.length);
  for (let k = 0; k < steps.length; k++) found[k] = steps[k] * scales[Math.floor(k / columns)] / STEPS;
  return found;
}

/* ---- The maths. */

/** a += W x, for W (rows, columns) row by row; four rows at a time, so that each number of x is fetched once for four products.
 * @param {Float32Array} W
 * @param {Float32Array} x
 * @param {Float32Array} a */
function addProduct(W, x, a) {
  const columns = x.length, rows = a.length;
  let r = 0;
  for (; r + 3 < rows; r += 4) {
    const first = r * columns, second = first + columns, third = second + columns, fourth = third + columns;
    let s0 = 0, s1 = 0, s2 = 0, s3 = 0;
    for (let k = 0; k < columns; k++) {
      const value = x[k];
      s0 += W[first + k] * value;
      s1 += W[second + k] * value;
      s2 += W[third + k] * value;
      s3 += W[fourth + k] * value;
    }
    a[r] += s0;
    a[r + 1] += s1;
    a[r + 2] += s2;
    a[r + 3] += s3;
  }
  for (; r < rows; r++) {
    let sum = 0;
    for (let k = 0; k < columns; k++) sum += W[r * columns + k] * x[k];
    a[r] += sum;
  }
}

/** σ(x) = 1 / (1 + e^-x)
 * @param {number} x */
const sigmoid = (x) => 1 / (1 + Math.exp(-x));

/** A matrix (rows, columns) on its side.
 * @param {Float32Array} W
 * @param {number} columns */
function transposed(W, columns) {
  const rows = W.length / columns, found = new Float32Array(W.length);
  for (let r = 0; r < rows; r++) for (let k = 0; k < columns; k++) found[k * rows + r] = W[r * columns + k];
  return found;
}

/** What all layers share: weights, the place of their state, and the cells that are held. */
class Layer {
  /** Each gate's name, in the order of its rows in the weights. @type {string[]} */
  static GATES = [];

  /** @param {(name: string) => Float32Array} weight @param {State} state @param {boolean} oneHot @param {Config} config */
  constructor(weight, state, oneHot, config) {
    const H = config.hidden, blocks = weight("bias").length / H;
    this.oneHot = oneHot; // then the row of a symbol in weight_ih is W_ih x
    this.weight_ih = weight("weight_ih");
    this.weight_hh = weight("weight_hh");
    this.bias = weight("bias");
    this.h = state.h;
    this.c = state.c ?? new Float32Array(0);
    this.H = H;
    this.a = new Float32Array(blocks * H);
    const names = /** @type {typeof Layer} */ (this.constructor).GATES;
    /** The gates at the last symbol, by their letters. @type {Record<string, Float32Array>} */
    this.gates = Object.fromEntries(names.map((name, k) => [name, this.a.subarray(k * H, (k + 1) * H)]));
    /** Cell → the value its state is held at. @type {Map<number, number>} */
    this.held = new Map();
  }

  /** a = W_ih x + b, for a symbol or a vector x
   * @param {number} symbol @param {Float32Array} x */
  read(symbol, x) {
    const { a, bias, weight_ih } = this;
    if (this.oneHot) {
      const row = symbol * a.length;
      for (let k = 0; k < a.length; k++) a[k] = bias[k] + weight_ih[row + k];
    } else {
      a.set(bias);
      addProduct(weight_ih, x, a);
    }
  }

  /** What a cell shows of its state: h. @param {number} cell */
  signal(cell) { return this.h[cell]; }
  /** The state at which a cell's signal is this value. @param {number} value */
  stateAt(value) { return value; }

  /** @param {Float32Array} state */
  hold(state) { for (const [cell, value] of this.held) state[cell] = value; }
}

class Rnn extends Layer {
  /** @param {any[]} given */
  constructor(...given) {
    super(.../** @type {ConstructorParameters<typeof Layer>} */ (given));
    this.relu = given[3].nonlinearity === "relu";
  }
  /** @param {number} symbol @param {Float32Array} x */
  step(symbol, x) {
    const { a, h } = this;
    this.read(symbol, x);
    addProduct(this.weight_hh, h, a); // (1)
    for (let k = 0; k < this.H; k++) h[k] = this.relu ? Math.max(a[k], 0) : Math.tanh(a[k]); // (2)
    this.hold(h);
  }
}

class Gru extends Layer {
  static GATES = ["r", "z", "n"];
  /** @param {any[]} given */
  constructor(...given) {
    super(.../** @type {ConstructorParameters<typeof Layer>} */ (given));
    this.bias_hn = given[0]("bias_hn");
    this.u = new Float32Array(3 * this.H);
  }
  /** @param {number} symbol @param {Float32Array} x */
  step(symbol, x) {
    const { u, h, H, bias_hn } = this, { r, z, n } = this.gates;
    this.read(symbol, x); // (1), into the places of r, z and n
    u.fill(0);
    addProduct(this.weight_hh, h, u);
    for (let k = 0; k < H; k++) {
      r[k] = sigmoid(r[k] + u[k]); // (2)
      z[k] = sigmoid(z[k] + u[H + k]);
      n[k] = Math.tanh(n[k] + r[k] * (u[2 * H + k] + bias_hn[k])); // (3)
      h[k] = n[k] + z[k] * (h[k] - n[k]); // (4)
    }
    this.hold(h);
  }
}

class Lstm extends Layer {
  static GATES = ["i", "f", "g", "o"];
  /** @param {number} symbol @param {Float32Array} x */
  step(symbol, x) {
    const { a, h, c, H } = this, { i, f, g, o } = this.gates;
    this.read(symbol, x);
    addProduct(this.weight_hh, h, a); // (1), into the places of i, f, g and o
    for (let k = 0; k < H; k++) {
      i[k] = sigmoid(i[k]); // (2)
      f[k] = sigmoid(f[k]);
      g[k] = Math.tanh(g[k]);
      o[k] = sigmoid(o[k]);
      c[k] = f[k] * c[k] + i[k] * g[k]; // (3)
    }
    this.hold(c);
    for (let k = 0; k < H; k++) h[k] = o[k] * Math.tanh(c[k]); // (4)
  }
  /** tanh(c) @param {number} cell */
  signal(cell) { return Math.tanh(this.c[cell]); }
  /** @param {number} value */
  stateAt(value) { return Math.atanh(value); }
}

const CELLS = { rnn: Rnn, gru: Gru, lstm: Lstm };

/* ---- The symbols. */

/** What a model reads and writes: characters or bytes first, then for items the end, the boundary of a pair, and the labels. */
class Vocabulary {
  /** @param {{level: "char" | "byte", symbols: (string | number)[], items?: ItemSymbols}} vocab */
  constructor({ level, symbols, items }) {
    this.level = level;
    this.symbols = symbols;
    this.items = items ?? null;
    this.places = new Map(symbols.map((symbol, k) => [symbol, k]));
    this.end = items ? symbols.length : -1;
    this.boundary = items?.pairs ? symbols.length + 1 : -1;
    /** Columns of labels, with the symbol of each one's first value. */
    this.labels = [];
    let first = symbols.length + 1 + (items?.pairs ? 1 : 0);
    for (const { column, values } of items?.labels ?? []) {
      this.labels.push({ column, values, first });
      first += values.length;
    }
    this.size = items ? first : symbols.length;
  }

  /** The symbols of a text. Unknown characters are U+FFFD where the model knows it; otherwise an error, or left out.
   * @param {string} text @param {"error" | "skip"} unknown
   * @returns {number[]} */
  encode(text, unknown = "error") {
    const units = this.level === "byte" ? Array.from(new TextEncoder().encode(text)) : Array.from(text), found = [];
    for (const unit of units) {
      const place = this.places.get(unit) ?? (unknown === "error" ? this.places.get(REPLACEMENT) : undefined);
      if (place !== undefined) found.push(place);
      else if (unknown === "error") throw new Error(`the model does not know ${JSON.stringify(unit)}`);
    }
    return found;
  }

  /** A function from symbols, one by one, to the text that each completes; without a symbol, to the rest at the end.
   * @returns {(symbol?: number) => string} */
  decoder() {
    const { symbols, level } = this;
    if (level === "char") return (symbol) => symbol === undefined || symbol >= symbols.length ? "" : String(symbols[symbol]);
    const utf8 = new TextDecoder("utf-8", { ignoreBOM: true });
    return (symbol) => symbol === undefined ? utf8.decode()
      : symbol < symbols.length ? utf8.decode(Uint8Array.of(Number(symbols[symbol])), { stream: true }) : "";
  }

  /** @param {Iterable<number>} ids */
  decode(ids) {
    const decode = this.decoder();
    return Array.from(ids, (id) => decode(id)).join("") + decode();
  }
}

/* ---- Random numbers: numpy's default_rng(seed).random(). */

/** The 32-bit words that SeedSequence makes of a seed (O'Neill's seed_seq_fe, as in numpy).
 * @param {bigint[]} entropy @param {number} count */
function seedWords(entropy, count) {
  const words = entropy.flatMap((number) => {
    const found = [];
    for (let left = number; left > 0n || !found.length; left >>= 32n) found.push(Number(left & 0xffffffffn));
    return found;
  });
  let constant = 0x43b0d7e5;
  /** @param {number} value */
  const hash = (value) => {
    value ^= constant;
    constant = Math.imul(constant, 0x931e8875);
    value = Math.imul(value, constant);
    return value ^ (value >>> 16);
  };
  /** @param {number} x @param {number} y */
  const mix = (x, y) => {
    const value = Math.imul(x, 0xca01f9dd) - Math.imul(y, 0x4973f715) | 0;
    return value ^ (value >>> 16);
  };
  const pool = [0, 1, 2, 3].map((k) => hash(words[k] ?? 0));
  for (let from = 0; from < 4; from++) {
    for (let to = 0; to < 4; to++) if (to !== from) pool[to] = mix(pool[to], hash(pool[from]));
  }
  for (const word of words.slice(4)) for (let to = 0; to < 4; to++) pool[to] = mix(pool[to], hash(word));
  constant = 0x8b51f9dd;
  return Array.from({ length: count }, (_, k) => {
    let value = pool[k % 4] ^ constant;
    constant = Math.imul(constant, 0x58f38ded);
    value = Math.imul(value, constant);
    return (value ^ (value >>> 16)) >>> 0;
  });
}

/** numpy's PCG64 (O'Neill's PCG XSL-RR 128/64), seeded as default_rng does: each number of `seeds` gives 32-bit words. */
export class Uniforms {
  static MULTIPLIER = 0x2360ed051fc65da44385df649fccf645n;
  static MASK = (1n << 128n) - 1n;

  /** @param {...(number | bigint)} seeds */
  constructor(...seeds) {
    const words = seedWords(seeds.map((seed) => {
      if (BigInt(seed) < 0n) throw new Error(`seed is ${seed}; it must be at least 0`);
      return BigInt(seed);
    }), 8).map(BigInt);
    const [a, b, c, d] = [0, 2, 4, 6].map((k) => words[k + 1] << 32n | words[k]);
    this.increment = (c << 64n | d) << 1n & Uniforms.MASK | 1n;
    this.state = (this.increment + (a << 64n | b)) & Uniforms.MASK;
    this.advance();
  }
  advance() { this.state = this.state * Uniforms.MULTIPLIER + this.increment & Uniforms.MASK; }

  /** The next number in [0, 1). */
  next() {
    this.advance();
    const turn = this.state >> 122n, folded = (this.state >> 64n ^ this.state) & 0xffffffffffffffffn;
    const turned = (folded >> turn | folded << (64n - turn)) & 0xffffffffffffffffn;
    return Number(turned >> 11n) * 2 ** -53;
  }
}

/* ---- Drawing. */

/** The probabilities of the next symbols, as charrnn.sampling.sampler.next_distribution finds them.
 * @param {Float32Array} logits @param {Filters} filters
 * @returns {Float64Array} */
export function probabilities(logits, { temperature = 1, topK = 0, topP = 1, minP = 0 } = {}) {
  const V = logits.length, p = new Float64Array(V);
  let best = 0;
  for (let k = 1; k < V; k++) if (logits[k] > logits[best]) best = k;
  if (temperature > 0) for (let k = 0; k < V; k++) p[k] = Math.exp((logits[k] - logits[best]) / temperature);
  else p[best] = 1;
  divide(p);
  if (topK || topP < 1 || minP > 0) {
    const ranked = Array.from(p.keys()).sort((a, b) => p[b] - p[a] || a - b), least = minP * p[ranked[0]];
    let sum = 0;
    ranked.forEach((symbol, rank) => {
      const value = p[symbol];
      sum += value;
      if (value < least || sum - value >= topP || (topK && rank >= topK)) p[symbol] = 0;
    });
    divide(p);
  }
  return p;
}

/** Divide by the sum. @param {Float64Array} p */
function divide(p) {
  let sum = 0;
  for (const value of p) sum += value;
  if (!(sum > 0)) throw new Error("the model's outputs are not finite numbers: its state overflowed");
  for (let k = 0; k < p.length; k++) p[k] /= sum;
}

/** The first symbol s with p(0) + … + p(s) ≥ u Σp, for u in (0, 1]: a symbol of probability 0 is never drawn.
 * @param {Float64Array} p @param {number} u */
export function draw(p, u) {
  let total = 0;
  for (const value of p) total += value;
  let sum = 0;
  for (let k = 0; k < p.length; k++) {
    sum += p[k];
    if (sum >= u * total) return k;
  }
  return p.length - 1;
}

/** Holds back what may be the beginning of a stop text, and finds where the first one is complete. */
class Ending {
  /** @param {string[]} stops */
  constructor(stops) {
    if (stops.some((stop) => !stop)) throw new Error("stop is an empty text; it must be the text to stop before");
    this.stops = stops;
    this.held = "";
    this.ended = false;
  }
  /** The part of the text so far that can be released. @param {string} piece */
  push(piece) {
    const text = this.held + piece;
    const places = this.stops.map((stop) => [text.indexOf(stop), stop.length]).filter(([place]) => place >= 0);
    if (places.length) {
      this.ended = true;
      return text.slice(0, places.reduce((a, b) => b[0] + b[1] < a[0] + a[1] || (b[0] + b[1] === a[0] + a[1] && b[0] < a[0]) ? b : a)[0]);
    }
    let kept = 0;
    while (kept < text.length && !this.stops.some((stop) => stop.startsWith(text.slice(kept)))) kept++;
    this.held = text.slice(kept);
    return text.slice(0, kept);
  }
}

/* ---- The model. */

export class Model {
  /** @param {Uint8Array | Model} source the content of model.bin, or a model whose weights are shared */
  constructor(source) {
    /** @type {ReturnType<typeof unpack>} */
    this.parts = source instanceof Model ? source.parts : unpack(source);
    const { about, tensors } = this.parts;
    /** @type {Config} */
    this.config = about.config;
    /** How the weights were rounded: float32, float16 or int8. @type {string} */
    this.precision = about.precision;
    /** Of each column of labels, how often each was in the training text. @type {Record<string, number[]>} */
    this.labelCounts = about.label_counts ?? {};
    this.vocab = new Vocabulary(about.vocab);
    const { cell, layers: L, hidden: H, embedding: E } = this.config, V = this.vocab.size, each = cell === "lstm" ? 2 * H : H;
    /** The whole state, layer by layer: h, and of an LSTM c. Copy it to keep it. @type {Float32Array} */
    this.memory = new Float32Array(L * each);
    /** The state of each layer, as views of `memory`. @type {State[]} */
    this.state = Array.from({ length: L }, (_, l) => {
      const h = this.memory.subarray(l * each, l * each + H);
      return cell === "lstm" ? { h, c: this.memory.subarray(l * each + H, (l + 1) * each) } : { h };
    });
    /** @param {string} name @param {number} size */
    const tensor = (name, size) => {
      const found = tensors.get(name);
      if (found?.length !== size) throw new Error(`tensor ${name} is missing or of the wrong size`);
      return found;
    };
    const blocks = { rnn: 1, gru: 3, lstm: 4 }[cell];
    /** @type {(Rnn | Gru | Lstm)[]} */
    this.layers = this.state.map((state, l) => {
      const inputs = l ? H : E || V;
      /** @type {Record<string, number>} */
      const sizes = { weight_ih: blocks * H * inputs, weight_hh: blocks * H * H, bias: blocks * H, bias_hn: H };
      return new CELLS[cell]((/** @type {string} */ name) => tensor(`${cell}.${name}_l${l}`, sizes[name]), state, l === 0 && !E, this.config);
    });
    this.embedding = E ? tensor("embedding.weight", V * E) : null;
    this.head = { weight: tensor("head.weight", V * H), bias: tensor("head.bias", V) };
    /** What the model expects after the last symbol, unnormalised. @type {Float32Array} */
    this.logits = new Float32Array(V);
  }

  /** Another reader with the same weights, a state of its own, and no cell held. */
  twin() { return new Model(this); }

  /** Back to the state before any text. */
  reset() {
    this.memory.fill(0);
    return this;
  }

  /** Read a symbol; returns the logits of the next one, in an array that the next call overwrites.
   * @param {number} symbol */
  read(symbol) {
    const E = this.config.embedding;
    let x = this.embedding ? this.embedding.subarray(symbol * E, (symbol + 1) * E) : this.logits; // one-hot: x is not looked at
    for (const layer of this.layers) {
      layer.step(symbol, x);
      x = layer.h;
    }
    this.logits.set(this.head.bias);
    addProduct(this.head.weight, x, this.logits);
    return this.logits;
  }

  /** Hold the signal of a cell (tanh(c) of an LSTM, h otherwise) at a value from now on; null lets it go.
   * @param {number} layer @param {number} cell @param {number | null} value */
  hold(layer, cell, value) {
    const { layers: L, hidden: H, cell: kind } = this.config;
    if (!(layer in this.layers && Number.isInteger(cell) && cell >= 0 && cell < H)) {
      throw new Error(`there is no cell ${layer}:${cell}; the model has layers 0 to ${L - 1} of cells 0 to ${H - 1}`);
    }
    if (value === null) {
      this.layers[layer].held.delete(cell);
      return this;
    }
    if (!Number.isFinite(value) || (kind === "lstm" && Math.abs(value) >= 1)) {
      throw new Error(`${layer}:${cell}=${value}: the value must be greater than -1 and less than 1, as this model's signals are`);
    }
    this.layers[layer].held.set(cell, this.layers[layer].stateAt(value));
    return this;
  }
  /** Let all cells go. */
  free() {
    for (const layer of this.layers) layer.held.clear();
    return this;
  }

  /** What the model reads before the first symbol is drawn.
   * @param {number[]} prime @param {Record<string, string>} labels one of every column @param {number[]} input */
  begins(prime, labels = {}, input = []) {
    const { vocab } = this, { items } = vocab;
    if (!items) return prime.length ? prime : [vocab.places.get(vocab.level === "char" ? "\n" : 10) ?? 0];
    const condition = vocab.labels.map(({ column, values, first }) => {
      const place = values.indexOf(labels[column]);
      if (place < 0) throw new Error(`the model has no label ${JSON.stringify(labels[column])} of ${column}`);
      return first + place;
    });
    if (items.pairs) condition.push(...input, vocab.boundary);
    return [...(condition.length ? condition : [vocab.end]), ...prime];
  }

  /** The labels of a text: those given, the others drawn by the seed, as often as in the training text.
   * @param {Record<string, string>} given @param {number | bigint} seed */
  labelsFor(given, seed) {
    const uniforms = new Uniforms(seed, 1), /** @type {Record<string, string>} */ found = {};
    for (const { column, values } of this.vocab.labels) {
      if (Object.hasOwn(given, column)) {
        found[column] = given[column];
        continue;
      }
      const counts = this.labelCounts[column] ?? values.map(() => 1), all = counts.reduce((a, b) => a + b, 0), u = uniforms.next();
      let sum = 0;
      found[column] = values.find((_, k) => (sum += counts[k]) / all > u) ?? values[values.length - 1];
    }
    return found;
  }

  /** A text, drawn as `charrnn sample` draws it with the same settings. The page keeps answering meanwhile.
   * @param {Settings} settings
   * @returns {Promise<string>} */
  async generate({ prime = "", seed = Math.floor(Math.random() * 2 ** 32), length, temperature = 0.8, topK = 0, topP = 1, minP = 0,
    stop = [], label = {}, input = "", unknown = "error", onCharacter = () => {} } = {}) {
    const { vocab } = this, filters = { temperature, topK, topP, minP }, uniforms = new Uniforms(seed);
    if (!(temperature >= 0 && temperature < Infinity)) throw new Error(`temperature is ${temperature}; it must be at least 0`);
    if (!(topP > 0 && topP <= 1)) throw new Error(`topP is ${topP}; it must be above 0 and at most 1`);
    if (!(minP >= 0 && minP <= 1)) throw new Error(`minP is ${minP}; it must be from 0 to 1`);
    const given = vocab.encode(prime, unknown), most = length ?? (vocab.items ? 10_000 : 500);
    const begins = this.begins(given, this.labelsFor(label, seed), vocab.encode(input, unknown));
    const decode = vocab.decoder(), ending = new Ending([stop].flat());
    let text = vocab.items ? vocab.decode(given) : "", symbol = -1, turn = performance.now();
    this.reset();
    for (const one of begins) this.read(one);
    for (let position = 0; position < most && !ending.ended; position++) {
      if (position) this.read(symbol);
      const p = probabilities(this.logits, filters);
      symbol = draw(p, 1 - uniforms.next());
      if (symbol === vocab.end) break;
      const piece = ending.push(decode(symbol));
      text += piece;
      if (piece) onCharacter(piece, { symbol, probability: p[symbol], position });
      if (performance.now() - turn > SLICE) {
        await new Promise((go) => { setTimeout(go); });
        turn = performance.now();
      }
    }
    if (ending.ended) return text;
    const rest = ending.push(decode());
    return text + rest + (ending.ended ? "" : ending.held);
  }
}
