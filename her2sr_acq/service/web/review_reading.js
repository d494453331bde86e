// A blind reading by keyboard: the server tells neither arm nor nucleus nor any count.
import { ask, base, doing, make, t } from "./review_api.js";

// The record is kept in English, whatever the page speaks.
const WHY = ["overlaps another", "cut by the section or rim", "out of focus", "no nucleus", "damaged or debris"];
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
    place.replaceChildren(make("h2", {}, t("blind")), make("p", {}, t("seen")));
    return;
  }
  const count = make("input", { type: "number", min: 1, max: 500, value: 20, id: "many" });
  const kind = make("select", { id: "kind" }, ...[["both", t("arms_both")], ["superresolution", t("arms_sr")], ["conventional", t("arms_conventional")]].map(([value, text]) => make("option", { value }, text)));
  const same = make("select", { id: "same" }, make("option", { value: "" }, t("new_nuclei")), ...review.readings.map((r) => make("option", { value: r.name, selected: true }, t("same_as", { name: r.name }))));
  const form = make("form", { className: "narrow" }, make("h2", {}, t("begin_reading")),
    make("p", {}, t("begin_hint")),
    make("label", {}, `${t("pictures")} `, same), make("label", {}, `${t("how_many")} `, count), make("label", {}, `${t("arms")} `, kind), make("button", {}, t("begin_button")));
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
  const picture = (view, words) => make("figure", { className: view }, make("img", { src: `${base}/readings/${reading.name}/items/${at}/${view}.png?colours=${colours}`, alt: t("picture_alt", { at, words }), width: 480, height: 480 }), make("figcaption", {}, words));
  const cell = (name, words) => make("span", { className: `typed${part === name ? " now" : ""}` }, make("small", {}, words), typed[name] || "–");
  const button = (text, work) => { const b = make("button", { className: "plain", type: "button" }, text); b.addEventListener("click", doing(work)); return b; };
  const tablet = make("div", { className: "pad" }, ...[..."1234567890"].map((d) => button(d, () => press(d))), button("Enter ↵", () => press("Enter")), button("⌫", () => press("Backspace")));
  place.replaceChildren(
    make("div", { className: "line" }, make("h2", {}, t("picture_of", { at, items: reading.items })), make("progress", { max: reading.items, value: done, "aria-label": t("counted_label") }), make("span", {}, t("counted", { done }))),
    make("div", { className: "crops" }, picture("both", colours === "safe" ? t("colours_safe") : t("colours_clinic")), picture("her2", t("her2_alone")), picture("cep17", t("cep17_alone"))),
    make("div", { className: "line answerline", role: "status" }, cell("her2", "HER2"), cell("cep17", "CEP17"),
      make("span", {}, excluding ? WHY.map((_, n) => `${n + 1} ${t(`why_${n + 1}`)}`).join(" · ") : said?.is_excluded ? t("is_excluded") : said ? (said.is_unsure ? t("is_unsure") : t("is_counted")) : t("is_open")), make("span", {}, unsure ? t("unsure") : "")),
    make("div", { className: "line" }, button(t("key_back"), () => press("ArrowLeft")), button(t("key_next"), () => press("ArrowRight")), button(t("key_exclude"), () => press("x")), button(t("key_unsure"), () => press("u")), button(t("key_undo"), () => press("z")), button(t("key_colours"), () => press("c"))),
    tablet, make("p", { className: "figures" }, t("keys")), ...(done === reading.items ? [signing()] : []));
}

function signing() {
  const meaning = make("input", { required: true, maxLength: 200, value: t("meaning_blind") });
  const area = make("input", { type: "checkbox" });
  const form = make("form", { className: "narrow" }, make("label", {}, `${t("meaning")} `, meaning), make("label", { className: "tick" }, area, ` ${t("recount")}`), make("button", {}, t("sign_reading")));
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
