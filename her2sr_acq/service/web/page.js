// Keeps the moving part of a page fresh and sends its forms to the REST interface.
"use strict";

const PERIOD_MS = 1500;
const READING_MS = 8000;

function place(root) {
  // The content policy forbids style attributes in the page; scripts may set them.
  for (const map of root.querySelectorAll(".tiles")) {
    map.style.gridTemplateColumns = `repeat(${map.dataset.columns}, minmax(0, 1fr))`;
  }
  for (const tile of root.querySelectorAll(".tile")) {
    tile.style.gridRow = tile.dataset.row;
    tile.style.gridColumn = tile.dataset.column;
  }
}

function tellClocks(root) {
  for (const time of root.querySelectorAll("[data-clock]")) time.textContent = clock(time.dateTime);
}

// The clock of this browser, as a person reads it; records are in UTC.
function clock(stamp) {
  const options = { weekday: "short", hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
  return new Date(stamp).toLocaleString(document.documentElement.lang, options);
}

function away(isAway) {
  document.getElementById("away").hidden = !isAway;
}

async function refresh(part) {
  let text;
  try {
    const answer = await fetch(part.dataset.part + location.search);
    if (answer.status === 401) location.assign(loginPage());
    if (!answer.ok) throw new Error(answer.statusText);
    text = await answer.text();
    part.classList.remove("stale");
    away(false);
  } catch {
    part.classList.add("stale");
    away(true);
    return;
  }
  const isRead = Date.now() < (part.keptUntil ?? 0) || part.contains(document.activeElement) || part.querySelector("input:checked");
  if (text !== part.last && !isRead) {
    part.innerHTML = text;
    part.last = text;
    place(part);
  }
}

function request(form) {
  const body = {};
  for (const [name, value] of new FormData(form)) {
    if (value === "") continue;
    if (name.startsWith("overrides.")) {
      body.overrides = body.overrides || {};
      body.overrides[name.slice("overrides.".length)] = Number(value);
    } else if (name.endsWith("[]")) {
      (body[name.slice(0, -2)] ??= []).push(value);
    } else {
      body[name] = value;
    }
  }
  form.complete?.(body);
  return body;
}

function settle(part) {
  // What was asked for is done: the form that asked goes with what made it needful.
  document.activeElement.blur();
  part.keptUntil = 0;
  return refresh(part);
}

function saying(said) {
  return said.dark ? document.body.dataset.dark : document.body.dataset.notDark;
}

function show(form, text) {
  const message = form.querySelector(".message");
  message.textContent = text;
  message.hidden = false;
  const part = form.closest("[data-part]");
  if (part) part.keptUntil = Date.now() + READING_MS;
}

async function send(form) {
  const body = request(form);
  const headers = { "content-type": "application/json" };
  if (body.protocol) headers["idempotency-key"] = form.key ??= crypto.randomUUID();
  const answer = await order(form.dataset.post, {
    method: "POST",
    headers,
    body: JSON.stringify(body),
  });
  const said = await answer.json();
  if (answer.ok) {
    const part = form.closest("[data-part]");
    if (!("stays" in form.dataset)) location.assign(`/runs/${said.id}`);
    else if (part) settle(part);
    else if ("dark" in said) {
      // The latch stands in the line of what goes on now: not a period later.
      show(form, saying(said));
      const now = document.getElementById("now");
      if (now) refresh(now);
    }
    form.dispatchEvent(new CustomEvent("answered", { detail: said, bubbles: true }));
    return;
  }
  form.key = undefined;
  throw new Error(said.detail);
}

document.addEventListener("submit", async (event) => {
  const form = event.target;
  if (!form.dataset.post) return;
  event.preventDefault();
  if (form.dataset.confirm && !confirm(form.dataset.confirm)) return;
  form.pressed = event.submitter?.value;
  const button = event.submitter ?? form.querySelector("button");
  button.disabled = true;
  try {
    await send(form);
  } catch (error) {
    show(form, error.message);
  } finally {
    button.disabled = false;
  }
});

place(document);
for (const part of document.querySelectorAll("[data-part]")) {
  const timer = setInterval(() => {
    if (part.querySelector("[data-settled]")) clearInterval(timer);
    else refresh(part);
  }, PERIOD_MS);
}

const SOUND_KEY = "her2sr-sounds";

function beep() {
  const audio = new AudioContext();
  const tone = audio.createOscillator(), volume = audio.createGain();
  volume.gain.value = 0.2;
  tone.frequency.value = 880;
  tone.connect(volume).connect(audio.destination);
  tone.start();
  tone.stop(audio.currentTime + 0.5);
  tone.onended = () => audio.close();
}

function watchAlarms(line) {
  const signs = () => ({ bad: line.querySelectorAll(".trouble").length, run: Boolean(line.querySelector("#current-run")) });
  let before = signs();
  new MutationObserver(() => {
    const now = signs();
    const isAlarm = now.bad > before.bad || (before.run && !now.run);
    if (isAlarm && localStorage.getItem(SOUND_KEY) === "on") beep();
    before = now;
  }).observe(line, { childList: true });
}

if (document.getElementById("now")) watchAlarms(document.getElementById("now"));
