// The page images: zoom, rotation, the boxes of fields, and the words under the pointer.
"use strict";

const viewer = document.querySelector(".viewer");
const sheets = document.querySelector(".sheets");
const boxOf = (id) => document.querySelector(`[data-box-of="${CSS.escape(id)}"]`);
const isCalm = matchMedia("(prefers-reduced-motion: reduce)").matches;
const SVG = "http://www.w3.org/2000/svg";

// Zoom is the width of a page in widths of what is seen of it.
const LEAST_ZOOM = 0.3;
const MOST_ZOOM = 6;
// Text on the screen between these heights is read without effort; pixels.
const SMALL_TEXT = 22;
const GOOD_TEXT = 28;
const LARGE_TEXT = 60;
let zoom = 1;

function setZoom(wanted) {
  const middle = sheets.scrollHeight
    ? (sheets.scrollTop + sheets.clientHeight / 2) / sheets.scrollHeight
    : 0;
  zoom = Math.min(Math.max(wanted, LEAST_ZOOM), MOST_ZOOM);
  for (const sheet_ of all(".sheet", sheets)) {
    sheet_.style.width = zoom === 1 ? "" : `${100 * zoom}%`;
    sheet_.style.maxWidth = zoom === 1 ? "" : "none";
  }
  sheets.scrollTop = middle * sheets.scrollHeight - sheets.clientHeight / 2;
  sharpen();
}

// Enlarged beyond its pixels, a page that has more of them gets them: loaded when it is looked at, and
// decoded before it is put in, so that nothing waits for it.
const ENLARGED = 1.1;

function sharpen() {
  if (zoom <= 1) return;
  for (const page of all(".sheet[data-detail]", sheets).filter(isInSight)) {
    const image = page.querySelector("img");
    if (image.clientWidth * devicePixelRatio < ENLARGED * image.getAttribute("width")) continue;
    const detail = new Image();
    detail.className = "detail";
    detail.alt = "";
    detail.src = page.dataset.detail;
    delete page.dataset.detail;
    detail.decode().then(() => image.after(detail)).catch(() => {}); // the page is there without
  }
}

function isInSight(page) {
  const [place, frame] = [page.getBoundingClientRect(), sheets.getBoundingClientRect()];
  return place.bottom > frame.top && place.top < frame.bottom;
}

// A box that is too small to be read, or too large to be seen, changes the zoom; others do not, so
// that pages stay still while somebody goes from field to field.
function zoomTo(box) {
  const place = box.getBoundingClientRect();
  const frame = sheets.getBoundingClientRect();
  if (!place.height || !frame.width) return;
  let factor = 1;
  if (place.height < SMALL_TEXT) factor = GOOD_TEXT / place.height;
  else if (place.height > LARGE_TEXT && zoom > 1) factor = GOOD_TEXT / place.height;
  factor = Math.min(factor, (0.9 * frame.width) / place.width, (0.9 * frame.height) / place.height);
  if (Math.abs(factor - 1) > 0.05) setZoom(zoom * factor);
}

function scrollToBox(box) {
  // Only the pages scroll: scrollIntoView would move the field away from under the fingers.
  const place = box.getBoundingClientRect();
  const frame = sheets.getBoundingClientRect();
  sheets.scrollTo({
    left: sheets.scrollLeft + place.left + place.width / 2 - frame.left - frame.width / 2,
    top: sheets.scrollTop + place.top + place.height / 2 - frame.top - frame.height / 2,
    behavior: isCalm ? "instant" : "smooth",
  });
}

function showBox(id) {
  for (const active of all(".box.is-active")) active.classList.remove("is-active");
  const box = boxOf(id);
  if (!box) return;
  box.classList.add("is-active");
  zoomTo(box);
  scrollToBox(box);
}

document.addEventListener("click", (event) => {
  const shown = event.target.closest("[data-shows]");
  if (shown && !event.target.closest("a, summary")) showBox(shown.dataset.shows);
  const link = event.target.closest(".page-links a");
  if (!link) return;
  event.preventDefault(); // the address stays the task's, and Back leads to the queue
  goToPage(document.querySelector(link.getAttribute("href")));
  const part = link.dataset.goesTo && document.getElementById(link.dataset.goesTo);
  if (part) part.querySelector("input, select, textarea")?.focus();
  else sheets.focus({ preventScroll: true });
});

function goToPage(page) {
  if (page) sheets.scrollTo({ top: page.offsetTop - sheets.offsetTop });
}

