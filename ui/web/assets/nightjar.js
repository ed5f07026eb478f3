// What only a browser can do: copy an answer, fold the list of conversations, and name what Gradio leaves without a name.
// Everything else happens on the server; without this script the pages work on, save for these three.
"use strict";

(() => {
  const FOLDED = "nightjar-list-folded";
  const COPIED_MS = 2000;

  const seen = (css) => document.querySelector(css);

  async function copied(text) {
    if (navigator.clipboard && window.isSecureContext) return navigator.clipboard.writeText(text);
    const box = Object.assign(document.createElement("textarea"), { value: text }); // plain http, beyond this machine
    document.body.append(box);
    box.select();
    document.execCommand("copy");
    box.remove();
  }

  function copyAnswer(button) {
    const box = seen(".nj-to-copy textarea, .nj-to-copy input");
    if (!box) return;
    copied(box.value).then(() => {
      button.classList.add("nj-copied");
      setTimeout(() => button.classList.remove("nj-copied"), COPIED_MS);
    });
  }

  const isDesk = () => window.matchMedia("(min-width: 900px)").matches;

  // On a desk the list is there unless it was folded; on a phone only while somebody looks at it.
  function showList(isOpen) {
    seen(".nj-list")?.classList.toggle("nj-open", isOpen);
    seen(".nj-list-button")?.setAttribute("aria-expanded", String(isOpen));
  }

  function toggleList() {
    const isOpen = !seen(".nj-list")?.classList.contains("nj-open");
    if (isDesk()) localStorage.setItem(FOLDED, isOpen ? "" : "yes");
    showList(isOpen);
  }

  document.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (button?.classList.contains("nj-copy")) copyAnswer(button);
    if (button?.classList.contains("nj-list-button")) toggleList();
    const isChosen = event.target.closest(".nj-titles label") || button?.classList.contains("nj-new");
    if (isChosen && !isDesk()) showList(false);
  });

  // Gradio 6.31 gives the box of questions a label that only the eye connects with it.
  function name(css, label) {
    const element = seen(css);
    if (element && element.getAttribute("aria-label") !== label) element.setAttribute("aria-label", label);
  }

  function nameAll() {
    const label = seen(".nj-question [data-testid=block-info]")?.textContent.trim();
    if (label) name(".nj-question textarea", label);
    // Nor does it pass this on: a browser would fill in the password of whoever looks after people.
    document.querySelectorAll(".nj-people input[type=password]").forEach((box) => (box.autocomplete = "new-password"));
    const button = seen(".nj-list-button");
    if (button && seen(".nj-list") && !button.hasAttribute("aria-expanded")) {
      showList(isDesk() && localStorage.getItem(FOLDED) !== "yes");
    }
  }

  new MutationObserver(nameAll).observe(document.documentElement, { childList: true, subtree: true });
  nameAll();
})();
