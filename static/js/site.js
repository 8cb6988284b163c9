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

  // A reply form is fetched under its post once; put away, it keeps what was typed.
  const write = (place) => {
    place.hidden = false;
    const box = place.querySelector("textarea");
    if (box) box.focus();
  };
  document.addEventListener("htmx:beforeRequest", (event) => {
    const place = event.detail.target;
    if (!place.matches("[data-reply]") || !place.querySelector("form")) return;
    event.preventDefault();
    write(place);
  });
  document.addEventListener("htmx:afterSwap", (event) => {
    if (event.detail.target.matches("[data-reply]")) write(event.detail.target);
  });
  document.addEventListener("click", (event) => {
    const link = event.target.closest("[data-close-reply]");
    const place = link && link.closest("[data-reply]");
    if (!place) return;
    event.preventDefault();
    place.hidden = true;
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

  // What htmx could not do is said on the page: to leave it would lose what was typed.
  const status = document.getElementById("status");
  const notice = document.createElement("p");
  notice.className = "notice";
  notice.setAttribute("aria-hidden", "true"); // it is the status that is read out
  const say = (event, words) => {
    status.textContent = notice.textContent = words || status.dataset.noAnswer;
    event.detail.target.prepend(notice);
  };
  document.addEventListener("htmx:beforeRequest", () => {
    notice.remove();
    status.textContent = "";
  });
  document.addEventListener("htmx:sendError", (event) => say(event));
  document.addEventListener("htmx:timeout", (event) => say(event));

  // A form that was refused is sent again by the browser, whose page tells all. Where that would
  // cost more (an allowance, a letter typed, a reply half written) the answer's headline must do.
  const writing = () =>
    [...document.querySelectorAll("textarea")].some((box) => box.value !== box.defaultValue);
  document.addEventListener("htmx:responseError", (event) => {
    const { elt, xhr, requestConfig } = event.detail;
    const cause = requestConfig.triggeringEvent;
    if (cause && cause.type === "submit" && xhr.status !== 429 && !writing()) return elt.submit();
    const page = new DOMParser().parseFromString(xhr.responseText, "text/html");
    const headline = page.querySelector("main h1");
    say(event, headline && headline.textContent);
  });
})();
