"use strict";

/* What all pages share. Data comes as JSON and is put on the page as text only, never as HTML. */
const Page = (() => {
  const data = JSON.parse(document.getElementById("data").textContent);

  /* An element with attributes, listeners (on…: function) and children; strings become text. */
  function make(create, name, attributes, children) {
    const node = create(name);
    for (const [key, value] of Object.entries(attributes || {})) {
      if (value === null || value === undefined || value === false) continue;
      if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
      else node.setAttribute(key, value === true ? "" : String(value));
    }
    node.append(...children.filter((child) => child !== null && child !== undefined));
    return node;
  }
  const el = (name, attributes, ...children) =>
    make((n) => document.createElement(n), name, attributes, children);
  const svg = (name, attributes, ...children) =>
    make((n) => document.createElementNS("http://www.w3.org/2000/svg", n), name, attributes, children);
  const byId = (id) => document.getElementById(id);

  /* The typed array that page.packed made. */
  const KINDS = { int8: Int8Array, int16: Int16Array, int32: Int32Array };
  function unpack(packed) {
    const raw = atob(packed.bytes);
    const bytes = new Uint8Array(raw.length);
    for (let k = 0; k < raw.length; k++) bytes[k] = raw.charCodeAt(k);
    if (packed.kind === "int8") return new Int8Array(bytes.buffer);
    const size = KINDS[packed.kind].BYTES_PER_ELEMENT, view = new DataView(bytes.buffer);
    const read = size === 2 ? (k) => view.getInt16(2 * k, true) : (k) => view.getInt32(4 * k, true);
    return KINDS[packed.kind].from({ length: raw.length / size }, (_, k) => read(k));
  }
  const MISSING = -128;
  const LEVELS = 127;

  /* The class of a share of the scale from −1 to 1: one of eight steps either way, none near zero. */
  function step(share) {
    if (!Number.isFinite(share)) return "";
    const k = Math.max(-8, Math.min(8, Math.round(8 * share)));
    return k === 0 ? "" : (k < 0 ? "n" : "p") + Math.abs(k);
  }
  /* The colours of the steps from −8 to 8 as the page has them now, and its ink, for what is drawn on a canvas. */
  function swatches() {
    const probe = el("i"), found = {};
    document.body.append(probe);
    for (let k = -8; k <= 8; k++) {
      probe.className = step(k / 8);
      found[k] = k ? getComputedStyle(probe).backgroundColor : "transparent";
    }
    found.ink = getComputedStyle(document.body).color;
    probe.remove();
    return found;
  }
  /* The scale as a legend between its ends. */
  function scale(low, high) {
    const steps = [];
    for (let k = -8; k <= 8; k++) steps.push(el("i", { class: step(k / 8) }));
    return el("span", { class: "scale" }, el("span", null, low), el("span", { "aria-hidden": "true" }, ...steps),
      el("span", null, high));
  }

  /* Code points that no text contains stand for the symbols of items that are no characters. */
  const MARKS = { 0xdc00: "end of an item", 0xdc01: "beginning of an item", 0xdc02: "boundary of a pair", 0xdc03: "label" };
  /* One visible glyph for any character: none can move others, change direction or take no space. */
  function glyph(ch) {
    const code = ch.codePointAt(0);
    if (ch === "\n") return "↵";
    if (ch === "\t") return "→";
    if (MARKS[code]) return code === 0xdc00 ? "∎" : "▸";
    if (code < 32) return String.fromCodePoint(0x2400 + code);
    if (code === 127) return "␡";
    if (/^\p{M}$/u.test(ch)) return "◌" + ch;
    if (/^\p{C}$/u.test(ch)) return "\ufffd";
    if (/^\p{Z}$/u.test(ch)) return ch === " " || ch === "\u3000" ? ch : "␠";
    return ch;
  }
  /* A name or a rule from elsewhere with every character made visible; line ends stay. */
  const visible = (text) => Array.from(text, (ch) => ch === "\n" ? ch : glyph(ch)).join("");
  const NAMES = { 9: "tab", 10: "newline", 13: "carriage return", 32: "space", 160: "no-break space" };
  /* A character in words: its name, where it needs one, and its code point. */
  function describe(ch) {
    const code = ch.codePointAt(0);
    if (MARKS[code]) return MARKS[code];
    if (code >= 0xdc80 && code <= 0xdcff) return "byte 0x" + (code - 0xdc00).toString(16);
    const point = "U+" + code.toString(16).toUpperCase().padStart(4, "0");
    return NAMES[code] ? NAMES[code] + " " + point : point;
  }
  /* The element of a character in .letters. Newline and tab stay themselves, so that copied text is the text. */
  function letter(ch) {
    const shown = glyph(ch);
    if (ch === "\n" || ch === "\t") return el("span", { class: ch === "\n" ? "nl" : "tab" }, ch);
    return shown === ch ? el("span", null, ch) : el("span", { class: "odd", title: describe(ch) }, shown);
  }

  /* A number without needless digits; a dash where there is none. */
  function number(value, digits = 3) {
    if (value === null || value === undefined || !Number.isFinite(value)) return "–";
    return value.toFixed(digits).replace("-", "−");
  }
  const count = (value) => value.toLocaleString("en-US");

  /* A table from columns and rows. column: {name, title, value(row) to sort by, show(row) → node or text,
     number: true to align right, minor: true to go where there is little room, first: "descending" for the first
     click}. Sorting keeps equal rows in order. */
  function table(columns, rows, caption, rowAttributes = () => null) {
    const body = el("tbody");
    const kind = (column) => (column.number ? "number" : "") + (column.minor ? " minor" : "");
    const drawn = rows.map((row) => ({ row, tr: el("tr", rowAttributes(row), ...columns.map((column) =>
      el("td", { class: kind(column) }, column.show(row)))) }));
    body.append(...drawn.map((one) => one.tr));
    const heads = columns.map((column) => el("th", { scope: "col", class: kind(column),
      "aria-sort": column.value ? "none" : null, title: column.title },
      column.value ? el("button", { type: "button", class: "plain", onclick: () => sort(column) }, column.name)
        : column.name));
    function sort(column) {
      const head = heads[columns.indexOf(column)], now = head.getAttribute("aria-sort");
      const first = column.first || "ascending", other = first === "ascending" ? "descending" : "ascending";
      const order = now === first ? other : first;
      for (const one of heads) if (one.hasAttribute("aria-sort")) one.setAttribute("aria-sort", "none");
      head.setAttribute("aria-sort", order);
      const side = order === "ascending" ? 1 : -1;
      const missing = (value) => value === null || value === undefined || Number.isNaN(value);
      body.append(...drawn.slice().sort((a, b) => {
        const x = column.value(a.row), y = column.value(b.row);
        if (missing(x) || missing(y)) return missing(x) - missing(y);
        return side * (typeof x === "string" ? x.localeCompare(y) : x - y);
      }).map((one) => one.tr));
    }
    return el("table", null, el("caption", { class: "sr" }, caption), el("thead", null, el("tr", null, ...heads)), body);
  }

  /* Ticks at 1, 2 or 5 times a power of ten, about `most` of them, and never fewer than three. */
  const FEWEST_TICKS = 3;
  function ticks(low, high, most) {
    const rough = (high - low) / most, power = 10 ** Math.floor(Math.log10(rough));
    const spacing = [1, 2, 5, 10].map((k) => k * power).find((s) => s >= rough * (1 - 1e-9));
    const found = [];
    for (let k = Math.ceil(low / spacing - 1e-9); k * spacing <= high + 1e-9 * spacing; k++) found.push(k * spacing || 0); // no −0
    if (found.length < FEWEST_TICKS) return ticks(low, high, 2 * most);
    return { found, digits: Math.max(0, -Math.floor(Math.log10(spacing) + 1e-9)) };
  }
  /* Ticks of a logarithmic axis from 10^low to 10^high, each a value and its name: powers of ten, fewer where there are
     many; where there are hardly any, also others between them, or as on a linear axis. */
  const SUPERSCRIPTS = "⁰¹²³⁴⁵⁶⁷⁸⁹";
  function logTicks(low, high, most) {
    const named = (values) => values.filter((v) => v >= 10 ** low && v <= 10 ** high).map((v) => [v, brief(v)]);
    if (high - low < 0.7) return named(ticks(10 ** low, 10 ** high, 2 * most).found);
    const between = high - low < 2 ? [1, 2, 5] : [1, 3];
    if (high - low < 3) return named([0, 1, 2, 3].flatMap((k) => between.map((v) => v * 10 ** (Math.floor(low) + k))));
    const every = Math.ceil((high - low) / most), found = [];
    for (let k = Math.ceil(low / every - 1e-9) * every; k <= high + 1e-9; k += every) {
      const superscript = Array.from(String(Math.abs(k)), (digit) => SUPERSCRIPTS[digit]).join("");
      found.push([10 ** k, Math.abs(k) <= 3 ? brief(10 ** k) : "10" + (k < 0 ? "⁻" : "") + superscript]);
    }
    return found;
  }
  /* A value in four digits, however large or small. */
  function brief(value) {
    if (value === null || value === undefined || !Number.isFinite(value)) return "–";
    const size = Math.abs(value);
    if (size >= 1000) return count(Math.round(value)).replace("-", "−");
    return (size && size < 0.0005 ? value.toExponential(2) : String(Number(value.toPrecision(4)))).replaceAll("-", "−");
  }
  const spread = (values) => values.reduce(([low, high], v) => [Math.min(low, v), Math.max(high, v)], [Infinity, -Infinity]);
  /* Lines over a common axis. series: [{name, points: [[x, y], …], dots: true for a dot at each, look: a number other than its
     place}]; x, y: names of the axes; marks: x positions of vertical lines; log: a logarithmic y axis, without what
     is not above zero; range, along: [low, high] of y and of x in place of their own; best: a point to ring; read: values
     are shown beside the pointer and by the arrow keys; key: whether the series are named above. */
  function lineChart({ series, label, x, y, width = 560, height = 220, marks = [], log = false, range = null, along = null,
    best = null, read = false, key = true }) {
    const place = (v) => log ? Math.log10(v) : v;
    const kept = series.map((one) => one.points.filter((p) => Number.isFinite(p[1]) && Number.isFinite(place(p[1]))));
    const points = kept.flat();
    if (!points.length) return el("p", { class: "note" }, "nothing to draw");
    let [left, right] = along || spread(points.map((p) => p[0]));
    let [low, high] = (range || spread(points.map((p) => p[1]))).map(place);
    if (left === right) right = left + 1;
    const margin = 0.06 * (high - low) || 0.1;
    [low, high] = [low - margin, high + margin];
    const linear = log ? null : ticks(low, high, Math.max(2, height / 34));
    const rows = log ? logTicks(low, high, Math.max(4, height / 40)) : linear.found.map((v) =>
      [v, high >= 10000 ? count(v).replace("-", "−") : number(v, linear.digits)]);
    const longest = Math.max(...rows.map(([, named]) => named.length));
    const lettersWide = (words) => 6.2 * words.length, keyed = key && series.length > 1;
    const box = { left: Math.max(46, 12 + 6.5 * longest), right: width - 12, top: 20, bottom: height - 34 };
    /* The key stands beside the name of the axis, or below it where there is no room. */
    const keyWide = keyed ? series.reduce((sum, one) => sum + lettersWide(one.name) + 40, 0) : 0;
    const keyDown = keyed && box.left + lettersWide(y) + keyWide > box.right ? 16 : 0;
    box.top += keyDown;
    const px = (v) => box.left + (v - left) / (right - left) * (box.right - box.left);
    const py = (v) => box.bottom - (place(v) - low) / (high - low) * (box.bottom - box.top);
    const chart = svg("svg", { viewBox: `0 0 ${width} ${height}`, width, role: "img", "aria-label": label });
    const columns = ticks(left, right, Math.max(2, width / 110));
    for (const [v, named] of rows) {
      chart.append(svg("line", { class: "axis", x1: box.left, x2: box.right, y1: py(v), y2: py(v) }),
        svg("text", { x: box.left - 6, y: py(v) + 4, "text-anchor": "end" }, named));
    }
    for (const v of columns.found) {
      chart.append(svg("text", { x: px(v), y: box.bottom + 15, "text-anchor": "middle" },
        columns.digits ? number(v, columns.digits) : count(v).replace("-", "−")));
    }
    for (const v of marks) {
      chart.append(svg("line", { class: "axis", x1: px(v), x2: px(v), y1: box.top, y2: box.bottom, "stroke-dasharray": "3 3" }));
    }
    const look = (k) => series[k].look || k + 1;
    series.forEach((one, k) => {
      if (kept[k].length) {
        chart.append(svg("path", { class: `series series-${look(k)}`,
          d: "M" + kept[k].map((p) => `${px(p[0]).toFixed(1)},${py(p[1]).toFixed(1)}`).join("L") }));
      }
      for (const p of one.dots ? kept[k] : []) {
        chart.append(svg("circle", { class: "dot", cx: px(p[0]), cy: py(p[1]), r: 2.6, fill: `var(--series-${look(k)})` }));
      }
    });
    if (best) chart.append(svg("circle", { class: "best", cx: px(best[0]), cy: py(best[1]), r: 5 }));
    chart.append(svg("text", { x: box.left, y: 11 }, y),
      svg("text", { x: (box.left + box.right) / 2, y: height - 4, "text-anchor": "middle" }, x));
    if (keyed) {
      let at = box.right;
      series.slice().reverse().forEach((one, k) => {
        const room = lettersWide(one.name);
        chart.append(svg("text", { x: at, y: 11 + keyDown, "text-anchor": "end" }, one.name),
          svg("path", { class: `series key series-${look(series.length - 1 - k)}`, d: `M${at - room - 24},${7 + keyDown}H${at - room - 4}` }));
        at -= room + 40;
      });
    }
    if (read) readable(chart, { series, kept, px, py, box, x, width });
    return chart;
  }
  /* The values of a chart at the place nearest to the pointer, or the next one by the arrow keys. */
  function readable(chart, { series, kept, px, py, box, x, width }) {
    const places = [...new Set(kept.flat().map((p) => p[0]))].sort((a, b) => a - b);
    const rule = svg("g", { class: "rule", hidden: true });
    const live = el("span", { class: "sr", "aria-live": "polite" });
    let at = null;
    chart.append(rule);
    chart.setAttribute("tabindex", "0");
    chart.live = live;
    function tell(k, aloud) {
      at = Math.max(0, Math.min(places.length - 1, k));
      const v = places[at], facts = [[x, brief(v)]];
      rule.replaceChildren(svg("line", { x1: px(v), x2: px(v), y1: box.top, y2: box.bottom }));
      kept.forEach((points, j) => {
        const p = points.find((point) => point[0] === v);
        if (!p) return;
        rule.append(svg("circle", { cx: px(v), cy: py(p[1]), r: 3.2, fill: `var(--series-${series[j].look || j + 1})` }));
        facts.push([series[j].name, brief(p[1])]);
      });
      rule.removeAttribute("hidden");
      showTip(rule, el("dl", null, ...facts.flatMap(([what, value]) => [el("dt", null, what), el("dd", null, value)])));
      if (aloud) live.textContent = facts.map((pair) => pair.join(" ")).join(", ");
    }
    function leave() {
      rule.setAttribute("hidden", "");
      at = null;
      hideTip();
    }
    chart.addEventListener("pointermove", (event) => {
      const frame = chart.getBoundingClientRect(), across = (event.clientX - frame.left) * width / frame.width;
      const nearest = places.reduce((a, v, k) => Math.abs(px(v) - across) < Math.abs(px(places[a]) - across) ? k : a, 0);
      if (nearest !== at) tell(nearest, false);
    });
    chart.addEventListener("pointerleave", leave);
    chart.addEventListener("blur", leave);
    chart.addEventListener("keydown", (event) => {
      const to = { ArrowLeft: () => at === null ? places.length - 1 : at - 1, ArrowRight: () => at === null ? 0 : at + 1,
        Home: () => 0, End: () => places.length - 1 }[event.key];
      if (event.key === "Escape") leave();
      if (!to || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      event.stopPropagation();
      tell(to(), true);
    });
  }
  /* A table that is wider than the screen says so: on a phone nothing else shows that there is more. */
  for (const box of document.querySelectorAll(".scroll")) {
    const note = el("p", { class: "note" }, "The table goes on to the right: scroll it sideways.");
    box.before(note);
    const tell = () => { note.hidden = box.scrollWidth <= box.clientWidth; };
    new ResizeObserver(tell).observe(box);
    new MutationObserver(tell).observe(box, { childList: true });
    tell();
  }

  /* Draw into an element by its width, now and whenever that changes. */
  function fit(node, draw) {
    let width = 0;
    const redraw = () => {
      if (node.clientWidth === width) return;
      width = node.clientWidth;
      const drawn = draw(width);
      node.replaceChildren(drawn, ...(drawn.live ? [drawn.live] : []));
    };
    new ResizeObserver(redraw).observe(node);
    redraw();
    return () => { width = 0; redraw(); };
  }

  const percent = (share) => Number.isFinite(share) ? (100 * share).toFixed(1) + " %" : "–";
  /* The units of a gate by how often they are shut (across) and open (up), as Karpathy, Johnson and Li (2015) drew
     them. gate: {layer, role, left, right}; mean: {left, right} of all units; units: their numbers. pick: called with
     the unit of a dot that is clicked. Returns the figure and the dots. */
  function gatePlot(gate, mean, units, pick = null) {
    const size = 180, left = 28, top = 8, says = `mean: open ${percent(mean.right)}, shut ${percent(mean.left)}`;
    const x = (v) => left + size * v, y = (v) => top + size * (1 - v);
    const plot = svg("svg", { viewBox: "0 0 220 226", width: 220, role: "img", "aria-label": `${gate.role}, layer ${gate.layer}; ${says}` },
      svg("path", { class: "axis", d: `M${x(0)},${y(1)}V${y(0)}H${x(1)}` }),
      svg("path", { class: "limit", d: `M${x(0)},${y(1)}L${x(1)},${y(0)}`, fill: "none" }),
      ...[0, 0.5, 1].flatMap((v) => [svg("text", { x: x(v), y: y(0) + 15, "text-anchor": "middle" }, String(v)),
        svg("text", { x: x(0) - 6, y: y(v) + 4, "text-anchor": "end" }, String(v))]),
      svg("text", { x: x(0.5), y: y(0) + 32, "text-anchor": "middle" }, "shut"),
      svg("text", { x: 0, y: 0, "text-anchor": "middle", transform: `translate(${x(0) - 22} ${y(0.75)}) rotate(-90)` }, "open"));
    const dots = gate.left.map((shut, k) => svg("circle", { cx: x(shut), cy: y(gate.right[k]), r: 3, class: pick ? "pick" : null,
      onclick: pick && (() => pick(units[k])) },
    svg("title", null, `${gate.layer}:${units[k]}: shut ${percent(shut)}, open ${percent(gate.right[k])}`)));
    plot.append(...dots);
    return { figure: el("figure", null, el("figcaption", null, el("b", null, gate.role), says), plot), dots };
  }

  /* The character in the same column of the line above or below character k. */
  function byLine(characters, k, down) {
    const lineStart = (j) => { while (j > 0 && characters[j - 1] !== "\n") j--; return j; };
    const here = lineStart(k);
    let start;
    if (down) {
      start = k;
      while (start < characters.length && characters[start] !== "\n") start++;
      if (++start >= characters.length) return k;
    } else {
      if (here === 0) return k;
      start = lineStart(here - 1);
    }
    let to = start;
    while (to - start < k - here && to < characters.length - 1 && characters[to] !== "\n") to++;
    return to;
  }

  /* Names and values. */
  function facts(rows) {
    return el("dl", { class: "facts" }, ...rows.map(([name, value]) =>
      el("div", { class: value.length > 90 ? "wide" : null }, el("dt", null, name), el("dd", null, visible(value)))));
  }

  /* The tip beside a place on the page, kept within the window. */
  const tip = el("div", { class: "tip", role: "tooltip", id: "tip", hidden: true });
  document.body.append(tip);
  function showTip(beside, ...children) {
    tip.replaceChildren(...children);
    tip.hidden = false;
    const place = beside.getClientRects()[0] || beside.getBoundingClientRect();
    const below = place.bottom + 8 + tip.offsetHeight < innerHeight;
    tip.style.left = Math.max(8, Math.min(place.left - 16, innerWidth - tip.offsetWidth - 8)) + "px";
    tip.style.top = (below ? place.bottom + 8 : Math.max(8, place.top - tip.offsetHeight - 8)) + "px";
  }
  const hideTip = () => { tip.hidden = true; };

  /* The theme: automatic, light or dark; remembered if the browser allows it. */
  const THEMES = ["auto", "light", "dark"];
  function setTheme(theme) {
    if (theme === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
    byId("theme").textContent = "Theme: " + theme;
    try { localStorage.setItem("charrnn-theme", theme); } catch { /* a page in a sandbox keeps nothing */ }
    document.dispatchEvent(new Event("themechange"));
  }
  function nextTheme() {
    const now = document.documentElement.dataset.theme || "auto";
    setTheme(THEMES[(THEMES.indexOf(now) + 1) % THEMES.length]);
  }
  byId("theme").addEventListener("click", nextTheme);
  try {
    const kept = localStorage.getItem("charrnn-theme");
    if (THEMES.includes(kept)) setTheme(kept);
  } catch { /* as above */ }
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change",
    () => document.dispatchEvent(new Event("themechange")));

  return { data, el, svg, byId, unpack, MISSING, LEVELS, step, swatches, scale, glyph, visible, describe, letter, number, count, percent,
    brief, table, lineChart, fit, gatePlot, byLine, facts, showTip, hideTip, nextTheme };
})();
