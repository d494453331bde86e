// The page Start: scanner, preview, pre-flight list, several slides a night.
"use strict";

const start = document.getElementById("start");
const field = (id) => document.getElementById(id);
const CENTRE = ["centre-x", "centre-y"];

function refused(sample) {
  for (const [pattern, reason, mustMatch] of JSON.parse(start.dataset.rules)) {
    if (new RegExp(pattern).test(sample) !== mustMatch) return reason;
  }
  return "";
}

function judgeSample() {
  const reason = field("sample").value ? refused(field("sample").value) : "";
  field("sample").setCustomValidity(reason);
  field("sample-refused").textContent = reason;
  field("sample-refused").hidden = !reason;
  field("sample").setAttribute("aria-invalid", String(Boolean(reason)));
  return !reason;
}

let drawn = 0;

async function draw() {
  const asked = new URLSearchParams({ protocol: field("protocol").value });
  for (const name of ["rows", "columns"]) {
    if (!field(name).checkValidity()) return;
    if (field(name).value) asked.set(name, field(name).value);
  }
  if (judgeSample() && field("sample").value) asked.set("sample", field("sample").value);
  if (CENTRE.every((id) => field(id).value)) {
    for (const id of CENTRE) asked.set(id.replace("-", "_"), field(id).value);
  }
  if (field("choose").value) asked.set("choose", field("choose").value);
  if (field("select-fields").value) asked.set("most", field("select-fields").value);
  const turn = ++drawn;
  const answer = await fetch(`/parts/plan?${asked}`);
  const text = await answer.text();
  // Answers may overtake one another: the last question counts.
  if (!answer.ok || turn !== drawn) return;
  field("plan").innerHTML = text;
  judgeCentre();
  offerChoice();
  tellClocks(field("plan"));
}

function offerChoice() {
  // Only a protocol that looks over its tiles first has anything to choose from.
  const own = field("plan-drawing")?.dataset.select ?? "";
  field("select-options").hidden = !own;
  const way = own && (field("choose").value || own);
  for (const option of document.querySelectorAll("[data-for]")) {
    option.hidden = !option.dataset.for.split(" ").includes(way);
  }
}

function say(id, text) {
  field(id).textContent = text;
  field(id).hidden = !text;
}

function filled(text, values) {
  return text.replace(/\{(\w+)\}/g, (_, name) => values[name]);
}

async function asking(path, id) {
  const answer = await fetch(path);
  const said = await answer.json();
  if (!answer.ok) say(id, said.detail);
  return answer.ok ? said : null;
}

function centreOn(x, y) {
  CENTRE.forEach((id, n) => { field(id).value = [x, y][n].toFixed(2); });
  judgeCentre();
}

async function takeHere() {
  const here = await asking("/api/v1/stage", "centre-said");
  if (!here) return;
  centreOn(here.x_um, here.y_um);
  say("centre-said", field("centre-said").dataset.here);
  draw();
}

async function takeCorners() {
  const found = await asking("/api/v1/stage/marks", "centre-said");
  if (!found) return;
  if (!found.centre_um) return say("centre-said", field("centre-said").dataset.none);
  centreOn(...found.centre_um);
  field("rows").value = found.rows;
  field("columns").value = found.columns;
  say("centre-said", filled(field("centre-said").dataset.marks, found));
  draw();
}

async function takeRegion() {
  const found = await asking("/api/v1/stage/marks", "region-said");
  if (!found) return;
  start.region = found.region ?? undefined;
  const told = field("region-said").dataset;
  const count = (found.region?.geometry.coordinates[0].length ?? 1) - 1;
  say("region-said", found.region ? filled(told.marks, { count }) : told.none);
}

async function readRegion() {
  const file = field("region-file").files[0];
  start.region = undefined;
  if (!file) return;
  try {
    const read = JSON.parse(await file.text());
    start.region = Array.isArray(read) ? { type: "FeatureCollection", features: read } : read;
    say("region-said", filled(field("region-said").dataset.file, { name: file.name }));
  } catch {
    say("region-said", field("region-said").dataset.wrong);
  }
}

