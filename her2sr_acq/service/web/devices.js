// The page Devices: jog, focus, marks, one picture under its dose limit, newest frame.
"use strict";

const hands = document.getElementById("hands");
const part = (id) => document.getElementById(id);
const KEYS = { ArrowUp: "0,-1,0", ArrowDown: "0,1,0", ArrowLeft: "-1,0,0", ArrowRight: "1,0,0", PageUp: "0,0,1", PageDown: "0,0,-1" };
let held = [];
let isStepping = false;

function filled(text, values) {
  return text.replace(/\{(\w+)\}/g, (_, name) => values[name]);
}

// The word for what a driver says of itself; what is no word of the table stays.
function known(said) {
  return JSON.parse(hands.dataset.readings)[said.toLowerCase().replace(/[^a-z0-9]+/g, "_")] ?? said;
}

async function ask(path, method = "GET", body = undefined) {
  const options = { method, headers: body ? { "content-type": "application/json" } : {}, body: body && JSON.stringify(body) };
  const answer = await (method === "GET" ? fetch(path) : order(path, options));
  const said = await answer.json();
  if (!answer.ok) throw new Error(said.detail);
  return said;
}

function tellStage(stage) {
  const told = { x: stage.x_um.toFixed(1), y: stage.y_um.toFixed(1), z: stage.z_um.toFixed(2) };
  part("where").textContent = filled(hands.dataset.where, told) + (stage.lock ? ` · ${hands.dataset.lock.replace("{state}", known(stage.lock))}` : "");
  if (!stage.x_limits_um) return;
  part("dose-limit").textContent = filled(part("dose-limit").dataset.text, { ceiling: stage.look_ceiling_s });
  const range = ({ low, high }) => `${low} – ${high}`;
  const limits = { x: range(stage.x_limits_um), y: range(stage.y_limits_um), z: range(stage.z_limits_um) };
  part("limits").textContent = filled(hands.dataset.limits, limits);
}

function tellMarks(marks) {
  part("marks").replaceChildren(...marks.marks.map((mark) => {
    const item = document.createElement("li");
    item.textContent = `${mark.name}: ${mark.x_um.toFixed(1)}, ${mark.y_um.toFixed(1)}, ${mark.z_um.toFixed(2)} µm `;
    const go = document.createElement("button");
    go.className = "outline small";
    go.textContent = `→ ${hands.dataset.go}`;
    go.setAttribute("aria-label", `${hands.dataset.go} ${mark.name}`);
    go.addEventListener("click", doing(() => goTo(mark)));
    item.append(go);
    return item;
  }));
  held = marks.marks.map((mark) => mark.name);
  const told = [];
  if (held.filter((name) => name.startsWith("corner-")).length > 1) told.push(filled(hands.dataset.grid, marks));
  const count = held.filter((name) => name.startsWith("region-")).length;
  if (count) told.push(filled(hands.dataset.region, { count }));
  part("marks-told").textContent = told.join(" ");
}

async function goTo(mark) {
  // The focus stays where it is: a mark of long ago says nothing of where it is now.
  await ask("/api/v1/stage/move", "POST", { x_um: mark.x_um, y_um: mark.y_um });
  tellStage(await ask("/api/v1/stage"));
}

async function markAs(event) {
  const kind = event.currentTarget.dataset.mark;
  let number = 1;
  while (held.includes(`region-${number}`)) number += 1;
  const name = kind === "region" ? `region-${number}` : kind;
  tellMarks(await ask("/api/v1/stage/marks", "POST", { name }));
}

function doing(act) {
  return async (event) => {
    event?.preventDefault?.();
    part("hand-message").hidden = true;
    try {
      await act(event);
    } catch (error) {
      part("hand-message").textContent = error.message;
      part("hand-message").hidden = false;
    }
  };
}

async function jog(event) {
  return step(event.currentTarget.dataset.jog);
}

async function step(way) {
  const [x, y, z] = way.split(",").map(Number);
  const across = part("step").valueAsNumber, focus = part("z-step").valueAsNumber;
  tellStage(await ask("/api/v1/stage/jog", "POST", { dx_um: x * across, dy_um: y * across, dz_um: z * focus }));
}

async function snap() {
  const said = await ask("/api/v1/stage/snap", "POST", {
    laser_nm: part("laser").valueAsNumber, power_percent: part("power").valueAsNumber, exposure_ms: part("exposure").valueAsNumber,
  });
  part("dose-line").hidden = false;
  part("dose").max = said.ceiling_s;
  part("dose").value = said.dose_s;
  part("dose-told").textContent = filled(hands.dataset.dose, { dose: said.dose_s.toPrecision(2), ceiling: said.ceiling_s });
  show16(said);
  tellStage(said.stage);
}

const MARKS = { good: "✓", bad: "✕", note: "ℹ" };
const CLASSES = { good: "ok", bad: "bad", note: "note" };

