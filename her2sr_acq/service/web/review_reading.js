// A blind reading by keyboard: the server tells neither arm nor nucleus nor any count.
import { ask, base, doing, make } from "./review_api.js";

const WHY = ["overlaps another", "cut by the section or rim", "out of focus", "no nucleus", "damaged or debris"];
const KEYS = "digits: HER2, Enter, CEP17, Enter · Backspace: clear · ← → : back, next · X then 1–5: exclude · U: unsure · Z: undo · C: colours";
let reading, at = 1, colours = "safe", part = "her2", typed = { her2: "", cep17: "" }, unsure = false, excluding = false, waiting = Promise.resolve(), refresh;
const place = document.getElementById("reading");

export async function openReading(review, onSigned) {
  refresh = onSigned;
  if (!review.own_reading) return offer(review);
  reading = await ask(`/readings/${review.own_reading}`);
  go(nextOpen(0));
}

function offer(review) {
  reading = undefined;
  if (review.has_seen) {
    place.replaceChildren(make("h2", {}, "Blind reading"), make("p", {}, "You have seen counts of this case: another observer must read it blind."));
    return;
  }
  const count = make("input", { type: "number", min: 1, max: 500, value: 20, id: "many" });
  const kind = make("select", { id: "kind" }, ...[["both", "both arms, mixed"], ["superresolution", "super-resolution alone"], ["conventional", "conventional alone"]].map(([value, text]) => make("option", { value }, text)));
  const same = make("select", { id: "same" }, make("option", { value: "" }, "new nuclei, drawn by chance"), ...review.readings.map((r) => make("option", { value: r.name, selected: true }, `the pictures of ${r.name}, in an order of my own`)));
  const form = make("form", { className: "narrow" }, make("h2", {}, "Begin a blind reading"),
    make("p", {}, "Pictures come in random order. Arm, machine counts and the other observer's counts stay hidden until you sign."),
    make("label", {}, "Pictures ", same), make("label", {}, "Nuclei ", count), make("label", {}, "Arms ", kind), make("button", {}, "Begin"));
  const settle = () => { count.disabled = kind.disabled = same.value !== ""; };
  same.addEventListener("change", settle);
  settle();
  form.addEventListener("submit", doing(async () => {
    reading = await ask("/readings", "POST", same.value ? { same_as: same.value } : { nuclei: Number(count.value), pictures: kind.value });
    go(1);
  }));
  place.replaceChildren(form);
}

function nextOpen(after) {
  for (let n = after + 1; n <= reading.items; n++) if (!reading.answers[n]) return n;
  for (let n = 1; n <= reading.items; n++) if (!reading.answers[n]) return n;
  return Math.min(after + 1, reading.items);
}

function go(number) {
  at = Math.max(1, Math.min(reading.items, number));
  const said = reading.answers[at];
  typed = { her2: said?.her2?.toString() ?? "", cep17: said?.cep17?.toString() ?? "" };
  unsure = said?.is_unsure ?? false;
  excluding = false;
  part = "her2";
  show();
}

function show() {
  const said = reading.answers[at], done = Object.keys(reading.answers).length;
  const picture = (view, words) => make("figure", { className: view }, make("img", { src: `${base}/readings/${reading.name}/items/${at}/${view}.png?colours=${colours}`, alt: `picture ${at}, ${words}`, width: 480, height: 480 }), make("figcaption", {}, words));
  const cell = (name, words) => make("span", { className: `typed${part === name ? " now" : ""}` }, make("small", {}, words), typed[name] || "–");
  const button = (text, work) => { const b = make("button", { className: "plain", type: "button" }, text); b.addEventListener("click", doing(work)); return b; };
  const tablet = make("div", { className: "pad" }, ...[..."1234567890"].map((d) => button(d, () => press(d))), button("Enter ↵", () => press("Enter")), button("⌫", () => press("Backspace")));
  place.replaceChildren(
    make("div", { className: "line" }, make("h2", {}, `Picture ${at} of ${reading.items}`), make("progress", { max: reading.items, value: done, "aria-label": "counted" }), make("span", {}, `${done} counted`)),
    make("div", { className: "crops" }, picture("both", colours === "safe" ? "HER2 magenta, CEP17 green, DAPI blue" : "HER2 red, CEP17 green, DAPI blue"), picture("her2", "HER2 alone"), picture("cep17", "CEP17 alone")),
    make("div", { className: "line answerline", role: "status" }, cell("her2", "HER2"), cell("cep17", "CEP17"),
      make("span", {}, excluding ? WHY.map((w, n) => `${n + 1} ${w}`).join(" · ") : said?.is_excluded ? "✕ excluded" : said ? `✓ counted${said.is_unsure ? ", unsure" : ""}` : "not counted yet"), make("span", {}, unsure ? "? unsure" : "")),
    make("div", { className: "line" }, button("← Back", () => press("ArrowLeft")), button("Next →", () => press("ArrowRight")), button("✕ Exclude (X)", () => press("x")), button("? Unsure (U)", () => press("u")), button("↶ Undo (Z)", () => press("z")), button("Colours (C)", () => press("c"))),
    tablet, make("p", { className: "figures" }, KEYS), ...(done === reading.items ? [signing()] : []));
}

function signing() {
  const meaning = make("input", { required: true, maxLength: 200, value: "counted by me, blind" });
  const area = make("input", { type: "checkbox" });
  const form = make("form", { className: "narrow" }, make("label", {}, "Meaning of the signature ", meaning), make("label", { className: "tick" }, area, " this is the recount that is due, counted in the area of IHC 2+"), make("button", {}, "Sign this reading"));
  form.addEventListener("submit", doing(async () => {
    await ask(`/readings/${reading.name}/signature`, "POST", { meaning: meaning.value, in_ihc_2_area: area.checked });
    reading = undefined;
    await refresh();
  }));
  return form;
}

async function put(body) {
  const number = at;
  reading = await ask(`/readings/${reading.name}/items/${number}`, "PUT", body);
  go(nextOpen(number));
}

function press(key) {
  // Keys wait their turn while an answer is saved: one that is dropped makes 12 a 2.
  const turn = waiting.then(() => act(key));
  waiting = turn.catch(() => {});
  return turn;
}

async function act(key) {
  if (excluding && /^[1-5]$/.test(key)) return put({ is_excluded: true, reason: WHY[Number(key) - 1] });
  excluding = key === "x";
  if (/^\d$/.test(key) && typed[part].length < 3) typed[part] += key;
  else if (key === "Backspace") typed[part] = "";
  else if (key === "u") unsure = !unsure;
  else if (key === "c") colours = colours === "safe" ? "clinic" : "safe";
  else if (key === "ArrowLeft") return go(at - 1);
  else if (key === "ArrowRight") return go(at + 1);
  else if (key === "z") {
    const last = reading.answers[at] ? at : at - 1;
    if (!reading.answers[last]) return go(last);
    reading = await ask(`/readings/${reading.name}/items/${last}`, "DELETE");
    return go(last);
  } else if (key === "Enter" && typed[part]) {
    if (part === "her2") part = "cep17";
    else if (typed.her2) return put({ her2: Number(typed.her2), cep17: Number(typed.cep17), is_unsure: unsure });
  }
  show();
}

document.addEventListener("keydown", (event) => {
  if (!reading || place.hidden || event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input, select, textarea")) return;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (!/^(\d|[xuzc]|Enter|Backspace|ArrowLeft|ArrowRight)$/.test(key)) return;
  event.preventDefault();
  doing(() => press(key))();
});
