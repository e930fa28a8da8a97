(() => {
  const { data, el, byId, number, brief, count, describe, glyph, visible, MISSING, LEVELS } = Page;

  /* A part that cannot be shown keeps its heading and a line that says why. */
  function absent(part, line) {
    const why = data.missing[part];
    if (why === undefined) return false;
    line.textContent = `Not shown: ${visible(why)}`;
    for (let next = line.nextElementSibling; next; next = next.nextElementSibling) next.hidden = true;
    return true;
  }
  const read = data.text.characters > data.text.read
    ? `${count(data.text.read)} characters of ${visible(data.text.name)}` : visible(data.text.name);

  /* ---- The verdict. */
  byId("sentence").textContent = data.verdict ? visible(data.verdict.sentence) : "This model has no records of its training.";
  byId("advice").textContent = data.verdict ? visible(data.verdict.advice) : "";
  byId("numbers").append(...data.figures.map(([name, value, on]) => el("div", null, el("dt", null, name),
    el("dd", null, value), el("dd", { class: "on" }, on))));

  /* ---- Curves. */
  const MOST_DOTS = 80;
  const UNITS = { nats: 1, bits: 1 / Math.LN2 };
  const ALONG = { step: ["step", 1], epoch: ["epoch", 1], seconds: ["minutes", 1 / 60] };
  const { reports, validations } = data;
  const points = (record, name, scale = 1) => {
    const [, size] = ALONG[byId("along").value];
    return record[byId("along").value].map((v, k) => [v * size, record[name][k] === null ? NaN : record[name][k] * scale]);
  };
  /* Where a step lies along the axis: at the report that has it. */
  function placeOf(step) {
    const [name, size] = [byId("along").value, ALONG[byId("along").value][1]];
    const k = reports.step.findIndex((s) => s >= step);
    return name === "step" ? step : k < 0 ? NaN : reports[name][k] * size;
  }
  function drawCurves() {
    const curved = new Set([...reports.step, ...validations.step]).size > 1; // one would be a dot in an empty chart
    byId("curves-say").textContent = !reports.step.length ? "Not shown: this model has no records of its training."
      : !curved ? "Not shown: this run has a single report of its losses, which are above."
      : (validations.best === null ? "This run made no validation, so only the training loss is shown."
        : "Training loss is the mean since the previous report. Validation loss is that of the held-out text, or of a fixed part of a long one; the ring marks the best, whose model was kept.")
        + " The norm is measured before clipping; the speed is the mean since the start."
        + " Point at a chart, or move through it with the arrow keys, to read values.";
    byId("curves").querySelector(".panel").hidden = !curved;
    if (!curved) return;
    const x = () => ALONG[byId("along").value][0];
    const marks = () => data.changes.map((one) => placeOf(one.step)).filter(Number.isFinite);
    const plain = (name, y, options) => (width) => Page.lineChart({ series: [{ name: y, points: points(reports, name) }],
      label: `${y}, over ${x()}`, x: x(), y, width, height: 170, marks: marks(), read: true, ...options });
    const drawn = [
      Page.fit(byId("losses"), (width) => {
        const unit = byId("unit").value, held = points(validations, "val_loss_nats", UNITS[unit]);
        const series = [{ name: "training", points: points(reports, "train_loss_nats", UNITS[unit]), look: 2 }];
        if (held.length) series.push({ name: "validation", points: held, look: 1, dots: held.length <= MOST_DOTS });
        return Page.lineChart({ series, label: `Loss in ${unit} per character, over ${x()}`, x: x(), y: `${unit} per character`,
          width, height: 340, marks: marks(), best: validations.best === null ? null : held[validations.best], read: true });
      }),
      Page.fit(byId("rate"), plain("lr", "learning rate", {})),
      Page.fit(byId("norm"), plain("grad_norm", "norm of the gradient", { log: true })),
      Page.fit(byId("speed"), plain("chars_per_second", "characters per second", {})),
    ];
    for (const name of ["unit", "along"]) byId(name).addEventListener("change", () => drawn.forEach((redraw) => redraw()));
    byId("changes").append(...data.changes.map((one) => el("li", null, `Changed at step ${count(one.step)}: ${visible(one.what)}`)));
  }

  /* ---- Samples. */
  const letters = (text) => Array.from(text, Page.letter);
  const SIDE_BY_SIDE = 6;
  function drawSamples() {
    const { shown, count: made } = data.samples, last = shown.length - 1;
    byId("samples-say").textContent = shown.length
      ? `${count(made)} text${made > 1 ? "s were" : " was"} drawn, one at each validation, always with the same random numbers, so that only the model differs.`
      : "Not shown: this run kept no samples.";
    const beside = new Set(Array.from({ length: Math.min(SIDE_BY_SIDE, shown.length) },
      (_, k) => shown.length <= SIDE_BY_SIDE ? k : Math.round(k * last / (SIDE_BY_SIDE - 1))));
    const card = (one) => el("li", null, el("p", null, el("b", null, `step ${count(one.step)}`),
      el("span", null, one.nats === null ? "" : `${number(one.nats / Math.LN2)} bits per character`)),
    el("div", { class: "letters" }, ...letters(one.text)));
    byId("drawn").append(...shown.filter((_, k) => beside.has(k)).map(card));
    const others = shown.filter((_, k) => !beside.has(k)), box = byId("others");
    box.hidden = !others.length;
    box.querySelector("summary").textContent = `${count(others.length)} more`;
    box.addEventListener("toggle", () => box.querySelector("ol").append(...others.splice(0).map(card)));
  }

  /* ---- Surprise: the model beside simple ones, and character by character. */
  const SIMPLE = { uniform: "all symbols equally likely", unigram: "frequency of each symbol", xz: "the compressor xz" };
  function drawYardstick() {
    if (!data.evaluation) { byId("yardstick").hidden = true; return; }
    const rows = Object.entries(data.evaluation.nats).map(([name, nats]) => [name, nats === null ? NaN : nats / Math.LN2]);
    const most = Math.max(...rows.map((row) => row[1]).filter(Number.isFinite));
    byId("bars").append(...rows.sort((a, b) => a[1] - b[1]).map(([name, bits]) => {
      const bar = el("i");
      bar.style.width = (Number.isFinite(bits) ? 100 * bits / most : 0) + "%";
      return el("div", { class: "bar-row " + (name === "model" ? "model" : ""), title: SIMPLE[name] },
        el("span", null, name === "model" ? "this model" : name), el("span", { class: "rail" }, bar), el("span", null, number(bits)));
    }));
    byId("bars-say").textContent = `Bits per character on ${visible(data.text.name)}, ${count(data.evaluation.characters)} symbols.`
      + (rows.length > 2 ? " Shorter is better. Uniform: all symbols are equally likely. Unigram: the frequency of each symbol. "
        + "Order-k: frequencies after the previous k characters. xz is a compressor." : " Uniform: all symbols are equally likely.");
  }
  const MOST_BITS = 8;
  function drawSurprise() {
    if (absent("surprises", byId("surprise-says"))) return;
    const { bits, start, symbols, each } = data.surprises;
    const ranks = Page.unpack(data.surprises.ranks), best = Page.unpack(data.surprises.best);
    const probabilities = Page.unpack(data.surprises.probabilities);
    const characters = Array.from(data.surprises.text), text = byId("text"), live = byId("live");
    const known = bits.filter((v) => v !== null);
    const mean = known.reduce((a, b) => a + b, 0) / known.length;
    byId("surprise-says").textContent = `${count(characters.length)} characters of ${visible(data.text.name)}, from character ${count(start)}. `
      + "The colour is −log₂ of the probability that the model gave to the character after reading everything before it: one bit for each halving of that probability. "
      + `The mean here is ${number(mean, 2)} bits. Point at a character, or move with the arrow keys, to see what the model expected.`;
    const swatches = Array.from({ length: MOST_BITS + 1 }, (_, k) => el("i", { class: "half " + Page.step(k / MOST_BITS) }));
    byId("legend").append(el("b", null, "Surprise"), el("span", { class: "scale" }, el("span", null, "0"),
      el("span", { "aria-hidden": "true" }, ...swatches), el("span", null, `${MOST_BITS} bits or more`)));
    const spans = letters(data.surprises.text);
    spans.forEach((span, k) => {
      span.place = k;
      const look = bits[k] === null ? "" : Page.step(bits[k] / MOST_BITS);
      if (look) span.classList.add(look);
    });
    text.append(...spans);

    const share = (p) => p >= 0.001 || p === 0 ? (100 * p).toFixed(1) + " %" : "<0.1 %";
    const symbol = (ch) => ch === " " ? "␣" : glyph(ch);
    function guesses(k) {
      const rows = [];
      for (let j = k * each; j < (k + 1) * each; j++) {
        const p = probabilities[j] / 1e6, bar = el("i"), ch = symbols[best[j]];
        bar.style.width = 100 * p + "%";
        rows.push(el("span", { class: "glyph" + (ch === characters[k] ? " right" : "") }, symbol(ch)), el("span", { class: "rail" }, bar),
          el("span", { class: "share" }, share(p)));
      }
      return el("div", { class: "guesses" }, ...rows);
    }
    const ordinal = (k) => ranks[k] === 1 ? "the best guess" : `guess ${count(ranks[k])} of ${count(symbols.length)}`;
    const says = (k) => ranks[k] === 0 ? "nothing is predicted here" : bits[k] === null ? "the network overflowed here" : `${number(bits[k], 2)} bits, ${ordinal(k)}`;
    function show(k) {
      Page.showTip(spans[k], el("p", { class: "what" }, el("b", null, symbol(characters[k])), el("span", { class: "quiet" },
        `${describe(characters[k])}, character ${count(start + k)}`)),
      el("p", null, says(k)), bits[k] === null ? "" : guesses(k));
    }
    let cursor = null;
    function move(k) {
      if (k < 0 || k >= spans.length) return;
      if (cursor !== null) spans[cursor].classList.remove("cursor");
      cursor = k;
      spans[k].classList.add("cursor");
      spans[k].scrollIntoView({ block: "nearest" });
      show(k);
      live.textContent = `${symbol(characters[k])} ${describe(characters[k])}, ${says(k)}`;
    }
    text.addEventListener("mouseover", (event) => {
      if (event.target.place === undefined) Page.hideTip(); else show(event.target.place);
    });
    text.addEventListener("mouseleave", Page.hideTip);
    text.addEventListener("blur", Page.hideTip);
    text.addEventListener("click", (event) => { if (event.target.place !== undefined) move(event.target.place); });
    text.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      if (event.key === "Escape") Page.hideTip();
      const to = { ArrowLeft: () => cursor - 1, ArrowRight: () => cursor + 1, ArrowUp: () => Page.byLine(characters, cursor, false),
        ArrowDown: () => Page.byLine(characters, cursor, true) }[event.key];
      if (!to) return;
      event.preventDefault();
      move(cursor === null ? 0 : to());
    });

    const LEAST = 8, AROUND = 14;
    const order = bits.map((v, k) => k).filter((k) => bits[k] !== null).sort((a, b) => bits[b] - bits[a]).slice(0, LEAST);
    byId("worst").append(...order.map((k) => {
      const piece = (from, to) => characters.slice(Math.max(0, from), to).map(glyph).join("");
      return el("li", null, el("button", { type: "button", onclick: () => { text.focus(); move(k); } },
        el("span", { class: "mono" }, piece(k - AROUND, k), el("b", { class: Page.step(bits[k] / MOST_BITS) }, symbol(characters[k])), piece(k + 1, k + 6)),
        el("span", null, number(bits[k], 1))));
    }));
  }

  /* ---- Gates. */
  function drawGates() {
    if (absent("gates", byId("gates-say"))) return;
    const layers = 1 + Math.max(...data.gates.map((gate) => gate.layer)), { units, hidden } = data.gates[0];
    byId("gates-say").textContent = `Each dot is a unit, over ${read}. Across: the fraction of characters at which its gate is below `
      + `${data.saturated.left} (shut). Up: the fraction at which it is above ${data.saturated.right} (open). A gate at the lower left is rarely either.`
      + (units.length < hidden ? ` ${count(units.length)} of ${count(hidden)} units per layer are drawn.` : "");
    for (let layer = 0; layer < layers; layer++) {
      const drawn = data.gates.filter((gate) => gate.layer === layer).map((gate) => Page.gatePlot(gate, gate.mean, gate.units).figure);
      byId("plots").append(layers > 1 ? el("h3", null, `layer ${layer}`) : "", el("div", { class: "layer" }, ...drawn));
    }
  }

  /* ---- Gradients. */
  function drawFlow() {
    if (absent("flow", byId("flow-says"))) return;
    const { flow } = data, arrays = ["h", "c"].filter((name) => flow[name]), layers = flow.h.length;
    byId("flow-says").textContent = `How strongly the loss of a prediction depends on the state k characters earlier: the mean norm of `
      + `∂loss(t)/∂h[t−k]${flow.c ? " and ∂loss(t)/∂c[t−k]" : ""}, over ${count(flow.places)} places. A straight falling line is a vanishing gradient: `
      + "each step further back multiplies by the same factor.";
    const all = arrays.flatMap((name) => flow[name].flat()).filter((v) => v > 0);
    const range = [Math.min(...all), Math.max(...all)];
    for (let layer = 0; layer < layers; layer++) {
      const chart = el("figure");
      byId("flows").append(el("div", null, layers > 1 ? el("h3", null, `layer ${layer}`) : null, chart));
      const series = arrays.map((name) => ({ name, points: flow[name][layer].map((v, k) => [k, v === null ? NaN : v]) }));
      Page.fit(chart, (width) => Page.lineChart({ series, label: `Mean norm of the gradient by distance, layer ${layer}`,
        x: "distance k, in characters", y: "mean norm", width, height: 240, log: true, range, read: true }));
    }
    const where = (layer) => layers > 1 ? `, layer ${layer}` : "";
    const facts = [];
    for (let layer = 0; layer < layers; layer++) {
      facts.push([`each step further back${where(layer)}`, arrays.map((name) => `${name} ×${number(flow.factors[name][layer])}`).join("  ")]);
    }
    flow.radii.forEach((radii, layer) => {
      const values = Object.entries(radii);
      facts.push([`spectral radius of W_hh${where(layer)}`, values.map(([gate, rho]) => (values.length > 1 ? gate + " " : "") + number(rho)).join("  ")]);
    });
    facts.push(["clipping", flow.clipping]);
    byId("flow-facts").append(...Page.facts(facts).children);
  }

  /* ---- Cells. */
  const MEANS = {
    tracker: "follows the concept on new text, remembers it, and holding it moves the prediction, or raises the loss",
    distributed: "no cell alone; all cells together remember the concept, and holding the best few, or the direction in which all of them hold it, moves the prediction or raises the loss",
    correlate: "follows the concept on new text and remembers it",
    hidden: "a cell follows the concept, but the rest of the network hardly sees it move",
    detector: "follows the concept on new text, but not where only memory helps",
    none: "no better than chance, or than untrained networks, on this text",
  };
  const VERDICTS = Object.keys(MEANS);
  function drawCells() {
    if (absent("cells", byId("cells-say"))) return;
    const { cells } = data, lines = new Map();
    byId("cells-say").textContent = `The best cell for each concept on ${read}, chosen on the first half and judged on the second. `
      + (data.causal ? "" : "No cell was held, so causes are not tested; charrnn report --causal tests them. ")
      + "Pick a row to see the cell on text.";
    function pick(finding) {
      for (const [one, tr] of lines) tr.setAttribute("aria-current", String(one === finding));
      const { passage } = finding;
      byId("cell").hidden = false;
      byId("says").replaceChildren(el("b", null, `${visible(finding.concept)}: cell ${finding.layer}:${finding.cell}, ${finding.verdict}`), visible(finding.says));
      byId("cell-legend").replaceChildren();
      byId("cell-text").replaceChildren();
      if (!passage) return;
      const end = passage.scale ?? 0, signal = Page.unpack(passage.signal), labels = passage.labels && Page.unpack(passage.labels);
      const yes = (v) => finding.kind === "bool" ? v === 1 : v > passage.highest / 2;
      byId("cell-legend").append(el("b", null, `${cells.signal} of cell ${finding.layer}:${finding.cell}`), Page.scale(number(-end, 2), number(end, 2)),
        el("span", null, el("span", { class: "mark on" }, "a"), finding.kind === "bool" ? `${visible(finding.concept)} is on` : `${visible(finding.concept)} is in its upper half`),
        el("span", null, `where it agrees best, from character ${count(passage.start)}`));
      byId("cell-text").append(...letters(passage.text).map((span, k) => {
        const look = signal[k] === MISSING ? "" : Page.step(signal[k] / LEVELS);
        if (look) span.classList.add(look);
        if (labels && yes(labels[k])) span.classList.add("on");
        return span;
      }));
    }
    const columns = [
      { name: "Concept", value: (f) => f.concept, show: (f) => visible(f.concept) },
      { name: "Cell", title: "layer:unit, both from 0", value: (f) => f.layer * 1e6 + f.cell,
        show: (f) => el("button", { type: "button", class: "plain mono" }, f.layer + ":" + f.cell) },
      { name: "Verdict", value: (f) => VERDICTS.indexOf(f.verdict), show: (f) => el("span", { class: "verdict " + f.verdict, title: MEANS[f.verdict] }, f.verdict) },
      { name: "Confirm", title: "score on text that was not used to choose the cell", number: true, value: (f) => f.confirm_score, show: (f) => number(f.confirm_score), first: "descending" },
      { name: "Chance", title: "score that the best of all cells reaches by chance in 1 of 100 texts", number: true, value: (f) => f.chance_level, show: (f) => number(f.chance_level), first: "descending" },
      { name: "Memory", title: "score where only memory helps", number: true, value: (f) => f.memory_score, show: (f) => number(f.memory_score), first: "descending" },
      { name: "p", title: "how often chance reaches this score", number: true, minor: true, value: (f) => f.p_value, show: (f) => f.p_value < 0.001 ? "<0.001" : number(f.p_value) },
      ...(data.causal ? [{ name: "Cause", title: "nats that holding the cell adds to the log-odds of the expected character", number: true, value: (f) => f.causal_effect,
        show: (f) => number(f.causal_effect, 2), first: "descending" }] : []),
    ];
    if (cells.findings.length) {
      const drawn = Page.table(columns, cells.findings, "Best cells", (f) => ({ class: f.verdict, onclick: () => pick(f) }));
      byId("found").append(drawn);
      drawn.querySelectorAll("tbody tr").forEach((tr, k) => lines.set(cells.findings[k], tr));
      pick(cells.findings[0]);
    } else {
      byId("found").append(el("p", { class: "note" }, "No concept could be judged on this text."));
    }
    const reasons = [...new Set(cells.refused.map((one) => one.reason))];
    byId("remarks").append(...cells.notes.map((note) => el("p", { class: "note" }, visible(note))), ...reasons.map((reason) => {
      const names = cells.refused.filter((one) => one.reason === reason).map((one) => visible(one.concept)).join(", ");
      return el("p", { class: "note" }, `Not judged, ${reason}: ${names}.`);
    }));
  }

  byId("card").append(Page.facts(data.card));
  byId("more").hidden = !data.more.length;
  byId("more").append(Page.facts(data.more));
  drawCurves();
  drawSamples();
  drawYardstick();
  drawSurprise();
  drawGates();
  drawFlow();
  drawCells();
})();
