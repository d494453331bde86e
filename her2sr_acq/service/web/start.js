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

function tellClocks(root) {
  for (const time of root.querySelectorAll("[data-clock]")) time.textContent = clock(time.dateTime);
}

function clock(stamp) {
  const options = { weekday: "short", hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
  return new Date(stamp).toLocaleString(document.documentElement.lang, options);
}

async function draw() {
  const asked = new URLSearchParams({ protocol: field("protocol").value });
  for (const name of ["rows", "columns"]) {
    if (!field(name).checkValidity()) return;
    if (field(name).value) asked.set(name, field(name).value);
  }
  const answer = await fetch(`/parts/plan?${asked}`);
  if (!answer.ok) return;
  field("plan").innerHTML = await answer.text();
  judgeCentre();
  tellClocks(field("plan"));
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
  for (const id of ["protocol", "rows", "columns"]) field(id).addEventListener("change", draw);
  field("check").addEventListener("click", checkAll);
  start.addEventListener("answered", finishSoon);
  tellClocks(document);
}

// While the hardware process starts there is no form yet: the page comes back by itself.
if (!start) setTimeout(() => location.reload(), 3000);
