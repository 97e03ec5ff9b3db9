// The fields: a field shows its place on the page, keys lead from one to the next, rows of tables
// come and go, and what was typed is not lost by a slip.
"use strict";

const form = document.querySelector("[data-fields]");
const FIELDS = ".field input:not([type=hidden]), .field select, .field textarea, .retype select";
const inputs = () => (form ? all(FIELDS, form).filter((one) => !one.closest("details:not([open])")) : []);
let lastField = null;

const currentField = () => (lastField?.isConnected ? lastField : null);

function isChanged(input) {
  if (input.options) {
    const asSent = [...input.options].some((option) => option.defaultSelected);
    return asSent
      ? [...input.options].some((option) => option.selected !== option.defaultSelected)
      : input.selectedIndex > 0;
  }
  if (input.type === "checkbox") return input.checked !== input.defaultChecked;
  return input.value !== input.defaultValue;
}

let rowsChanged = false;
const isUnsaved = () => Boolean(form)
  && (form.matches("[data-unsaved]") || rowsChanged || all(FIELDS, form).some(isChanged));

const marks = new Map();

function showChanged(field) {
  const mark = field.querySelector(".badge");
  if (!mark) return;
  if (!marks.has(mark)) marks.set(mark, mark.cloneNode(true));
  const asItWas = marks.get(mark);
  if (!all("input:not([type=hidden]), select, textarea", field).some(isChanged)) {
    mark.className = asItWas.className;
    mark.replaceChildren(...asItWas.cloneNode(true).childNodes);
  } else {
    mark.className = "badge tone-quiet";
    mark.replaceChildren("Changed, not saved");
  }
}

function step(from, by, wanted = inputs()) {
  const every = inputs();
  const at = every.indexOf(from);
  const next = by > 0
    ? wanted.find((one) => every.indexOf(one) > at)
    : wanted.findLast((one) => every.indexOf(one) < at);
  return next;
}

const inDoubt = () => inputs().filter((one) => one.matches(".tone-invalid, .tone-confirm"));

if (form) {
  form.addEventListener("focusin", ({ target }) => {
    if (!target.matches(FIELDS)) return;
    lastField = target;
    showBox(target.id);
  });
  form.addEventListener("input", ({ target }) => {
    if (!isFilling) keepPlace(target, null); // what is typed over stands nowhere
    const field = target.closest(".field");
    if (field) showChanged(field);
  });
  form.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && event.target.matches(FIELDS)) event.target.blur();
    if (event.key !== "Enter" || event.isComposing || event.ctrlKey || event.metaKey) return;
    if (!event.target.matches("input, select")) return;
    event.preventDefault(); // Enter would send the form from the middle of the work
    const next = step(event.target, event.shiftKey ? -1 : 1);
    (next ?? document.querySelector(event.shiftKey ? ".sheets" : "[data-completes]"))?.focus();
  });
  const complete = document.querySelector("[data-completes]");
  const save = document.querySelector("[data-saves]");
  chords["Ctrl+Enter"] = () => complete?.click();
  chords["Ctrl+s"] = () => save?.click();
  const toDoubt = (by) => (step(currentField(), by, inDoubt()) ?? inDoubt().at(by > 0 ? 0 : -1))?.focus();
  chords["Alt+ArrowDown"] = () => toDoubt(1);
  chords["Alt+ArrowUp"] = () => toDoubt(-1);
  chords["Alt+Insert"] = () => addRow(tableOf(currentField()));
  chords["Alt+Delete"] = () => removeRow(tableOf(currentField()));
  singleKeys.e = () => (inDoubt()[0] ?? inputs()[0])?.focus();
  singleKeys.d = press("[data-opens=discard-dialog]");
  singleKeys.i = press("[data-opens=report-dialog]");
  addEventListener("beforeunload", (event) => {
    if (isUnsaved() && !isSending) event.preventDefault();
  });
}
singleKeys.c = () => document.getElementById("comment-text")?.focus();
singleKeys.l = press("[data-toggles-claim] button");

