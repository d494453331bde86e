// Fields of a run chosen over its overview: by mouse, by keyboard, by rule, by region.
"use strict";

const LOOKING_MS = 4000;
const holder = document.getElementById("choice");
let chosen = [];
let known = "";
let shownOn = 0;

const card = () => document.getElementById("choosing");
const places = () => [...holder.querySelectorAll("button.place")];
const worded = (text, values) => text.replace(/\{(\w+)\}/g, (_, name) => values[name]);

function lay() {
  // The content policy forbids style attributes in the page; scripts may set them.
  const mosaic = holder.querySelector(".mosaic");
  if (!mosaic) return;
  mosaic.style.aspectRatio = mosaic.dataset.aspect;
  for (const place of mosaic.querySelectorAll(".place")) {
    const { left, top, wide, high } = place.dataset;
    Object.assign(place.style, { left: `${left}%`, top: `${top}%`, width: `${wide}%`, height: `${high}%` });
  }
}

function tell() {
  for (const place of places()) {
    const order = chosen.indexOf(place.dataset.field) + 1;
    place.setAttribute("aria-pressed", String(order > 0));
    place.classList.toggle("chosen", order > 0);
    place.querySelector(".pick").textContent = order ? `✓${order}` : "";
    const told = [place.dataset.field, place.dataset.told, place.dataset.figure];
    if (order) told.push(worded(card().dataset.as, { order }));
    place.setAttribute("aria-label", told.filter(Boolean).join(", "));
  }
  const count = { count: chosen.length, most: card().dataset.most };
  document.getElementById("chosen-count").textContent = worded(card().dataset.count, count);
  document.getElementById("start-bursts").disabled = chosen.length === 0;
}

function complain(text) {
  const message = card().querySelector(".message");
  message.textContent = text;
  message.hidden = !text;
}

function toggle(field) {
  complain("");
  const most = Number(card().dataset.most);
  if (chosen.includes(field)) chosen = chosen.filter((name) => name !== field);
  else if (chosen.length < most) chosen = [...chosen, field];
  else complain(worded(card().dataset.full, { most }));
  tell();
}

function look(place) {
  const picture = document.getElementById("near-picture");
  picture.hidden = !place.dataset.picture;
  if (place.dataset.picture) picture.src = place.dataset.picture;
  const told = [place.dataset.field, place.dataset.told, place.dataset.figure];
  document.getElementById("near-told").textContent = told.filter(Boolean).join(" · ");
}

const STEPS = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };

function walk(event) {
  const here = event.target.closest("button.place");
  const step = STEPS[event.key];
  if (!here || !step) return;
  event.preventDefault();
  const row = Number(here.dataset.row) + step[0], column = Number(here.dataset.column) + step[1];
  const next = places().find((p) => Number(p.dataset.row) === row && Number(p.dataset.column) === column);
  if (!next) return;
  here.tabIndex = -1;
  next.tabIndex = 0;
  next.focus();
}

async function takeRegion(input) {
  complain("");
  const file = input.files[0];
  if (!file) return;
  try {
    const regions = JSON.parse(await file.text());
    const path = `/api/v1/runs/${runId}/selection/regions`;
    const headers = { "content-type": "application/json" };
    const answer = await order(path, { method: "POST", headers, body: JSON.stringify({ regions: Array.isArray(regions) ? { type: "FeatureCollection", features: regions } : regions }) });
    const said = await answer.json();
    if (!answer.ok) throw new Error(said.detail);
    const most = Number(card().dataset.most);
    chosen = said.fields.slice(0, most);
    tell();
    const left = said.fields.length - chosen.length;
    if (!said.fields.length) complain(card().dataset.outside);
    else if (left) complain(worded(card().dataset.inside, { count: chosen.length, left }));
  } catch (error) {
    complain(error.message);
  } finally {
    input.value = "";
  }
}

function countDown() {
  const line = holder.querySelector("[data-until]");
  if (!line) return;
  const seconds = Math.round((new Date(line.dateTime) - Date.now()) / 1000);
  const time = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
  line.textContent = seconds > 0 ? worded(card().dataset.left, { time }) : card().dataset.over;
}

function offer() {
  const form = document.getElementById("choice-form");
  form.complete = (body) => { body.fields = chosen; };
  form.addEventListener("answered", load);
  for (const place of places()) {
    place.addEventListener("click", () => toggle(place.dataset.field));
    for (const kind of ["focus", "mouseenter"]) place.addEventListener(kind, () => look(place));
  }
  document.getElementById("places").addEventListener("keydown", walk);
  document.getElementById("suggest").addEventListener("click", () => {
    complain("");
    chosen = JSON.parse(card().dataset.suggested);
    tell();
  });
  document.getElementById("clear-choice").addEventListener("click", () => {
    complain("");
    chosen = [];
    tell();
  });
  const input = document.getElementById("region-file");
  input.addEventListener("change", () => takeRegion(input));
  tell();
  countDown();
}

async function load() {
  const answer = await fetch(`/parts/runs/${runId}/choice`);
  if (!answer.ok) return;
  const text = await answer.text();
  shownOn = Date.now();
  if (text === known) return;
  known = text;
  holder.innerHTML = text;
  chosen = [];
  settleIn();
}

function settleIn() {
  lay();
  if (card()?.dataset.state === "open") offer();
}

function isStale() {
  // While somebody chooses nothing is drawn anew under the hand, unless it is over.
  const state = card()?.dataset.state ?? "";
  const waits = Boolean(document.getElementById("awaits"));
  if (state === "open") return !waits;
  return waits || (state === "looking" && Date.now() - shownOn > LOOKING_MS);
}

settleIn();
setInterval(() => { if (!document.hidden && isStale()) load().catch(() => {}); }, 700);
setInterval(countDown, 1000);
