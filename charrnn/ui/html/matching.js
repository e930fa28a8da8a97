(() => {
  const { data, el, byId, number, count, table, visible } = Page;
  const cell = ([layer, unit]) => `${layer}:${unit}`;
  const order = ([layer, unit]) => layer * 1e6 + unit;
  const signed = (r) => r === null ? "–" : (r < 0 ? "" : "+") + number(r, 3);

  byId("told").textContent = `${count(data.count)} pairs of cells: the median |r| is ${number(data.median)}, by chance ${number(data.chance)}.`;
  byId("models").append(...data.models.map((file, k) => el("div", { class: "wide" }, el("dt", null, ["first", "second"][k]),
    el("dd", null, visible(file)))));

  const side = (which) => {
    const of = (row, key) => row[which] === null ? null : row[which][key];
    return [
      { name: which === "first" ? "First" : "Second", title: "layer:unit, both from 0", number: true,
        value: (row) => row[which] === null ? null : order([row[which].layer, row[which].cell]),
        show: (row) => row[which] === null ? "–" : cell([row[which].layer, row[which].cell]) },
      { name: "Verdict", value: (row) => of(row, "verdict"), show: (row) => row[which] === null ? "not judged"
        : el("span", { class: "verdict " + row[which].verdict }, row[which].verdict) },
      { name: "Confirm", title: "score on text that was not used to choose the cell", number: true, first: "descending",
        value: (row) => of(row, "confirm_score"), show: (row) => number(of(row, "confirm_score")) },
    ];
  };
  byId("shared").append(table([
    { name: "Concept", value: (row) => row.concept, show: (row) => visible(row.concept) },
    ...side("first"), ...side("second"),
    { name: "r", title: "correlation of the two cells", number: true, first: "descending", value: (row) => row.r, show: (row) => signed(row.r) },
    { name: "Pair", value: (row) => row.paired ? 0 : 1, show: (row) => row.paired ? "yes" : "no" },
  ], data.shared, "Concepts", (row) => row.both ? { class: "both" } : null));

  byId("pairs-say").textContent = "Each cell of one model with a cell of the other, none twice, so that the sum of |r| is largest; the closest first."
    + (data.pairs.length < data.count ? ` The first ${count(data.pairs.length)} are shown.` : "");
  const bar = (r) => {
    const part = el("i", { class: r < 0 ? "low" : "high" });
    part.style.width = 100 * Math.abs(r) + "%";
    return el("span", { class: "bar-r", "aria-hidden": "true" }, part);
  };
  byId("pairs").append(table([
    { name: "First", number: true, value: (row) => order(row.first), show: (row) => cell(row.first) },
    { name: "Second", number: true, value: (row) => order(row.second), show: (row) => cell(row.second) },
    { name: "r", number: true, first: "descending", value: (row) => row.r, show: (row) => signed(row.r) },
    { name: "|r|", title: "its size", first: "descending", value: (row) => Math.abs(row.r), show: (row) => bar(row.r) },
  ], data.pairs, "Pairs of cells"));
})();
