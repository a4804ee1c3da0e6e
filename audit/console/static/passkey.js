// A form with data-passkey holds a browser's options as JSON; its button asks the authenticator and sends what it says.
"use strict";
const toBytes = (text) => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0));
const toText = (bytes) =>
  btoa(String.fromCharCode(...new Uint8Array(bytes))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");

async function ask(form) {
  const options = JSON.parse(form.dataset.passkey);
  options.challenge = toBytes(options.challenge);
  const known = options.allowCredentials || options.excludeCredentials || [];
  for (const each of known) each.id = toBytes(each.id);
  if (form.dataset.make) options.user.id = toBytes(options.user.id);
  const made = form.dataset.make
    ? await navigator.credentials.create({ publicKey: options })
    : await navigator.credentials.get({ publicKey: options });
  const said = {};
  for (const name of ["clientDataJSON", "attestationObject", "authenticatorData", "signature", "userHandle"]) {
    if (made.response[name]) said[name] = toText(made.response[name]);
  }
  return JSON.stringify({ id: made.id, rawId: toText(made.rawId), type: made.type, response: said });
}

document.addEventListener("DOMContentLoaded", () => {
  for (const form of document.querySelectorAll("[data-passkey]")) {
    form.querySelector("button").addEventListener("click", async () => {
      const failed = form.querySelector("[role=status]");
      failed.textContent = "";
      try {
        form.elements.answer.value = await ask(form);
        form.requestSubmit();
      } catch (error) {
        failed.textContent = failed.dataset.failed;
      }
    });
  }
});
