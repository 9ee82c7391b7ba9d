// The page of `python -m common.demo`: strokes on a canvas, sent to the server while they are drawn.

import { colours, photo, read } from "./photo.js";

const SENT = 140; // side of the picture that is sent, in pixels; strokes are wide enough for half the canvas
const PEN = 22; // width of a stroke
const STEP = 10; // of the keyboard's pen, in pixels
const NO_SERVER = "The server does not answer: check that python -m common.demo is still running.";
const byId = (id) => document.getElementById(id);

const canvas = byId("canvas");
const context = canvas.getContext("2d", { willReadFrequently: true });
let strokes = []; // each a list of points
let loaded = null; // under the strokes: a test digit {source, pixels} or a photo {source, paper, ink}
let drawing = null;
let pointer = null; // the finger or mouse that draws it
let frameworks = []; // {name, title, colour}
let models = []; // {name, parameters, frameworks}
let before = {}; // the states of the frameworks' processes, a second ago

// Drawing

// What is sent: the canvas without the keyboard's cursor.
function draw() {
  context.fillStyle = loaded?.paper ?? "#000";
  context.fillRect(0, 0, canvas.width, canvas.height);
  if (loaded) {
    const { source } = loaded;
    const scale = canvas.width / Math.max(source.width, source.height);
    const [width, height] = [scale * source.width, scale * source.height];
    context.imageSmoothingEnabled = !loaded.pixels;
    context.imageSmoothingQuality = "high";
    const [left, top] = [(canvas.width - width) / 2, (canvas.height - height) / 2];
    if (!loaded.pixels) {
      const [right, bottom] = [source.width - 1, source.height - 1];
      context.drawImage(source, 0, 0, 1, source.height, 0, top, left, height);
      context.drawImage(source, right, 0, 1, source.height, left + width, top, left, height);
      context.drawImage(source, 0, 0, source.width, 1, left, 0, width, top);
      context.drawImage(source, 0, bottom, source.width, 1, left, top + height, width, top);
    }
    context.drawImage(source, left, top, width, height);
  }
  context.strokeStyle = context.fillStyle = loaded?.ink ?? "#fff";
  context.lineWidth = PEN;
  context.lineCap = context.lineJoin = "round";
  for (const points of strokes) {
    context.beginPath();
    context.arc(...points[0], PEN / 2, 0, 2 * Math.PI); // a line of no length is not painted
    context.fill();
    context.beginPath();
    for (const point of points) context.lineTo(...point);
    context.stroke();
  }
}

function redraw() {
  draw();
  if (document.activeElement === canvas && keyboard.used) {
    context.strokeStyle = "#7fd0ff";
    context.lineWidth = 2;
    context.strokeRect(keyboard.x - 6, keyboard.y - 6, 12, 12);
  }
}

function place(event) {
  const box = canvas.getBoundingClientRect();
  return [
    ((event.clientX - box.left) / box.width) * canvas.width,
    ((event.clientY - box.top) / box.height) * canvas.height,
  ];
}

canvas.addEventListener("pointerdown", (event) => {
  if (event.button || drawing) return; // a second finger draws nothing
  pointer = event.pointerId;
  canvas.setPointerCapture(pointer);
  keyboard.used = false;
  drawing = [place(event)];
  strokes.push(drawing);
  changed();
});
canvas.addEventListener("pointermove", (event) => {
  if (!drawing || event.pointerId !== pointer) return;
  const points = event.getCoalescedEvents?.() ?? [];
  for (const point of points.length ? points : [event]) drawing.push(place(point));
  changed();
});
for (const name of ["pointerup", "pointercancel", "lostpointercapture"]) {
  canvas.addEventListener(name, (event) => {
    if (event.pointerId === pointer) drawing = null;
  });
}

const keyboard = { x: 140, y: 60, used: false };
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
canvas.addEventListener("keydown", (event) => {
  if (event.key === "Backspace") undo();
  else if (event.key === "Delete") clear();
  else if (event.key in ARROWS) {
    const [dx, dy] = ARROWS[event.key];
    const from = [keyboard.x, keyboard.y];
    keyboard.used = true;
    keyboard.x = Math.min(270, Math.max(10, keyboard.x + dx * STEP));
    keyboard.y = Math.min(270, Math.max(10, keyboard.y + dy * STEP));
    if (event.shiftKey) {
      const last = strokes.at(-1)?.at(-1);
      const continues = last && last[0] === from[0] && last[1] === from[1];
      if (continues) strokes.at(-1).push([keyboard.x, keyboard.y]);
      else strokes.push([from, [keyboard.x, keyboard.y]]);
      changed();
    } else redraw();
  } else return;
  event.preventDefault();
});
canvas.addEventListener("blur", redraw);

