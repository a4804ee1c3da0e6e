// What HTMX does not do: move the focus to what a page has to say first, and print.
"use strict";
document.addEventListener("DOMContentLoaded", () => {
  const first = document.querySelector("[data-focus]");
  if (first) first.focus();
  for (const button of document.querySelectorAll("[data-print]")) button.addEventListener("click", () => window.print());
  // A form that was sent once is not sent again by a second Enter.
  for (const form of document.querySelectorAll("form")) {
    form.addEventListener("submit", (event) => {
      if (form.dataset.sent) event.preventDefault();
      form.dataset.sent = "yes";
    });
  }
});
// A page that the browser kept in memory must not come back after the sign-out.
window.addEventListener("pageshow", (event) => {
  if (event.persisted) window.location.reload();
});
