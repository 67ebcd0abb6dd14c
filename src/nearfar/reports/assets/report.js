// Draws the figures, gives out their numbers, sorts and filters tables, and follows the theme. Colours come as "@name" or "@name/opacity" and are looked up in the style
// sheet at every drawing, so that light, dark and print need one set of figures.
(() => {
  "use strict";
  const root = document.documentElement;
  const figures = JSON.parse(document.getElementById("figures").textContent);
  const plots = [...document.querySelectorAll("[data-figure]")];
  const settings = { displaylogo: false };
  const isNarrow = (plot) => plot.clientWidth < 480;

  function colour(name) {
    const [variable, opacity] = name.slice(1).split("/");
    const hex = getComputedStyle(root).getPropertyValue("--" + variable).trim();
    if (opacity === undefined) return hex;
    const parts = [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
    return `rgba(${parts.join(",")},${opacity})`;
  }

  // Only values under a key that means a colour: a text of the data may begin with "@" too.
  function coloured(value, key) {
    if (typeof value === "string") return /color$/.test(key) && value.startsWith("@") ? colour(value) : value;
    if (Array.isArray(value)) return value.map((one) => coloured(one, key));
    if (value === null || typeof value !== "object") return value;
    return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, coloured(one, name)]));
  }

  function draw(plot) {
    const figure = figures[plot.dataset.figure];
    const isMap = Boolean(figure.layout.meta && figure.layout.meta.map);
    const layout = coloured(figure.layout, "");
    if (isNarrow(plot) && layout.xaxis.nticks) layout.xaxis.nticks = 3;
    return Plotly.react(plot, coloured(figure.data, ""), layout, { ...settings, displayModeBar: isMap ? "hover" : false,
      modeBarButtons: [["zoom2d", "pan2d", "resetScale2d"]] });
  }

  const drawAll = () => { if (window.Plotly) plots.forEach(draw); };

  // A pair under the pointer is marked in every map. Its trace is the last one.
  function mark(maps, pair) {
    for (const plot of maps) {
      const points = plot.data.flatMap((trace) => (trace.customdata || []).map((one, at) => ({ one, x: trace.x[at], y: trace.y[at] })))
        .filter((point) => point.one === pair);
      Plotly.restyle(plot, { x: [points.map((point) => point.x)], y: [points.map((point) => point.y)] }, [plot.data.length - 1]);
    }
  }

  function joinMaps() {
    const maps = plots.filter((plot) => plot.layout && plot.layout.meta && plot.layout.meta.map);
    for (const plot of maps) {
      plot.on("plotly_hover", (event) => {
        const pair = event.points[0].customdata;
        if (pair !== undefined) mark(maps, pair);
      });
      plot.on("plotly_unhover", () => mark(maps, null));
    }
  }

  // A value of a figure as a reader has it: no markup, and the label of its tick where the axis has labels.
  function plain(value) {
    if (typeof value !== "string") return value;
    return new DOMParser().parseFromString(value.replaceAll("<br>", " "), "text/html").body.textContent;
  }

  function labelled(value, axis) {
    const at = axis && axis.ticktext ? axis.tickvals.indexOf(value) : -1;
    return plain(at < 0 ? value : axis.ticktext[at]);
  }

  // What a figure draws as columns: one row for each point, with its bounds and its text where it has them.
  function drawnTable(figure) {
    const axes = { x: figure.layout.xaxis, y: figure.layout.yaxis };
    const title = (side) => (axes[side] && axes[side].title && axes[side].title.text) || side;
    const told = figure.data.filter((trace) => trace.hoverinfo !== "skip");
    const rows = [];
    for (const trace of told.length ? told : figure.data) {
      const add = (x, y, more) => rows.push({ series: plain(trace.name), [title("x")]: labelled(x, axes.x), [title("y")]: labelled(y, axes.y), ...more });
      (trace.x || []).forEach((x, at) => {
        if (x === null) return;
        const more = {};
        for (const side of ["x", "y"]) {
          const error = trace["error_" + side];
          if (error) Object.assign(more, { low: trace[side][at] - error.arrayminus[at], high: trace[side][at] + error.array[at] });
        }
        if (trace.base) more.from = trace.base[at];
        if (Array.isArray(trace.text)) more.text = plain(trace.text[at]);
        add(x, trace.y[at], more);
      });
    }
    const names = [...new Set(rows.flatMap(Object.keys))].filter((name) => rows.some((row) => row[name] !== undefined));
    return Object.fromEntries(names.map((name) => [name, rows.map((row) => row[name])]));
  }

  function csv(columns) {
    const quoted = (value) => {
      const text = value === null || value === undefined ? "" : String(value);
      return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
    };
    const names = Object.keys(columns);
    const rows = (columns[names[0]] || []).map((_, at) => names.map((name) => quoted(columns[name][at])).join(","));
    return [names.map(quoted).join(","), ...rows].join("\r\n") + "\r\n";
  }

  function giveData() {
    for (const plot of plots) {
      const name = plot.dataset.figure;
      const button = document.createElement("button");
      Object.assign(button, { type: "button", className: "save", textContent: "\u2193 CSV", title: "The numbers of this figure as a file" });
      button.setAttribute("aria-label", `Numbers of the figure ${plot.parentElement.querySelector("figcaption").textContent} as CSV`);
      button.addEventListener("click", () => {
        const file = new Blob([csv(figures[name].table || drawnTable(figures[name]))], { type: "text/csv" });
        const link = document.createElement("a");
        Object.assign(link, { href: URL.createObjectURL(file), download: `${name}.csv` });
        link.click();
        setTimeout(() => URL.revokeObjectURL(link.href), 1000);
      });
      plot.parentElement.append(button);
    }
  }

  // What a cell sorts by: a value of its own or its text, and the number that this starts with. Nothing comes last.
  function key(cell) {
    const text = (cell.dataset.value ?? cell.textContent).trim();
    const number = /^[+-]?[\d,]*\.?\d+(e[+-]?\d+)?/i.exec(text.replace("\u2212", "-"));
    return { text: text.toLowerCase(), none: text === "" || text === "\u2013", number: number ? Number(number[0].replaceAll(",", "")) : NaN };
  }

  // The first click puts the largest number, or the first word, on top; the next one turns it round.
  function sortBy(table, column) {
    const heads = [...table.tHead.rows[0].cells];
    const rows = [...table.tBodies[0].rows].map((row) => ({ row, ...key(row.cells[column]) }));
    const numbers = rows.every((one) => one.none || !Number.isNaN(one.number));
    const first = numbers ? "descending" : "ascending";
    const other = numbers ? "ascending" : "descending";
    const order = heads[column].getAttribute("aria-sort") === first ? other : first;
    heads.forEach((head) => head.removeAttribute("aria-sort"));
    heads[column].setAttribute("aria-sort", order);
    const sign = order === "ascending" ? 1 : -1;
    const compared = (left, right) => (numbers ? left.number - right.number : left.text.localeCompare(right.text));
    rows.sort((left, right) => left.none - right.none || (left.none ? 0 : sign * compared(left, right)));
    table.tBodies[0].append(...rows.map((one) => one.row));
  }

  function sortTables() {
    for (const table of document.querySelectorAll("table.sortable")) {
      [...table.tHead.rows[0].cells].forEach((head, column) => {
        const button = document.createElement("button");
        button.type = "button";
        button.append(...head.childNodes);
        button.addEventListener("click", () => sortBy(table, column));
        head.append(button);
      });
    }
  }

  // A field above a table that leaves the rows which have every word that was typed.
  function filterTables() {
    for (const table of document.querySelectorAll("table[data-filter]")) {
      const rows = [...table.tBodies[0].rows];
      const texts = new Map(rows.map((row) => [row, row.textContent.toLowerCase()]));
      const box = document.createElement("div");
      const label = document.createElement("label");
      const input = document.createElement("input");
      const shown = document.createElement("output");
      box.className = "filter";
      label.textContent = table.dataset.filter + " ";
      input.type = "search";
      label.append(input);
      box.append(label, shown);
      input.addEventListener("input", () => {
        const wanted = input.value.toLowerCase().split(/\s+/).filter(Boolean);
        rows.forEach((row) => { row.hidden = !wanted.every((word) => texts.get(row).includes(word)); });
        shown.textContent = wanted.length ? `${rows.filter((row) => !row.hidden).length} of ${rows.length}` : "";
      });
      (table.closest(".wide") || table).before(box);
    }
  }

  // What scrolls can be scrolled with the keyboard.
  function reachWide() {
    for (const box of document.querySelectorAll(".wide")) {
      const scrolls = box.scrollWidth > box.clientWidth || box.scrollHeight > box.clientHeight;
      if (scrolls) box.tabIndex = 0; else box.removeAttribute("tabindex");
    }
  }

  // Figures follow their own width, not the window's: a folded bar or a frame changes one and not the other.
  function follow() {
    const widths = new Map();
    const observer = new ResizeObserver((entries) => {
      for (const { target, contentRect } of entries) {
        if (widths.get(target) === contentRect.width || root.classList.contains("printing")) continue;
        const was = widths.get(target);
        widths.set(target, contentRect.width);
        if (was !== undefined && was < 480 !== isNarrow(target)) draw(target);
        Plotly.Plots.resize(target);
      }
    });
    plots.forEach((plot) => observer.observe(plot));
  }

  async function load() {
    const packed = Uint8Array.from(atob(document.getElementById("plotly").textContent), (one) => one.charCodeAt(0));
    const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
    const script = document.createElement("script");
    script.textContent = await new Response(stream).text();
    document.head.append(script);
  }

  const systemDark = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : systemDark.matches);
  document.getElementById("theme").addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    try { localStorage.setItem("nearfar-theme", root.dataset.theme); } catch { /* storage may be off */ }
    drawAll();
  });
  systemDark.addEventListener("change", drawAll);

  // Paper is white and narrow: figures are drawn again for it.
  let before = null;
  addEventListener("beforeprint", () => {
    before = { theme: root.dataset.theme };
    root.dataset.theme = "light";
    root.classList.add("printing");
    drawAll();
    if (window.Plotly) plots.forEach((plot) => Plotly.relayout(plot, { width: plot.clientWidth }));
  });
  addEventListener("afterprint", () => {
    if (!before) return;
    if (before.theme) root.dataset.theme = before.theme; else delete root.dataset.theme;
    root.classList.remove("printing");
    before = null;
    drawAll();
  });

  sortTables();
  filterTables();
  reachWide();
  addEventListener("resize", reachWide);
  giveData();
  load().then(() => { drawAll(); joinMaps(); follow(); root.dataset.drawn = "yes"; }).catch((error) => {
    plots.forEach((plot) => { plot.textContent = "This browser cannot unpack the figures; one from 2023 or later can."; });
    console.error(error);
  });
})();
