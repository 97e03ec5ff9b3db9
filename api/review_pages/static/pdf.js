// The PDFs of a task of data: images of their pages, which the server makes when they come into sight.
"use strict";

function pageCannotBeShown(image) {
  const words = document.createElement("p");
  words.className = "hint";
  words.textContent = `${image.alt} cannot be shown. Save the PDF to see it.`;
  image.replaceWith(words);
}

function watchPage(image) {
  if (image.complete && image.currentSrc && !image.naturalWidth) pageCannotBeShown(image);
  else image.addEventListener("error", () => pageCannotBeShown(image));
}

async function showPdf(shown) {
  const first = shown.querySelector("img");
  const answer = await fetch(shown.dataset.pdf);
  if (!answer.ok) return;
  const { page_count: count, shown: most } = await answer.json();
  for (let number = 2; number <= most; number += 1) {
    const image = first.cloneNode();
    image.src = first.src.replace("/pages/1?", `/pages/${number}?`);
    image.alt = first.alt.replace("Page 1 of", `Page ${number} of`);
    watchPage(image);
    shown.append(image);
  }
  const words = shown.parentNode.querySelector("[data-pages-of]");
  const pages = `${count} ${count === 1 ? "page" : "pages"}`;
  words.textContent = most < count ? `${pages}, the first ${most} are shown` : pages;
}

for (const shown of all("[data-pdf]")) {
  watchPage(shown.querySelector("img"));
  showPdf(shown).catch(() => {}); // the first page is there without, and the PDF can be saved
}
