// A task that is open: its claim is renewed, and freed when it is left; what others do is shown.
"use strict";

const task = document.querySelector("[data-task]");
const address = task?.dataset.task;

// A page that answers a form has the address of the form, which nobody can open again.
if (task && location.pathname !== address) history.replaceState(null, "", address);

function send(verb, isLast = false) {
  const body = new FormData();
  body.set("csrf_token", task.dataset.csrf);
  if (isLast) navigator.sendBeacon(`${address}/${verb}`, body);
  else fetch(`${address}/${verb}`, { method: "POST", body }).catch(() => {}); // the next one counts
}

// A page that was left hands its task back shortly after; one that was only loaded anew is back by
// then and renews.
const held = document.querySelector("[data-renews]");
if (held) {
  const BACK_AGAIN = 5000; // milliseconds, of the 15 s for which a task that was left is kept
  setTimeout(() => send("renew"), BACK_AGAIN);
  setInterval(() => send("renew"), 1000 * Number(held.dataset.renews));
  addEventListener("pagehide", () => send("leave", true));
  addEventListener("pageshow", (event) => event.persisted && send("renew"));
}

// What is shown in parts that come anew by themselves; with a claim it changes, too, whether the
// fields can be changed.
const CLAIMS = new Set(["task.claimed", "task.released", "task.assigned"]);
const SEEN_IN_PARTS = new Set([...CLAIMS, "task.commented", "task.reported", "task.audited"]);

// What a person has typed, or was told and may not have read, does not go away by itself.
const mayReload = () => !isUnsaved() && !document.querySelector("[data-stays]");

let last = task?.dataset.after;

async function happened({ type, what, who, mine }, event) {
  last = event.lastEventId || last;
  if (isSending) return;
  const told = `${mine ? "You" : who}: ${what.toLowerCase()}.`;
  if (SEEN_IN_PARTS.has(type)) {
    await refresh(location.pathname);
    if (mine || !CLAIMS.has(type)) return;
    if (mayReload()) reload();
    else if (type !== "task.released") tell(told);
  } else if (mine && type === "task.saved") {
    // It was just now, or in another window of one's own.
  } else if (mayReload()) {
    reload();
  } else {
    tell(told);
  }
}

function tell(words) {
  const notice = document.getElementById("changed");
  document.getElementById("changed-words").textContent = words;
  notice.hidden = false;
}

// Loaded anew, the page is where it was, and so is the focus.
const PLACE = "papertray-place";

function reload() {
  const place = {
    address, focus: document.activeElement.id, panel: document.querySelector(".panel-body")?.scrollTop,
  };
  sessionStorage.setItem(PLACE, JSON.stringify(place));
  isSending = true; // nothing that was typed is lost: there is nothing
  location.replace(location.href.split("#")[0]);
}

const kept = JSON.parse(sessionStorage.getItem(PLACE) ?? "null");
sessionStorage.removeItem(PLACE);
if (kept && kept.address === address) {
  document.querySelector(".panel-body")?.scrollTo(0, kept.panel);
  if (kept.focus) document.getElementById(kept.focus)?.focus();
}

function here({ others }) {
  const shown = document.getElementById("here");
  if (shown) shown.textContent = others.length ? `Also here: ${others.join(", ")}` : "";
}

// A page that follows a running task by itself (status.html) needs no second line.
if (task && !document.querySelector(".live")) {
  follow(() => `${address}/live?after=${last}`, { happened, here });
}

document.querySelector("[data-comment]")?.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
  event.preventDefault();
  event.currentTarget.requestSubmit();
});

// A comment is sent without leaving what was typed into the fields.
document.querySelector("[data-comment]")?.addEventListener("submit", async (event) => {
  event.preventDefault();
  const sent = event.target;
  const answer = await fetch(sent.action, { method: "POST", body: new FormData(sent) });
  if (!answer.ok) return;
  sent.reset();
  await refresh(location.pathname);
});
