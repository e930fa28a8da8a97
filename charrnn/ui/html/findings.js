(() => {
  const { data, el, svg, byId, number, count, percent, describe, glyph, MISSING, LEVELS } = Page;
  const { layers, hidden, scales } = data.cells;
  const M = layers * hidden;
  const characters = Array.from(data.text); // by code point, as the data count
  const N = characters.length;
  const signals = Page.unpack(data.cells.values);
  const concepts = data.concepts.map((one) => ({ ...one, rule: Page.visible(one.rule), values: Page.unpack(one.values) }));
  const details = Object.entries(data.details.rows).map(([name, packed]) => [name, Page.unpack(packed)]);
  const guesses = { ...data.guesses, best: Page.unpack(data.guesses.best), percent: Page.unpack(data.guesses.percent) };
  const name = (cell) => Math.floor(cell / hidden) + ":" + cell % hidden;
  const row = (cell) => signals.subarray(cell * N, (cell + 1) * N);
  const value = (cell, k) => row(cell)[k] === MISSING ? NaN : row(cell)[k] * scales[cell] / LEVELS;
  const positions = new Int32Array(N);
  {
    let k = 0;
    for (const [start, stop] of data.pieces) for (let t = start; t < stop; t++) positions[k++] = t;
  }

  const state = { cell: 0, concept: -1, finding: null, sign: 1, cut: 0, fitted: true, anchor: null, cursor: null, told: null };
  const brushed = new Uint8Array(N), alike = new Uint8Array(N);

  /* ---- Scores, as charrnn.interpret.scores has them: 2·AUC − 1 of what is on or off, Spearman's ρ of a count.
     Both are Σ weight·rank; ties share their mean rank. */
  function midranks(values, places) {
    const counts = new Map();
    for (const k of places) counts.set(values[k], (counts.get(values[k]) || 0) + 1);
    const ranks = new Map();
    let below = 0;
    for (const v of [...counts.keys()].sort((a, b) => a - b)) {
      ranks.set(v, below + (counts.get(v) + 1) / 2);
      below += counts.get(v);
    }
    return ranks;
  }
  function follower(values, places, isCount) {
    const n = places.length, ranks = isCount ? midranks(values, places) : null;
    const y = Float64Array.from(places, (k) => isCount ? ranks.get(values[k]) : values[k]);
    const mean = y.reduce((a, b) => a + b, 0) / n;
    const on = isCount ? 0 : Math.round(mean * n);
    const size = isCount ? Math.sqrt(y.reduce((a, b) => a + (b - mean) ** 2, 0)) : on * (n - on) / 2;
    if (!(size > 0)) return () => null;
    const weights = y.map((v) => (v - mean) / size);
    const counts = new Uint32Array(256), rank = new Float64Array(256);
    return (cell) => {
      const signal = row(cell);
      counts.fill(0);
      for (const k of places) counts[signal[k] + 128]++;
      if (counts[MISSING + 128]) return null;
      let below = 0, spread = 0;
      for (let q = 0; q < 256; q++) {
        rank[q] = below + (counts[q] + 1) / 2 - (n + 1) / 2;
        spread += counts[q] * rank[q] * rank[q];
        below += counts[q];
      }
      if (!(spread > 0)) return null;
      let sum = 0;
      for (let k = 0; k < n; k++) sum += weights[k] * rank[signal[places[k]] + 128];
      return isCount ? sum / Math.sqrt(spread) : sum;
    };
  }
  const all = Int32Array.from({ length: N }, (_, k) => k);
  const cells = Array.from({ length: M }, (_, m) => m);
  function follow(concept) {
    if (!concept.scores) {
      const places = all.filter((k) => concept.values[k] >= 0);
      const score = places.length ? follower(concept.values, places, concept.kind === "count") : () => null;
      concept.scores = cells.map(score);
    }
    return concept.scores;
  }

  /* ---- Threshold: between two of the int8 steps, so that no value lies on it. */
  const isOn = (concept, k) => concept.values[k] > concept.middle;
  const saysOn = (q) => q !== MISSING && (state.sign > 0 ? q > state.cut + 0.5 : q < state.cut + 0.5);
  function fitCut(cell, concept, sign) {
    const on = new Float64Array(256), off = new Float64Array(256), signal = row(cell);
    let ons = 0, offs = 0;
    for (let k = 0; k < N; k++) {
      if (concept.values[k] < 0 || signal[k] === MISSING) continue;
      if (isOn(concept, k)) { on[signal[k] + 128]++; ons++; } else { off[signal[k] + 128]++; offs++; }
    }
    let best = -Infinity, low = 0, high = 0, hit = 0, miss = 0;
    for (let q = 0; q < 255; q++) {
      hit += on[q];
      miss += off[q];
      const gain = sign * (miss / Math.max(1, offs) - hit / Math.max(1, ons));
      if (gain > best + 1e-12) [best, low, high] = [gain, q, q];
      else if (gain > best - 1e-12 && high === q - 1) high = q;
    }
    return Math.floor((low + high) / 2) - 128; // the middle of the gap
  }
  function chooseCut() {
    const concept = concepts[state.concept];
    if (!concept) return;
    const found = data.findings.find((f) => f.layer * hidden + f.cell === state.cell && f.concept === concept.name);
    state.fitted = !(found && found.threshold !== null);
    const score = follow(concept)[state.cell];
    state.sign = found ? found.sign : score !== null && score < 0 ? -1 : 1;
    state.cut = state.fitted ? fitCut(state.cell, concept, state.sign)
      : Math.max(-128, Math.min(127, Math.round(found.threshold / scales[state.cell] * LEVELS - 0.5)));
  }
  function figures() {
    const concept = concepts[state.concept], signal = row(state.cell);
    let [tp, fp, fn, tn] = [0, 0, 0, 0];
    for (let k = 0; k < N; k++) {
      if (concept.values[k] < 0) continue;
      const said = saysOn(signal[k]), is = isOn(concept, k);
      if (said && is) tp++; else if (said) fp++; else if (is) fn++; else tn++;
    }
    return { accuracy: (tp + tn) / (tp + fp + fn + tn), balanced: (tp / (tp + fn) + tn / (tn + fp)) / 2,
      precision: tp / (tp + fp), recall: tp / (tp + fn) };
  }

  /* ---- The text. Each character is a span; its look is its class. Spans lie in blocks of whole lines, so that
     the browser need not lay out those out of sight. */
  const BLOCK = 800; // characters, at least
  const text = byId("text");
  const spans = [];
  {
    let k = 0;
    for (const [start, stop] of data.pieces) {
      text.append(el("span", { class: "place" }, `from character ${count(start)}`));
      while (k < N && positions[k] < stop) {
        const block = el("div", { class: "block" }), first = k;
        do {
          const span = Page.letter(characters[k]);
          span.place = k++;
          spans.push(span);
          block.append(span);
        } while (k < N && positions[k] < stop && !(k - first >= BLOCK && characters[k - 1] === "\n"));
        text.append(block);
      }
    }
  }
  /* Colours show the distance from zero, or from the cell's median on the text shown. */
  function zeroOf(cell) {
    if (byId("from").value === "zero") return 0;
    const finite = row(cell).filter((q) => q !== MISSING).sort();
    return finite.length ? finite[finite.length >> 1] : 0;
  }
  const share = (q, middle) => q === MISSING ? NaN : (q - middle) / LEVELS;
  const own = spans.map((span) => span.className);
  const worn = own.slice();
  function paint() {
    const concept = concepts[state.concept], signal = row(state.cell), mark = concept && byId("predicted").checked;
    const middle = zeroOf(state.cell);
    for (let k = 0; k < N; k++) {
      const q = signal[k];
      let look = own[k] + " " + Page.step(share(q, middle));
      if (concept) {
        const v = concept.values[k];
        if (v < 0) look += " masked";
        else if (concept.kind === "bool") look += v ? " on" : "";
        else if (v > 0) look += " l" + Math.max(1, Math.min(4, Math.ceil(4 * v / concept.highest)));
        if (mark && saysOn(q)) look += " pred";
      }
      if (brushed[k]) look += " brushed";
      if (alike[k]) look += " alike";
      if (k === state.cursor) look += " cursor";
      if (look !== worn[k]) spans[k].className = worn[k] = look;
    }
    drawMap();
  }

  /* ---- The whole text at a glance: signal above, concept below. */
  const map = byId("map");
  let swatches = Page.swatches();
  let mapWidth = map.clientWidth;
  function drawMap() {
    const width = Math.max(1, Math.round(mapWidth * devicePixelRatio)), height = Math.round(34 * devicePixelRatio);
    if (map.width !== width) map.width = width;
    if (map.height !== height) map.height = height;
    const pen = map.getContext("2d"), signal = row(state.cell), concept = concepts[state.concept];
    pen.clearRect(0, 0, width, height);
    const middle = zeroOf(state.cell), band = Math.round(height * (concept ? 0.64 : 1));
    for (let x = 0; x < width; x++) {
      const first = Math.floor(x * N / width), last = Math.max(first + 1, Math.floor((x + 1) * N / width));
      let sum = 0, on = 0, brush = 0;
      for (let k = first; k < last && k < N; k++) {
        sum += share(signal[k], middle) || 0;
        if (concept && concept.values[k] > 0) on += concept.kind === "bool" ? 1 : concept.values[k] / concept.highest;
        brush |= brushed[k];
      }
      pen.fillStyle = swatches[Math.max(-8, Math.min(8, Math.round(8 * sum / (last - first))))];
      pen.fillRect(x, 0, 1, band);
      pen.fillStyle = swatches.ink;
      const tall = Math.round((height - band - 3) * on / (last - first));
      if (tall > 0) pen.fillRect(x, height - tall, 1, tall);
      if (brush) pen.fillRect(x, band - 3, 1, 3);
    }
  }
  map.addEventListener("click", (event) => {
    const k = Math.min(N - 1, Math.max(0, Math.floor(event.offsetX / mapWidth * N)));
    spans[k].scrollIntoView({ block: "center" });
  });

  /* ---- Findings. */
  function scoreBar(f) {
    const chance = f.kind === "bool" ? 0.5 : 0, x = (v) => 64 * Math.max(0, Math.min(1, ((v ?? chance) - chance) / (1 - chance)));
    return el("span", { class: "score" },
      svg("svg", { viewBox: "0 -2 64 14", width: 64, "aria-hidden": "true" }, svg("rect", { class: "rail", width: 64, height: 10, rx: 2 }),
        svg("rect", { class: "value", width: x(f.confirm_score), height: 10, rx: 2 }),
        svg("line", { x1: x(f.chance_level), x2: x(f.chance_level), y1: -2, y2: 12 })),
      number(f.confirm_score));
  }
  const furthest = Math.max(0.1, ...data.findings.flatMap((f) => f.causal_effect === null ? []
    : [Math.abs(f.causal_effect), ...f.causal_controls]));
  function effectPlot(f) {
    if (f.causal_effect === null) return "–";
    const x = (v) => 4 + 112 * (v + Math.min(furthest, 0.25 * furthest)) / (1.25 * furthest);
    return el("span", { class: "score" },
      el("span", { class: "figure" }, (f.causal_effect >= 0 ? "+" : "") + number(f.causal_effect, 2)),
      svg("svg", { class: "effect", viewBox: "0 0 120 14", width: 120, "aria-hidden": "true" },
      svg("line", { class: "zero", x1: x(0), x2: x(0), y1: 0, y2: 14 }),
      ...f.causal_controls.map((v) => svg("line", { class: "control", x1: x(v), x2: x(v), y1: 3, y2: 11 })),
      svg("circle", { cx: Math.max(4, x(f.causal_effect)), cy: 7, r: 4 })));
  }
  function profileLine(f) {
    if (f.profile.length < 2) return "–";
    const low = Math.min(...f.profile), high = Math.max(...f.profile), last = f.profile.length - 1;
    const y = (v) => 19 - 16 * (high > low ? (v - low) / (high - low) : 0.5);
    return svg("svg", { class: "profile", width: 84, height: 22, role: "img", "aria-label": "response profile" },
      f.kind === "bool" ? svg("line", { x1: 84 * 8 / last, x2: 84 * 8 / last, y1: 0, y2: 22 }) : svg("g"),
      svg("path", { d: "M" + f.profile.map((v, k) => `${(84 * k / last).toFixed(1)},${y(v).toFixed(1)}`).join("L") }));
  }
  const VERDICTS = ["tracker", "distributed", "correlate", "hidden", "detector", "none"];
  const MEANS = {
    tracker: "follows the concept on new text, remembers it, and holding it moves the prediction, or raises the loss",
    correlate: "follows the concept on new text and remembers it; the causal test failed or was not run",
    detector: "follows the concept on new text, but not where only memory helps",
    distributed: "no cell alone; all cells together remember the concept, and holding the best few, or the direction in which all of them hold it, moves the prediction or raises the loss",
    hidden: "a cell follows the concept, but the rest of the network hardly sees it move",
    none: "no better than chance, or than untrained networks, on this text",
  };
  const most = (f) => f.causal_controls && f.causal_controls.length ? Math.max(...f.causal_controls) : null;
  const columns = [
    { name: "Concept", value: (f) => f.concept, show: (f) => f.concept + (f.predictive ? " *" : "") },
    { name: "Cell", title: "layer:unit, both from 0", value: (f) => f.layer * hidden + f.cell,
      show: (f) => el("button", { type: "button", class: "plain mono" }, f.layer + ":" + f.cell) },
    { name: "±", title: "+ if the cell rises with the concept, − if it falls", value: (f) => f.sign,
      show: (f) => f.sign > 0 ? "+" : "−" },
    { name: "Verdict", value: (f) => VERDICTS.indexOf(f.verdict),
      show: (f) => el("span", { class: "verdict " + f.verdict, title: MEANS[f.verdict] }, f.verdict) },
    { name: "Confirm", title: "score on text that was not used to choose the cell; the line across the bar is the level that chance reaches",
      value: (f) => f.confirm_score, show: scoreBar, first: "descending" },
    { name: "Chance", title: "score that the best of all cells reaches by chance in 1 of 100 texts", number: true,
      value: (f) => f.chance_level, show: (f) => number(f.chance_level), first: "descending" },
    { name: "Select", title: "score on the text used to choose the cell", number: true, minor: true, value: (f) => f.select_score,
      show: (f) => number(f.select_score), first: "descending" },
    { name: "Memory", title: "score where only memory helps", number: true, value: (f) => f.memory_score,
      show: (f) => number(f.memory_score), first: "descending" },
    { name: "p", title: "how often chance reaches this score", number: true, value: (f) => f.p_value,
      show: (f) => f.p_value < 0.001 ? "<0.001" : number(f.p_value) },
    { name: "Cause", title: "nats that holding the cell adds to the log-odds of the expected character; the lines are similar cells",
      value: (f) => f.causal_effect, show: effectPlot, first: "descending" },
    { name: "Controls", title: "largest effect of a similar cell, in nats", number: true, minor: true, value: most,
      show: (f) => number(most(f), 2), first: "descending" },
    { name: "Profile", title: "mean signal around an opening, or along the tenths of a count", minor: true, show: profileLine },
  ];
  const lines = new Map();
  function drawFindings() {
    byId("found").hidden = !data.findings.length && !data.refused.length && !data.notes.length;
    if (data.findings.length) {
      const drawn = Page.table(columns, data.findings, "Findings", (f) => ({ class: f.verdict, onclick: () => pickFinding(f) }));
      byId("findings").append(drawn);
      drawn.querySelectorAll("tbody tr").forEach((tr, k) => { lines.set(data.findings[k], tr); tr.finding = data.findings[k]; });
    } else {
      byId("findings").append(el("p", { class: "note" }, "No concept could be judged on this text."));
    }
    const remarks = data.notes.map((note) => el("p", { class: "note" }, note));
    const reasons = [...new Set(data.refused.map((one) => one.reason))];
    for (const reason of reasons) {
      const names = data.refused.filter((one) => one.reason === reason).map((one) => one.concept).join(", ");
      remarks.push(el("p", { class: "note" }, `Not judged, ${reason}: ${names}.`));
    }
    if (data.findings.some((f) => f.predictive)) {
      remarks.push(el("p", { class: "note" }, "* The label looks ahead in the text."));
    }
    byId("remarks").append(...remarks);
  }
  function drawFinding() {
    const f = state.finding;
    byId("finding").hidden = !f;
    for (const [one, tr] of lines) tr.setAttribute("aria-current", String(one === f));
    if (!f) return;
    byId("says").replaceChildren(el("b", null, `${f.concept}: cell ${f.layer}:${f.cell}, ${f.verdict}`), f.says);
    const shift = f.kind === "bool" ? 8 : 0, last = f.profile.length - 1;
    byId("profile").replaceChildren(f.profile.length < 2 ? "" : Page.lineChart({
      series: [{ name: "signal", points: f.profile.map((v, k) => [f.kind === "bool" ? k - shift : (k + 0.5) / (last + 1), v]) }],
      label: "Mean signal of the cell", width: 416, height: 150, marks: f.kind === "bool" ? [0] : [],
      x: f.kind === "bool" ? "characters after an opening" : "fraction of the text, sorted by rising label", y: "mean signal" }));
    drawMechanism(f);
  }
  /* How the cell of a finding does it: its writers and readers, if the command explained them. */
  function drawMechanism(f) {
    const how = data.mechanisms[data.findings.indexOf(f)];
    byId("how").hidden = !how;
    if (!how) return;
    const edges = [...how.writers, ...how.shown_by, ...how.head, ...how.readers], cut = edges.some((one) => one.cut);
    byId("how-title").textContent = `How cell ${f.layer}:${f.cell} does it`;
    byId("how-says").textContent = Page.visible(how.summary);
    byId("how-note").textContent = "A stroke is thicker the stronger its edge is beside the strongest of its kind; blue lowers, orange raises. "
      + (cut ? "Each edge was cut: it is dashed where that changes no more than cutting edges of like weight. p is corrected for the number of edges (Holm)."
        : `No edge was cut here, so that all are dashed; charrnn explain ${f.layer}:${f.cell} cuts them.`);
    byId("how-picture").replaceChildren(Mechanism.picture(how));
    byId("how-edges").replaceChildren(Mechanism.edges(how));
  }
  function pickFinding(f) {
    state.finding = f;
    state.cell = f.layer * hidden + f.cell;
    state.concept = concepts.findIndex((one) => one.name === f.concept);
    chooseCut();
    drawAll();
  }
  function stepFinding(by) {
    const order = [...document.querySelectorAll("#findings tbody tr")].map((tr) => tr.finding);
    if (!order.length) return;
    const now = order.indexOf(state.finding);
    pickFinding(order[now < 0 ? 0 : (now + by + order.length) % order.length]);
    lines.get(state.finding).scrollIntoView({ block: "nearest" });
  }

  /* ---- The findings in the snapshots of a run, by step. */
  const followed = data.findings.filter((f) => f.verdict !== "none");
  const toggles = new Map();
  let redrawSteps = () => {}, line = followed[0];
  const aboveChance = (f, score) => score === null ? NaN : Math.max(0, f.kind === "bool" ? 2 * score - 1 : score);
  function drawSteps() {
    const moments = data.over_time;
    byId("steps").hidden = !moments.length;
    if (!moments.length) return;
    if (!followed.length) {
      byId("steps-say").textContent = "No cell follows a concept at the end, so there is none to go back to.";
      byId("steps-panel").hidden = byId("moments").hidden = true;
      return;
    }
    byId("steps-say").textContent = "Score of each finding’s cell above chance (2 AUC − 1, or ρ) in the models that the run kept on its way, "
      + "and the loss at the same steps. Point at a chart, or move through it with the arrow keys, to read values.";
    const at = (f, moment) => moment.findings[data.findings.indexOf(f)];
    const own = (f) => moments.map((one) => [one.step, aboveChance(f, at(f, one).score)]);
    const best = (f) => moments.map((one) => [one.step, aboveChance(f, at(f, one).best.score)]);
    const name = (f) => `${Page.visible(f.concept)} ${f.layer}:${f.cell}`;
    const along = [Math.min(0, moments[0].step), moments[moments.length - 1].step];
    const losses = [["training", "train_loss_nats", 2], ["validation", "val_loss_nats", 1]].map(([title, key, look]) => ({ name: title, look, dots: true,
      points: moments.filter((one) => one[key] !== null).map((one) => [one.step, one[key]]) })).filter((one) => one.points.length);
    const drawn = [Page.fit(byId("scores"), (width) => Page.lineChart({
      series: [...followed.filter((f) => f !== line).map((f) => ({ name: name(f), look: 3, points: own(f) })),
        { name: "best cell then", look: 2, points: best(line) }, { name: name(line), look: 1, dots: true, points: own(line) }],
      label: `Score above chance, over steps; ${name(line)} stands out`, x: "step", y: "score above chance", width, height: 300, range: [0, 1], along,
      read: true, key: false }))];
    if (losses.length) {
      drawn.push(Page.fit(byId("losses"), (width) => Page.lineChart({ series: losses, label: "Loss in nats per character, over steps",
        x: "step", y: "loss, nats", width, height: 200, along, read: true })));
    }
    byId("losses").hidden = !losses.length;
    for (const f of followed) {
      toggles.set(f, el("button", { type: "button", onclick: () => pickFinding(f) }, name(f)));
      byId("lines").append(toggles.get(f));
    }
    const figure = (title, says, value, digits = 3) => ({ name: title, title: says, number: true, value, show: (one) => number(value(one), digits) });
    byId("moments").append(Page.table([
      { name: "Step", number: true, value: (one) => one.step, show: (one) => count(one.step) },
      figure("Training", "mean loss before the step, in nats per character", (one) => one.train_loss_nats),
      figure("Validation", "loss of held-out text, in nats per character; of a model that is kept for it", (one) => one.val_loss_nats),
      ...followed.flatMap((f) => [
        figure(name(f), "score (AUC or ρ) of the finding’s cell at that step", (one) => at(f, one).score),
        { name: "best", title: "the cell that followed the concept best at that step, and its score", number: true,
          value: (one) => at(f, one).best.score,
          show: (one) => `${at(f, one).best.layer}:${at(f, one).best.cell} ${number(at(f, one).best.score)}` }]),
    ], moments, "Findings by step"));
    redrawSteps = () => {
      if (followed.includes(state.finding)) line = state.finding;
      for (const [f, button] of toggles) button.setAttribute("aria-pressed", String(f === line));
      byId("line-says").replaceChildren(el("b", null, name(line)), ": blue with dots; orange: the cell that was best at each step; grey: the other concepts.");
      drawn[0]();
    };
    redrawSteps();
  }

  /* ---- The cell, the concept, the threshold. */
  function pickCell(cell) {
    state.cell = (cell + M) % M;
    const concept = concepts[state.concept];
    const found = data.findings.filter((f) => f.layer * hidden + f.cell === state.cell);
    state.finding = found.find((f) => concept && f.concept === concept.name) || null;
    chooseCut();
    drawAll();
  }
  function pickConcept(k) {
    state.concept = k;
    pickCell(state.cell);
  }
  byId("before").addEventListener("click", () => pickCell(state.cell - 1));
  byId("after").addEventListener("click", () => pickCell(state.cell + 1));
  byId("cell").addEventListener("change", () => {
    const box = byId("cell"), match = /^\s*(\d{1,9}):(\d{1,9})\s*$/.exec(box.value);
    const there = match && Number(match[1]) < layers && Number(match[2]) < hidden;
    box.setAttribute("aria-invalid", String(!there));
    byId("cell-says").textContent = there ? "" : `Type layer:unit, such as 0:${hidden - 1}; layers are 0 to ${layers - 1}, units 0 to ${hidden - 1}`;
    if (there) pickCell(Number(match[1]) * hidden + Number(match[2]));
  });
  const select = byId("concept");
  select.append(el("option", { value: -1 }, "none"));
  concepts.forEach((one, k) => select.append(el("option", { value: k }, one.name)));
  select.addEventListener("change", () => pickConcept(Number(select.value)));
  byId("threshold").addEventListener("input", () => {
    state.cut = Number(byId("threshold").value);
    drawThreshold();
    paint();
  });
  byId("from").addEventListener("change", () => { drawLegend(); paint(); });
  byId("predicted").addEventListener("change", () => { drawLegend(); paint(); });

  function drawControls() {
    byId("cell").value = name(state.cell);
    byId("cell").removeAttribute("aria-invalid");
    byId("cell-says").textContent = "";
    select.value = String(state.concept);
    const concept = concepts[state.concept];
    byId("rule").textContent = concept ? concept.rule : "";
    const score = concept ? follow(concept)[state.cell] : null;
    byId("follows").textContent = !concept ? ""
      : score === null ? `Cell ${name(state.cell)} has no score for ${concept.name} on the text shown.`
        : concept.kind === "bool" ? `AUC ${number((Math.abs(score) + 1) / 2)} on the text shown: ${score < 0 ? "low" : "high"} where it is on.`
          : `ρ ${number(score)} on the text shown.`;
    drawThreshold();
  }
  function drawThreshold() {
    const concept = concepts[state.concept];
    byId("cut").hidden = !concept;
    if (!concept) return;
    byId("threshold").value = state.cut;
    const cut = (state.cut + 0.5) * scales[state.cell] / LEVELS, side = state.sign > 0 ? "above" : "below";
    byId("cut-value").textContent = `${side} ${number(cut)}`;
    byId("threshold").setAttribute("aria-valuetext", `on ${side} ${number(cut)}`);
    const now = figures();
    byId("figures").replaceChildren(...[["accuracy", now.accuracy], ["balanced", now.balanced], ["precision", now.precision],
      ["recall", now.recall]].map(([what, v]) => el("div", null, el("dt", null, what), el("dd", { id: what }, percent(v)))));
    const truth = concept.kind === "bool" ? "" : ` “On” is ${concept.name} above ${concept.middle}, its median.`;
    byId("cut-says").textContent = (state.fitted ? "Fitted to the text shown." : "Fitted to the first half of the text.") + truth;
  }
  function drawLegend() {
    const concept = concepts[state.concept], end = scales[state.cell];
    const middle = zeroOf(state.cell) * end / LEVELS;
    const marks = concept ? [
      el("span", null, el("span", { class: "mark " + (concept.kind === "bool" ? "on" : "l4") }, "a"),
        concept.kind === "bool" ? `${concept.name} is on` : `${concept.name}, darker means more`),
      concept.values.includes(-1) ? el("span", null, el("span", { class: "mark masked" }, "a"), "not counted") : null,
      byId("predicted").checked ? el("span", null, el("span", { class: "mark pred" }, "a"), "the cell says “on”") : null,
    ] : [];
    byId("legend").replaceChildren(el("b", null, `${data.cells.signal} of cell ${name(state.cell)}`),
      Page.scale(number(middle - end, 2), number(middle + end, 2)), ...marks.filter(Boolean));
  }

  /* ---- All cells. */
  const squares = [];
  const COLUMNS = Math.min(32, hidden);
  for (let layer = 0; layer < layers; layer++) {
    const grid = el("div", { class: "grid", role: "grid", "aria-label": `Cells of layer ${layer}` });
    grid.style.setProperty("--columns", COLUMNS);
    let line;
    for (let unit = 0; unit < hidden; unit++) {
      if (unit % COLUMNS === 0) grid.append(line = el("div", { role: "row" }));
      const m = layer * hidden + unit;
      const square = el("button", { type: "button", role: "gridcell", tabindex: -1, "aria-label": `cell ${layer}:${unit}`,
        "aria-selected": "false", "data-found": data.findings.some((f) => f.layer === layer && f.cell === unit && f.verdict !== "none"),
        onclick: () => pickCell(m) });
      squares.push(square);
      line.append(square);
    }
    grid.addEventListener("keydown", (event) => {
      const by = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -COLUMNS, ArrowDown: COLUMNS }[event.key];
      if (!by || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      event.stopPropagation();
      if (state.cell + by >= 0 && state.cell + by < M) pickCell(state.cell + by);
      squares[state.cell].focus();
    });
    byId("grids").append(layers > 1 ? el("h4", null, `layer ${layer}`) : "", grid);
  }
  let means, drawn = { cell: 0, shares: null };
  function drawGrid() {
    const concept = concepts[state.concept], ranking = state.ranking;
    const shares = ranking ? ranking.scores : concept ? follow(concept)
      : means ||= cells.map((m) => row(m).includes(MISSING) ? null : row(m).reduce((a, b) => a + b, 0) / N / LEVELS);
    squares[drawn.cell].setAttribute("aria-selected", "false");
    squares[drawn.cell].tabIndex = -1;
    squares[state.cell].setAttribute("aria-selected", "true");
    squares[state.cell].tabIndex = 0;
    const same = drawn.shares === shares;
    drawn = { cell: state.cell, shares };
    if (same) return;
    byId("grid-says").textContent = ranking ? "How well each cell separates the brushed text from the rest."
      : concept ? `How well each cell follows ${concept.name} on the text shown.` : "The mean value of each cell on the text shown.";
    byId("grid-scale").replaceChildren(Page.scale(ranking ? "low there" : concept ? "falls" : "−", ranking ? "high there" : concept ? "rises" : "+"));
    squares.forEach((square, m) => {
      const look = Page.step(shares[m] === null ? NaN : shares[m]);
      if (square.className !== look) square.className = look;
      square.title = `${name(m)}  ${number(shares[m], 2)}`;
    });
  }

  /* ---- Brushing: from a stretch of text to the cells that separate it from the rest. */
  const BESTS = 10;
  function rank() {
    const stretch = all.filter((k) => brushed[k]);
    state.ranking = null;
    alike.fill(0);
    byId("similar").hidden = !stretch.length;
    byId("brush-rest").hidden = !stretch.length;
    byId("ranked").replaceChildren();
    if (!stretch.length) {
      byId("brush-says").textContent = "Drag over text to rank the cells that separate it from the rest.";
      return;
    }
    const reach = Math.max(300, 3 * stretch.length);
    const near = byId("rest").value === "near";
    const places = near ? around(reach) : all;
    byId("brush-says").textContent = `${count(stretch.length)} characters brushed, compared with ${count(places.length - stretch.length)}.`;
    const scores = cells.map(follower(brushed, places, false));
    const gaps = cells.map((m) => apart(m, places, stretch.length));
    const order = cells.filter((m) => scores[m] !== null)
      .sort((a, b) => Math.abs(scores[b]) - Math.abs(scores[a]) || gaps[b] - gaps[a]).slice(0, BESTS);
    state.ranking = { scores, order };
    byId("ranked").append(...order.map((m) => {
      const bar = el("i", { class: scores[m] < 0 ? "low" : "high" });
      bar.style.width = 100 * Math.abs(scores[m]) + "%";
      return el("li", null, el("button", { type: "button", "data-cell": m, onclick: () => pickCell(m),
        title: `AUC ${number((scores[m] + 1) / 2)}: ${scores[m] < 0 ? "low" : "high"} on the brushed text` },
      el("span", { class: "mono" }, name(m)), el("span", { class: "rail" }, bar), el("span", null, number((Math.abs(scores[m]) + 1) / 2))));
    }));
    if (!order.length) byId("brush-says").textContent += " No cell has a score for them.";
    drawSimilar(order);
  }
  /* The places within reach of what is brushed, in the same piece of text. */
  function around(reach) {
    const close = new Uint8Array(N);
    for (let k = 0; k < N; k++) {
      if (!brushed[k]) continue;
      if (k > 0 && brushed[k - 1] && k < N - 1 && brushed[k + 1]) { close[k] = 1; continue; }
      for (let j = Math.max(0, k - reach); j <= Math.min(N - 1, k + reach); j++) {
        if (Math.abs(positions[j] - positions[k]) <= reach) close[j] = 1;
      }
    }
    return all.filter((k) => close[k]);
  }
  /* ---- Stretches like the brushed one: those as long as its longest, over which the cells ranked for it have the
     means that they have there. Their distance is the mean over these cells of the difference, in standard deviations
     of the cell over the text. */
  const ALIKE = 5;
  function similar(ranked) {
    let longest = 0, length = 0;
    for (let k = 0; k < N; k++) longest = Math.max(longest, length = brushed[k] ? length + 1 : 0);
    const order = ranked.filter((m) => !row(m).includes(MISSING)), distance = new Float64Array(N);
    for (const m of order) {
      const signal = row(m);
      let sum = 0, squares = 0, inside = 0, window = 0;
      signal.forEach((q, k) => { sum += q; squares += q * q; inside += brushed[k] * q; });
      const spread = Math.sqrt(squares / N - (sum / N) ** 2), there = inside / brushed.reduce((a, b) => a + b);
      for (let k = 0; k < N; k++) {
        window += signal[k] - (k < longest ? 0 : signal[k - longest]);
        if (k >= longest - 1) distance[k - longest + 1] += Math.abs(window / longest - there) / spread / order.length;
      }
    }
    const taken = brushed.slice(), found = [];
    const starts = order.length ? all.slice(0, N - longest + 1).sort((a, b) => distance[a] - distance[b]) : [];
    for (const k of starts) {
      if (found.length === ALIKE) break;
      const inOnePiece = positions[k + longest - 1] - positions[k] === longest - 1;
      if (!inOnePiece || taken.subarray(k, k + longest).includes(1)) continue;
      taken.fill(1, k, k + longest);
      found.push({ start: k, stop: k + longest, distance: distance[k] });
    }
    return found;
  }
  function drawSimilar(order) {
    const found = similar(order);
    byId("similar-says").textContent = found.length ? "Stretches over which these cells have most nearly the same values as over the brushed text; the number is "
      + "the mean difference in standard deviations." : "The text has no other stretch of that length.";
    byId("alike").replaceChildren(...found.map((one) => el("li", null, el("button", { type: "button", "data-start": one.start,
      onclick: (event) => pickSimilar(one, event.currentTarget) },
    el("span", { class: "mono" }, characters.slice(one.start, one.stop).map(glyph).join("")), el("span", null, number(one.distance, 2))))));
  }
  function pickSimilar(one, button) {
    for (const other of byId("alike").querySelectorAll("button")) other.setAttribute("aria-current", String(other === button));
    alike.fill(0);
    alike.fill(1, one.start, one.stop);
    paint();
    spans[one.start].scrollIntoView({ block: "center" });
    byId("live").textContent = `similar stretch at character ${positions[one.start]}`;
  }
  function stepSimilar() {
    const buttons = [...byId("alike").querySelectorAll("button")];
    if (!buttons.length || byId("similar").hidden) return;
    buttons[(buttons.findIndex((one) => one.getAttribute("aria-current") === "true") + 1) % buttons.length].click();
  }
  /* If two cells separate the text equally well, the one whose means lie further apart comes first. */
  function apart(cell, places, n) {
    const signal = row(cell);
    let inside = 0, outside = 0;
    for (const k of places) if (brushed[k]) inside += signal[k]; else outside += signal[k];
    return Math.abs(inside / n - outside / Math.max(1, places.length - n));
  }
  const brush = (from, to) => brushed.fill(1, Math.min(from, to), Math.max(from, to) + 1);
  function brushDone() {
    rank();
    drawGrid();
    markRanked();
    paint();
  }
  function markRanked() {
    for (const button of byId("ranked").querySelectorAll("button")) {
      button.setAttribute("aria-current", String(Number(button.dataset.cell) === state.cell));
    }
  }
  function clearBrush() {
    brushed.fill(0);
    getSelection().removeAllRanges();
    brushDone();
  }
  byId("rest").addEventListener("change", brushDone);
  byId("clear").addEventListener("click", clearBrush);

  const placeOf = (event) => event.target instanceof Element && text.contains(event.target) ? event.target.place : undefined;
  let drag = null;
  text.addEventListener("mousedown", (event) => {
    const k = placeOf(event);
    if (event.button === 0 && k !== undefined) {
      drag = { from: k, moved: false, kept: event.ctrlKey || event.metaKey ? brushed.slice() : new Uint8Array(N) };
    }
  });
  text.addEventListener("mouseover", (event) => {
    const k = placeOf(event);
    if (k === undefined) { Page.hideTip(); return; }
    if (drag && event.buttons & 1) {
      drag.moved ||= k !== drag.from;
      brushed.set(drag.kept);
      brush(drag.from, k);
      paint();
    } else {
      showCharacter(k);
    }
  });
  text.addEventListener("mouseleave", Page.hideTip);
  text.addEventListener("scroll", () => {
    if (state.told === state.cursor && document.activeElement === text) showCharacter(state.cursor);
    else Page.hideTip();
  });
  document.addEventListener("mouseup", () => {
    if (!drag) return;
    if (drag.moved) {
      brushDone();
    } else {
      moveCursor(drag.from, false);
    }
    drag = null;
  });

  /* ---- One character: beside the pointer, or under the cursor of the keyboard. */
  const labelOf = (concept, k) => concept.values[k] < 0 ? "not counted"
    : concept.kind === "bool" ? (concept.values[k] ? "on" : "off") : String(concept.values[k]);
  function about(k) {
    const concept = concepts[state.concept], facts = [[`cell ${name(state.cell)}`, number(value(state.cell, k))]];
    const chosen = data.details.cells.indexOf(state.cell);
    if (chosen >= 0) {
      for (const [what, values] of details) {
        const q = values[chosen * N + k];
        facts.push([what === "h" ? "h" : `gate ${what}`, q === MISSING ? "–" : number(q / LEVELS, 2)]);
      }
    }
    if (concept) facts.push([concept.name, labelOf(concept, k)]);
    const next = [];
    for (let j = k * guesses.each; j < (k + 1) * guesses.each; j++) {
      if (guesses.best[j] < 0) continue; // nothing follows the end of an item
      const symbol = guesses.symbols[guesses.best[j]];
      next.push(`${symbol === " " ? "␣" : glyph(symbol)} ${guesses.percent[j]} %`);
    }
    if (next.length) facts.push(["next", next.join("  ")]);
    return facts;
  }
  function showCharacter(k) {
    state.told = k;
    Page.showTip(spans[k],
      el("p", { class: "what" }, el("b", null, glyph(characters[k])), el("span", { class: "quiet" },
        `${describe(characters[k])}, character ${count(positions[k])}`)),
      el("dl", null, ...about(k).flatMap(([what, v]) => [el("dt", null, what), el("dd", null, v)])));
  }
  function moveCursor(k, extend) {
    if (k < 0 || k >= N) return;
    if (extend) {
      if (state.anchor === null) state.anchor = state.cursor === null ? k : state.cursor;
      brushed.fill(0);
      brush(state.anchor, k);
    } else {
      state.anchor = null;
    }
    state.cursor = k;
    if (extend) brushDone(); else paint();
    spans[k].scrollIntoView({ block: "nearest" });
    showCharacter(k);
    byId("live").textContent = `${glyph(characters[k])} ${describe(characters[k])}, character ${positions[k]}, `
      + about(k).slice(0, 1).concat(concepts[state.concept] ? [[concepts[state.concept].name, labelOf(concepts[state.concept], k)]] : [])
        .map((pair) => pair.join(" ")).join(", ");
  }
  text.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const k = state.cursor;
    const to = { ArrowLeft: () => k - 1, ArrowRight: () => k + 1, ArrowUp: () => Page.byLine(characters, k, false),
      ArrowDown: () => Page.byLine(characters, k, true) }[event.key];
    if (!to) return;
    event.preventDefault();
    event.stopPropagation();
    moveCursor(k === null ? 0 : to(), event.shiftKey);
  });
  text.addEventListener("blur", Page.hideTip);

  /* ---- Gates. */
  const dots = [];
  function drawGates() {
    byId("gates").hidden = !data.gates.length;
    if (!data.gates.length) return;
    byId("gates-says").textContent = `Each dot is a unit. Across: the fraction of characters at which its gate is below `
      + `${data.saturated.left} (shut). Up: the fraction at which it is above ${data.saturated.right} (open). `
      + "A gate at the lower left is rarely either. Click a dot to pick its cell.";
    for (let layer = 0; layer < layers; layer++) {
      const figures = data.gates.filter((gate) => gate.layer === layer).map((gate) => {
        const mean = (values) => values.reduce((a, b) => a + b, 0) / values.length;
        const drawn = Page.gatePlot(gate, { left: mean(gate.left), right: mean(gate.right) },
          gate.left.map((_, unit) => unit), (unit) => pickCell(layer * hidden + unit));
        drawn.dots.forEach((dot, unit) => (dots[layer * hidden + unit] ||= []).push(dot));
        return drawn.figure;
      });
      byId("plots").append(layers > 1 ? el("h3", null, `layer ${layer}`) : "", el("div", { class: "layer" }, ...figures));
    }
  }
  let ringed = [];
  function markDots() {
    for (const dot of ringed) { dot.classList.remove("picked"); dot.setAttribute("r", 3); }
    ringed = dots[state.cell] || [];
    for (const dot of ringed) {
      dot.classList.add("picked");
      dot.setAttribute("r", 5.5);
      dot.parentNode.append(dot);
    }
  }

  /* ---- Keys of the whole page. */
  const help = byId("help");
  byId("help-open").addEventListener("click", () => help.showModal());
  const KEYS = {
    ArrowLeft: () => pickCell(state.cell - 1),
    ArrowRight: () => pickCell(state.cell + 1),
    j: () => stepFinding(1),
    k: () => stepFinding(-1),
    c: () => pickConcept(state.concept + 1 < concepts.length ? state.concept + 1 : -1),
    p: () => byId("predicted").click(),
    m: () => {
      byId("from").value = byId("from").value === "zero" ? "median" : "zero";
      byId("from").dispatchEvent(new Event("change"));
    },
    s: stepSimilar,
    t: Page.nextTheme,
    "/": () => { byId("cell").focus(); byId("cell").select(); },
    "?": () => help.showModal(),
    Escape: clearBrush,
  };
  document.addEventListener("keydown", (event) => {
    const typing = event.target instanceof Element && event.target.closest("input, select, textarea, dialog");
    if (event.ctrlKey || event.metaKey || event.altKey || typing || !Object.hasOwn(KEYS, event.key)) return;
    event.preventDefault();
    KEYS[event.key]();
  });

  function drawAll() {
    drawFinding();
    redrawSteps();
    drawControls();
    drawLegend();
    drawGrid();
    markRanked();
    markDots();
    paint();
  }
  byId("card").append(Page.facts([["file", data.model], ...data.card]));
  byId("more").hidden = !data.more.length;
  byId("more").append(Page.facts(data.more));
  byId("shown").textContent = (N < data.whole
    ? `Shown: ${count(N)} of the ${count(data.whole)} characters ${data.part === "confirm" ? "used to confirm the findings" : "read"}, so that this page stays small.`
    : `Shown: all ${count(N)} characters ${data.part === "confirm" ? "used to confirm the findings" : "read"}.`)
    + ` Values are rounded to 1/${LEVELS} of each cell’s range. Point at a character to see more; drag to brush; ? for keys.`;
  document.addEventListener("themechange", () => { swatches = Page.swatches(); drawMap(); });
  new ResizeObserver(() => { mapWidth = map.clientWidth; drawMap(); }).observe(map);
  drawFindings();
  drawSteps();
  drawGates();
  if (data.start.finding !== undefined) pickFinding(data.findings[data.start.finding]);
  else pickCell(data.start.cell);
})();
