// The review pages work without this file; it makes them quick: a field shows its place on the
// page, Enter goes to the next field, and what was typed is not lost by a slip.
"use strict";

const all = (selector, within = document) => [...within.querySelectorAll(selector)];

// Times are sent in UTC and shown in the reader's own zone.
for (const time of all("time[data-local]")) {
  const moment = new Date(time.dateTime);
  time.title = time.textContent;
  time.textContent = moment.toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
}

// Fields and their boxes.
const sheets = document.querySelector(".sheets");
const boxOf = (id) => document.querySelector(`[data-box-of="${CSS.escape(id)}"]`);

function showBox(id) {
  for (const active of all(".box.is-active")) active.classList.remove("is-active");
  const box = boxOf(id);
  if (!box) return;
  box.classList.add("is-active");
  scrollToBox(box);
}

function scrollToBox(box) {
  // Only the pages scroll: scrollIntoView would move the field away from under the fingers.
  const place = box.getBoundingClientRect();
  const frame = sheets.getBoundingClientRect();
  const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
  sheets.scrollTo({
    left: sheets.scrollLeft + place.left + place.width / 2 - frame.left - frame.width / 2,
    top: sheets.scrollTop + place.top + place.height / 2 - frame.top - frame.height / 2,
    behavior: calm ? "instant" : "smooth",
  });
}

const form = document.querySelector("[data-fields]");
const inputs = form ? all(".field input, .field select, .field textarea", form) : [];

function isChanged(input) {
  if (!input.options) return input.value !== input.defaultValue;
  return [...input.options].some((option) => option.selected !== option.defaultSelected);
}

for (const input of inputs) {
  input.addEventListener("focus", () => showBox(input.id));
  input.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.isComposing || event.target.matches("textarea")) return;
    event.preventDefault(); // Enter would send the form from the middle of the work
    const next = inputs[inputs.indexOf(input) + 1];
    (next ?? document.querySelector("[form=fields]")).focus();
  });
  const field = input.closest(".field"); // the cells of a table share its mark
  const mark = field.querySelector(".badge");
  const asItWas = mark.cloneNode(true);
  input.addEventListener("input", () => {
    if (!inputs.some((other) => other.closest(".field") === field && isChanged(other))) {
      mark.className = asItWas.className;
      mark.replaceChildren(...asItWas.cloneNode(true).childNodes);
    } else {
      mark.className = "badge tone-quiet";
      mark.replaceChildren("Changed, not saved");
    }
  });
}

for (const box of all("[data-box-of]")) {
  box.addEventListener("click", () => {
    const target = document.getElementById(box.dataset.boxOf);
    if (target) target.focus();
    else showBox(box.dataset.boxOf);
  });
}

for (const shown of all("[data-shows]")) {
  shown.addEventListener("click", () => showBox(shown.dataset.shows));
}

for (const link of all(".page-links a")) {
  link.addEventListener("click", (event) => {
    event.preventDefault(); // the address stays the task's, and Back leads to the queue
    const sheet = document.querySelector(link.getAttribute("href"));
    sheets.scrollTo({ top: sheet.offsetTop - sheets.offsetTop });
    sheets.focus({ preventScroll: true });
  });
}

// Zoom.
for (const tool of all("[data-needs-script]")) tool.hidden = false;
for (const button of all("[data-zooms]")) {
  button.addEventListener("click", () => {
    button.closest(".viewer").dataset.zoom = button.dataset.zooms;
    for (const other of all("[data-zooms]")) {
      other.setAttribute("aria-pressed", String(other === button));
    }
    const active = document.querySelector(".box.is-active");
    if (active) scrollToBox(active);
  });
}

// Dialogs.
for (const button of all("[data-opens]")) {
  button.addEventListener("click", () => document.getElementById(button.dataset.opens).showModal());
}
for (const button of all("[data-closes]")) {
  button.addEventListener("click", () => button.closest("dialog").close());
}

// A form is sent once, however often its button is pressed; leaving with changes asks first.
let isSending = false;
document.addEventListener("submit", (event) => {
  if (isSending) event.preventDefault();
  isSending = true;
});
addEventListener("pageshow", () => { isSending = false; });
addEventListener("beforeunload", (event) => {
  const isUnsaved = form?.matches("[data-unsaved]")
    || inputs.some(isChanged);
  if (isUnsaved && !isSending) event.preventDefault();
});

// Where to begin: at what was refused, else at the first field in doubt of a task one holds. On a
// small screen that would open the keyboard over half of it.
const refused = document.querySelector("[data-focus]");
const doubtful = inputs.find((input) => input.matches(".tone-invalid, .tone-confirm"));
if (refused) refused.focus();
else if (form?.matches("[data-mine]") && matchMedia("(min-width: 60rem)").matches) doubtful?.focus();
