// The page of `python -m common.demo`: strokes on a canvas, sent to the server while they are drawn.

const NAMES = { pytorch: "PyTorch", tensorflow: "TensorFlow" };
const SENT = 140; // pixels a side of what is sent; strokes are wide enough for half the canvas
const PEN = 22;
const STEP = 10; // of the keyboard's pen, in pixels
const byId = (id) => document.getElementById(id);

const canvas = byId("canvas");
const context = canvas.getContext("2d", { willReadFrequently: true });
let strokes = []; // each a list of points; or one picture that was loaded
let loaded = null; // under the strokes: a test digit {source, pixels} or a photo {source, light}
let drawing = null;
let models = [];

// Drawing

function redraw() {
  context.fillStyle = loaded?.paper ?? "#000";
  context.fillRect(0, 0, canvas.width, canvas.height);
  if (loaded) {
    const { source } = loaded;
    const scale = canvas.width / Math.max(source.width, source.height);
    const [width, height] = [scale * source.width, scale * source.height];
    context.imageSmoothingEnabled = !loaded.pixels;
    context.imageSmoothingQuality = "high";
    context.drawImage(source, (canvas.width - width) / 2, (canvas.height - height) / 2, width, height);
  }
  context.strokeStyle = context.fillStyle = loaded?.light ? "#000" : "#fff";
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
  if (event.button) return;
  canvas.setPointerCapture(event.pointerId);
  drawing = [place(event)];
  strokes.push(drawing);
  changed();
});
canvas.addEventListener("pointermove", (event) => {
  if (!drawing) return;
  const points = event.getCoalescedEvents?.() ?? [];
  for (const one of points.length ? points : [event]) drawing.push(place(one));
  changed();
});
for (const name of ["pointerup", "pointercancel"]) {
  canvas.addEventListener(name, () => {
    drawing = null;
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
      const goes_on = last && last[0] === from[0] && last[1] === from[1];
      if (goes_on) strokes.at(-1).push([keyboard.x, keyboard.y]);
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
    loaded = photo(await createImageBitmap(file));
  } catch {
    say(`${file.name} is not a picture that this browser can read.`);
    return;
  }
  strokes = [];
  changed();
});

// A photo keeps its proportions; what it leaves of the square is filled with the shade of its edge, and strokes
// are as dark or light as what is on such paper.
function photo(source) {
  const small = document.createElement("canvas");
  small.width = small.height = 32;
  const view = small.getContext("2d");
  view.drawImage(source, 0, 0, 32, 32);
  const shades = luminance(view, 32).flatMap((row, y) => (y % 31 ? [row[0], row[31]] : row));
  const shade = shades.sort((one, other) => one - other)[shades.length / 2];
  return { source, paper: `rgb(${shade} ${shade} ${shade})`, light: shade > 127 };
}

function luminance(view, side) {
  const { data } = view.getImageData(0, 0, side, side);
  return Array.from({ length: side }, (_, y) =>
    Array.from({ length: side }, (_, x) => {
      const at = 4 * (y * side + x);
      return Math.round(0.299 * data[at] + 0.587 * data[at + 1] + 0.114 * data[at + 2]);
    }),
  );
}

function grey() {
  const small = document.createElement("canvas");
  small.width = small.height = SENT;
  const scaled = small.getContext("2d");
  scaled.imageSmoothingQuality = "high";
  scaled.drawImage(canvas, 0, 0, SENT, SENT);
  return luminance(scaled, SENT);
}

// Asking: one question at a time, always the newest; what was drawn meanwhile is asked next.

let asking = false;
let stale = false;

function changed() {
  redraw();
  stale = true;
  if (!asking) ask();
}

async function ask() {
  asking = true;
  while (stale) {
    stale = false;
    if (!strokes.length && !loaded) {
      show(null);
      continue;
    }
    const untouched = loaded?.pixels && !strokes.length;
    const picture = untouched ? loaded.pixels : grey();
    const body = JSON.stringify({ model: byId("model").value, picture, prepared: Boolean(untouched) });
    try {
      const response = await fetch("api/predict", {
        method: "POST",
        headers: { "content-type": "application/json" },
        body,
      });
      const told = await response.json();
      if (response.ok) show(told);
      else {
        show(null);
        say(told.error);
      }
    } catch {
      say("The server does not answer. Is python -m common.demo still running?");
    }
  }
  asking = false;
}

// Showing

function say(sentence, disagree = false) {
  byId("verdict").textContent = sentence;
  byId("verdict").classList.toggle("disagree", disagree);
}

// Rows of grey values into a canvas as large.
function paint(target, rows) {
  const view = target.getContext("2d");
  const pixels = view.createImageData(target.width, target.height);
  pixels.data.fill(255);
  rows.flat().forEach((value, at) => pixels.data.fill(value, 4 * at, 4 * at + 3));
  view.putImageData(pixels, 0, 0);
}