function pageInSight() {
  const middle = sheets.getBoundingClientRect().top + sheets.clientHeight / 2;
  return all(".sheet", sheets).find((one) => one.getBoundingClientRect().bottom > middle);
}

// Rotation: the frame takes the other proportions, and what is in it is turned about its middle.
function rotate() {
  const page = pageInSight();
  const image = page.querySelector("img");
  const turn = (Number(page.dataset.turn ?? 0) + 1) % 4;
  page.dataset.turn = turn;
  const isSideways = turn % 2 === 1;
  const [width, height] = [image.getAttribute("width"), image.getAttribute("height")].map(Number);
  page.style.aspectRatio = turn ? (isSideways ? `${height} / ${width}` : `${width} / ${height}`) : "";
  const turned = page.querySelector(".turned");
  turned.style.width = isSideways ? `${(100 * width) / height}%` : "";
  turned.style.transform = turn ? `translate(-50%, -50%) rotate(${90 * turn}deg)` : "";
  const active = page.querySelector(".box.is-active");
  if (active) scrollToBox(active);
}

// Words, in pixels of the page image: `[text, left, top, right, bottom, line]`.
const wordsOfPages = new Map();

function wordsOf(page) {
  if (!wordsOfPages.has(page.id)) {
    const asked = fetch(page.dataset.words).then((answer) => (answer.ok ? answer.json() : []));
    wordsOfPages.set(page.id, asked.catch(() => []));
  }
  return wordsOfPages.get(page.id);
}

function outline(rects) {
  return rects.map(([, l, t, r, b]) => `M${l} ${t}H${r}V${b}H${l}Z`).join("");
}

function draw(svg, kind, rects) {
  let path = svg.querySelector(`.${kind}`);
  if (!rects.length) {
    path?.remove();
    return;
  }
  if (!path) {
    path = document.createElementNS(SVG, "path");
    path.setAttribute("class", kind);
    svg.append(path);
  }
  path.setAttribute("d", outline(rects));
}

async function showWords() {
  const button = document.querySelector("[data-shows-words]");
  const isOn = button.getAttribute("aria-pressed") !== "true";
  button.setAttribute("aria-pressed", String(isOn));
  for (const page of all(".sheet", sheets)) {
    draw(page.querySelector(".boxes"), "words", isOn ? await wordsOf(page) : []);
  }
}

// Where a pointer is, in pixels of the page image, whatever the zoom and the rotation.
function placeOf(svg, event) {
  const point = new DOMPoint(event.clientX, event.clientY);
  return point.matrixTransform(svg.getScreenCTM().inverse());
}

function wordsWithin(words, left, top, right, bottom) {
  return words.filter(([, l, t, r, b]) => {
    const [x, y] = [(l + r) / 2, (t + b) / 2];
    return left <= x && x <= right && top <= y && y <= bottom;
  });
}

function wordAt(words, x, y) {
  return words.filter(([, l, t, r, b]) => l <= x && x <= r && t <= y && y <= b).slice(0, 1);
}

function textOf(words) {
  let text = "";
  words.forEach((word, index) => {
    if (index) text += word[5] === words[index - 1][5] ? " " : "\n";
    text += word[0];
  });
  return text;
}

// Click a word, or drag over several: their text goes into the field one is at (`fillField`, in
// fields.js). With Shift it is added to what is there.
const FAR_ENOUGH = 5; // pixels from which on a click is a drag
let drag = null;

async function take(svg, words, event) {
  draw(svg, "picked", words);
  setTimeout(() => draw(svg, "picked", []), 1200);
  if (words.length && typeof fillField === "function") {
    fillField(textOf(words), event.shiftKey, placeOfWords(svg, words));
  }
}

// Where words stand: the number of their page and one box around them, in pixels of its image.
function placeOfWords(svg, words) {
  const { width, height } = svg.viewBox.baseVal;
  const [left, top] = [1, 2].map((edge) => Math.max(Math.min(...words.map((word) => word[edge])), 0));
  const right = Math.min(Math.max(...words.map((word) => word[3])), width);
  const bottom = Math.min(Math.max(...words.map((word) => word[4])), height);
  return { page: Number(svg.closest(".sheet").dataset.page), box: [left, top, right, bottom] };
}

function around(one, other) {
  const [a, b] = [one.box, other.box];
  const box = [Math.min(a[0], b[0]), Math.min(a[1], b[1]), Math.max(a[2], b[2]), Math.max(a[3], b[3])];
  return one.page === other.page ? { page: one.page, box } : null;
}

