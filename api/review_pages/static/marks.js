// Marks on a text and on a picture. What is drawn is what stands as JSON in the input of the block;
// without scripts that is where it is changed.
"use strict";

const jsonOf = (input) => {
  try {
    return JSON.parse(input.value);
  } catch {
    return null;
  }
};

function store(input, value) {
  input.value = JSON.stringify(value);
  input.dispatchEvent(new Event("input", { bubbles: true }));
}

const toolsOf = (id) => document.querySelector(`[data-marks-for="${CSS.escape(id)}"]`);
const labelsOf = (id) => all("[data-label]", toolsOf(id) ?? document.createElement("div"));
const chosenLabel = (id) => labelsOf(id).find((one) => one.getAttribute("aria-pressed") === "true");

// Texts: positions count characters as the server does, which a browser counts in halves.
function drawMarked(shown, value, labels) {
  const characters = [...value.text];
  const edges = new Set([0, characters.length]);
  for (const { start, end } of value.entities) edges.add(start).add(end);
  const cuts = [...edges].sort((a, b) => a - b);
  shown.replaceChildren(...cuts.slice(0, -1).map((start, index) => {
    const end = cuts[index + 1];
    const found = value.entities.filter((one) => one.start <= start && end <= one.end);
    const part = document.createElement(found.length ? "mark" : "span");
    part.dataset.start = start;
    part.textContent = characters.slice(start, end).join("");
    if (found.length) {
      const buttons = found.map((one) => labels.find((label) => label.dataset.label === one.label));
      part.className = `mark-${buttons[0]?.dataset.color ?? 0}`;
      const label = document.createElement("span");
      label.className = "mark-label";
      label.textContent = [...new Set(buttons.map((one) => one?.textContent.trim() ?? "?"))].join(", ");
      part.append(label);
    }
    return part;
  }));
}

// Where a selection begins or ends, in characters of the text.
function offsetOf(node, offset) {
  const part = (node.nodeType === Node.TEXT_NODE ? node.parentElement : node).closest("[data-start]");
  if (!part) return null;
  const text = part.firstChild;
  const before = node === text ? text.data.slice(0, offset) : offset || node !== part ? text.data : "";
  return Number(part.dataset.start) + [...before].length;
}

function markSelection(shown, input, label) {
  const selection = getSelection();
  if (!selection.rangeCount || selection.isCollapsed || !shown.contains(selection.anchorNode)) return;
  const range = selection.getRangeAt(0);
  const start = offsetOf(range.startContainer, range.startOffset);
  const end = offsetOf(range.endContainer, range.endOffset);
  const value = jsonOf(input);
  if (start === null || end === null || start >= end || !value) return;
  value.entities = [...(value.entities ?? []), { start, end, label: label.dataset.label }];
  store(input, value);
  selection.removeAllRanges();
}

for (const shown of all("[data-marked]")) {
  const input = document.getElementById(shown.dataset.marked);
  if (!input?.matches("textarea")) continue; // it is only to be read
  const labels = labelsOf(input.id);
  input.addEventListener("input", () => {
    const value = jsonOf(input);
    if (typeof value?.text === "string" && Array.isArray(value.entities)) drawMarked(shown, value, labels);
  });
  for (const label of labels) {
    label.addEventListener("pointerdown", (event) => event.preventDefault()); // the selection stays
    label.addEventListener("click", () => markSelection(shown, input, label));
  }
  toolsOf(input.id)?.querySelector("[data-unmarks]").addEventListener("click", () => {
    const value = jsonOf(input);
    if (!value?.entities?.length) return;
    value.entities.pop();
    store(input, value);
  });
}

// Pictures: drawn in pixels of the picture, whatever the unit of the data.
const LABEL_PIXELS = 14; // on the screen, however large the picture is

