// The page Devices: jog, focus, marks, one picture under its dose limit, newest frame.
"use strict";

const hands = document.getElementById("hands");
const part = (id) => document.getElementById(id);

function filled(text, values) {
  return text.replace(/\{(\w+)\}/g, (_, name) => values[name]);
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
  part("where").textContent = filled(hands.dataset.where, told) + (stage.lock ? ` · ${stage.lock}` : "");
}

function tellMarks(marks) {
  part("marks").replaceChildren(...marks.marks.map((mark) => {
    const item = document.createElement("li");
    item.textContent = `${mark.name}: ${mark.x_um.toFixed(1)}, ${mark.y_um.toFixed(1)}, ${mark.z_um.toFixed(2)} µm`;
    return item;
  }));
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
  const [x, y, z] = event.currentTarget.dataset.jog.split(",").map(Number);
  const step = part("step").valueAsNumber, focus = part("z-step").valueAsNumber;
  tellStage(await ask("/api/v1/stage/jog", "POST", { dx_um: x * step, dy_um: y * step, dz_um: z * focus }));
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
  for (const button of document.querySelectorAll("[data-jog], #mark button, #snap button")) button.disabled = isBusy;
}

unlock();
setInterval(unlock, 1000);
setInterval(() => look().catch(() => {}), 1000);
