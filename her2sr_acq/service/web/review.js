// The review page: who works, where the case stands, and its six parts.
import { ask, base, doing, make, number, region, root, say, span, t, table, who } from "./review_api.js";
import { openReading } from "./review_reading.js";
import { openSlide } from "./review_slide.js";

const ARMS = ["sr_merged", "sr", "conventional"];
const TABS = ["regions", "reading", "nuclei", "case", "agreement", "record"];
const section = (name) => document.getElementById(name);
const button = (text, work) => { const b = make("button", { type: "button" }, text); b.addEventListener("click", doing(work)); return b; };
const person = (by) => (by === "not-logged-in" ? t("nobody") : by);
const identity = (said) => t(said === "account" ? "by_account" : "by_name");
let review, tab = "regions";

async function refresh() {
  review = await ask("");
  const marks = Object.entries(review.regions).map(([name, n]) => `${n} ${region(name)}`).join(", ");
  section("stands").textContent = t("stands", { name: review.reviewer.name, identity: identity(review.reviewer.identity), state: t(`state_${review.state}`), accepted: review.accepted, nuclei: review.nuclei, marks }) + (review.blind ? t("stands_blind", { why: t(`blind_${review.blind_code}`) }) : t("stands_shown")) + (review.signed_by ? t("stands_signed", { by: review.signed_by, at: review.signed_utc, meaning: review.meaning }) : "");
  section("tabs").hidden = false;
  await show(tab);
}

async function show(name) {
  tab = name;
  for (const one of TABS) section(one).hidden = one !== name;
  for (const one of document.querySelectorAll("[data-tab]")) one.setAttribute("aria-current", one.dataset.tab === name);
  section(name).setAttribute("aria-busy", "true"); // an empty part says that it is asked for
  try {
    await fill(name);
  } finally {
    section(name).removeAttribute("aria-busy");
  }
}

async function fill(name) {
  await { regions: () => openSlide(refresh), reading: () => openReading(review, refresh), nuclei: showNuclei, case: showCase, agreement: showAgreement, record: showRecord }[name]();
}

function hidden(place) {
  place.replaceChildren(make("p", {}, t("hidden", { why: t(`blind_${review.blind_code}`) })));
  if (review.may_see && !review.own_reading) place.append(button(t("show_counts"), async () => { await ask("/views", "POST"); await refresh(); }));
}

async function showNuclei() {
  const place = section("nuclei");
  if (!review.has_seen || !review.may_see) return hidden(place);
  const found = await ask("/nuclei?limit=10000");
  const list = make("div", { className: "cards" }, ...found.map(card));
  place.replaceChildren(make("h2", {}, t("nuclei", { count: found.length })), list);
}

function card(n) {
  const box = make("article", { className: n.is_excluded ? "out" : "" });
  const src = (picture) => `${base}/nuclei/${n.key}/${picture}/both.png`;
  const pictures = make("div", { className: "pair" }, ...["superresolution", "conventional"].map((p) => make("figure", {}, make("img", { src: src(p), alt: `${n.key}, ${t(`picture_${p}`)}`, loading: "lazy", width: 200, height: 200 }), make("figcaption", {}, t(`picture_${p}`)))));
  const rows = ARMS.filter((arm) => n.counts[arm]).map((arm) => { const c = n.counts[arm]; const changed = c.her2 !== c.machine_her2 || c.cep17 !== c.machine_cep17; return [t(`arm_${arm}`), `${c.her2} : ${c.cep17}${c.is_ambiguous ? " ?" : ""}${c.is_estimated ? " ≈" : ""}`, changed ? t("machine", { her2: c.machine_her2, cep17: c.machine_cep17 }) : ""]; });
  box.append(make("h3", {}, `${n.is_excluded ? "✕ " : ""}${n.key} `, make("small", {}, region(n.region))), pictures, table([t("arm"), "HER2 : CEP17", ""], rows));
  if (n.is_excluded) box.append(make("p", { className: "figures" }, n.reason || n.exclusion_reason));
  if (n.changed_by) box.append(make("p", { className: "figures" }, t("changed", { by: n.changed_by, reason: n.reason })));
  box.append(make("details", {}, make("summary", {}, t("change")), changing(n)));
  return box;
}

function changing(n) {
  const arm = make("select", {}, ...ARMS.map((a) => make("option", { value: a }, t(`arm_${a}`))));
  const her2 = make("input", { type: "number", min: 0, max: 999, required: true }), cep17 = make("input", { type: "number", min: 0, max: 999, required: true });
  const reason = make("input", { maxLength: 500, required: true });
  const form = make("form", {}, make("label", {}, `${t("arm")} `, arm), make("div", { className: "pair" }, make("label", {}, "HER2 ", her2), make("label", {}, "CEP17 ", cep17)), make("label", {}, `${t("reason")} `, reason), make("button", {}, t("change_count")));
  form.addEventListener("submit", doing(async () => { await ask(`/nuclei/${n.key}/counts`, "POST", { arm: arm.value, her2: Number(her2.value), cep17: Number(cep17.value), reason: reason.value, revision: n.revision }); await refresh(); }));
  form.append(" ", button(n.is_excluded ? t("include") : t("exclude"), async () => { await ask(`/nuclei/${n.key}/inclusion`, "POST", { is_excluded: !n.is_excluded, reason: reason.value, revision: n.revision }); await refresh(); }));
  return form;
}

