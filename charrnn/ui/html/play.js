
/* The page that writes. The text is a function of the beginning, the seed and the settings (`wish`): each change makes a new wish,
   and undo goes back to one before. A track reads the beginning and draws what follows; while a cell is held there is a second
   track with the same random numbers. Work is done in slices, so that the page answers at once. */
(() => {
  const { el, byId, data, glyph, describe, letter, number, count } = Page;
  const bytes = Uint8Array.from(atob(data.model), (ch) => ch.charCodeAt(0));
  const model = new Model(bytes), { vocab, config } = model, L = config.layers, H = config.hidden;
  const isItems = Boolean(vocab.items), BARS = 8, SLICE_MS = 10, DRAW_MS = 100; // from one drawing to the next while there is more to write: drawing costs more than writing
  const MOST = Math.min(20_000, Math.floor(64e6 / (4 * model.memory.length))); // characters whose states are kept
  const HIGHEST = config.nonlinearity === "relu" && config.cell === "rnn" ? null : 1; // of a signal; null: no limit
  const ITEM_END = "\udc00"; // what Page.glyph shows as the end of an item
  const spell = (symbol) => symbol === vocab.end ? ITEM_END : symbol > vocab.end && isItems ? "\udc03"
    : vocab.level === "char" ? vocab.symbols[symbol]
      : vocab.symbols[symbol] < 128 ? String.fromCharCode(vocab.symbols[symbol]) : String.fromCharCode(0xdc00 + vocab.symbols[symbol]);
  const shown = (symbol) => vocab.level === "byte" && symbol < vocab.symbols.length && vocab.symbols[symbol] >= 128
    ? vocab.symbols[symbol].toString(16).toUpperCase() : spell(symbol) === " " ? "␣" : glyph(spell(symbol));

  /* ---- What is wished for. */
  const clampTo = (value, low, high, otherwise) => Number.isFinite(value) ? Math.min(high, Math.max(low, value)) : otherwise;
  let wish = { given: [], seed: 0n, temperature: 0.8, topK: 0, topP: 1, minP: 0, length: 1000, written: 0, labels: {}, input: "", holds: new Map() };
  const before = [];
  let lastKind = "";
  const state = { running: false, pinned: null, track: null, cell: 0, colour: "surprise" };

  const FILTERS = ["temperature", "topK", "topP", "minP"];
  const filters = () => Object.fromEntries(FILTERS.map((name) => [name, wish[name]]));
  const limit = () => Math.min(wish.length, MOST - wish.given.length);

  /* ---- A track: the symbols shown, the state after each, and its surprise in bits. */
  class Track {
    constructor(sheet) {
      this.model = model.twin();
      this.sheet = sheet;
      this.clear();
    }
    clear() {
      this.symbols = [];
      this.surprises = [];
      this.states = []; // after each symbol; of an item's end, that before the next item
      this.items = [0]; // where each item begins
      this.drawn = []; // how many symbols are drawn, up to each one
      this.texts = [];
      this.looked = -1;
      this.decode = vocab.decoder();
      this.numbers = new Map();
    }
    get length() { return this.symbols.length; }
    get written() { return this.length ? this.drawn[this.length - 1] : 0; }
    item(k) { // the number of the item that place k belongs to
      let item = this.items.length - 1;
      while (item && this.items[item] > k) item--;
      return item;
    }
    begins(item) {
      if (!isItems) return wish.given.length ? [] : model.begins([]);
      return model.begins([], model.labelsFor(wish.labels, wish.seed + BigInt(item)), vocab.encode(wish.input, "skip"));
    }
    uniform(item, k) { // the k-th random number of an item
      if (!this.numbers.has(item)) this.numbers.set(item, { source: new Uniforms(wish.seed + BigInt(item)), found: [] });
      const { source, found } = this.numbers.get(item);
      while (found.length <= k) found.push(1 - source.next());
      return found[k];
    }
    /* The model of this track as it is before place k. */
    look(k) {
      if (this.looked === k) return this.model;
      if (k === 0 || this.symbols[k - 1] === vocab.end) {
        this.model.reset();
        for (const symbol of this.begins(this.item(k))) this.model.read(symbol);
      } else {
        if (k === 1 || this.symbols[k - 2] === vocab.end) this.look(k - 1);
        else this.model.memory.set(this.states[k - 2]);
        this.model.read(this.symbols[k - 1]);
      }
      this.looked = k;
      return this.model;
    }
    /* Whether anything is known before place k: a beginning is read from nothing. */
    knows(k) { return k > 0 || isItems || !wish.given.length; }
    full() {
      if (this.length >= MOST) return true;
      return isItems ? this.items.length - 1 >= wish.length : this.written >= limit();
    }
    get done() {
      const place = this.length - this.items[this.items.length - 1];
      return place >= wish.given.length && (this.written >= wish.written || this.full());
    }
    /* One more symbol. */
    grow() {
      const k = this.length, item = this.items.length - 1, place = k - this.items[item];
      const one = this.look(k), isDrawn = place >= wish.given.length, written = this.written;
      let symbol, p = null;
      if (isDrawn) symbol = draw(probabilities(one.logits, filters()), this.uniform(item, place - wish.given.length));
      else symbol = wish.given[place];
      if (this.knows(k)) p = probabilities(one.logits)[symbol];
      this.symbols.push(symbol);
      this.surprises.push(p === null ? NaN : -Math.log2(p));
      this.drawn.push(written + (isDrawn ? 1 : 0));
      this.texts.push(symbol === vocab.end ? ITEM_END : this.decode(symbol));
      if (symbol === vocab.end) {
        this.items.push(k + 1);
        this.decode = vocab.decoder();
        this.states.push(null);
      } else {
        one.read(symbol);
        this.looked = k + 1;
        this.states.push(one.memory.slice());
      }
    }
    /* Forget all but the first symbols. */
    cut(keep) {
      if (keep >= this.length) return;
      for (const list of [this.symbols, this.surprises, this.states, this.drawn, this.texts]) list.length = keep;
      this.items = this.items.filter((begin) => begin <= keep);
      this.looked = -1;
      this.decode = vocab.decoder();
      if (vocab.level === "byte") for (const symbol of this.symbols.slice(this.items[this.items.length - 1])) this.decode(symbol);
      this.sheet.cut(keep);
    }
    restart() {
      this.cut(0);
      this.clear();
    }
    signalAt(cell, k) { // after symbol k
      const memory = this.states[k];
      if (!memory) return NaN;
      const layer = Math.floor(cell / H), each = memory.length / L;
      return config.cell === "lstm" ? Math.tanh(memory[layer * each + H + cell % H]) : memory[layer * each + cell % H];
    }
    text() { return this.symbols.length ? this.texts.map((piece) => piece === ITEM_END ? "\n" : piece).join("") : ""; }
  }

  /* ---- A sheet: the letters of a track on the page. */
  class Sheet {
    constructor(node) {
      this.node = node;
      this.spans = [];
      this.worn = [];
      this.caret = el("span", { class: "caret", "aria-hidden": "true" });
      this.parted = -1;
    }
    cut(keep) {
      for (const span of this.spans.slice(keep)) span.remove();
      this.spans.length = this.worn.length = Math.min(keep, this.spans.length);
      for (const block of [...this.node.children]) if (!block.querySelector("span:not(.caret)")) block.remove();
    }
    append(track) {
      const follows = this.node.scrollHeight - this.node.scrollTop - this.node.clientHeight < 60;
      for (let k = this.spans.length; k < track.length; k++) {
        const last = k && (track.texts[k - 1] === "\n" || track.symbols[k - 1] === vocab.end);
        let block = this.node.lastElementChild;
        if (!block || last) this.node.append(block = el("div", { class: "block" }));
        const text = track.texts[k];
        const span = text === ITEM_END ? el("span", { class: "item-end" }, "∎")
          : text.length ? Array.from(text).length === 1 ? letter(text) : el("span", null, ...Array.from(text, letter)) : el("span");
        span.place = k;
        span.base = span.className;
        this.worn[k] = span.base;
        this.spans.push(span);
        block.append(span);
      }
      if (!this.node.lastElementChild) this.node.append(el("div", { class: "block" }));
      this.node.lastElementChild.append(this.caret);
      if (follows && state.pinned === null) this.node.scrollTop = this.node.scrollHeight;
    }
    paint(track) {
      const top = HIGHEST ?? highest(track);
      for (let k = 0; k < this.spans.length; k++) {
        let look = this.spans[k].base;
        if (k - track.items[track.item(k)] < wish.given.length) look += " given";
        if (state.colour === "surprise") look += " " + Page.step(Math.min(1, track.surprises[k] / 8));
        else if (state.colour === "cell") look += " " + Page.step(track.signalAt(state.cell, k) / top);
        if (state.pinned === k && state.track === track) look += " picked";
        if (k === this.parted) look += " parted";
        if (look !== this.worn[k]) this.spans[k].className = this.worn[k] = look;
      }
    }
  }
  function highest(track) {
    let top = 1;
    for (let k = 0; k < track.length; k++) top = Math.max(top, Math.abs(track.signalAt(state.cell, k)) || 0);
    return top;
  }

  const free = new Track(new Sheet(byId("text"))), held = new Track(new Sheet(byId("held")));
  const tracks = () => wish.holds.size ? [held, free] : [free];

  /* ---- Work in slices: whatever a wish still lacks is done while the page has nothing else to do. */
  const channel = new MessageChannel();
  let working = false, drawing = false, drawn = 0, paced = 0, dirty = true;
  channel.port1.onmessage = () => {
    working = false;
    const stop = performance.now() + SLICE_MS;
    while (performance.now() < stop) {
      const open = tracks().filter((track) => !track.done);
      if (!open.length) break;
      // The one that is behind first, so that both are seen to write.
      open.reduce((a, b) => b.length < a.length ? b : a).grow();
    }
    if (performance.now() - drawn > DRAW_MS || tracks().every((track) => track.done)) dirty = true;
    work();
  };
  function work() {
    const open = tracks().some((track) => !track.done);
    byId("sheets").setAttribute("aria-busy", String(open || dirty));
    if (!working && open) {
      working = true;
      channel.port2.postMessage(0);
    }
    if (!drawing && (dirty || (state.running && !open))) {
      drawing = true;
      requestAnimationFrame(frame);
    }
  }
  const speed = { from: 0, at: 0, rate: 0 };
  function frame(now) {
    drawing = false;
    if (state.running) {
      const pace = byId("pace").value;
      if (pace === "fast") {
        wish.written = Math.max(wish.written, isItems ? MOST : limit());
      } else {
        paced += Math.min(0.25, (now - (speed.last ?? now)) / 1000) * Number(pace);
        if (free.done) wish.written = free.written + Math.floor(paced); // no faster than it can
        paced -= Math.floor(paced);
      }
      if (free.full() && tracks().every((track) => track.done)) {
        wish.written = free.written;
        run(false);
      }
    }
    speed.last = now;
    if (now - speed.at > 500) {
      speed.rate = Math.max(0, free.written - speed.from) / (now - speed.at) * 1000;
      speed.from = free.written;
      speed.at = now;
    }
    if (dirty) show();
    work();
  }

  /* ---- Changes. */
  const copyOf = (one) => ({ ...one, given: [...one.given], labels: { ...one.labels }, holds: new Map(one.holds) });
  /* Make a change; undo takes it back. Changes of one kind in a row, such as the letters typed, count as one. */
  function change(kind, parts) {
    if (kind !== lastKind || !["type", "temperature", "top-p", "value", "input", "step"].includes(kind)) {
      before.push(copyOf(wish));
      if (before.length > 500) before.shift();
    }
    lastKind = kind;
    become({ ...copyOf(wish), ...parts });
  }
  function undo() {
    if (!before.length) return;
    lastKind = "";
    run(false);
    become(before.pop());
  }
  const same = (a, b) => a.length === b.length && a.every((one, k) => one === b[k]);
  const samePairs = (a, b) => same(Object.entries(a).flat(), Object.entries(b).flat());
  function become(next) {
    const was = wish, held0 = [...was.holds].flat(), held1 = [...next.holds].flat();
    const begins = was.seed === next.seed && samePairs(was.labels, next.labels) && was.input === next.input;
    const settings = FILTERS.every((name) => was[name] === next[name]) && begins;
    const silent = !isItems && Boolean(was.given.length) !== Boolean(next.given.length);
    wish = next;
    for (const track of [free, held]) {
      if (track === held) {
        if (!same(held0, held1)) {
          track.model.free();
          for (const [cell, value] of next.holds) track.model.hold(Math.floor(cell / H), cell % H, value);
          track.restart();
        }
        if (!next.holds.size) continue;
      }
      if (silent || (isItems && !(settings && same(was.given, next.given)))) {
        track.restart();
      } else if (!same(was.given, next.given)) { // what is shown and is in the new beginning stays
        let keep = 0;
        while (keep < track.length && keep < next.given.length && track.symbols[keep] === next.given[keep]) keep++;
        track.cut(keep);
        track.drawn.fill(0);
        if (!begins) track.numbers.clear();
      } else if (!settings) {
        track.cut(next.given.length);
        track.numbers.clear();
      } else if (track.written > next.written) {
        let keep = track.length;
        while (keep && track.drawn[keep - 1] > next.written) keep--;
        track.cut(keep);
      }
    }
    if (state.pinned !== null && state.pinned >= state.track.length) pin(null);
    dirty = true;
    settle();
    work();
  }
  function run(on) {
    if (on && free.full() && free.done) change("more", { length: isItems ? wish.length + 10 : wish.length + 500 });
    if (on && !state.running) {
      before.push(copyOf(wish));
      lastKind = "run";
    }
    state.running = on;
    if (!on) wish.written = free.written;
    speed.last = undefined;
    byId("run").textContent = on ? "Pause" : "Write";
    dirty = true;
    work();
  }
  function step() {
    run(false);
    if (free.full()) return;
    change("step", { written: free.written + 1 });
  }
  /* Put a symbol at place k: all before it becomes the beginning, of every item where there are some. */
  function choose(track, k, symbol) {
    if (symbol === vocab.end) return;
    const from = isItems ? track.items[track.item(k)] : 0;
    pin(null);
    change("choose", { given: [...track.symbols.slice(from, k), symbol], written: state.running ? wish.written : 0 });
  }
  /* The model's next word becomes part of the beginning. */
  function complete() {
    while (free.length < wish.given.length) free.grow();
    const start = wish.given.length;
    const word = () => {
      const match = /^\s*\S+(?=\s)/.exec(free.texts.slice(start, free.items[1] ?? free.length).join("").replaceAll(ITEM_END, "\n"));
      return match ? Array.from(match[0]).length : 0;
    };
    const most = limit();
    let found = word();
    while (!found && free.written < Math.min(60, most) && free.items.length === 1) {
      wish.written = Math.max(wish.written, free.written + 1);
      free.grow();
      found = word();
    }
    const end = free.items.length > 1 ? free.items[1] - 1 : free.length;
    let taken = start, letters = 0;
    while (taken < end && (!found || letters < found)) letters += Array.from(free.texts[taken++]).length;
    change("complete", { given: free.symbols.slice(0, taken), written: state.running ? wish.written : 0 });
  }

  /* ---- The end, or a place that is picked: what is shown beside the text is true there. */
  function pin(k, track = free) {
    state.pinned = k;
    state.track = k === null ? null : track;
    byId("to-end").hidden = k === null;
    dirty = true;
    work();
  }
  const here = () => state.pinned !== null ? [state.track, state.pinned] : [free, free.length - 1]; // the last symbol read

  function show() {
    dirty = false;
    drawn = performance.now();
    for (const track of tracks()) track.sheet.append(track);
    let parted = -1;
    if (wish.holds.size) {
      const both = Math.min(free.length, held.length);
      parted = free.symbols.findIndex((symbol, k) => k < both && symbol !== held.symbols[k]);
    }
    for (const track of tracks()) {
      track.sheet.parted = parted;
      track.sheet.paint(track);
    }
    const fast = state.running && byId("pace").value === "fast";
    const apart = !wish.holds.size ? "" : parted < 0 ? "the same so far, " : `apart from character ${count(parted)}, `;
    byId("tally").textContent = apart + `${count(free.length)} ${vocab.level === "byte" ? "bytes" : "characters"}`
      + (isItems ? `, ${count(free.items.length - 1)} items` : "") + (fast && speed.rate ? `, ${count(Math.round(speed.rate))} per second` : "");
    byId("undo").disabled = !before.length;
    showBars();
    showCells();
    byId("command").textContent = command();
  }

  function showBars() {
    const pinned = state.pinned !== null, [track] = here(), k = pinned ? state.pinned : track.length;
    const rows = [];
    if (track.knows(k)) {
      const one = track.look(k), p = probabilities(one.logits, filters());
      const ranked = Array.from(p.keys()).sort((a, b) => one.logits[b] - one.logits[a] || a - b).slice(0, BARS);
      ranked.forEach((symbol, rank) => rows.push({ symbol, rank, p: p[symbol], now: pinned && track.symbols[k] === symbol }));
    }
    byId("next-title").textContent = pinned ? `What could stand at character ${count(k)}` : "What comes next";
    byId("next-says").textContent = !rows.length ? "The first character of a beginning is read from nothing."
      : pinned ? "Choose one, and the text goes on from there." : "";
    const list = byId("bars");
    while (list.children.length > rows.length) list.lastElementChild.remove();
    while (list.children.length < rows.length) list.append(bar());
    rows.forEach(({ symbol, rank, p, now }, row) => {
      const button = list.children[row].firstElementChild, [, sign, rail, figure] = button.children, text = shown(symbol);
      button.symbol = symbol;
      button.disabled = symbol === vocab.end || symbol > vocab.end && isItems;
      button.setAttribute("aria-current", String(now));
      button.setAttribute("aria-label", `${rank + 1}: ${text}, ${describe(spell(symbol))}, ${percent(p)}`);
      sign.textContent = text;
      sign.className = Array.from(text).length > 1 ? "long" : "";
      rail.firstElementChild.style.width = 100 * p + "%";
      figure.textContent = percent(p);
    });
  }
  const percent = (p) => p && p < 0.0005 ? "< 0.1 %" : number(100 * p, 1) + " %";
  function bar() {
    const place = byId("bars").children.length;
    return el("li", null, el("button", { type: "button", onclick: (event) => {
      const [track] = here();
      choose(track, state.pinned ?? track.length, event.currentTarget.symbol);
    } }, el("kbd", { "aria-hidden": "true" }, String(place + 1)), el("b"), el("span", { class: "rail" }, el("i")), el("span", { class: "figure" })));
  }

  /* ---- Cells: lamps, grid, gates, holding. */
  const name = (cell) => `${Math.floor(cell / H)}:${cell % H}`;
  const named = new Map(); // cell → its findings, strongest first
  for (const finding of data.findings) {
    const cell = finding.layer * H + finding.cell;
    named.set(cell, [...named.get(cell) ?? [], finding]);
  }
  function pickCell(cell) {
    lastKind = "";
    state.cell = (cell + L * H) % (L * H);
    byId("cell").value = name(state.cell);
    byId("cell").removeAttribute("aria-invalid");
    byId("cell-says").textContent = "";
    const found = (named.get(state.cell) ?? []).map((one) => `${Page.visible(one.concept)}: ${one.verdict}, score ${number(one.score, 2)}. `);
    byId("cell-about").textContent = found.join("") + `Its signal is ${config.cell === "lstm" ? "tanh(c)" : "h"}.`;
    settle();
    dirty = true;
    work();
  }
  function showCell(cell) {
    pickCell(cell);
    byId("colour").value = state.colour = "cell";
    showLegend();
  }
  const meanings = { i: "input gate", f: "forget gate", g: "candidate", o: "output gate", r: "reset gate", z: "update gate", n: "candidate",
    c: "memory", h: "output" };
  function showCells() {
    const [track, k] = here(), memory = k >= 0 ? track.states[k] : null, top = HIGHEST ?? highest(track);
    for (const lamp of lamps) {
      const value = k < 0 ? NaN : track.signalAt(lamp.cell, k), on = lamp.finding.sign * value > (lamp.finding.threshold ?? 0) * lamp.finding.sign;
      lamp.light.className = "lamp " + Page.step(value / top) + (on ? " lit" : "");
      lamp.figure.textContent = number(value, 2);
      lamp.button.setAttribute("aria-current", String(lamp.cell === state.cell));
    }
    for (const grid of grids) grid.draw(track, k);
    if (!byId("gates").open) return;
    const rows = [];
    if (memory) {
      const layer = Math.floor(state.cell / H), unit = state.cell % H, one = track.look(k + 1).layers[layer];
      for (const [gate, values] of Object.entries(one.gates)) rows.push([gate, values[unit]]);
      if (config.cell === "lstm") rows.push(["c", one.c[unit]]);
      rows.push(["h", one.h[unit]]);
    }
    byId("gate-list").replaceChildren(...rows.flatMap(([letter, value]) => {
      const size = Math.min(1, Math.abs(value)), fill = el("i", { class: value < 0 ? "low" : "high" });
      fill.style.left = (value < 0 ? 50 - 50 * size : 50) + "%";
      fill.style.width = 50 * size + "%";
      return [el("dt", null, el("b", null, letter), el("span", null, meanings[letter])), el("dd", { class: "rail" }, fill),
        el("dd", { class: "figure" }, number(value, 3))];
    }));
  }
  const lamps = data.findings.map((finding) => {
    const cell = finding.layer * H + finding.cell, light = el("span", { class: "lamp", "aria-hidden": "true" }), figure = el("span", { class: "figure" });
    const button = el("button", { type: "button", title: `cell ${name(cell)}, score ${number(finding.score, 2)}`, onclick: () => showCell(cell) },
      light, el("span", { class: "named" }, Page.visible(finding.concept)), el("span", { class: `verdict ${finding.verdict}` }, finding.verdict), figure);
    byId("lamps").append(el("li", null, button));
    return { finding, cell, light, figure, button };
  });
  byId("lamps-panel").hidden = !lamps.length;

  let swatches = Page.swatches();
  const grids = Array.from({ length: L }, (_, layer) => {
    const canvas = el("canvas", { tabindex: "0", role: "img", "aria-label": `Signals of the ${H} cells of layer ${layer}; arrow keys pick one` });
    const columns = Math.min(H, Math.max(8, Math.ceil(Math.sqrt(H * 2)))), rows = Math.ceil(H / columns);
    if (L > 1) byId("grids").append(el("h3", null, `layer ${layer}`));
    byId("grids").append(canvas);
    const cellAt = (event) => {
      const box = canvas.getBoundingClientRect();
      const unit = Math.floor((event.clientY - box.top) / box.height * rows) * columns + Math.floor((event.clientX - box.left) / box.width * columns);
      return unit >= 0 && unit < H ? layer * H + unit : null;
    };
    canvas.addEventListener("click", (event) => { if (cellAt(event) !== null) showCell(cellAt(event)); });
    canvas.addEventListener("pointermove", (event) => {
      const cell = cellAt(event), [track, k] = here();
      if (cell === null) { Page.hideTip(); return; }
      const found = named.get(cell) ?? [], value = k < 0 ? NaN : track.signalAt(cell, k);
      Page.showTip({ getClientRects: () => [{ left: event.clientX, top: event.clientY, bottom: event.clientY + 8 }] },
        el("dl", null, el("dt", null, `cell ${name(cell)}`), el("dd", null, number(value)), ...found.flatMap((one) => [el("dt", null, Page.visible(one.concept)), el("dd", null, one.verdict)])));
    });
    canvas.addEventListener("pointerleave", Page.hideTip);
    canvas.addEventListener("keydown", (event) => {
      const by = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns }[event.key];
      if (by === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      event.stopPropagation();
      const inside = state.cell >= layer * H && state.cell < (layer + 1) * H ? state.cell - layer * H + by : 0;
      if (inside >= 0 && inside < H) showCell(layer * H + inside);
      byId("live").textContent = `cell ${name(state.cell)}`;
    });
    return { draw(track, k) {
      const width = Math.round(canvas.clientWidth * devicePixelRatio), side = width / columns, pen = canvas.getContext("2d");
      if (canvas.width !== width || canvas.height !== Math.round(side * rows)) {
        canvas.width = width;
        canvas.height = Math.round(side * rows);
      }
      pen.clearRect(0, 0, canvas.width, canvas.height);
      const gap = side > 6 ? 1 : 0, top = HIGHEST ?? highest(track);
      const square = (unit) => [unit % columns * side, Math.floor(unit / columns) * side, side - gap, side - gap];
      for (let unit = 0; unit < H; unit++) {
        const value = k < 0 ? 0 : track.signalAt(layer * H + unit, k) / top, at = Math.max(-8, Math.min(8, Math.round(8 * (value || 0))));
        pen.fillStyle = at ? swatches[at] : swatches.none;
        pen.fillRect(...square(unit));
      }
      pen.strokeStyle = swatches.ink;
      for (const cell of [...named.keys(), ...wish.holds.keys(), state.cell]) {
        if (Math.floor(cell / H) !== layer) continue;
        const [x, y, w, h] = square(cell % H), wide = cell === state.cell ? 2.5 * devicePixelRatio : wish.holds.has(cell) ? 2 * devicePixelRatio : 1;
        pen.lineWidth = wide;
        pen.strokeRect(x + wide / 2, y + wide / 2, w - wide, h - wide);
      }
    } };
  });
  const readSwatches = () => {
    swatches = Page.swatches();
    swatches.none = getComputedStyle(document.documentElement).getPropertyValue("--raised");
    const probe = el("i");
    probe.style.background = "var(--raised)";
    document.body.append(probe);
    swatches.none = getComputedStyle(probe).backgroundColor;
    probe.remove();
    dirty = true;
    work();
  };
  document.addEventListener("themechange", readSwatches);
  new ResizeObserver(() => { dirty = true; work(); }).observe(byId("grids"));

  function hold(on) {
    const holds = new Map(wish.holds);
    if (on) holds.set(state.cell, Number(byId("value").value));
    else holds.delete(state.cell);
    change("hold", { holds });
  }
  byId("hold").addEventListener("change", () => hold(byId("hold").checked));
  byId("value").addEventListener("input", () => {
    byId("value-says").textContent = number(Number(byId("value").value), 2);
    change("value", { holds: new Map(wish.holds).set(state.cell, Number(byId("value").value)) });
  });
  byId("before").addEventListener("click", () => showCell(state.cell - 1));
  byId("after").addEventListener("click", () => showCell(state.cell + 1));
  byId("cell").addEventListener("change", () => {
    const match = /^\s*(\d+)\s*:\s*(\d+)\s*$/.exec(byId("cell").value);
    if (match && Number(match[1]) < L && Number(match[2]) < H) {
      showCell(Number(match[1]) * H + Number(match[2]));
    } else {
      byId("cell").setAttribute("aria-invalid", "true");
      byId("cell-says").textContent = `There are layers 0 to ${L - 1} of cells 0 to ${H - 1}: write ${name(state.cell)}, for example.`;
    }
  });

  /* ---- The text under the pointer and the keys. */
  function about(track, k) {
    const surprise = track.surprises[k], facts = [], value = track.signalAt(state.cell, k);
    facts.push(["surprise", Number.isFinite(surprise) ? `${number(surprise, 2)} bits, p ${percent(2 ** -surprise)}` : "–"]);
    facts.push([`cell ${name(state.cell)}`, number(value)]);
    if (track.states[k]) {
      const one = track.look(k + 1).layers[Math.floor(state.cell / H)];
      const gates = Object.entries(one.gates).map(([gate, values]) => `${gate} ${number(values[state.cell % H], 2)}`);
      if (gates.length) facts.push(["gates", gates.join("  ")]);
    }
    if (track.knows(k)) {
      const p = probabilities(track.look(k).logits);
      const best = Array.from(p.keys()).sort((a, b) => p[b] - p[a]).slice(0, 4);
      facts.push(["guesses", best.map((symbol) => `${shown(symbol)} ${Math.round(100 * p[symbol])} %`).join("  ")]);
    }
    return facts;
  }
  function tell(track, k) {
    const ch = spell(track.symbols[k]);
    Page.showTip(track.sheet.spans[k], el("p", { class: "what" }, el("b", null, shown(track.symbols[k])),
      el("span", { class: "quiet" }, `${describe(ch)}, character ${count(k)}`)),
    el("dl", null, ...about(track, k).flatMap(([what, v]) => [el("dt", null, what), el("dd", null, v)])));
  }
  for (const track of [free, held]) {
    const { node } = track.sheet;
    const placeOf = (event) => event.target instanceof Element ? (event.target.place ?? event.target.parentElement?.place) : undefined;
    node.addEventListener("pointerover", (event) => {
      const k = placeOf(event);
      if (k === undefined || event.pointerType === "touch") Page.hideTip();
      else tell(track, k);
    });
    node.addEventListener("pointerleave", Page.hideTip);
    node.addEventListener("scroll", Page.hideTip);
    node.addEventListener("click", (event) => {
      if (!getSelection().isCollapsed) return; // text is being marked
      const k = placeOf(event);
      if (k === undefined) { pin(null); return; }
      run(false);
      pin(k, track);
    });
    node.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey || !track.length) return;
      const at = state.track === track ? state.pinned : null, last = track.length - 1, letters = track.texts.map((text) => text === ITEM_END ? "\n" : text || "\u200b");
      const to = { ArrowLeft: () => at === null ? last : at - 1, ArrowRight: () => at === null ? last : at + 1, Home: () => 0, End: () => last,
        ArrowUp: () => at === null ? last : Page.byLine(letters, at, false), ArrowDown: () => at === null ? last : Page.byLine(letters, at, true) }[event.key];
      if (!to) return;
      event.preventDefault();
      event.stopPropagation();
      const k = Math.max(0, Math.min(last, to()));
      run(false);
      pin(k, track);
      track.sheet.spans[k].scrollIntoView({ block: "nearest" });
      tell(track, k);
      byId("live").textContent = `${describe(spell(track.symbols[k]))}, character ${k}: ` + about(track, k).slice(0, 2).map((pair) => pair.join(" ")).join(", ");
    });
    node.addEventListener("blur", Page.hideTip);
  }
  byId("to-end").addEventListener("click", () => pin(null));

  /* ---- The box of the beginning, labels and settings. */
  const box = byId("prime");
  let typing = false;
  box.addEventListener("input", () => {
    const given = vocab.encode(box.value, "skip").slice(0, MOST / 2); // as of a link: each has a state of its own
    const units = vocab.level === "byte" ? [] : [...new Set(Array.from(box.value).filter((ch) => !vocab.places.has(ch)))];
    byId("unknown").textContent = units.length ? `The model does not know ${units.slice(0, 5).map((ch) => `${glyph(ch)} (${describe(ch)})`).join(", ")}: it does not read ${units.length > 1 ? "them" : "it"}.` : "";
    typing = true;
    pin(null);
    change("type", { given, written: state.running ? Math.min(wish.written, 1) : 0 });
    typing = false;
  });
  let leaves = false;
  box.addEventListener("keydown", (event) => {
    if (event.key === "Escape") { leaves = true; event.stopPropagation(); return; }
    if (event.key === "Tab" && !event.shiftKey && !leaves && !event.ctrlKey && !event.altKey && !event.metaKey) {
      event.preventDefault();
      complete();
    }
    if (event.key.toLowerCase() === "z" && (event.ctrlKey || event.metaKey) && !event.shiftKey) {
      event.preventDefault();
      undo();
    }
    if (event.key !== "Shift") leaves = false;
  });
  box.addEventListener("blur", () => { leaves = false; });

  const range = HIGHEST ? [-0.99, 0.99] : [0, 5];
  [byId("value").min, byId("value").max] = range;
  /* The controls as the wish is. */
  function settle() {
    const text = vocab.decode(wish.given);
    if (!typing && box.value !== text) box.value = text;
    byId("temperature").value = wish.temperature;
    byId("temperature-value").textContent = number(wish.temperature, 2);
    byId("top-p").value = wish.topP;
    byId("top-p-value").textContent = wish.topP === 1 ? "1 (all)" : number(wish.topP, 2);
    for (const [id, value] of [["top-k", wish.topK], ["min-p", wish.minP], ["seed", wish.seed], ["length", wish.length]]) {
      if (document.activeElement !== byId(id)) byId(id).value = String(value);
    }
    byId("hold").checked = wish.holds.has(state.cell);
    const value = wish.holds.get(state.cell) ?? 0.9;
    if (Number(byId("value").value) !== value) byId("value").value = value;
    byId("value-says").textContent = number(value, 2);
    byId("holds").replaceChildren(...Array.from(wish.holds, ([cell, held]) => el("button", { type: "button", "aria-label": `Let cell ${name(cell)} go`, onclick: () => {
      const holds = new Map(wish.holds);
      holds.delete(cell);
      change("hold", { holds });
    } }, `${name(cell)} = ${number(held, 2)} ×`)));
    byId("held-sheet").hidden = !wish.holds.size;
    byId("sheets").classList.toggle("two", wish.holds.size > 0);
    byId("held-title").textContent = `Held: ${Array.from(wish.holds, ([cell, held]) => `${name(cell)} at ${number(held, 2)}`).join(", ")}`;
    byId("text-title").textContent = wish.holds.size ? "The same random numbers, all cells free" : "Text";
    for (const select of byId("labels").querySelectorAll("select")) select.value = wish.labels[select.column] === undefined ? "" : "=" + wish.labels[select.column];
    const input = byId("labels").querySelector("input");
    if (input && document.activeElement !== input) input.value = wish.input;
  }
  byId("temperature").addEventListener("input", () => change("temperature", { temperature: Number(byId("temperature").value) }));
  byId("top-p").addEventListener("input", () => change("top-p", { topP: Number(byId("top-p").value) }));
  /* A box for a number: what it must be, and the change it makes. */
  function numberBox(id, must, read, parts) {
    const node = byId(id);
    node.addEventListener("change", () => {
      const value = read(node.value.trim());
      byId("settings-says").textContent = value === null ? `${node.labels[0].firstChild.textContent.trim()} must be ${must}.` : "";
      node.setAttribute("aria-invalid", String(value === null));
      if (value !== null) change(id, parts(value));
    });
  }
  const within = (low, high, whole) => (text) => {
    const value = Number(text);
    return text && value >= low && value <= high && (!whole || Number.isInteger(value)) ? value : null;
  };
  numberBox("top-k", `a whole number from 0, which is no limit, to ${count(vocab.size)}`, within(0, vocab.size, true), (topK) => ({ topK }));
  numberBox("min-p", "from 0, which is no limit, to 1", within(0, 1, false), (minP) => ({ minP }));
  numberBox("seed", "a whole number of at least 0", (text) => /^\d{1,40}$/.test(text) ? BigInt(text) : null, (seed) => ({ seed }));
  numberBox("length", `a whole number from 1 to ${count(MOST)}`, within(1, MOST, true),
    (length) => ({ length, written: isItems ? wish.written : Math.min(wish.written, length) }));
  byId("length").max = MOST;
  if (isItems) {
    byId("length-label").textContent = "Items";
    byId("prime-label").textContent = "Beginning of each item";
    for (const { column, values } of vocab.labels) {
      const select = el("select", { onchange: () => {
        const labels = { ...wish.labels };
        if (select.value) labels[column] = select.value.slice(1);
        else delete labels[column];
        change("label", { labels });
      } }, el("option", { value: "" }, "as often as in training"), ...values.map((value) => el("option", { value: "=" + value }, Page.visible(value))));
      select.column = column;
      byId("labels").append(el("label", null, Page.visible(column), select));
    }
    if (vocab.items.pairs) byId("labels").append(el("label", null, "Input", el("input", { autocomplete: "off", oninput: (event) => change("input", { input: event.target.value }) })));
    byId("labels").hidden = !byId("labels").children.length;
  }

  /* ---- Elsewhere: the command, the link, the clipboard. */
  const quoted = (text) => /^[\w.,:=+-]+$/.test(text) ? text : /[\x00-\x1f\x7f]/.test(text)
    ? "$'" + text.replace(/[\\']/g, "\\$&").replace(/[\x00-\x1f\x7f]/g, (ch) => "\\x" + ch.charCodeAt(0).toString(16).padStart(2, "0")) + "'"
    : "'" + text.replaceAll("'", "'\\''") + "'";
  function command() {
    const words = ["charrnn sample --model", quoted(data.file)], prime = vocab.decode(wish.given);
    if (prime === "-" || /^@./s.test(prime)) { // which would name stdin or a file
      words.unshift(`printf %s ${quoted(prime)} |`);
      words.push("--prime -");
    } else if (prime) words.push("--prime", quoted(prime));
    words.push("--seed", String(wish.seed), "--temp", String(wish.temperature));
    if (wish.topK) words.push("--top-k", String(wish.topK));
    if (wish.topP < 1) words.push("--top-p", String(wish.topP));
    if (wish.minP) words.push("--min-p", String(wish.minP));
    for (const [column, value] of Object.entries(wish.labels)) words.push("--label", quoted(`${column}=${value}`));
    if (vocab.items?.pairs) words.push("--input", quoted(wish.input));
    for (const [cell, value] of wish.holds) words.push("--clamp", `${name(cell)}=${value}`);
    if (isItems) words.push("--count", String(Math.max(1, free.items.length - 1)));
    else words.push("--with-prime --length", String(free.written));
    return words.join(" ");
  }
  function link() {
    const parts = new URLSearchParams({ prime: vocab.decode(wish.given), seed: String(wish.seed), temp: String(wish.temperature), "top-k": String(wish.topK),
      "top-p": String(wish.topP), "min-p": String(wish.minP), length: String(wish.length), written: String(free.written), cell: name(state.cell), colour: state.colour });
    for (const [cell, value] of wish.holds) parts.append("hold", `${name(cell)}=${value}`);
    for (const pair of Object.entries(wish.labels)) parts.append("label", pair.join("="));
    if (wish.input) parts.set("input", wish.input);
    history.replaceState(null, "", "#" + parts);
    return location.href;
  }
  /* What a link asks for; whatever makes no sense in it is left out. */
  function fromLink(parts) {
    const next = { ...copyOf(wish), given: vocab.encode(parts.get("prime") ?? vocab.decode(wish.given), "skip").slice(0, MOST / 2) };
    const asked = (key, low, high, otherwise) => parts.get(key) ? clampTo(Number(parts.get(key)), low, high, otherwise) : otherwise;
    if (/^\d{1,40}$/.test(parts.get("seed") ?? "")) next.seed = BigInt(parts.get("seed"));
    next.temperature = asked("temp", 0, 2, next.temperature);
    next.topK = Math.round(asked("top-k", 0, vocab.size, next.topK));
    next.topP = asked("top-p", 0.05, 1, next.topP);
    next.minP = asked("min-p", 0, 1, next.minP);
    next.length = Math.round(asked("length", 1, MOST, next.length));
    next.written = Math.round(asked("written", 0, MOST, 0));
    next.input = vocab.items?.pairs ? parts.get("input") ?? "" : "";
    for (const one of parts.getAll("label")) {
      const found = vocab.labels.find(({ column, values }) => one.startsWith(column + "=") && values.includes(one.slice(column.length + 1)));
      if (found) next.labels[found.column] = one.slice(found.column.length + 1);
    }
    const cellOf = (text) => {
      const match = /^(\d+):(\d+)$/.exec(text);
      return match && Number(match[1]) < L && Number(match[2]) < H ? Number(match[1]) * H + Number(match[2]) : null;
    };
    for (const one of parts.getAll("hold")) {
      const [cell, value] = one.split("="), index = cellOf(cell), wanted = Number(value);
      if (index !== null && value && Number.isFinite(wanted) && wanted >= range[0] && wanted <= range[1]) next.holds.set(index, wanted);
    }
    const picked = cellOf(parts.get("cell") ?? "");
    if (picked !== null) state.cell = picked;
    if (["surprise", "cell", "none"].includes(parts.get("colour"))) state.colour = parts.get("colour");
    return next;
  }
  async function copy(text, button) {
    const said = button.textContent;
    try {
      await navigator.clipboard.writeText(text);
    } catch { // no clipboard is allowed: mark and copy, as by hand
      const hidden = el("textarea", { class: "sr", "aria-hidden": "true" });
      hidden.value = text;
      document.body.append(hidden);
      hidden.select();
      document.execCommand("copy");
      hidden.remove();
      button.focus();
    }
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = said; }, 1200);
  }
  byId("copy-text").addEventListener("click", (event) => copy(free.text(), event.currentTarget));
  byId("copy-link").addEventListener("click", (event) => copy(link(), event.currentTarget));
  byId("copy-command").addEventListener("click", (event) => copy(command(), event.currentTarget));

  /* ---- Buttons, keys, colours. */
  function showLegend() {
    byId("legend").replaceChildren(...state.colour === "surprise" ? [surpriseScale()] : state.colour === "cell" ? [Page.scale("−", "+")] : []);
  }
  function surpriseScale() {
    const steps = Array.from({ length: 9 }, (_, k) => el("i", { class: Page.step(k / 8) }));
    return el("span", { class: "scale" }, el("span", null, "expected"), el("span", { "aria-hidden": "true" }, ...steps), el("span", null, "8 bits"));
  }
  byId("grid-scale").append(Page.scale("−", "+"));
  byId("colour").addEventListener("change", () => {
    state.colour = byId("colour").value;
    showLegend();
    dirty = true;
    work();
  });
  function other() {
    pin(null);
    const was = free.written;
    change("other", { seed: wish.seed + 1n, written: state.running ? 0 : was });
  }
  byId("run").addEventListener("click", () => { pin(null); run(!state.running); });
  byId("step").addEventListener("click", () => { pin(null); step(); });
  byId("undo").addEventListener("click", undo);
  byId("other").addEventListener("click", other);
  byId("gates").addEventListener("toggle", () => { dirty = true; work(); });
  const help = byId("help");
  byId("help-open").addEventListener("click", () => help.showModal());
  const KEYS = {
    w: () => byId("run").click(),
    s: () => byId("step").click(),
    u: undo,
    n: other,
    c: () => {
      const select = byId("colour");
      select.selectedIndex = (select.selectedIndex + 1) % select.options.length;
      select.dispatchEvent(new Event("change"));
    },
    h: () => byId("hold").click(),
    t: Page.nextTheme,
    "?": () => help.showModal(),
    Escape: () => pin(null),
  };
  for (let k = 0; k < BARS; k++) KEYS[k + 1] = () => byId("bars").children[k]?.firstElementChild.click();
  document.addEventListener("keydown", (event) => {
    const inField = event.target instanceof Element && event.target.closest("input:not([type='range'], [type='checkbox']), select, textarea, dialog");
    if (event.ctrlKey || event.metaKey || event.altKey || inField || !Object.hasOwn(KEYS, event.key)) return;
    event.preventDefault();
    KEYS[event.key]();
  });

  /* ---- The start. */
  byId("card").append(Page.facts(data.card));
  state.cell = data.findings.length ? data.findings[0].layer * H + data.findings[0].cell : 0;
  Object.assign(wish, { given: vocab.encode(data.start.prime, "skip"), seed: BigInt(data.start.seed), length: isItems ? 20 : Math.min(1000, MOST - 100) });
  const parts = new URLSearchParams(location.hash.slice(1));
  const next = fromLink(parts);
  readSwatches();
  become(next);
  byId("colour").value = state.colour;
  showLegend();
  pickCell(state.cell);
  if (!parts.has("written") && !matchMedia("(prefers-reduced-motion: reduce)").matches) run(true);
  before.length = 0;
})();
