// Keeps the page of a run live: events where they come, polling where they do not.
"use strict";

const LIVE_MS = 250;
const GROWING_MS = 2000;
const runPart = document.getElementById("run-part");
const runId = runPart.dataset.run;
let lostAt = null;

function connected(isConnected) {
  const line = document.getElementById("since");
  lostAt = isConnected ? null : (lostAt ?? new Date());
  line.hidden = isConnected;
  if (lostAt) line.textContent = line.dataset.text.replace("%", lostAt.toLocaleTimeString(document.documentElement.lang));
}

function follow() {
  const events = new EventSource("/api/v1/events");
  const look = () => refresh(runPart);
  events.addEventListener("open", () => connected(true));
  // The browser comes back by itself with the id of the last event; the polling of the
  // page goes on meanwhile.
  events.addEventListener("error", () => {
    if (events.readyState === EventSource.CLOSED) {
      connected(false);
      setTimeout(follow, 3000);
    }
  });
  events.addEventListener("run", (event) => {
    if (JSON.parse(event.data).id === runId) look();
  });
  for (const kind of ["health", "trouble", "reset"]) events.addEventListener(kind, look);
}

async function draw(canvas, answer) {
  const bitmap = await createImageBitmap(await answer.blob());
  canvas.width = bitmap.width;
  canvas.height = bitmap.height;
  canvas.getContext("2d").drawImage(bitmap, 0, 0);
  bitmap.close();
}

async function live() {
  const line = document.getElementById("live-age");
  const answer = await fetch("/api/v1/live.jpg?optional=true");
  if (answer.status !== 200 || answer.headers.get("x-run") !== runId) return;
  const said = (name) => answer.headers.get(name);
  await draw(document.getElementById("live-picture"), answer);
  const text = line.dataset.text.replace("%u", said("x-unit")).replace("%f", said("x-frame"));
  const origin = said("x-source") === "stream" ? line.dataset.stream : line.dataset.disk;
  line.textContent = `${text.replace("%a", said("x-age-s"))} (${origin})`;
}

async function growing() {
  const line = document.getElementById("growing-line");
  const answer = await fetch(`/api/v1/runs/${runId}/growing.png`);
  if (answer.status !== 200) return;
  const said = (name) => answer.headers.get(name);
  await draw(document.getElementById("growing-picture"), answer);
  line.textContent = line.dataset.text.replace("%u", said("x-unit"))
    .replace("%c", said("x-localizations")).replace("%f", said("x-frames"));
  document.querySelector("#per-frame polyline").setAttribute("points", said("x-trace"));
}

async function repeat(act, pauseMs) {
  // One at a time: a slow answer makes the next one later, never two.
  if (!document.hidden) {
    try {
      await act();
      connected(true);
    } catch {
      connected(false);
    }
  }
  setTimeout(repeat, pauseMs, act, pauseMs);
}

tellClocks(document);
new MutationObserver(() => tellClocks(runPart)).observe(runPart, { childList: true });
if (document.getElementById("live-picture")) {
  repeat(live, LIVE_MS);
  repeat(growing, GROWING_MS);
}
follow();
