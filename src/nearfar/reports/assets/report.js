// Draws the figures and follows the theme. Colours come as "@name" or "@name/opacity" and are looked up in the style
// sheet at every drawing, so that light, dark and print need one set of figures.
(() => {
  "use strict";
  const root = document.documentElement;
  const figures = JSON.parse(document.getElementById("figures").textContent);
  const plots = [...document.querySelectorAll("[data-figure]")];
  const settings = { displaylogo: false };

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

  // Figures follow their own width, not the window's: a folded bar or a frame changes one and not the other.
  function follow() {
    const widths = new Map();
    const observer = new ResizeObserver((entries) => {
      for (const { target, contentRect } of entries) {
        if (widths.get(target) === contentRect.width || root.classList.contains("printing")) continue;
        widths.set(target, contentRect.width);
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

  load().then(() => { drawAll(); joinMaps(); follow(); root.dataset.drawn = "yes"; }).catch((error) => {
    plots.forEach((plot) => { plot.textContent = "This browser cannot unpack the figures; one from 2023 or later can."; });
    console.error(error);
  });
})();
