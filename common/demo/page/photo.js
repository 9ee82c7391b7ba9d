// Photos and other pictures that are loaded into the drawing area.

const SMALL = 32; // side of the picture from which paper and ink are chosen, in pixels

// A picture to draw on a canvas. An SVG with a view box is `side` pixels long, whatever size it names; without
// either it has the size that CSS gives it.
// Rejects what this browser cannot read.
export async function read(file, side) {
  if (file.type !== "image/svg+xml") return createImageBitmap(file);
  const svg = new DOMParser().parseFromString(await file.text(), file.type).documentElement;
  const [, , width, height] = (svg.getAttribute("viewBox") ?? "").trim().split(/[\s,]+/).map(Number);
  if (width > 0 && height > 0) {
    svg.setAttribute("width", (side * width) / Math.max(width, height));
    svg.setAttribute("height", (side * height) / Math.max(width, height));
  } else if (!svg.hasAttribute("width") || !svg.hasAttribute("height")) {
    svg.setAttribute("width", 300);
    svg.setAttribute("height", 150);
  }
  const text = new XMLSerializer().serializeToString(svg);
  const address = URL.createObjectURL(new Blob([text], { type: file.type }));
  try {
    const image = new Image();
    image.src = address; // there no script of it runs, and nothing that it names is fetched
    await image.decode();
    return image;
  } finally {
    URL.revokeObjectURL(address);
  }
}

// A photo {source, paper, ink}: a canvas with its proportions, the colour of a transparent ground, and that of
// strokes. A transparent ground is white under dark ink and black under light ink, and has the photo's own
// shade where little is transparent. Strokes have the colour that differs most from the ground, made stronger.
export function photo(picture) {
  const small = document.createElement("canvas");
  small.width = small.height = SMALL;
  const view = small.getContext("2d");
  view.drawImage(picture, 0, 0, SMALL, SMALL);
  const alpha = view.getImageData(0, 0, SMALL, SMALL).data.filter((_, at) => at % 4 === 3);
  const rgb = colours(view, SMALL).flat();
  const opaque = rgb.filter((_, at) => alpha[at] > 127);
  const shades = rgb.map(luminance);
  const all = alpha.reduce((sum, value) => sum + value, 0);
  const mean = all ? shades.reduce((sum, shade, at) => sum + alpha[at] * shade, 0) / all : 0;
  const filled = opaque.length > rgb.length / 2;
  const ground = filled ? [0, 1, 2].map((channel) => median(opaque.map((colour) => colour[channel])))
    : Array(3).fill(mean > 127 ? 0 : 255);
  const source = document.createElement("canvas");
  [source.width, source.height] = [picture.width, picture.height];
  const on = source.getContext("2d");
  on.fillStyle = css(ground);
  on.fillRect(0, 0, source.width, source.height);
  on.drawImage(picture, 0, 0);
  return { source, paper: on.fillStyle, ink: css(farthest(ground, opaque)) };
}

// Rows of [red, green, blue].
export function colours(view, side) {
  const { data } = view.getImageData(0, 0, side, side);
  return Array.from({ length: side }, (_, y) =>
    Array.from({ length: side }, (_, x) => [...data.subarray(4 * (y * side + x), 4 * (y * side + x) + 3)]),
  );
}

// From the ground through the colour that differs most from it, as far as there are colours.
function farthest(ground, found) {
  const differences = found.map((colour) => colour.map((value, channel) => value - ground[channel]));
  const size = (difference) => Math.hypot(...difference);
  const largest = differences.reduce((one, other) => (size(other) > size(one) ? other : one), [0, 0, 0]);
  if (!size(largest)) return Array(3).fill(luminance(ground) > 127 ? 0 : 255);
  const room = largest.map((step, channel) => (step > 0 ? 255 - ground[channel] : ground[channel]) / Math.abs(step));
  const scale = Math.min(...room.filter(Number.isFinite));
  return ground.map((value, channel) => Math.round(value + scale * largest[channel]));
}

const luminance = ([red, green, blue]) => 0.299 * red + 0.587 * green + 0.114 * blue;
const median = (values) => values.sort((a, b) => a - b)[values.length >> 1];
const css = (colour) => `rgb(${colour.join(" ")})`;