// Where a value was picked goes with it, in an input of its own beside that of the value.
let isFilling = false;
const PLACE_NAME = /^place(?=\.)/;
const placeInput = (input) => [...input.parentNode.querySelectorAll("input[type=hidden]")]
  .find((one) => one.name.replace(PLACE_NAME, "field") === input.name);

function keptPlace(input) {
  const kept = placeInput(input);
  if (!kept) return null;
  const [page, ...box] = kept.value.split(" ").map(Number);
  return { page, box };
}

function keepPlace(input, place) {
  if (!input.name?.startsWith("field.")) return; // data has no pages
  const kept = placeInput(input);
  if (!place && !kept) return;
  kept?.remove();
  if (place) {
    const made = document.createElement("input");
    made.type = "hidden";
    made.name = input.name.replace(/^field/, "place");
    made.value = [place.page, ...place.box].join(" ");
    input.after(made);
  }
  moveBox(input.id, place);
}

// What was pointed at on a page goes into the field one is at. What is added to is picked as a whole
// only where it was picked, too.
function fillField(text, isAdded, place) {
  const input = currentField();
  if (!input || input.type === "checkbox") return;
  const before = keptPlace(input);
  const isMore = isAdded && input.value && !input.options;
  if (input.options) {
    const said = text.trim().toLowerCase();
    const found = [...input.options].find((one) => [one.value, one.text].some((t) => t.toLowerCase() === said));
    if (!found) return;
    input.value = found.value;
  } else {
    const flat = input.matches("textarea") ? text : text.replaceAll("\n", " ");
    input.value = isMore ? `${input.value} ${flat}` : flat;
  }
  keepPlace(input, isMore ? before && around(before, place) : place);
  isFilling = true;
  input.dispatchEvent(new Event("input", { bubbles: true }));
  isFilling = false;
  input.focus();
}

// Rows of tables. The number of a row is in the names of its inputs; a number that is left out is
// no row.
const tableOf = (input) => input?.closest("[data-table]");

function addRow(table) {
  if (!table) return;
  const body = table.querySelector("tbody");
  const number = Number(table.dataset.rows ?? body.rows.length);
  table.dataset.rows = number + 1;
  const row = body.rows[body.rows.length - 1].cloneNode(true);
  for (const place of all("input[type=hidden]", row)) place.remove();
  for (const input of all("input", row)) {
    input.name = input.name.replace(/^(row\.|field\.\d+\.[^.]+\.)\d+/, `$1${number}`);
    input.id = `${input.id.replace(/-new\d+$/, "")}-new${number}`;
    input.setAttribute("aria-label", input.getAttribute("aria-label").replace(/\d+$/, number + 1));
    input.value = "";
    input.defaultValue = "";
    input.removeAttribute("aria-invalid");
    input.classList.remove("tone-invalid", "tone-confirm");
  }
  body.append(row);
  row.querySelector("input").focus();
}

function removeRow(table) {
  const row = table && (table.contains(currentField()) ? currentField().closest("tr") : table.querySelector("tr:last-child"));
  if (!row) return;
  const neighbour = row.nextElementSibling ?? row.previousElementSibling;
  if (all("input", row).some((input) => input.value || input.defaultValue)) rowsChanged = true;
  if (neighbour) row.remove();
  else for (const input of all("input", row)) input.value = "";
  (neighbour ?? row).querySelector("input").focus();
}

document.addEventListener("click", ({ target }) => {
  const adds = target.closest("[data-adds-row]");
  const removes = target.closest("[data-removes-row]");
  if (adds) addRow(document.getElementById(adds.dataset.addsRow));
  if (removes) removeRow(document.getElementById(removes.dataset.removesRow));
});

// Where to begin: at what was refused, else at the first field in doubt of a task one holds. On a
// small screen that would open the keyboard over half of it.
const refused = document.querySelector("[data-focus]");
if (refused) refused.focus();
else if (form?.matches("[data-mine]") && matchMedia("(min-width: 60rem)").matches) {
  (inDoubt()[0] ?? inputs()[0])?.focus();
}
