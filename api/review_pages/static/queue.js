// The queue: choosing tasks, keys, and rows that follow what happens.
"use strict";

const boxes = () => all("input[name=task]");
const links = () => all(".cell-task a");

function showChosen() {
  const chosen = boxes().filter((box) => box.checked).length;
  const count = document.getElementById("chosen-count");
  const whole = document.getElementById("choose-all");
  if (!count) return;
  count.textContent = chosen ? `${chosen} chosen` : "";
  whole.checked = chosen > 0 && chosen === boxes().length;
  whole.indeterminate = chosen > 0 && chosen < boxes().length;
  for (const box of boxes()) box.closest("tr").classList.toggle("is-chosen", box.checked);
  for (const button of all(".bulk button")) button.disabled = !chosen;
}

document.addEventListener("change", (event) => {
  if (event.target.id === "choose-all") {
    for (const box of boxes()) box.checked = event.target.checked;
  }
  showChosen();
});
addEventListener("pageshow", showChosen); // browsers put back what was chosen
showChosen();

// Where the focus is among the rows.
function move(step) {
  const row = document.activeElement.closest("tr");
  const rows = links();
  const at = row ? rows.findIndex((link) => row.contains(link)) : step > 0 ? -1 : rows.length;
  rows[Math.min(Math.max(at + step, 0), rows.length - 1)]?.focus();
}
singleKeys.j = singleKeys.arrowdown = () => move(1);
singleKeys.k = singleKeys.arrowup = () => move(-1);
singleKeys.x = () => document.activeElement.closest("tr")?.querySelector("input[name=task]")?.click();
singleKeys.a = press("#choose-all");
singleKeys.c = press(".bulk [value=claim]");
singleKeys.r = press(".bulk [value=release]");
singleKeys.d = press(".bulk [data-opens]");
singleKeys.f = () => document.getElementById("project").focus();

// Enter in the reason would press the first button of the form, which claims.
document.getElementById("discard-reason")?.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.isComposing) return;
  event.preventDefault();
  document.querySelector("#discard-dialog [value=discard]").click();
});

follow(() => document.getElementById("tasks").dataset.follows, {
  changed: async () => {
    const chosen = new Set(boxes().filter((box) => box.checked).map((box) => box.value));
    await refresh(location.href);
    for (const box of boxes()) box.checked = chosen.has(box.value);
    showChosen();
  },
});
