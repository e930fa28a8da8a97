(() => {
  const { data, el, byId, number, count, table, visible, letter, step, scale } = Page;
  const signed = (value, digits = 2) => (value > 0 ? "+" : "") + number(value, digits);
  const quoted = (name) => Array.from(name).length === 1 ? `‘${visible(name).replace("\n", "↵").replace(" ", "␣")}’` : visible(name);
  const percent = (p) => `${(100 * p).toFixed(1)} %`;
  const characters = Array.from(data.text);
  const target = quoted(data.target.character), against = quoted(data.against.character);

  byId("asked").textContent = `${target} has probability ${percent(data.target.probability)} at place ${count(data.place)}, `
    + `${against} ${percent(data.against.probability)}: log-odds ${signed(data.log_odds_nats)} nats.`;

  /* ---- The text, once for each kind of part. Parts of the whole share a scale, those of a cell have its own. */
  const of = (key) => data.characters.map((one) => one[key]);
  const most = (values) => Math.max(...values.map(Math.abs), 1e-30);
  const all = data.log_odds_nats - data.baseline_log_odds_nats;
  const kinds = [
    ["Replaced by what the model expected there", of("replaced_nats")],
    ["Removed", of("removed_nats")],
    [`Integrated gradients: ${signed(all)} in all, from ${signed(data.baseline_log_odds_nats)} after average characters`,
      of("integrated_nats")],
  ];
  const shared = most(kinds.flatMap(([, values]) => values));
  const cells = data.cells.filter((one) => one.characters_nats !== null).map((one) =>
    [`Cell ${one.layer}:${one.cell}: ${signed(one.change_nats)} in all`, one.characters_nats, most(one.characters_nats)]);
  const place = (k) => data.place - characters.length + k;
  for (const [title, values, size = shared] of [...kinds, ...cells]) {
    const text = el("p", { class: "letters" }, ...characters.map((ch, k) => {
      const shown = letter(ch), look = step(values[k] / size);
      if (look) shown.classList.add(look);
      shown.title = `${quoted(data.characters[k].character)} at ${count(place(k))}: ${signed(values[k], 3)}`;
      return shown;
    }));
    const own = size === shared ? null : scale(signed(-size), signed(size));
    byId("texts").append(el("figure", { class: "panel" }, el("figcaption", null, title, " ", own), text));
  }
  byId("legend").append(scale(signed(-shared), signed(shared)), el("span", null, `above 0: for ${target}, below: for ${against}`));
  const rough = data.completeness_error_nats > data.rough_nats;
  byId("error").textContent = `Completeness error ${data.completeness_error_nats.toExponential(1)} nats, with `
    + `${count(data.gradients)} gradients${rough ? ": too large, so integrated gradients are rough here" : ""}.`;
  byId("error").classList.toggle("rough", rough);

  /* ---- The tables. */
  const figure = (key, name) => ({ name, number: true, value: (row) => Math.abs(row[key]), show: (row) => signed(row[key], 3),
    first: "descending" });
  byId("characters").append(table([
    { name: "place", number: true, value: (row) => row.place, show: (row) => count(row.place) },
    { name: "character", value: (row) => row.character, show: (row) => el("code", null, quoted(row.character)) },
    figure("replaced_nats", "replaced"), figure("removed_nats", "removed"), figure("integrated_nats", "integrated"),
  ], data.characters, "Characters"));
  const bias = { name: "bias", contribution_nats: data.bias_nats, change_nats: 0 };
  byId("cells").append(table([
    { name: "cell", value: (row) => row.cell, show: (row) => row.name || `${row.layer}:${row.cell}` },
    figure("contribution_nats", "part"), figure("change_nats", "change"),
  ], [...data.cells, bias], "Cells"));
})();
