"use strict";
(() => {
  const NARROW_PX = 520;
  const PRINT_WIDTH_PX = 680;
  const CONFIG = { displaylogo: false, displayModeBar: "hover", modeBarButtons: [["toImage"]], scrollZoom: false, responsive: true };
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const plots = [...document.querySelectorAll(".plot")];

  // Colours of the page, as changes to a figure's layout.
  function theme(layout) {
    const style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue(name).trim();
    const changes = {
      "font.color": colour("--text"),
      "hoverlabel.bgcolor": colour("--surface"),
      "hoverlabel.bordercolor": colour("--line"),
      "hoverlabel.font.color": colour("--text"),
      "modebar.color": colour("--quiet"),
      "modebar.activecolor": colour("--text"),
      "modebar.bgcolor": "rgba(0, 0, 0, 0)",
    };
    for (const axis of Object.keys(layout).filter((key) => /^[xy]axis\d*$/.test(key))) {
      changes[`${axis}.gridcolor`] = colour("--grid");
      changes[`${axis}.zerolinecolor`] = colour("--line");
      changes[`${axis}.linecolor`] = colour("--line");
    }
    return changes;
  }

  // Text shrinks with a narrow figure so that labels stay inside what they name.
  function sizes(plot, layout, width) {
    const size = width < NARROW_PX ? 11 : 13;
    const changes = { "font.size": size };
    (layout.annotations || []).forEach((note, index) => {
      const inside = note.font && note.font.size;
      changes[`annotations[${index}].font.size`] = inside ? Math.max(8, Math.min(13, width / 45)) : size;
    });
    return changes;
  }

  function draw(plot) {
    const figure = JSON.parse(document.getElementById(`${plot.id}-data`).textContent);
    plot.style.minHeight = `${plot.dataset.height}px`;
    return Plotly.newPlot(plot, figure.data, figure.layout, CONFIG).then(() => refresh(plot));
  }

  function refresh(plot, width) {
    return Plotly.relayout(plot, { ...theme(plot.layout), ...sizes(plot, plot.layout, width || plot.clientWidth) });
  }

  function filterRows(form, rows, matches, after) {
    const output = form.querySelector("output");
    const apply = () => {
      let shown = 0;
      for (const row of rows) {
        row.hidden = !matches(row, form.elements);
        shown += row.hidden ? 0 : 1;
      }
      output.textContent = shown === rows.length ? `${rows.length} rows` : `${shown} of ${rows.length} rows`;
      if (after) after(shown < rows.length);
    };
    form.hidden = false;
    form.addEventListener("input", apply);
    form.addEventListener("submit", (event) => event.preventDefault());
    apply();
  }

  const holds = (row, text) => row.textContent.toLowerCase().includes(text.trim().toLowerCase());

  function scoreboard(form) {
    const groups = [...document.querySelectorAll("details.scores")];
    const rows = groups.flatMap((group) => [...group.querySelectorAll("tbody tr")]);
    for (const name of ["evidence", "status"]) {
      for (const value of [...new Set(rows.map((row) => row.dataset[name]))].sort()) {
        form.elements[name].add(new Option(value, value));
      }
    }
    const matches = (row, { evidence, status, text }) =>
      (!evidence.value || row.dataset.evidence === evidence.value) &&
      (!status.value || row.dataset.status === status.value) &&
      holds(row, text.value);
    filterRows(form, rows, matches, (filtered) => {
      for (const group of groups) {
        const any = group.querySelector("tbody tr:not([hidden])") !== null;
        group.hidden = !any;
        if (filtered) group.open = any;
      }
    });
    form.addEventListener("click", (event) => {
      const wanted = event.target.dataset && event.target.dataset.open;
      if (wanted) groups.forEach((group) => { group.open = wanted === "true"; });
    });
  }

  Promise.all(plots.map(draw)).then(() => document.documentElement.setAttribute("data-drawn", "true"));
  dark.addEventListener("change", () => plots.forEach((plot) => refresh(plot)));
  let waiting = 0;
  window.addEventListener("resize", () => {
    clearTimeout(waiting);
    waiting = setTimeout(() => plots.forEach((plot) => refresh(plot)), 150);
  });

  const scores = document.getElementById("score-filters");
  if (scores) scoreboard(scores);
  const constants = document.getElementById("assumption-filter");
  filterRows(constants, [...document.querySelectorAll("#assumption-table tbody tr")], (row, { text }) => holds(row, text.value));

  // Paper shows everything: open what is folded, and fit figures to the sheet.
  let folded = [];
  window.addEventListener("beforeprint", () => {
    folded = [...document.querySelectorAll("details:not([open]):not(.data)")];
    folded.forEach((part) => { part.open = true; });
    plots.forEach((plot) => Plotly.relayout(plot, { width: PRINT_WIDTH_PX, ...theme(plot.layout) }));
  });
  window.addEventListener("afterprint", () => {
    folded.forEach((part) => { part.open = false; });
    plots.forEach((plot) => Plotly.relayout(plot, { width: null, autosize: true, ...theme(plot.layout) }));
  });
})();