async function showCase() {
  const place = section("case");
  if (!review.has_seen || !review.may_see) return hidden(place);
  const answers = await Promise.all(ARMS.map((arm) => ask(`/answers/${arm}`)));
  const row = (name, of) => [name, ...answers.map((a) => of(a.arm))];
  const c = review.case;
  place.replaceChildren(make("h2", {}, t("answer")),
    table(["", ...ARMS.map((a) => t(`arm_${a}`))], [row("HER2/CEP17", (a) => number(a.ratio)), row(t("row_sampling"), (a) => span(a.ratio_interval_95)), row(t("row_total"), (a) => span(a.ratio_interval_total)), row(t("row_her2"), (a) => number(a.her2_per_nucleus)), row(t("row_nuclei"), (a) => String(a.nuclei)), row(t("row_group"), (a) => String(a.group ?? "–")), row(t("row_status"), (a) => t(`status_${a.status}`))]),
    make("ul", {}, ...answers[0].blockers.map((b) => make("li", {}, t("against", { what: b })))),
    make("p", {}, t("case", { state: t(`state_${review.state}`), group: c.group ?? "–", outcome: c.outcome ? t(c.outcome) : "–", comment: c.comment, next: review.allowed.map((one) => t(`next_${one.toLowerCase().replace(/[^a-z0-9]+/g, "_").replace(/_$/, "")}`)).join(", ") })), sights(), acts());
}

// Who was shown counts, and when: whoever signs is told who was not blind.
function sights() {
  const line = (s) => make("li", {}, t(s.is_before_review ? "sight_before" : "sight", { by: person(s.by), identity: identity(s.identity), at: s.utc.slice(0, 19) }));
  const doubt = (r) => make("li", {}, t("not_vouched", { name: r.name, by: r.by }));
  return make("div", { id: "sights" }, make("h3", {}, t("sights")), make("ul", {}, ...review.sights.map(line), ...review.readings.filter((r) => !r.is_vouched).map(doubt)));
}

function acts() {
  const text = make("input", { maxLength: 200, id: "words" });
  const value = make("select", {}, ...[0, 1, 2, 3].map((v) => make("option", { value: v }, `IHC ${v}+`)));
  const said = make("select", {}, make("option", { value: "negative" }, t("negative")), make("option", { value: "positive" }, t("positive")));
  const act = (body) => async () => { await ask("/acts", "POST", body()); await refresh(); };
  return make("div", { className: "acts" }, make("label", {}, `${t("meaning_or_reason")} `, text),
    button(t("accept"), act(() => ({ kind: "accept", arm: "sr_merged" }))), make("span", {}, value, button(t("ihc"), act(() => ({ kind: "ihc", value: Number(value.value), same_tissue: true })))),
    make("span", {}, said, button(t("adjudicate"), act(() => ({ kind: "adjudicate", outcome: said.value, reason: text.value })))),
    button(t("sign"), act(() => ({ kind: "sign", meaning: text.value }))), button(t("reopen"), act(() => ({ kind: "reopen", reason: text.value }))));
}

async function showAgreement() {
  const place = section("agreement");
  if (!review.has_seen || !review.may_see) return hidden(place);
  place.replaceChildren();
  const found = await ask("/agreement");
  place.append(make("h2", {}, t("agreement")), table([t("first"), t("second"), t("picture"), t("probe"), "n", t("same"), t("within"), t("kappa"), "ICC(2,1)", t("bias"), t("limits")],
    found.rows.map((r) => [r.first, r.second, t(`picture_${r.picture}`), r.probe, String(r.nuclei), String(r.same), String(r.within_one), number(r.kappa), `${number(r.icc)} (${span(r.icc_interval_95)})`, number(r.bias), span(r.limits_of_agreement)])),
    make("p", { className: "figures" }, t("kappa_note", { categories: found.categories.join(", "), untold: [...new Set(found.rows.flatMap((r) => r.untold))].join(" ") })));
}

// An act in words; REST has it whole, under the names of the record.
function acted(act) {
  const told = Object.entries(act).filter(([key, value]) => key !== "kind" && value !== "" && value !== null);
  return told.map(([key, value]) => `${t(`key_${key}`)}: ${worth(key, value)}`).join(" · ") || "–";
}

function worth(key, value) {
  if (typeof value === "boolean") return t(value ? "yes" : "no");
  if (key === "arm") return t(`arm_${value}`);
  if (key === "outcome") return t(value);
  if (key === "totals") return acted(value);
  if (key === "counts_sha256") return `${value.slice(0, 12)}…`;
  return typeof value === "object" ? t("several", { count: Object.keys(value).length }) : String(value);
}

async function showRecord() {
  const lines = [];
  for (let part; !part || part.length === 500;) { part = await ask(`/record?after=${lines.length}&limit=500`); lines.push(...part); }
  section("record").replaceChildren(make("h2", {}, t("record", { count: review.entries })), make("p", { className: "figures" }, t("record_head", { head: review.head || "–" })),
    table(["", t("when"), t("who"), t("what"), t("reason"), t("said")], lines.map((l) => [String(l.sequence), l.utc.slice(0, 19).replace("T", " "), person(l.by), t(`kind_${l.kind}`), l.reason, l.act ? acted(l.act) : t("hidden_now")])));
}

section("who").addEventListener("submit", doing(async () => {
  who.name = section("name").value;
  sessionStorage.setItem("observer", who.name);
  document.activeElement.blur();
  await refresh();
}));
for (const one of document.querySelectorAll("[data-tab]")) one.addEventListener("click", doing(() => { one.blur(); return show(one.dataset.tab); }));
section("name").value = who.name;
const wanted = new URLSearchParams(location.hash.slice(1));
if (TABS.includes(wanted.get("tab"))) tab = wanted.get("tab");
if (wanted.get("observer")) { who.name = wanted.get("observer"); section("name").value = who.name; }
if (who.name && root) refresh().catch((error) => say(error.message));