function undo() {
  if (strokes.length) strokes.pop();
  else loaded = null;
  changed();
}

function clear() {
  strokes = [];
  loaded = null;
  changed();
}

byId("undo").addEventListener("click", undo);
byId("clear").addEventListener("click", clear);

byId("photo").addEventListener("change", async (event) => {
  const [file] = event.target.files;
  event.target.value = "";
  if (!file) return;
  try {
    loaded = photo(await read(file, 2 * canvas.width));
  } catch {
    showVerdict(`${file.name} is not a picture that this browser can read.`);
    return;
  }
  strokes = [];
  changed();
});

// The picture that is sent: of a photo its colours, of a drawing, which is black and white, its shades.
function picture() {
  const small = document.createElement("canvas");
  small.width = small.height = SENT;
  const scaled = small.getContext("2d");
  scaled.imageSmoothingQuality = "high";
  draw();
  scaled.drawImage(canvas, 0, 0, SENT, SENT);
  redraw();
  const rgb = colours(scaled, SENT);
  return loaded ? rgb : rgb.map((row) => row.map(([red]) => red));
}

// Predictions: one request at a time, always with the newest drawing; strokes drawn meanwhile are sent next.

let requesting = false;
let stale = false;

function changed() {
  redraw();
  stale = true;
  if (!requesting) predict();
}

async function predict() {
  requesting = true;
  while (stale) {
    stale = false;
    if (!strokes.length && !loaded) {
      show(null);
      continue;
    }
    const untouched = loaded?.pixels && !strokes.length;
    const asked = byId("model").value;
    const body = JSON.stringify({
      model: asked,
      picture: untouched ? loaded.pixels : picture(),
      prepared: Boolean(untouched),
    });
    try {
      const reply = await fetch("api/predict", {
        method: "POST",
        headers: { "content-type": "application/json" },
        body,
      });
      const response = await reply.json();
      if (reply.ok) show(response, asked);
      else {
        show(null);
        showVerdict(response.error);
      }
    } catch {
      showVerdict(NO_SERVER);
    }
  }
  requesting = false;
}

// Showing

function showVerdict(sentence, warning = false) {
  byId("verdict").textContent = sentence;
  byId("verdict").classList.toggle("warning", warning);
}

// Rows of grey values into a canvas as large.
function paint(target, rows) {
  const view = target.getContext("2d");
  const pixels = view.createImageData(target.width, target.height);
  pixels.data.fill(255);
  rows.flat().forEach((value, at) => pixels.data.fill(value, 4 * at, 4 * at + 3));
  view.putImageData(pixels, 0, 0);
}

// The prediction of a network, or nothing for an empty canvas.
function show(response, asked) {
  paint(byId("seen"), response ? response.image : Array(28).fill(Array(28).fill(0)));
  const predicted = new Map(); // title of the framework -> digit
  for (const { name, title } of frameworks) {
    const answer = response?.answers[name];
    const card = byId(`card-${name}`);
    const notice = answer?.down ? down(name, title, answer.down, asked) : "";
    card.querySelector(".down").textContent = answer ? notice : stateOf(title, before[name]);
    card.querySelector(".latency").textContent = answer?.milliseconds
      ? `${answer.milliseconds.toFixed(1)} ms`
      : "";
    const probabilities = answer?.probabilities ?? Array(10).fill(0);
    const top = probabilities.indexOf(Math.max(...probabilities));
    if (answer?.probabilities) predicted.set(title, top);
    card.querySelectorAll(".bar").forEach((bar, digit) => {
      const percent = 100 * probabilities[digit];
      bar.querySelector(".fill").style.width = `${percent}%`;
      bar.querySelector(".percent").textContent = answer?.probabilities ? `${percent.toFixed(1)} %` : "";
      bar.firstElementChild.classList.toggle("best", Boolean(answer?.probabilities) && digit === top);
    });
  }
  if (response) showVerdict(...verdict(predicted));
  else showVerdict("");
}

const stateOf = (title, state) => (!state || state === "ready" ? "" : `${title} is ${state}.`);

function down(name, title, reason, asked) {
  const model = models.find((each) => each.name === asked);
  if (model && !model.frameworks.includes(name)) return `${title} has no checkpoint of ${model.name}.`;
  return `${title} is down: ${reason}`;
}

// The sentence on all predictions, and whether it is a warning.
function verdict(predicted) {
  const digits = [...new Set(predicted.values())];
  const each = [...predicted].map(([title, digit]) => `${title} predicts ${digit}`);
  if (!predicted.size) return ["No framework answers.", true];
  if (predicted.size === 1) return [`${each[0]}.`];
  if (digits.length > 1) return [`They disagree: ${each.join(", ")}.`, true];
  return [`${predicted.size === 2 ? "Both" : "All"} predict ${digits[0]}.`];
}

