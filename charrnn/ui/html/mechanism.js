(() => {
  const { data, el, byId, brief, count, visible } = Page;
  byId("summary").textContent = visible(data.summary);
  byId("notes").textContent = data.notes.map(visible).join(" ");
  byId("picture").append(Mechanism.picture(data));
  byId("edges").append(Mechanism.edges(data));
  byId("characters").append(Mechanism.characters(data));

  const facts = [["model", data.model], ["cell", data.cell_kind], ["characters read", count(data.characters_read)],
    ["largest error of the sums, relative to 1 + |value|", brief(data.error)]];
  byId("facts").append(...facts.map(([what, value]) => el("div", null, el("dt", null, what), el("dd", null, visible(value)))));
})();
