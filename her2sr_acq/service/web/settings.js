// The page Settings: users and tokens for admins, the sound of this browser.
"use strict";

function told(form) {
  const body = {};
  for (const input of form.querySelectorAll("[name]")) {
    if (input.dataset.kind === "flag") body[input.name] = input.value === "true";
    else body[input.name] = input.dataset.kind === "number" ? Number(input.value) : input.value;
  }
  return body;
}

async function submitChange(form) {
  const body = told(form);
  let [method, path] = form.dataset.send.split(" ");
  if (path.includes("{user}")) {
    path = path.replace("{user}", encodeURIComponent(body.user));
    delete body.user;
  }
  const sent = method === "DELETE" ? {} : { headers: { "content-type": "application/json" }, body: JSON.stringify(body) };
  const answer = await fetch(path, { method, ...sent });
  const said = answer.status === 204 ? {} : await answer.json();
  if (!answer.ok) throw new Error(said.detail);
  if (!said.text) return location.reload();
  const once = document.getElementById("once");
  once.textContent = once.dataset.text.replace("{token}", said.text);
  once.hidden = false;
}

for (const form of document.querySelectorAll("[data-send]")) {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (form.dataset.ask && !confirm(form.dataset.ask)) return;
    try {
      await submitChange(form);
    } catch (error) {
      const message = document.getElementById("user-message");
      message.textContent = error.message;
      message.hidden = false;
    }
  });
}

const sounds = document.getElementById("sounds");
sounds.checked = localStorage.getItem(SOUND_KEY) === "on";
sounds.addEventListener("change", () => localStorage.setItem(SOUND_KEY, sounds.checked ? "on" : "off"));
document.getElementById("sound-try").addEventListener("click", beep);
