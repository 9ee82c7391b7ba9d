"use strict";
// Connects the tables with the charts, and keeps what is chosen in the address after its #.

{
  const byId = (id) => document.getElementById(id);
  const data = JSON.parse(byId("data").textContent);
  const measures = { error: "test error (%)", ...data.measures };
  const ticked = new Set();
  const [quantity, network, measure] = ["quantity", "network", "measure"].map(byId);
  const firstChoices = {};
  let restoring = true;

  const tables = Object.fromEntries(
    [...document.querySelectorAll("[data-table]")].map((section) => [
      section.dataset.table,
      new DataTable(section, (table) => {
        redraw[table.name]?.();
        save();
      }),
    ]),
  );

  // Charts

  const range = (low, high) => (low === null ? "" : `${low} to ${high}`);

  const redraw = {
    verdicts() {
      const rows = tables.verdicts.objects().map((row) => ({ ...row, interval: range(row.low, row.high) }));
      const tooltip = fields({
        network: "network",
        difference: "difference",
        interval: "95 % interval",
        pairs: "pairs of seeds",
        verdict: "verdict",
      });
      const margin = Number(byId("verdicts-chart").dataset.margin);
      const title = byId("verdicts-chart").dataset.title;
      const options = { value: "difference", title, reference: 0, band: [-margin, margin], tooltip };
      show("verdicts-chart", rows, intervals(rows, options), `${title}, by network`);
    },
    speed() {
      const rows = tables.speed
        .objects()
        .filter((row) => row.quantity === quantity.value && row.ratio !== null)
        .map((row) => ({ ...row, interval: range(row.low, row.high) }));
      const tooltip = fields({
        network: "network",
        ratio: "ratio",
        interval: "95 % interval",
        n: "rounds or pairs",
      });
      const title = `${quantity.value}: ${byId("speed-chart").dataset.title}`;
      show("speed-chart", rows, intervals(rows, { value: "ratio", title, reference: 1, log: true, tooltip }), title);
      byId("speed-none").hidden = rows.length > 0;
    },
    runs() {},
    curves() {
      const bands = bandRows();
      const runs = [...ticked].flatMap(runRows);
      const title = measures[measure.value];
      const used = new Set([...bands, ...runs].map((row) => row.framework));
      const frameworks = Object.values(data.frameworks).filter((each) => used.has(each.title));
      const log = LOGARITHMIC.has(measure.value);
      const drawn = log
        ? [bands.filter(({ mean }) => mean > 0).map(positive), runs.filter(({ value }) => value > 0)]
        : [bands, runs];
      const options = { title, log, frameworks };
      show("curves-chart", [...bands, ...runs], curvesChart(...drawn, options), `${network.value}: ${title} by epoch`);
      byId("numbers").tBodies[0].replaceChildren(...bands.map(numbersRow));
      byId("untick").hidden = ticked.size === 0;
    },
  };

  function show(id, rows, specification, label) {
    const place = byId(id);
    if (rows.length) draw(place, specification, label);
    else erase(place);
  }

  /** The numbers of a measure; the error is 100 minus the accuracy, so its bounds change places. */
  function bandRows() {
    const isError = measure.value === "error";
    const column = isError ? "accuracy" : measure.value;
    const value = (number) => (number === null ? null : isError ? Number((100 - number).toPrecision(7)) : number);
    return Object.entries(data.groups[network.value] ?? {}).flatMap(([framework, group]) =>
      group.epoch.flatMap((epoch, place) => {
        const [mean, one, two, n] = ["mean", "low", "high", "n"].map((name) => group[column][name][place]);
        if (mean === null) return [];
        const [low, high] = isError ? [value(two), value(one)] : [one, two];
        const interval = range(low, high);
        return [{ framework: data.frameworks[framework].title, epoch, mean: value(mean), low, high, n, interval }];
      }),
    );
  }

  function runRows(run) {
    const [values, cells] = [data.runs[run], cellsOf(run)];
    if (!values || !cells) return [];
    const isError = measure.value === "error";
    const column = isError ? "accuracy" : measure.value;
    const framework = data.frameworks[cells.framework].title;
    const label = `${cells.model}, seed ${cells.seed}`;
    const rows = values.epoch.flatMap((epoch, place) => {
      const value = values[column][place];
      if (value === null) return [];
      const shown = isError ? Number((100 - value).toPrecision(7)) : value;
      return [{ run, framework, seed: cells.seed, label, epoch, value: shown, last: false }];
    });
    if (rows.length) rows.at(-1).last = true;
    return rows;
  }

  function cellsOf(run) {
    const found = tables.runs.rows.find((row) => row.run === run);
    return found && Object.fromEntries(tables.runs.columns.map(({ name, place }) => [name, found.cells[place]]));
  }

  /** A row as a logarithmic axis can draw it: the lower bound of a mean near 0 may be below 0. */
  function positive(row) {
    const least = row.mean / 10;
    return row.low === null ? row : { ...row, low: Math.max(row.low, least), high: Math.max(row.high, least) };
  }

  function numbersRow(row) {
    const cells = [row.epoch, row.mean, row.low ?? "", row.high ?? "", row.n];
    const head = element("th", { scope: "row", textContent: row.framework });
    return element("tr", {}, head, ...cells.map((text) => element("td", { className: "number", textContent: text })));
  }

  // The address

  function save() {
    if (restoring) return;
    const parameters = new URLSearchParams(Object.values(tables).flatMap((table) => table.parameters()));
    for (const choice of [quantity, network, measure])
      if (choice.value !== firstChoices[choice.id]) parameters.set(choice.id, choice.value);
    if (ticked.size) parameters.set("ticked", [...ticked].join(","));
    history.replaceState(null, "", `#${parameters}`);
  }

  function restore() {
    restoring = true;
    const parameters = new URLSearchParams(location.hash.slice(1));
    for (const choice of [quantity, network, measure]) {
      choice.value = parameters.get(choice.id) ?? firstChoices[choice.id];
      if (choice.selectedIndex < 0) choice.value = firstChoices[choice.id];
    }
    ticked.clear();
    for (const run of (parameters.get("ticked") ?? "").split(",")) if (run in data.runs) ticked.add(run);
    for (const box of document.querySelectorAll("input.tick")) box.checked = ticked.has(box.value);
    for (const table of Object.values(tables)) table.restore(parameters);
    restoring = false;
    for (const each of Object.values(redraw)) each();
  }

  // Choices

  function fill(choice, options, preferred) {
    choice.replaceChildren(...options.map(([value, text]) => new Option(text, value)));
    firstChoices[choice.id] = options.some(([value]) => value === preferred) ? preferred : choice.value;
  }

  const quantities = new Set(tables.speed.objects().map((row) => row.quantity));
  fill(quantity, [...quantities].map((name) => [name, name]), null);
  fill(network, Object.keys(data.groups).map((name) => [name, name]), null);
  fill(measure, Object.entries(measures), "error");
  quantity.closest(".choices").hidden = quantities.size === 0;
  byId("curves").hidden = Object.keys(data.groups).length === 0;
  for (const [choice, name] of [[quantity, "speed"], [network, "curves"], [measure, "curves"]])
    choice.addEventListener("change", () => {
      redraw[name]();
      save();
    });

  // A box in each row of the runs that has a curve

  for (const { row, run } of tables.runs.rows) {
    if (!(run in data.runs)) continue;
    const box = element("input", { type: "checkbox", className: "tick", value: run });
    box.setAttribute("aria-label", `Draw the curve of run ${run}`);
    row.cells[0].prepend(box);
  }
  tables.runs.body.addEventListener("change", ({ target }) => {
    if (target.checked) ticked.add(target.value);
    else ticked.delete(target.value);
    redraw.curves();
    save();
  });
  byId("untick").addEventListener("click", () => {
    ticked.clear();
    for (const { row } of tables.runs.rows) {
      const box = row.querySelector("input.tick");
      if (box) box.checked = false;
    }
    network.focus();
    redraw.curves();
    save();
  });

  // The links at the top would replace the state in the address.
  for (const link of document.querySelectorAll("nav a"))
    link.addEventListener("click", (event) => {
      event.preventDefault();
      const target = document.querySelector(link.getAttribute("href"));
      target.scrollIntoView();
      target.focus({ preventScroll: true });
    });

  let width = document.body.clientWidth;
  addEventListener("resize", () => {
    if (document.body.clientWidth === width) return;
    width = document.body.clientWidth;
    for (const each of Object.values(redraw)) each();
  });
  addEventListener("hashchange", restore);
  restore();
}
