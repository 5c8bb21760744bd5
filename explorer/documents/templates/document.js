"use strict";
(() => {
  const NARROW_PX = 520;
  const PRINT_WIDTH_PX = 680;
  const PRINT_HEIGHT_PX = 340, PRINT_PANELS_PX = 470;
  const SMALLEST_PX = 7;
  const DRAWING_PX = 520, DRAWING_ASPECT = 0.8, DRAWING_FRAME_PX = 40;
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

  // Text shrinks with a narrow figure so that labels stay inside what they name; a drawing to scale loses height too.
  function sizes(plot, width) {
    const given = plot.givenLayout;
    const size = width < NARROW_PX ? 11 : 13;
    const changes = { "font.size": size };
    for (const axis of Object.keys(given).filter((key) => /^[xy]axis\d*$/.test(key))) {
      if (given[axis].title) changes[`${axis}.title.font.size`] = size;
    }
    (given.annotations || []).forEach((note, index) => {
      const inside = note.font && note.font.size;
      const scaled = inside * Math.min(1, width / DRAWING_PX);
      changes[`annotations[${index}].font.size`] = inside ? Math.max(scaled, SMALLEST_PX) : size;
      changes[`annotations[${index}].visible`] = !inside || scaled >= SMALLEST_PX;
    });
    if (given.yaxis && given.yaxis.scaleanchor) {
      changes.height = Math.min(given.height, width * DRAWING_ASPECT + DRAWING_FRAME_PX);
      plot.style.minHeight = `${changes.height}px`;
    }
    return changes;
  }

  // Set "a.b[2].c" of a layout for each change, as Plotly.relayout would.
  function put(layout, changes) {
    for (const [path, value] of Object.entries(changes)) {
      const keys = path.match(/[^.[\]]+/g);
      const last = keys.pop();
      keys.reduce((at, key) => (at[key] ??= {}), layout)[last] = value;
    }
    return layout;
  }

  function draw(plot) {
    const { data, layout } = JSON.parse(document.getElementById(`${plot.id}-data`).textContent);
    plot.givenLayout = structuredClone(layout);
    plot.style.minHeight = `${layout.height}px`;
    return Plotly.newPlot(plot, data, put(layout, { ...theme(layout), ...sizes(plot, plot.clientWidth) }), CONFIG);
  }

  const refresh = (plot) => Plotly.relayout(plot, { ...theme(plot.givenLayout), ...sizes(plot, plot.clientWidth) });

  // What a cell says, without the sign of a status.
  function said(cell) {
    const sign = cell.querySelector("[aria-hidden]");
    return (sign ? cell.textContent.replace(sign.textContent, "") : cell.textContent).trim();
  }

  // Search the tables of a part, and choose rows by the values of the columns that its form names.
  function search(part) {
    const form = part.querySelector("form");
    const output = form.querySelector("output");
    const groups = [...part.querySelectorAll("details.folded")];
    const rows = [...part.querySelectorAll("tbody tr")];
    const choices = [...form.querySelectorAll("select")];
    const valueOf = (row, name) => {
      const heads = [...row.closest("table").querySelectorAll("thead th")].map((head) => head.textContent.trim());
      return said(row.cells[heads.indexOf(name)]);
    };
    const values = new Map(rows.map((row) => [row, Object.fromEntries(choices.map(({ name }) => [name, valueOf(row, name)]))]));
    for (const choice of choices) {
      for (const value of [...new Set(rows.map((row) => values.get(row)[choice.name]))].sort()) {
        choice.add(new Option(value, value));
      }
    }
    const apply = () => {
      const text = form.elements.text.value.trim().toLowerCase();
      let shown = 0;
      for (const row of rows) {
        const chosen = choices.every(({ name, value }) => !value || values.get(row)[name] === value);
        row.hidden = !(chosen && row.textContent.toLowerCase().includes(text));
        shown += row.hidden ? 0 : 1;
      }
      output.textContent = shown === rows.length ? `${rows.length} rows` : `${shown} of ${rows.length} rows`;
      for (const group of groups) {
        const any = group.querySelector("tbody tr:not([hidden])") !== null;
        group.hidden = !any;
        if (shown < rows.length) group.open = any;
      }
    };
    form.hidden = false;
    form.addEventListener("input", apply);
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("click", (event) => {
      const wanted = event.target.dataset && event.target.dataset.open;
      if (wanted) groups.forEach((group) => { group.open = wanted === "true"; });
    });
    apply();
  }

  Promise.all(plots.map(draw)).then(() => document.documentElement.setAttribute("data-drawn", "true"));
  dark.addEventListener("change", () => plots.forEach((plot) => refresh(plot)));
  let waiting = 0;
  window.addEventListener("resize", () => {
    clearTimeout(waiting);
    waiting = setTimeout(() => plots.forEach((plot) => refresh(plot)), 150);
  });

  document.querySelectorAll(".searched").forEach(search);

  // Paper shows everything: open what is folded, and fit figures to the sheet.
  let folded = [];
  window.addEventListener("beforeprint", () => {
    folded = [...document.querySelectorAll("details:not([open]):not(.data)")];
    folded.forEach((part) => { part.open = true; });
    document.documentElement.setAttribute("data-print", "");
    for (const plot of plots) {
      const changes = { ...theme(plot.givenLayout), ...sizes(plot, PRINT_WIDTH_PX), width: PRINT_WIDTH_PX };
      if (!changes.height) changes.height = Math.min(plot.givenLayout.height, plot.givenLayout.yaxis2 ? PRINT_PANELS_PX : PRINT_HEIGHT_PX);
      // Margins that make room for a legend settle on the second pass, and print does not wait.
      Plotly.relayout(plot, changes);
      Plotly.relayout(plot, changes);
    }
  });
  window.addEventListener("afterprint", () => {
    folded.forEach((part) => { part.open = false; });
    document.documentElement.removeAttribute("data-print");
    for (const plot of plots) {
      const restored = { width: null, height: plot.givenLayout.height, autosize: true };
      Plotly.relayout(plot, { ...restored, ...theme(plot.givenLayout), ...sizes(plot, plot.clientWidth) });
    }
  });
})();
