// Small behaviours of the house. Every page works without them.
(() => {
  "use strict";

  // Open menus close with Escape or a click elsewhere.
  const closeMenus = (keep) => {
    for (const menu of document.querySelectorAll("[data-menu][open]")) {
      if (menu !== keep) menu.open = false;
    }
  };
  document.addEventListener("click", (event) => closeMenus(event.target.closest("[data-menu]")));
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    const menu = event.target.closest("[data-menu][open]");
    closeMenus(null);
    if (menu) menu.querySelector("summary").focus();
  });

  // A reply form fetched under a post: write at once, or put it away.
  document.addEventListener("htmx:afterSwap", (event) => {
    if (!event.detail.target.matches("[data-reply]")) return;
    const box = event.detail.target.querySelector("textarea");
    if (box) box.focus();
  });
  document.addEventListener("click", (event) => {
    const link = event.target.closest("[data-close-reply]");
    const place = link && link.closest("[data-reply]");
    if (!place) return;
    event.preventDefault();
    place.replaceChildren();
    const back = document.querySelector(`[hx-target="#${place.id}"]`);
    if (back) back.focus();
  });

  // Folded spoilers can all be opened at once by somebody who has read the book.
  const opener = document.querySelector("[data-open-spoilers]");
  const folded = document.querySelectorAll(".post .spoiler");
  if (opener && folded.length > 1) {
    opener.hidden = false;
    opener.addEventListener("click", () => {
      for (const spoiler of folded) spoiler.open = true;
      opener.hidden = true;
      folded[0].querySelector("summary").focus();
    });
  }

  // What htmx cannot finish, the browser does: its answer is a page that says why.
  const plainly = (event) => {
    const source = event.detail.elt;
    if (source.tagName === "FORM") source.submit();
    else if (source.tagName === "A") location.assign(source.href);
  };
  document.addEventListener("htmx:responseError", plainly);
  document.addEventListener("htmx:sendError", plainly);
})();