function drawPlaces(figure, places, labels) {
  const image = figure.querySelector("img");
  const svg = figure.querySelector(".marks");
  const [width, height] = [image.naturalWidth, image.naturalHeight];
  if (!width) return;
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  const [byX, byY] = figure.dataset.unit === "fraction" ? [width, height] : [1, 1];
  const letters = (LABEL_PIXELS * width) / (image.clientWidth || width);
  svg.replaceChildren(...places.flatMap((one) => {
    const label = labels.findIndex((button) => button.dataset.label === one.label);
    const color = one.color ?? (label < 0 ? 0 : label % 8);
    const rect = document.createElementNS("http://www.w3.org/2000/svg", "rect");
    const place = { x: one.left * byX, y: one.top * byY, width: one.width * byX, height: one.height * byY };
    for (const [name, value] of Object.entries(place)) rect.setAttribute(name, value);
    rect.setAttribute("class", `place mark-${color}`);
    const text = document.createElementNS("http://www.w3.org/2000/svg", "text");
    text.setAttribute("class", "place-label");
    text.setAttribute("x", place.x);
    text.setAttribute("y", Math.max(place.y - letters / 4, letters));
    text.setAttribute("font-size", letters);
    text.textContent = one.title ?? labels[label]?.textContent.trim() ?? one.label;
    return [rect, text];
  }));
}

for (const figure of all("[data-picture]")) {
  const input = document.getElementById(figure.dataset.picture);
  const image = figure.querySelector("img");
  const svg = figure.querySelector(".marks");
  const isOpen = input?.matches("textarea");
  const labels = labelsOf(figure.dataset.picture);
  const listed = all(".places-list li", figure).map((item) => JSON.parse(item.dataset.place));
  const places = () => (isOpen ? jsonOf(input)?.boxes ?? [] : listed);
  const redraw = () => drawPlaces(figure, places(), labels);
  image.addEventListener("load", redraw);
  if (image.complete) redraw();
  if (!isOpen) continue;
  const list = figure.querySelector(".places-list");
  input.addEventListener("input", () => {
    redraw();
    list.replaceChildren(...places().map((one) => {
      const item = document.createElement("li");
      const title = labels.find((label) => label.dataset.label === one.label)?.textContent.trim() ?? one.label;
      item.textContent = `${title} at ${one.left}, ${one.top}; ${one.width} × ${one.height}`;
      return item;
    }));
  });
  for (const label of labels) {
    label.addEventListener("click", () => {
      for (const other of labels) other.setAttribute("aria-pressed", String(other === label));
    });
  }
  labels[0]?.setAttribute("aria-pressed", "true");
  toolsOf(input.id)?.querySelector("[data-unmarks]").addEventListener("click", () => {
    const value = jsonOf(input);
    if (!value?.boxes?.length) return;
    value.boxes.pop();
    store(input, value);
  });
  let from = null;
  const at = (event) => {
    const point = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
    return [Math.min(Math.max(point.x, 0), image.naturalWidth), Math.min(Math.max(point.y, 0), image.naturalHeight)];
  };
  svg.addEventListener("pointerdown", (event) => {
    if (event.button !== 0 || !image.naturalWidth) return;
    event.preventDefault();
    svg.setPointerCapture(event.pointerId);
    from = at(event);
  });
  svg.addEventListener("pointerup", (event) => {
    if (!from) return;
    const to = at(event);
    const [left, top] = [Math.min(from[0], to[0]), Math.min(from[1], to[1])];
    const [width, height] = [Math.abs(from[0] - to[0]), Math.abs(from[1] - to[1])];
    from = null;
    const value = jsonOf(input);
    if (width < 3 || height < 3 || !value) return;
    const isFraction = figure.dataset.unit === "fraction";
    const [byX, byY] = isFraction ? [image.naturalWidth, image.naturalHeight] : [1, 1];
    const digits = isFraction ? 4 : 0;
    const round = (number) => Number(number.toFixed(digits));
    const place = { left: round(left / byX), top: round(top / byY), width: round(width / byX), height: round(height / byY) };
    value.boxes = [...(value.boxes ?? []), { ...place, label: chosenLabel(input.id).dataset.label }];
    store(input, value);
  });
}