function newCard({ name, title, colour }) {
  const card = document.createElement("div");
  card.className = "framework";
  card.id = `card-${name}`;
  card.style.setProperty("--base", colour);
  card.innerHTML = `<h3>${title} <span class="latency hint"></span></h3><p class="down"></p>`;
  for (let digit = 0; digit < 10; digit += 1) {
    const bar = document.createElement("div");
    bar.className = "bar";
    bar.innerHTML = `<span>${digit}</span><span class="track"><span class="fill"></span></span>
      <span class="percent"></span>`;
    card.append(bar);
  }
  return card;
}

function fill(select, values) {
  select.replaceChildren(...values.map(([value, text]) => new Option(text, value)));
}

// The gallery

let from = 0;
let newestList = 0;
let newestDigit = 0;

// Networks with more than ten outputs can predict one that is no digit.
const className = (predicted) => (predicted > 9 ? `no digit (output ${predicted})` : String(predicted));

async function gallery(more = false) {
  if (!more) from = 0;
  newestList += 1;
  const list = newestList;
  const query = new URLSearchParams(new FormData(byId("filters")));
  query.set("start", from);
  const { total, digits } = await (await fetch(`api/mistakes?${query}`)).json();
  if (list !== newestList) return; // replies of several filters can come in another order
  byId("total").textContent = total ? `${total} test digit${total > 1 ? "s" : ""}.` : "No test digit was misclassified in this way.";
  const titles = Object.fromEntries(frameworks.map(({ name, title }) => [name, title]));
  const items = digits.map(({ index, label, predictions }) => {
    const answers = [...new Set(predictions.map(({ predicted }) => className(predicted)))].join(", ");
    const item = document.createElement("li");
    const button = document.createElement("button");
    button.type = "button";
    button.dataset.index = index;
    button.innerHTML = `<img src="digits/${index}.png" alt="" loading="lazy">a ${label}, predicted ${answers}`;
    button.title = predictions
      .map(({ model, framework, ...row }) => {
        return `${model} in ${titles[framework]}: ${className(row.predicted)} in ${row.runs} of ${row.of} runs`;
      })
      .join("\n");
    button.addEventListener("click", () => load(index));
    item.append(button);
    return item;
  });
  if (more) byId("digits").append(...items);
  else byId("digits").replaceChildren(...items);
  from += digits.length;
  byId("more").hidden = from >= total;
}

async function load(index) {
  newestDigit += 1;
  const digit = newestDigit;
  const { image } = await (await fetch(`api/digits/${index}`)).json();
  if (digit !== newestDigit) return;
  const source = document.createElement("canvas");
  source.width = source.height = 28;
  paint(source, image);
  strokes = [];
  loaded = { source, pixels: image };
  changed();
  canvas.focus();
  canvas.scrollIntoView({ block: "nearest" });
}

byId("filters").addEventListener("change", () => gallery());
byId("filters").addEventListener("submit", (event) => event.preventDefault());
byId("more").addEventListener("click", () => gallery(true));

// The state of the processes, also while nothing is drawn

async function watch() {
  try {
    const states = await (await fetch("api/state")).json();
    for (const { name, title } of frameworks) {
      if (states[name] === before[name]) continue; // what an answer says of a checkpoint stays
      byId(`card-${name}`).querySelector(".down").textContent = stateOf(title, states[name]);
      if (before[name] && states[name] === "ready") changed();
    }
    before = states;
    if (byId("verdict").textContent === NO_SERVER) changed();
  } catch {
    showVerdict(NO_SERVER);
  }
  setTimeout(watch, 1000);
}

function showModel() {
  const model = models.find(({ name }) => name === byId("model").value);
  byId("parameters").textContent = model ? `${model.parameters.toLocaleString("en")} parameters` : "";
  changed();
}

// Start: everything that the page lists comes from the server

const setup = await (await fetch("api/models")).json();
({ frameworks, models } = setup);
byId("frameworks").append(...frameworks.map(newCard));
fill(byId("model"), models.map(({ name }) => [name, name]));
if (models.some(({ name }) => name === setup.first)) byId("model").value = setup.first;
byId("model").addEventListener("change", showModel);
const any = ["", "any"];
const tenDigits = Array.from({ length: 10 }, (_, digit) => [String(digit), String(digit)]);
fill(byId("label"), [any, ...tenDigits]);
fill(byId("predicted"), [any, ...tenDigits, ["none", "no digit"]]);
fill(byId("wrong-model"), [any, ...setup.zoo.map((name) => [name, name])]);
fill(byId("framework"), [any, ...frameworks.map(({ name, title }) => [name, title])]);
showModel();
gallery();
watch();
