/* The mechanism of a cell, as charrnn.interpret.mechanism has it: a picture of its edges, and tables. */
const Mechanism = (() => {
  const { el, svg, number, brief, count, table, visible } = Page;
  const KINDS = [["writers", "writes"], ["shown_by", "shows"], ["head", "predicts"], ["readers", "is read by"]];
  const WIDTH = 760, ROW = 30, TOP = 20, REACH = 210, MIDDLE = WIDTH / 2, HALF = 62;

  const name = (text) => visible(text).replace(/^ | $/g, "␣");
  /* The other end of an edge, and the gate on its stroke. */
  function ends(one) {
    if (one.edge.startsWith("->")) return [name(one.edge.slice(2)), ""];
    const arrow = one.edge.lastIndexOf("->");
    return [name(one.edge.slice(0, arrow)), one.edge.slice(arrow + 2)];
  }
  function picture(data) {
    const strongest = Object.fromEntries(KINDS.map(([kind]) => [kind, Math.max(...data[kind].map((one) => one.strength), 1e-30)]));
    const side = (...kinds) => kinds.flatMap((kind) => data[kind].map((one) => ({ one, kind })));
    const left = side("writers", "shown_by"), right = side("head", "readers");
    const rows = Math.max(left.length, right.length, 2), height = 2 * TOP + ROW * rows;
    const drawn = svg("svg", { viewBox: `0 0 ${WIDTH} ${height}`, width: WIDTH, role: "img",
      "aria-label": `${left.length} edges into the cell, ${right.length} out of it; the table below has them all` });
    function draw({ one, kind }, k, entries, out) {
      const y = TOP + ROW * (k + 0.5) + ROW * (rows - entries.length) / 2;
      const inner = out ? MIDDLE + HALF : MIDDLE - HALF, outer = out ? inner + REACH : inner - REACH;
      const at = height / 2 + (y - height / 2) * 0.35, bend = (inner + outer) / 2;
      const [label, gate] = ends(one), holds = one.cut && one.cut.holds;
      const path = svg("path", { class: `edge${one.weight < 0 ? " lowers" : ""}${holds ? "" : " untold"}`,
        d: `M${outer},${y}C${bend},${y} ${bend},${at} ${inner},${at}`,
        "stroke-width": (1 + 7 * one.strength / strongest[kind]).toFixed(2) },
        svg("title", null, `${visible(one.edge)}: weight ${brief(one.weight)}, strength ${brief(one.strength)}`));
      drawn.append(path, svg("text", { x: outer + (out ? 8 : -8), y: y + 4, "text-anchor": out ? "start" : "end" }, label));
      if (gate) drawn.append(svg("text", { class: "gate", x: outer + 8, y: y - 7 }, gate));
    }
    left.forEach((entry, k) => draw(entry, k, left, false));
    right.forEach((entry, k) => draw(entry, k, right, true));
    drawn.append(svg("rect", { class: "cell", x: MIDDLE - HALF, y: TOP / 2, width: 2 * HALF, height: height - TOP, rx: 8 }),
      svg("text", { class: "name", x: MIDDLE, y: height / 2 - 2, "text-anchor": "middle" }, `${data.layer}:${data.cell}`),
      svg("text", { x: MIDDLE, y: height / 2 + 16, "text-anchor": "middle" }, visible(data.concept || "")));
    return drawn;
  }

  const change = (before, after, p) => p === null || p === undefined ? "–" : `${number(before)} → ${number(after)}`;
  const figure = (key, title, show = (row) => brief(row[key])) => ({ name: title, number: true, value: (row) => row[key], show,
    first: "descending" });
  function edges(data) {
    const rows = KINDS.flatMap(([kind, what]) => data[kind].map((one) => ({ what, ...one, ...(one.cut || {}) })));
    return table([
      { name: "edge", value: (row) => row.edge, show: (row) => el("code", null, name(row.edge)) },
      { name: "what it does", value: (row) => row.what, show: (row) => row.what },
      figure("weight", "weight"), figure("input", "input"), figure("strength", "strength"), figure("carries", "carries"),
      figure("score_after", "score", (row) => change(row.score, row.score_after, row.score_p)),
      { name: "target", show: (row) => row.target ? el("code", null, visible(row.target)) : "–" },
      figure("log_odds_after", "log-odds", (row) => change(row.log_odds, row.log_odds_after, row.log_odds_p)),
      figure("p", "p", (row) => number(row.p)),
    ], rows, "Edges", (row) => row.holds ? { class: "holds" } : null);
  }
  function characters(data) {
    return table([
      { name: "character", value: (row) => row.character, show: (row) => el("code", null, name(row.character)) },
      figure("count", "times", (row) => count(row.count)), figure("kept", "kept"), figure("erased", "erased"),
      figure("written", "written"), figure("rise", "rise", (row) => `${Math.round(100 * row.rise)} %`),
      figure("fall", "fall", (row) => `${Math.round(100 * row.fall)} %`),
    ], data.characters, "Characters");
  }
  return { picture, edges, characters };
})();
