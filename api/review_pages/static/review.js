// What all pages share: times, dialogs, keys, and forms that are sent once. The pages work without
// scripts; these make them quick.
"use strict";

const all = (selector, within = document) => [...within.querySelectorAll(selector)];

// Times are sent in UTC and shown in the reader's own zone.
function localize(within) {
  for (const time of all("time[data-local]", within)) {
    const moment = new Date(time.dateTime);
    time.title = time.textContent;
    time.textContent = moment.toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
    time.removeAttribute("data-local");
  }
}
localize(document);

for (const tool of all("[data-needs-script]")) tool.hidden = false;

// Dialogs. The listeners are the document's, since parts of pages come anew.
document.addEventListener("click", (event) => {
  const opener = event.target.closest("[data-opens]");
  if (opener) document.getElementById(opener.dataset.opens).showModal();
  event.target.closest("[data-closes]")?.closest("dialog").close();
});

// Keys: `key -> what it does`. Those without Ctrl or Alt can be switched off (WCAG 2.2, 2.1.4), and
// do nothing while somebody types.
const singleKeys = {};
const chords = {};
const isTyping = (element) => element.matches("textarea, select, input:not([type=checkbox], [type=radio])");
const sheet = document.getElementById("keys-dialog");
const singleKeysSwitch = document.getElementById("single-keys");
const KEPT_SWITCH = "papertray-single-keys";

if (singleKeysSwitch) {
  singleKeysSwitch.checked = localStorage.getItem(KEPT_SWITCH) !== "off";
  singleKeysSwitch.addEventListener("change", () => {
    localStorage.setItem(KEPT_SWITCH, singleKeysSwitch.checked ? "on" : "off");
  });
}

document.addEventListener("keydown", (event) => {
  if (event.isComposing || event.defaultPrevented || document.querySelector("dialog[open]")) return;
  const held = `${event.ctrlKey || event.metaKey ? "Ctrl+" : ""}${event.altKey ? "Alt+" : ""}`;
  const isSingle = !held && !isTyping(event.target);
  if (held === "Ctrl+Alt+") return; // AltGr, with which people write
  const act = held ? chords[held + event.key] : isSingle && singleKeys[event.key.toLowerCase()];
  if (!act || (isSingle && singleKeysSwitch && !singleKeysSwitch.checked)) return;
  event.preventDefault();
  act(event);
});
if (sheet) singleKeys["?"] = () => sheet.showModal();

// A button that is there does what it does when it is clicked.
const press = (selector) => () => document.querySelector(selector)?.click();
singleKeys.n = press("[data-next] button");
singleKeys.q = () => { location.href = "/review"; };

// A form is sent once, however often its button is pressed.
let isSending = false;
document.addEventListener("submit", (event) => {
  if (event.defaultPrevented) return; // a script sends it
  if (isSending) event.preventDefault();
  isSending = true;
});
addEventListener("pageshow", () => { isSending = false; });

// Parts that are marked `data-live` are put in anew as the server now has them.
async function refresh(address) {
  const answer = await fetch(address, { headers: { Accept: "text/html" } });
  if (!answer.ok || answer.redirected) return null;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  for (const part of all("[data-live]")) {
    const fresh = page.getElementById(part.id);
    if (!fresh || part.contains(document.querySelector("dialog[open]"))) continue;
    if (part.open !== undefined) fresh.open = part.open;
    const focused = part.contains(document.activeElement) ? document.activeElement : null;
    const place = focused && all("a, button, input, summary", part).indexOf(focused);
    const adopted = document.adoptNode(fresh);
    part.replaceWith(adopted);
    localize(adopted);
    for (const tool of all("[data-needs-script]", adopted)) tool.hidden = false;
    if (focused) all("a, button, input, summary", adopted)[place]?.focus();
  }
  return page;
}

// Follows what the server tells for as long as somebody looks at the page: a browser has few lines
// to one server, and a page in the background needs none.
function follow(address, listeners) {
  let source = null;
  const open = () => {
    if (source || document.hidden) return;
    source = new EventSource(address());
    for (const [name, listener] of Object.entries(listeners)) {
      source.addEventListener(name, (event) => listener(JSON.parse(event.data), event));
    }
  };
  const close = () => { source?.close(); source = null; };
  document.addEventListener("visibilitychange", () => (document.hidden ? close() : open()));
  addEventListener("pagehide", close);
  addEventListener("pageshow", open);
  open();
}
