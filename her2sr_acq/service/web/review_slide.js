// The slide: deep zoom, outlines of nuclei, areas drawn by hand. Units: micrometres.
import { ask, base, doing, make, region, say, t } from "./review_api.js";

const SVG = "http://www.w3.org/2000/svg";
const SYMBOLS = { invasive: "●", normal: "○", other: "✕" };
let viewer, overlay, group, corners, nuclei, refresh, isDrawing = false;
const chosen = new Set();

export async function openSlide(onMarked) {
  refresh = onMarked;
  const [mosaic, found] = await Promise.all([ask("/mosaic"), ask("/nuclei?limit=10000")]);
  nuclei = new Map(found.map((n) => [n.key, n]));
  if (!viewer) start(mosaic);
  paint(mosaic);
}

function start(mosaic) {
  viewer = window.OpenSeadragon({
    element: document.getElementById("slide"), showNavigationControl: false, drawer: "canvas",
    gestureSettingsMouse: { clickToZoom: false, dblClickToZoom: false }, maxZoomPixelRatio: 4,
    // A slow finger clicks too; what moves is a drag, however quick.
    clickTimeThreshold: 1000,
  });
  const switches = document.getElementById("layers");
  for (const layer of mosaic.layers) {
    const items = [];
    const box = make("input", { type: "checkbox", checked: true, id: `layer-${layer.channel}` });
    box.addEventListener("change", () => items.forEach((i) => i.setOpacity(box.checked ? 1 : 0)));
    switches.append(make("label", { htmlFor: box.id }, box, ` ${layer.probe}`));
    for (const one of sources(mosaic, layer)) {
      viewer.addTiledImage({ ...one, compositeOperation: "lighter", success: (e) => items.push(e.item) });
    }
  }
  if (mosaic.untold.length) say(mosaic.untold.join(" "));
  overlay = document.createElementNS(SVG, "svg");
  overlay.classList.add("slide-overlay");
  group = document.createElementNS(SVG, "g");
  overlay.append(group);
  viewer.canvas.append(overlay);
  for (const name of ["update-viewport", "open", "resize", "animation"]) viewer.addHandler(name, place);
  viewer.addHandler("canvas-click", click);
  viewer.addHandler("canvas-double-click", (e) => { if (isDrawing) e.preventDefaultAction = true; });
  const left = Math.min(...mosaic.fields.map((f) => f.left_um)), top = Math.min(...mosaic.fields.map((f) => f.top_um));
  const right = Math.max(...mosaic.fields.map((f) => f.left_um + f.width_um));
  const bottom = Math.max(...mosaic.fields.map((f) => f.top_um + f.height_um));
  viewer.world.addHandler("add-item", () => viewer.viewport.fitBounds(new window.OpenSeadragon.Rect(left, top, right - left, bottom - top), true));
  document.getElementById("draw").addEventListener("click", toggle);
  document.getElementById("clear").addEventListener("click", clear);
  for (const button of document.querySelectorAll("[data-mark]")) button.addEventListener("click", doing(() => mark(button.dataset.mark)));
  document.addEventListener("keydown", (event) => {
    if (document.getElementById("regions").hidden || event.target.matches("input, select, textarea")) return;
    const kind = { i: "invasive", n: "normal", o: "other" }[event.key];
    if (kind) doing(() => mark(kind))(event);
    else if (event.key === "d") toggle();
    else if (event.key === "Escape") clear();
  });
}

function sources(mosaic, layer) {
  if (layer.form === "tiles") {
    const finest = Math.ceil(Math.log2(Math.max(layer.width_px, layer.height_px)));
    return [{
      x: layer.left_um, y: layer.top_um, width: (layer.width_px * layer.pixel_nm) / 1000,
      tileSource: { width: layer.width_px, height: layer.height_px, tileSize: layer.tile_px, tileOverlap: layer.overlap_px, minLevel: 0, maxLevel: finest,
        getTileUrl: (level, x, y) => `${base}/mosaic/${layer.channel}/${level}/${x}_${y}.png` },
    }];
  }
  return mosaic.fields.map((field) => ({
    x: field.left_um, y: field.top_um, width: field.width_um,
    tileSource: { type: "legacy-image-pyramid", levels: layer.sizes_px.map((size) => ({
      url: `${base}/fields/${field.name}/${layer.channel}/${size}.png`,
      width: size, height: Math.round((size * field.height_um) / field.width_um) })) },
  }));
}