function choice() {
  // What the form says of the choice of fields, as overrides of the protocol.
  const wanted = {};
  if (field("select-options").hidden) return wanted;
  if (field("choose").value) wanted["select.choose"] = field("choose").value;
  for (const name of ["fields", "seed"]) {
    const given = field(`select-${name}`);
    if (given.value && !given.closest("[data-for]").hidden) wanted[`select.${name}`] = given.valueAsNumber;
  }
  if (field("choose").value === "regions" && start.region) wanted["select.regions"] = start.region;
  return wanted;
}

function line(check) {
  const item = document.createElement("li");
  item.className = check.ok ? "ok" : "bad";
  const state = check.ok ? start.dataset.ready : start.dataset.notReady;
  const mark = document.createElement("strong");
  mark.textContent = `${check.ok ? "✓" : "✕"} ${check.subject}`;
  mark.title = state;
  item.append(mark, ` ${check.detail}`);
  return item;
}

function judgeCentre() {
  // One of two coordinates is a slip of the finger, and no place.
  const given = CENTRE.filter((id) => field(id).value).length;
  for (const id of CENTRE) field(id).required = given === 1;
  // What the fields above say holds; the protocol's own centre would contradict it.
  if (field("plan-centre")) field("plan-centre").hidden = given === CENTRE.length;
}

async function checkAll() {
  judgeSample();
  start.pressed = undefined;
  if (!start.reportValidity()) return;
  const answer = await fetch("/api/v1/preflight", {
    method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(request(start)),
  });
  const said = await answer.json();
  field("checks-hint").hidden = true;
  field("checks").replaceChildren(...(answer.ok ? said.checks : [{ ok: false, subject: "", detail: said.detail }]).map(line));
  field("finish").hidden = !(answer.ok && said.finish_utc);
  if (said.finish_utc) field("finish-time").textContent = clock(said.finish_utc);
}

function finishSoon(event) {
  const said = event.detail;
  if (!said.id) return;
  if (start.pressed !== "queue") return location.assign(`/runs/${said.id}`);
  field("said").textContent = start.dataset.queued.replace("{run}", said.id);
  field("said").hidden = false;
  start.querySelector(".message").hidden = true;
  start.key = undefined;
  field("sample").value = "";
  field("sample").focus();
}

if (start) {
  start.complete = (body) => {
    // The field tells the clock of this browser; the service wants an offset with it.
    if (start.pressed === "queue") body.queue = true;
    const [x, y] = CENTRE.map((id) => field(id).value);
    if (x && y) (body.overrides ??= {})["grid.centre"] = [Number(x), Number(y)];
    const chosen = choice();
    if (Object.keys(chosen).length) Object.assign(body.overrides ??= {}, chosen);
    const at = field("not-before").value;
    if (at) body.not_before = new Date(at).toISOString();
  };
  field("sample").addEventListener("input", judgeSample);
  field("sample").addEventListener("keydown", (event) => {
    // A scanner ends with Enter: it goes on to the checks and never starts a run.
    if (event.key !== "Enter") return;
    event.preventDefault();
    if (!judgeSample() || !field("sample").value) return;
    const next = field("operator").value ? field("check") : field("operator");
    next.focus();
    if (next === field("check")) checkAll();
  });
  for (const id of CENTRE) field(id).addEventListener("input", judgeCentre);
  const drawn = ["protocol", "rows", "columns", "sample", ...CENTRE, "choose", "select-fields"];
  for (const id of drawn) field(id).addEventListener("change", draw);
  field("centre-here").addEventListener("click", takeHere);
  field("centre-marks").addEventListener("click", takeCorners);
  field("region-marks").addEventListener("click", takeRegion);
  field("region-file").addEventListener("change", readRegion);
  offerChoice();
  field("check").addEventListener("click", checkAll);
  start.addEventListener("answered", finishSoon);
  tellClocks(document);
}

// While the hardware process starts there is no form yet: the page comes back by itself.
if (!start) setTimeout(() => location.reload(), 3000);