function show(told) {
  paint(byId("seen"), told ? told.image : Array(28).fill(Array(28).fill(0)));
  const best = {};
  for (const framework of Object.keys(NAMES)) {
    const answer = told?.answers[framework];
    const card = byId(`card-${framework}`);
    card.querySelector(".down").textContent = answer?.down ? `${NAMES[framework]} is down: ${answer.down}` : "";
    card.querySelector(".latency").textContent = answer?.milliseconds
      ? `${answer.milliseconds.toFixed(1)} ms`
      : "";
    const probabilities = answer?.probabilities ?? Array(10).fill(0);
    const top = probabilities.indexOf(Math.max(...probabilities));
    if (answer?.probabilities) best[framework] = top;
    card.querySelectorAll(".bar").forEach((bar, digit) => {
      const share = 100 * probabilities[digit];
      bar.querySelector(".fill").style.width = `${share}%`;
      bar.querySelector(".percent").textContent = answer?.probabilities ? `${share.toFixed(1)} %` : "";
      bar.firstElementChild.classList.toggle("best", Boolean(answer?.probabilities) && digit === top);
    });
  }
  const said = Object.values(best);
  if (!told) say("");
  else if (said.length === 2 && said[0] !== said[1]) {
    say(`They disagree: PyTorch says ${best.pytorch}, TensorFlow says ${best.tensorflow}.`, true);
  } else if (said.length === 2) say(`Both say ${said[0]}.`);
  else if (said.length === 1) say(`${NAMES[Object.keys(best)[0]]} says ${said[0]}.`);
  else say("Neither framework answers.", true);
}

function card(framework) {
  const made = document.createElement("div");
  made.className = `framework ${framework}`;
  made.id = `card-${framework}`;
  made.innerHTML = `<h3>${NAMES[framework]} <span class="latency hint"></span></h3><p class="down"></p>`;
  for (let digit = 0; digit < 10; digit += 1) {
    const bar = document.createElement("div");
    bar.className = "bar";
    bar.innerHTML = `<span>${digit}</span><span class="track"><span class="fill" style="display:block"></span></span>
      <span class="percent"></span>`;
    made.append(bar);
  }
  return made;
}

function fill(select, values) {
  select.replaceChildren(...values.map(([value, text]) => new Option(text, value)));
}

// The gallery

let from = 0;

async function gallery(more = false) {
  if (!more) from = 0;
  const asked = new URLSearchParams(new FormData(byId("filters")));
  asked.set("start", from);
  const told = await (await fetch(`api/mistakes?${asked}`)).json();
  byId("total").textContent = told.total ? `${told.total} test digits.` : "No test digit was wrong in this way.";
  const items = told.digits.map(({ index, label, said }) => {
    const answers = [...new Set(said.map((one) => one.predicted))].join(", ");
    const item = document.createElement("li");
    const button = document.createElement("button");
    button.type = "button";
    button.dataset.index = index;
    button.innerHTML = `<img src="digits/${index}.png" alt="" loading="lazy">a ${label}, said to be ${answers}`;
    button.title = said
      .map((one) => `${one.model} in ${NAMES[one.framework]}: ${one.predicted} in ${one.runs} of ${one.of} runs`)
      .join("\n");
    button.addEventListener("click", () => load(index));
    item.append(button);
    return item;
  });
  if (more) byId("digits").append(...items);
  else byId("digits").replaceChildren(...items);
  from += told.digits.length;
  byId("more").hidden = from >= told.total;
}

async function load(index) {
  const { image } = await (await fetch(`api/digits/${index}`)).json();
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
    for (const [framework, state] of Object.entries(states)) {
      const down = byId(`card-${framework}`).querySelector(".down");
      const was = down.textContent;
      down.textContent = state === "ready" ? "" : `${NAMES[framework]} is ${state}.`;
      if (was && state === "ready") changed();
    }
  } catch {
    say("The server does not answer. Is python -m common.demo still running?");
  }
  setTimeout(watch, 1000);
}

function chosen() {
  const model = models.find((one) => one.name === byId("model").value);
  byId("parameters").textContent = model ? `${model.parameters.toLocaleString("en")} parameters` : "";
  changed();
}

byId("frameworks").append(...Object.keys(NAMES).map(card));
const told = await (await fetch("api/models")).json();
models = told.models;
const names = models.map(({ name }) => [name, name]);
fill(byId("model"), names);
if (names.some(([name]) => name === told.first)) byId("model").value = told.first;
byId("model").addEventListener("change", chosen);
const digits = [["", "any"], ...Array.from({ length: 10 }, (_, digit) => [String(digit), String(digit)])];
fill(byId("label"), digits);
fill(byId("predicted"), digits);
fill(byId("wrong-model"), [["", "any"], ...told.zoo.map((name) => [name, name])]);
chosen();
gallery();
watch();