function place() {
  const view = viewer.viewport, at = view.pixelFromPoint(new window.OpenSeadragon.Point(0, 0), true);
  const one = view.pixelFromPoint(new window.OpenSeadragon.Point(1, 0), true).x - at.x;
  group.setAttribute("transform", `translate(${at.x} ${at.y}) scale(${one})`);
}

function polygon(points, name, title) {
  const shape = document.createElementNS(SVG, "polygon");
  shape.setAttribute("points", points.map(([x, y]) => `${x},${y}`).join(" "));
  shape.setAttribute("class", name);
  const told = document.createElementNS(SVG, "title");
  told.textContent = title;
  shape.append(told);
  return shape;
}

function paint(mosaic) {
  group.replaceChildren();
  for (const area of mosaic.areas) group.append(polygon(area.outline, `area ${area.region}`, `${area.name}: ${region(area.region)}`));
  for (const { key, points } of mosaic.outlines) {
    const facts = nuclei.get(key);
    if (!facts) continue;
    const shape = polygon(points, `nucleus ${facts.region}${facts.is_excluded ? " out" : ""}`, `${key}: ${region(facts.region)}${facts.is_excluded ? t("excluded_why", { why: facts.exclusion_reason }) : ""}`);
    shape.dataset.key = key;
    shape.classList.toggle("chosen", chosen.has(key));
    group.append(shape);
    if (SYMBOLS[facts.region]) {
      const symbol = document.createElementNS(SVG, "text");
      symbol.setAttribute("x", facts.x_um);
      symbol.setAttribute("y", facts.y_um);
      symbol.textContent = SYMBOLS[facts.region];
      group.append(symbol);
    }
  }
  corners = document.createElementNS(SVG, "polyline");
  corners.setAttribute("class", "drawing");
  corners.places = [];
  group.append(corners);
  place();
}

function click(event) {
  if (!event.quick) return;
  const at = viewer.viewport.pointFromPixel(event.position);
  if (isDrawing) {
    corners.places.push([at.x, at.y]);
    corners.setAttribute("points", corners.places.map((p) => p.join(",")).join(" "));
  } else {
    const point = new DOMPoint(at.x, at.y);
    const hit = [...group.querySelectorAll(".nucleus")].find((s) => s.isPointInFill(point));
    if (hit) hit.classList.toggle("chosen", chosen.has(hit.dataset.key) ? !chosen.delete(hit.dataset.key) : !!chosen.add(hit.dataset.key));
  }
  tell();
}

function toggle() {
  isDrawing = !isDrawing;
  document.getElementById("draw").setAttribute("aria-pressed", isDrawing);
  tell();
}

function clear() {
  chosen.clear();
  corners.places = [];
  corners.setAttribute("points", "");
  for (const shape of group.querySelectorAll(".chosen")) shape.classList.remove("chosen");
  tell();
}

function tell() {
  const drawn = corners.places.length;
  document.getElementById("chosen").textContent = isDrawing
    ? t("corners", { count: drawn }) : chosen.size ? t("chosen", { count: chosen.size }) : t("click");
}

async function mark(kind) {
  const body = { areas: [], marks: {}, reason: document.getElementById("mark-reason").value };
  for (const key of chosen) body.marks[key] = kind;
  if (corners.places.length) {
    const stamp = new Date().toISOString().replace(/\D/g, "").slice(0, 14);
    body.areas = [{ name: `${kind} ${stamp}`, region: kind, outline: corners.places }];
  }
  await ask("/regions", "POST", body);
  if (isDrawing) toggle();
  clear();
  await refresh();
}
