"use strict";
// The charts as specifications of Vega-Lite. Text and lines have the colour of the page's text.

const CONFIG = {
  background: null,
  font: "system-ui, sans-serif",
  view: { stroke: null },
  axis: {
    labelColor: "currentColor",
    titleColor: "currentColor",
    domainColor: "currentColor",
    tickColor: "currentColor",
    gridColor: "currentColor",
    gridOpacity: 0.12,
    labelFontSize: 12,
    titleFontSize: 12,
    titleFontWeight: "normal",
    labelLimit: 220,
  },
  legend: { labelColor: "currentColor", titleColor: "currentColor", labelFontSize: 12, orient: "top", title: null, symbolOpacity: 1 },
  text: { color: "currentColor" },
};

const LOGARITHMIC = new Set(["error", "loss", "train_loss"]);
const SHAPES = { o: "circle", s: "square", "^": "triangle-up", v: "triangle-down", P: "cross" };

const views = new Map();
const turns = new Map();

/** Draw a chart in place of the former one; `label` is its description. */
async function draw(place, specification, label) {
  place.setAttribute("aria-label", label);
  place.hidden = false;
  const turn = (turns.get(place) ?? 0) + 1;
  turns.set(place, turn);
  const inner = element("div");
  // The interpreter of expressions needs no eval, which the page's security policy forbids.
  const tooltip = { disableDefaultStyle: true };
  const options = { ast: true, actions: false, renderer: "svg", defaultStyle: false, config: CONFIG, tooltip };
  const result = await vegaEmbed(inner, { ...specification, width: place.clientWidth || 700 }, options);
  if (turn !== turns.get(place)) return void result.finalize(); // drawn again meanwhile
  views.get(place)?.finalize();
  views.set(place, result);
  place.replaceChildren(inner);
}

/** Remove the chart of a place, and one that is being drawn. */
function erase(place) {
  turns.set(place, (turns.get(place) ?? 0) + 1);
  place.hidden = true;
}

const quantitative = (field, rest = {}) => ({ field, type: "quantitative", ...rest });
const fields = (pairs) =>
  Object.entries(pairs).map(([field, title]) => ({ field, title, type: "nominal" }));

/** A row a network: a point and its interval, and a line at `reference`; `band` is shaded. */
function intervals(rows, { value, title, reference, band, log, tooltip }) {
  const bounds = { scale: { ...(log ? { type: "log" } : { zero: false }), nice: false, padding: 12 }, title };
  const y = { field: "network", type: "nominal", sort: null, title: null };
  const shaded = {
    data: { values: [{ low: band?.[0], high: band?.[1] }] },
    mark: { type: "rect", color: "currentColor", opacity: 0.1 },
    encoding: { x: quantitative("low", bounds), x2: { field: "high" } },
  };
  return {
    height: 24 * rows.length,
    autosize: { type: "fit-x", contains: "padding" },
    data: { values: rows },
    layer: [
      ...(band ? [shaded] : []),
      {
        data: { values: [{ at: reference }] },
        mark: { type: "rule", color: "currentColor", opacity: 0.6, strokeDash: [4, 3] },
        encoding: { x: quantitative("at", bounds) },
      },
      {
        mark: { type: "rule", color: "currentColor", strokeWidth: 2 },
        encoding: { y, x: quantitative("low", bounds), x2: { field: "high" }, tooltip },
      },
      {
        mark: { type: "point", filled: true, size: 90, opacity: 1, color: "currentColor" },
        encoding: { y, x: quantitative(value, bounds), tooltip },
      },
    ],
  };
}

/** Means over seeds with their intervals, and the ticked runs, by epoch. */
function curvesChart(bands, runs, { title, log, frameworks }) {
  const titles = frameworks.map((each) => each.title);
  const scale = (range) => ({ domain: titles, range });
  const color = { field: "framework", type: "nominal", scale: scale(frameworks.map((each) => each.colour)) };
  const shape = {
    field: "framework",
    type: "nominal",
    scale: scale(frameworks.map((each) => SHAPES[each.marker] ?? "diamond")),
  };
  // The first is drawn larger, because the second often covers it.
  const larger = (first, others) => ({
    condition: { test: { field: "framework", equal: titles[0] ?? "" }, value: first },
    value: others,
  });
  const x = quantitative("epoch", { title: "epoch", scale: { nice: false }, axis: { tickMinStep: 1, format: "d" } });
  const axis = { title, scale: log ? { type: "log" } : { zero: false } };
  const ofBands = { framework: "framework", epoch: "epoch", mean: "mean", interval: "95 % interval", n: "seeds" };
  const ofRuns = { run: "run", framework: "framework", seed: "seed", epoch: "epoch", value: title };
  const ofRun = { x, y: quantitative("value", axis), color };
  const single = [
    {
      data: { values: runs },
      mark: { type: "line", strokeWidth: 1, strokeDash: [5, 2] },
      encoding: { ...ofRun, detail: { field: "run" } },
    },
    {
      data: { values: runs },
      mark: { type: "point", filled: true, size: 22, opacity: 1 },
      encoding: { ...ofRun, shape, tooltip: fields(ofRuns) },
    },
    {
      data: { values: runs.filter((row) => row.last) },
      mark: { type: "text", align: "left", dx: 6, fontSize: 11 },
      encoding: { x, y: ofRun.y, text: { field: "label" } },
    },
  ];
  return {
    height: 360,
    autosize: { type: "fit-x", contains: "padding" },
    data: { values: bands },
    layer: [
      {
        transform: [{ filter: "isValid(datum.low)" }],
        mark: { type: "area", opacity: 0.25 },
        encoding: { x, y: quantitative("low", axis), y2: { field: "high" }, color },
      },
      { mark: "line", encoding: { x, y: quantitative("mean", axis), color, strokeWidth: larger(5, 2) } },
      ...(runs.length ? single : []),
      {
        mark: { type: "point", filled: true, opacity: 1 },
        encoding: { x, y: quantitative("mean", axis), color, shape, size: larger(150, 40), tooltip: fields(ofBands) },
      },
    ],
  };
}