// The box of a field, as the server draws those that were found.
const MARGIN = 1 / 6; // of its height, for the frame to stand off the letters
const boxesBefore = new Map();

function moveBox(id, place) {
  let box = boxOf(id);
  if (!boxesBefore.has(id)) boxesBefore.set(id, box && { parent: box.parentNode, node: box.cloneNode(true) });
  const before = boxesBefore.get(id);
  if (!place) { // it is where it was found, or nowhere
    box?.remove();
    if (before) before.parent.append(before.node.cloneNode(true));
    return;
  }
  const svg = document.querySelector(`#page-${place.page} .boxes`);
  if (!box) {
    box = document.createElementNS(SVG, "rect");
    box.dataset.boxOf = id;
  }
  const [left, top, right, bottom] = place.box;
  const off = (bottom - top) * MARGIN;
  const shape = { x: left - off, y: top - off, width: right - left + 2 * off, height: bottom - top + 2 * off };
  for (const [name, value] of Object.entries(shape)) box.setAttribute(name, value);
  for (const active of all(".box.is-active")) active.classList.remove("is-active");
  box.setAttribute("class", "box tone-quiet is-active");
  svg.append(box);
}

function begin(event) {
  const svg = event.target.closest(".boxes");
  if (!svg || event.button !== 0 || event.pointerType === "touch") return;
  event.preventDefault(); // the field keeps the focus, and the image is not dragged away
  const from = placeOf(svg, event);
  drag = { svg, from, x: event.clientX, y: event.clientY, band: null, on: event.target };
  wordsOf(svg.closest(".sheet"));
}

function go(event) {
  if (!drag) return;
  if (!drag.band && Math.hypot(event.clientX - drag.x, event.clientY - drag.y) < FAR_ENOUGH) return;
  if (!drag.band) {
    drag.band = document.createElementNS(SVG, "rect");
    drag.band.setAttribute("class", "band");
    drag.svg.append(drag.band);
  }
  const to = placeOf(drag.svg, event);
  drag.area = [
    Math.min(drag.from.x, to.x), Math.min(drag.from.y, to.y),
    Math.max(drag.from.x, to.x), Math.max(drag.from.y, to.y),
  ];
  const [left, top, right, bottom] = drag.area;
  for (const [name, value] of Object.entries({ x: left, y: top, width: right - left, height: bottom - top })) {
    drag.band.setAttribute(name, value);
  }
}

async function end(event) {
  if (!drag) return;
  const { svg, band, area, from, on } = drag;
  drag = null;
  band?.remove();
  const words = await wordsOf(svg.closest(".sheet"));
  if (band) take(svg, wordsWithin(words, ...area), event);
  else pick(svg, words, from, on, event);
}

// A click on the box of another field goes there; any other takes the word under it.
function pick(svg, words, point, on, event) {
  const id = on.closest("[data-box-of]")?.dataset.boxOf;
  const input = id && document.getElementById(id);
  if (id && !input) showBox(id);
  else if (input && input !== currentField()) input.focus();
  else take(svg, wordAt(words, point.x, point.y), event);
}

if (viewer) {
  sheets.addEventListener("pointerdown", begin);
  sheets.addEventListener("scrollend", sharpen);
  addEventListener("pointermove", go);
  addEventListener("pointerup", end);
  addEventListener("pointercancel", () => { drag?.band?.remove(); drag = null; });
  // By touch, dragging scrolls, and a tap takes a word.
  sheets.addEventListener("click", async (event) => {
    const svg = event.target.closest(".boxes");
    if (!svg || event.pointerType !== "touch") return;
    const point = placeOf(svg, event);
    pick(svg, await wordsOf(svg.closest(".sheet")), point, event.target, event);
  });
  const steps = { in: () => setZoom(zoom * 1.25), out: () => setZoom(zoom / 1.25), fit: () => setZoom(1) };
  viewer.addEventListener("click", (event) => {
    steps[event.target.closest("[data-zooms]")?.dataset.zooms]?.();
    if (event.target.closest("[data-rotates]")) rotate();
    if (event.target.closest("[data-shows-words]")) showWords();
  });
  Object.assign(singleKeys, {
    "+": steps.in, "=": steps.in, "-": steps.out, 0: steps.fit, r: rotate, w: showWords,
    "[": () => goToPage(pageInSight().previousElementSibling),
    "]": () => goToPage(pageInSight().nextElementSibling),
  });
}