async function examine() {
  const button = part("examine"), words = part("doctor").dataset;
  button.disabled = true;
  try {
    const said = await ask("/api/v1/doctor", "POST");
    // What needs somebody comes first; the rest keeps the doctor's order.
    const urgency = { bad: 0, note: 1, good: 2 };
    const found = [...said.found].sort((a, b) => urgency[a.state] - urgency[b.state]);
    part("found").replaceChildren(...found.map((one) => {
      const item = document.createElement("li");
      item.className = CLASSES[one.state];
      const head = document.createElement("strong");
      head.textContent = `${MARKS[one.state]} ${one.subject} `;
      head.title = words[one.state];
      item.append(head, one.detail);
      return item;
    }));
    const bad = found.filter((one) => one.state === "bad").length;
    const time = new Date(said.taken_utc).toLocaleTimeString(document.documentElement.lang);
    part("doctor-told").textContent = filled(words.told, { bad, count: found.length, time });
    part("doctor-told").hidden = false;
  } finally {
    button.disabled = false;
  }
}

const LOOK_S = 60, LOOK_MS = 400;
let lookUntil = 0;

function stopLooking() {
  lookUntil = 0;
  const button = part("look-on");
  button.setAttribute("aria-pressed", "false");
  button.textContent = button.dataset.off;
  part("looking").hidden = true;
}

async function keepLooking() {
  // One picture after another, each counted; a forgotten tab bleaches nothing for long.
  try {
    while (Date.now() < lookUntil && !document.hidden && !part("current-run")) {
      const seconds = Math.ceil((lookUntil - Date.now()) / 1000);
      part("looking").textContent = filled(part("looking").dataset.text, { seconds });
      part("looking").hidden = false;
      await snap();
      await new Promise((done) => setTimeout(done, LOOK_MS));
    }
  } finally {
    stopLooking();
  }
}

async function lookOn() {
  if (lookUntil) return stopLooking();
  if (!part("snap").reportValidity()) return;
  lookUntil = Date.now() + 1000 * LOOK_S;
  const button = part("look-on");
  button.setAttribute("aria-pressed", "true");
  button.textContent = button.dataset.on;
  await keepLooking();
}

function show16(picture) {
  const raw = Uint8Array.from(atob(picture.adu_base64), (c) => c.charCodeAt(0));
  const adu = new Uint16Array(raw.buffer);
  const sorted = adu.slice().sort();
  const low = sorted[Math.floor(0.01 * (sorted.length - 1))], high = sorted[Math.floor(0.998 * (sorted.length - 1))];
  const canvas = part("picture");
  canvas.width = picture.width;
  canvas.height = picture.height;
  const image = new ImageData(picture.width, picture.height);
  adu.forEach((value, i) => {
    const grey = (255 * (value - low)) / Math.max(high - low, 1);
    image.data.set([grey, grey, grey, 255], 4 * i);
  });
  canvas.getContext("2d").putImageData(image, 0, 0);
  canvas.hidden = false;
}

async function look() {
  // Asked for only while a run goes on: without one there is no new frame to wait for.
  if (document.hidden || !part("current-run")) return;
  const answer = await fetch("/api/v1/live.jpg");
  if (!answer.ok) return;
  // The content policy lets no page show a picture it holds in memory: it is drawn.
  const picture = await createImageBitmap(await answer.blob());
  part("live").width = picture.width;
  part("live").height = picture.height;
  part("live").getContext("2d").drawImage(picture, 0, 0);
  picture.close();
  part("live").hidden = false;
  part("live-told").textContent = `${answer.headers.get("x-unit")} · ${answer.headers.get("x-frame")} · ${answer.headers.get("x-age-s")} s`;
}

for (const button of document.querySelectorAll("[data-jog]")) button.addEventListener("click", doing(jog));
for (const button of document.querySelectorAll("[data-mark]")) button.addEventListener("click", doing(markAs));
part("examine").addEventListener("click", doing(examine));
part("look-on").addEventListener("click", doing(lookOn));
document.querySelector(".pad").addEventListener("keydown", async (event) => {
  const way = KEYS[event.key];
  if (!way || part("current-run")) return;
  event.preventDefault();
  // A key that is held repeats faster than a stage moves: what comes meanwhile is lost.
  if (isStepping) return;
  isStepping = true;
  await doing(() => step(way))();
  isStepping = false;
});
part("snap").addEventListener("submit", doing(snap));
part("mark").addEventListener("submit", doing(async () => tellMarks(await ask("/api/v1/stage/marks", "POST", { name: part("mark-name").value }))));
part("clear-marks").addEventListener("click", doing(async () => {
  if (confirm(hands.dataset.clearAsk)) tellMarks(await ask("/api/v1/stage/marks", "DELETE"));
}));
if (!part("current-run")) {
  doing(async () => tellStage(await ask("/api/v1/stage")))();
  doing(async () => tellMarks(await ask("/api/v1/stage/marks")))();
}

function unlock() {
  const isBusy = Boolean(part("current-run"));
  part("busy").hidden = !isBusy;
  for (const button of document.querySelectorAll("[data-jog], [data-mark], #marks button, #mark button, #snap button")) button.disabled = isBusy;
}

unlock();
setInterval(unlock, 1000);
setInterval(() => look().catch(() => {}), 1000);
