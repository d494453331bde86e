// Asks the REST interface as the named observer, and builds elements without markup.
export const root = document.getElementById("review");
export const base = `/api/v1/runs/${encodeURIComponent(root.dataset.run)}/review`;
const words = JSON.parse(root.dataset.words);
// A text of the page's table, its placeholders filled.
export const t = (key, values = {}) => words[key].replace(/\{(\w+)\}/g, (_, name) => values[name]);
export const region = (name) => t(`region_${name}`);
export const who = { name: sessionStorage.getItem("observer") || "" };

export async function ask(path, method = "GET", body = undefined) {
  const headers = { "x-observer": who.name };
  if (body !== undefined) headers["content-type"] = "application/json";
  const answer = await fetch(base + path, { method, headers, body: body && JSON.stringify(body) });
  const said = await answer.json();
  if (!answer.ok) throw new Error(said.detail);
  return said;
}

export function make(tag, facts = {}, ...inside) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(facts)) {
    if (name in element) element[name] = value;
    else element.setAttribute(name, value);
  }
  element.append(...inside);
  return element;
}

export function table(heads, rows) {
  const row = (cells, tag) => make("tr", {}, ...cells.map((c) => make(tag, {}, c ?? "–")));
  return make("table", {}, make("thead", {}, row(heads, "th")), make("tbody", {}, ...rows.map((r) => row(r, "td"))));
}

export function say(text) {
  const place = document.getElementById("said");
  place.textContent = text;
  place.hidden = !text;
}

// Runs what a person asked for, and tells what went wrong.
export function doing(work) {
  return async (event) => {
    event?.preventDefault();
    try {
      say("");
      await work(event);
    } catch (error) {
      say(error.message);
    }
  };
}

export const number = (value, digits = 2) => (value === null ? "–" : value.toFixed(digits));
export const span = (pair) => (pair ? `${number(pair[0])} – ${number(pair[1])}` : "–");
