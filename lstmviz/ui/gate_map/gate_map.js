// The gate map: every gate of every unit at every token, on one canvas; one column is one token.
// All text reaches the page through fillText or textContent, so a token can never become markup.

const LEFT = 122, RIGHT = 60, GAP = 12, LOSS = 72, ROLE = 40, NAN = 65535, SLOPE = Math.tan(Math.PI / 3);
const CIVIDIS = ["#00224e", "#123570", "#3b496c", "#575d6d", "#707173", "#8a8678", "#a59c74", "#c3b369", "#e1cc55", "#fee838"];
const BLUES = { light: ["#2166ac", "#5b9bcb", "#b4d3e7"], dark: ["#9cc9ff", "#4a90d9", "#23507f"] };
const REDS = { light: ["#f7c4ab", "#e07b62", "#b2182b"], dark: ["#7d2f2c", "#db5546", "#ffab91"] };
const clamp = (x, low, high) => Math.max(low, Math.min(high, x));

// ---- data ----------------------------------------------------------------------------------------------------------

function decode(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const start = 8 + view.getUint32(4, true);
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, start)));
  const codes = new Uint16Array(bytes.slice(start).buffer); // sliced, because the message may lie at an odd address
  let offset = 0;
  for (const panel of header.panels) {
    panel.units = header.units[header.layers.indexOf(panel.layer)];
    panel.codes = codes.subarray(offset, (offset += panel.units.length * header.tokens.length));
  }
  header.height = view.getUint32(0, true);
  // At character level an unknown token fits its column only as it was typed; the dashes below it say "unknown".
  header.labels = header.tokens.map((token, t) => visible((header.unknown[t] && header.typed[t]) || token));
  return header;
}

// Characters without a picture of their own: control codes, lone combining marks, invisible formatting.
function visible(text) {
  return text.replace(/[\u0000-\u001f]/g, (c) => String.fromCharCode(0x2400 + c.charCodeAt(0)))
    .replace(/^\p{M}/u, "◌$&")
    .replace(/^\p{Cf}$/u, (c) => "U+" + c.codePointAt(0).toString(16).toUpperCase());
}

function number(value, digits = 2) {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  return value.toFixed(digits).replace(/^-(0\.?0*)$/, "$1").replace("-", "−");
}
const perplexity = (nll) => nll === null || nll === undefined ? "–" :
  Math.exp(nll) < 100 ? Math.exp(nll).toFixed(1) : Math.exp(nll) < 1e5 ? Math.exp(nll).toFixed(0) : Math.exp(nll).toExponential(0);

// ---- colour --------------------------------------------------------------------------------------------------------

// Red, green, blue of any CSS colour: the browser itself parses it, by painting one pixel.
const parsed = new Map();
function rgb(colour) {
  if (!parsed.has(colour)) {
    const pixel = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
    pixel.fillStyle = colour;
    pixel.fillRect(0, 0, 1, 1);
    parsed.set(colour, [...pixel.getImageData(0, 0, 1, 1).data.slice(0, 3)]);
  }
  return parsed.get(colour);
}

const channels = (packed) => [packed & 255, (packed >> 8) & 255, (packed >> 16) & 255];
const inkOn = (r, g, b) => (0.299 * r + 0.587 * g + 0.114 * b > 128 ? "#111827" : "#f9fafb"); // text that can be read on a colour

// 256 colours, packed as ImageData wants them, along equally spaced stops.
function ramp(stops) {
  const colours = stops.map(rgb), table = new Uint32Array(256);
  for (let i = 0; i < 256; i++) {
    const place = (i / 255) * (colours.length - 1), k = Math.min(colours.length - 2, Math.floor(place));
    const [r, g, b] = colours[k].map((from, c) => Math.round(from + (place - k) * (colours[k + 1][c] - from)));
    table[i] = (255 << 24) | (b << 16) | (g << 8) | r;
  }
  return table;
}

function readTheme(element) {
  const style = getComputedStyle(element), get = (name, other) => style.getPropertyValue("--st-" + name).trim() || other;
  const page = get("background-color", "#ffffff"), [r, g, b] = rgb(page);
  const mode = 0.299 * r + 0.587 * g + 0.114 * b < 128 ? "dark" : "light";
  return {
    mode, page, ink: get("text-color", "#1f2937"), line: get("border-color", "#d1d5db"), primary: get("primary-color", "#2563eb"),
    font: get("font", "sans-serif"), code: get("code-font", "monospace"), tint: mode === "dark" ? "#ea580c" : "#ea641e",
    bar: mode === "dark" ? "#b45309" : "#fdba74", loss: mode === "dark" ? "#fb923c" : "#c2410c",
    perplexity: mode === "dark" ? "#c4b5fd" : "#7c3aed",
    gate: ramp(CIVIDIS), signed: ramp([...BLUES[mode], page, ...REDS[mode]]),
  };
}

// ---- the map -------------------------------------------------------------------------------------------------------

class GateMap {
  constructor(root) {
    this.zoomX = 1; this.zoomY = 1; this.first = {}; // first visible row of each layer
    this.canvas = document.createElement("canvas");
    this.canvas.setAttribute("aria-hidden", "true"); // what it shows is spoken by the box around it
    this.paint = this.canvas.getContext("2d", { alpha: false });
    this.scratch = document.createElement("canvas");
    this.widths = new Map();
    const make = (tag, name, parent, text = "") =>
      parent.appendChild(Object.assign(document.createElement(tag), { className: name, textContent: text }));
    this.box = make("div", "map", root);
    this.box.tabIndex = 0;
    this.box.setAttribute("role", "application");
    const bar = make("div", "bar", this.box);
    this.note = make("span", "note", bar);
    const group = (text, name, less, more) => {
      const span = make("span", "group", bar, text + " ");
      return [["−", less, "fewer pixels a " + name], ["+", more, "more pixels a " + name]].map(([sign, act, label]) => {
        const button = make("button", "", span, sign);
        button.title = label; button.setAttribute("aria-label", label); button.type = "button";
        button.onclick = act;
        return button;
      });
    };
    this.columnButtons = group("columns", "token", () => this.zoom(0.5, 1), () => this.zoom(2, 1));
    this.rowButtons = group("units", "unit", () => this.zoom(1, 0.5), () => this.zoom(1, 2));
    this.fitButton = make("button", "", bar, "fit");
    this.fitButton.onclick = () => { this.zoomX = this.zoomY = 1; this.layout(); this.reveal(); this.draw(); };
    this.scroll = make("div", "scroll", this.box);
    this.stage = make("div", "stage", this.scroll);
    this.stage.appendChild(this.canvas);
    this.hoverColumn = make("div", "hover", this.stage);
    this.spacer = make("div", "spacer", this.scroll);
    this.tip = make("div", "tip", this.box);
    this.spoken = make("div", "spoken", this.box);
    this.spoken.setAttribute("aria-live", "polite");
    this.listen();
  }

  // New data or a new theme. The server's selection wins only if it is neither what it said before nor what we sent it.
  update(header, send) {
    this.send = send;
    this.theme = readTheme(this.box);
    const asked = JSON.stringify(header.selection), last = header.tokens.length - 1;
    const following = this.data && this.time === this.data.tokens.length - 1;
    this.data = header;
    if (asked !== this.told && asked !== this.sent) Object.assign(this, header.selection);
    else if (following) this.time = last; // the newest token was selected: stay with the newest
    this.told = asked;
    if (!header.layers.includes(this.layer)) this.layer = header.layers[0];
    if (!this.rows().includes(this.unit)) this.unit = this.rows()[0];
    this.time = clamp(this.time, 0, last);
    this.layout();
    this.reveal();
    this.draw();
    this.announce();
    requestAnimationFrame(() => { window.__lstmvizPainted = { tokens: last + 1, at: performance.now(), draw: this.cost }; });
  }

  rows(layer = this.layer) { return this.data.units[this.data.layers.indexOf(layer)]; }
  panelsOf(layer) { return this.data.panels.filter((panel) => panel.layer === layer); }
  value(panel, row, time) {
    const code = time < 0 ? NAN : panel.codes[row * this.data.tokens.length + time];
    return code === NAN ? NaN : panel.low + (code / 65534) * (panel.high - panel.low);
  }

  // ---- where things are (all in CSS pixels; columns and rows are whole device pixels) ------------------------------

  font(size, weight = "", family = this.theme.font) { this.paint.font = `${weight} ${size}px ${family}`; }
  tokenFont() { this.font(13, "", this.data.level === "char" ? this.theme.code : this.theme.font); }

  layout() {
    const { data, paint } = this, tokens = data.tokens.length;
    this.dpr = window.devicePixelRatio || 1;
    this.width = this.scroll.clientWidth;
    this.tokenFont();
    this.labelWidths = data.labels.map((label) => {
      if (!this.widths.has(label)) this.widths.set(label, paint.measureText(label).width);
      return this.widths.get(label);
    });
    const widest = this.labelWidths.reduce((a, b) => Math.max(a, b), 8), room = this.width - LEFT - RIGHT;
    const base = clamp(room / tokens, widest > 16 ? 18 : 13, Math.max(44, widest + 14));
    this.column = Math.max(1, Math.floor(base * this.zoomX * this.dpr)) / this.dpr;
    const slanted = widest + 4 > this.column && this.column >= 13;
    this.strip = slanted ? Math.ceil(Math.min(widest, 84) * 0.87 + 14) : 26;
    this.lean = slanted ? this.strip / SLOPE : 0;
    this.lossTop = this.strip + 6;
    const top = this.lossTop + LOSS + GAP, shown = data.panels.filter((panel) => panel.shown);
    const share = Math.max(56, (data.height - top) / Math.max(1, shown.length) - GAP) * this.dpr;
    let y = top;
    this.panels = shown.map((panel) => {
      const count = panel.units.length, fit = share / count;
      // Whole pixels a row, or whole rows a pixel: either way no row is drawn wider than another.
      const fitted = fit > 0.75 ? Math.max(1, Math.round(fit)) : 1 / Math.round(1 / fit);
      const pitch = fitted * this.zoomY < 1 ? 1 / Math.round(1 / (fitted * this.zoomY)) : Math.round(fitted * this.zoomY);
      const height = Math.ceil(count * fitted), rows = Math.min(count, Math.floor(height / pitch));
      const place = { panel, y, height: height / this.dpr, pitch, rows, zoomed: rows < count };
      y += place.height + GAP;
      return place;
    });
    this.panelsEnd = y - GAP;
    this.unitTop = y + 24;
    this.roles = [...this.panelsOf(this.layer)].sort((a, b) => this.rank(a) - this.rank(b));
    this.rolesTop = this.unitTop + this.strip + 6;
    this.height = this.rolesTop + this.roles.length * ROLE + 4;
    this.spacer.style.width = `${LEFT + tokens * this.column + RIGHT}px`;
    const [w, h] = [Math.round(this.width * this.dpr), Math.round(this.height * this.dpr)];
    if (this.canvas.width !== w || this.canvas.height !== h) {
      Object.assign(this.canvas, { width: w, height: h });
      Object.assign(this.canvas.style, { width: `${w / this.dpr}px`, height: `${h / this.dpr}px` });
    }
  }

  rank(panel) { return { cell: 0, hidden: 1 }[panel.role] ?? 2; }
  firstRow(place) { return clamp(this.first[place.panel.layer] ?? 0, 0, place.panel.units.length - place.rows); }
  x(time) { return LEFT + Math.round((time * this.column - this.scroll.scrollLeft) * this.dpr) / this.dpr; }

  reveal() { // scroll so that the selected column and row are in view
    const x = this.time * this.column, view = this.width - LEFT - RIGHT, left = this.scroll.scrollLeft;
    if (x < left) this.scroll.scrollLeft = x;
    if (x + this.column > left + view) this.scroll.scrollLeft = x + this.column - view;
    const place = this.panels.find((p) => p.panel.layer === this.layer), row = this.rows().indexOf(this.unit);
    if (place) this.first[this.layer] = clamp(this.firstRow(place), row - place.rows + 1, row);
  }

  // ---- drawing -----------------------------------------------------------------------------------------------------

  draw() {
    const start = performance.now(), { paint, theme, data } = this;
    paint.setTransform(this.dpr, 0, 0, this.dpr, 0, 0);
    paint.fillStyle = theme.page;
    paint.fillRect(0, 0, this.width, this.height);
    paint.direction = "ltr";
    const view = this.width - LEFT - RIGHT;
    this.from = clamp(Math.floor(this.scroll.scrollLeft / this.column), 0, data.tokens.length - 1);
    this.to = Math.min(data.tokens.length, Math.ceil((this.scroll.scrollLeft + view) / this.column));
    this.end = Math.min(this.width - RIGHT, this.x(data.tokens.length));
    this.drawTokens(0, (t) => data.nll[t] === null ? [...rgb(theme.ink), 0.08] :
      [...rgb(theme.tint), clamp(data.nll[t] / this.lossScale(), 0, 1) * 0.85]);
    this.text("token", LEFT - 12, this.strip - 12, { alpha: 0.65 });
    this.drawLoss();
    for (const place of this.panels) this.drawPanel(place);
    this.drawUnit();
    this.frameColumn(0, this.panelsEnd);
    this.frameColumn(this.unitTop, this.height - 1);
    this.describe();
    this.cost = performance.now() - start;
  }

  text(text, x, y, { size = 12, weight = "", align = "right", colour = this.theme.ink, alpha = 1, family } = {}) {
    const { paint } = this;
    this.font(size, weight, family);
    paint.textAlign = align; paint.textBaseline = "middle"; paint.fillStyle = colour; paint.globalAlpha = alpha;
    paint.fillText(text, x, y);
    paint.globalAlpha = 1;
  }

  clip(y, height, extra, body) { // draw only between the gutters
    this.paint.save();
    this.paint.beginPath();
    this.paint.rect(LEFT, y, Math.max(0, this.width - RIGHT + extra - LEFT), height);
    this.paint.clip();
    body();
    this.paint.restore();
  }

  // The tokens over their columns, upright where they fit and slanted where they do not; tint(t) is [r, g, b, alpha].
  drawTokens(y, tint) {
    const { paint, data, theme, column, lean } = this, height = this.strip;
    this.clip(y, height + 1, lean ? RIGHT : 0, () => {
      for (let t = Math.max(0, this.from - Math.ceil(lean / column)); t < this.to; t++) {
        const x = this.x(t), gap = column > 8 ? 1 : 0;
        const [r, g, b, alpha] = tint(t);
        paint.fillStyle = `rgba(${r}, ${g}, ${b}, ${alpha})`;
        paint.beginPath();
        for (const [px, py] of [[x, y + height], [x + column - gap, y + height], [x + column - gap + lean, y], [x + lean, y]]) paint.lineTo(px, py);
        paint.fill();
        if (data.generated_from !== null && t >= data.generated_from) {
          paint.fillStyle = theme.primary;
          paint.fillRect(x, y + height - 2, column - gap, 2);
        }
        if (column < 9) continue; // zoomed out: the colours remain, the words are in the tooltip
        this.tokenFont();
        const ink = inkOn(...rgb(theme.page).map((page, c) => page + alpha * ([r, g, b][c] - page)));
        const width = Math.min(this.labelWidths[t], lean ? (height - 12) / 0.87 : column), start = lean ? 0 : -width / 2;
        paint.save();
        paint.translate(x + (column - gap) / 2 + (lean ? 4 : 0), y + (lean ? height - 7 : height / 2));
        if (lean) paint.rotate(-Math.PI / 3);
        paint.textAlign = "left"; paint.textBaseline = "middle"; paint.fillStyle = ink;
        paint.fillText(this.shorten(data.labels[t], width), start, 0);
        if (data.unknown[t]) {
          paint.setLineDash([3, 2]); paint.strokeStyle = ink; paint.lineWidth = 1.2;
          paint.beginPath(); paint.moveTo(start, 8.5); paint.lineTo(start + width, 8.5); paint.stroke();
        }
        paint.restore();
      }
    });
  }

  shorten(label, room) {
    if (this.paint.measureText(label).width <= room + 1) return label;
    const letters = [...label];
    while (letters.length > 1 && this.paint.measureText(letters.join("") + "…").width > room) letters.pop();
    return letters.join("") + "…";
  }

  // One scale a level, whatever the sentence: as high as its own worst token only when that is off the scale.
  lossScale() { return this.data.level === "char" ? 5 : 10; }

  drawLoss() {
    const { paint, data, theme, column } = this, bottom = this.lossTop + LOSS, middle = column / 2;
    const top = Math.max(this.lossScale(), ...data.nll.slice(this.from, this.to).map((nll) => nll ?? 0));
    const settled = data.running_nll.filter((nll) => nll !== null).slice(-1)[0] ?? 0;
    const highest = clamp(Math.max(...data.running_nll.map((nll) => Math.exp(nll ?? 0))), 2, Math.max(4 * Math.exp(settled), 4));
    const lossY = (nll) => bottom - (nll / top) * LOSS, perplexityY = (nll) => bottom - ((Math.exp(nll) - 1) / (highest - 1)) * (LOSS - 2);
    const curve = (y, colour, width, dash = []) => {
      paint.beginPath(); paint.strokeStyle = colour; paint.lineWidth = width; paint.lineJoin = "round"; paint.setLineDash(dash);
      for (let t = Math.max(0, this.from - 1); t < Math.min(this.to + 1, data.tokens.length); t++)
        if (data.running_nll[t] !== null) paint.lineTo(this.x(t) + middle, y(data.running_nll[t]));
      paint.stroke(); paint.setLineDash([]);
      if (data.running_nll[this.time] === null) return;
      paint.beginPath(); paint.fillStyle = colour;
      paint.arc(this.x(this.time) + middle, y(data.running_nll[this.time]), width + 1.5, 0, 7); paint.fill();
    };
    this.clip(this.lossTop, LOSS + 1, 0, () => {
      paint.fillStyle = theme.bar;
      for (let t = this.from; t < this.to; t++)
        if (data.nll[t] !== null) paint.fillRect(this.x(t), lossY(data.nll[t]), Math.max(1, column - (column > 5 ? 1.5 : 0)), bottom - lossY(data.nll[t]));
      curve(lossY, theme.loss, 1.2, [3, 2]);
      curve(perplexityY, theme.perplexity, 2);
    });
    paint.fillStyle = theme.line;
    paint.fillRect(LEFT, bottom, this.end - LEFT, 1);
    const label = (text, value, y, colour) => {
      this.text(value, LEFT - 12, y, { weight: 600, colour });
      this.text(text, LEFT - 52, y, { colour });
    };
    label("loss (nats)", number(data.nll[this.time]), this.lossTop + 16, theme.loss);
    label("so far", number(data.running_nll[this.time]), this.lossTop + 34, theme.loss);
    label("perplexity", perplexity(data.running_nll[this.time]), this.lossTop + 52, theme.perplexity);
    this.text(`${number(top, 0)} nats`, this.end + 8, this.lossTop + 6, { size: 11, align: "left", colour: theme.loss });
    this.text(`ppl ${perplexity(Math.log(highest))}`, this.end + 8, this.lossTop + 21, { size: 11, align: "left", colour: theme.perplexity });
    if (data.running_nll.at(-1) !== null)
      this.text(perplexity(settled), this.end + 8, clamp(perplexityY(settled), this.lossTop + 38, bottom - 5), { size: 13, weight: 700, align: "left", colour: theme.perplexity });
  }

  drawPanel(place) {
    const { panel, y, height, pitch, rows } = place, { paint, theme, column } = this, first = this.firstRow(place);
    this.clip(y, height, 0, () => {
      this.drawImage(panel, first, rows, pitch, y);
      paint.fillStyle = theme.page; paint.globalAlpha = 0.45;
      if (column >= 8) for (let t = this.from; t <= this.to; t++) paint.fillRect(this.x(t) - 1, y, 1, height);
      if (pitch >= 8 * this.dpr) for (let r = 1; r < rows; r++) paint.fillRect(LEFT, y + (r * pitch) / this.dpr - 1, this.width, 1);
      paint.globalAlpha = 1;
      if (column >= 30 && pitch >= 13 * this.dpr) this.drawNumbers(place, first);
    });
    const row = panel.units.indexOf(this.unit) - first;
    if (panel.layer === this.layer && row >= 0 && row < rows) {
      const [top, thick] = [y + (row * pitch) / this.dpr, Math.max(2, pitch / this.dpr)];
      paint.lineWidth = 3.5; paint.strokeStyle = theme.page; paint.strokeRect(LEFT - 2, top - 1.5, this.end - LEFT + 3, thick + 3);
      paint.lineWidth = 1.5; paint.strokeStyle = theme.ink; paint.strokeRect(LEFT - 2, top - 1.5, this.end - LEFT + 3, thick + 3);
    }
    const colour = panel[theme.mode], symbol = this.symbolWidth(panel);
    this.text(panel.label, LEFT - 12, y + 12, { size: 13, weight: 700, colour });
    this.drawSymbol(panel, LEFT - 12 - symbol, y + 30, theme.ink, 0.8);
    if (panel.layer_label) this.text(panel.layer_label, LEFT - 34 - symbol, y + 30, { size: 11, alpha: 0.65 });
    if (height > 46) this.text(`mean ${number(panel.mean)}`, LEFT - 12, y + 48, { size: 11, alpha: 0.65 });
    const scale = paint.createLinearGradient(0, y + height, 0, y), table = panel.signed ? theme.signed : theme.gate;
    for (let i = 0; i <= 16; i++) {
      scale.addColorStop(i / 16, `rgb(${channels(table[Math.round((i / 16) * 255)])})`);
    }
    paint.fillStyle = scale; paint.fillRect(this.end + 8, y, 8, height);
    paint.strokeStyle = theme.line; paint.lineWidth = 1; paint.strokeRect(this.end + 7.5, y - 0.5, 9, height + 1);
    const sign = (v) => (panel.signed && v > 0 ? "+" : "") + number(v, Number.isInteger(v) ? 0 : Math.abs(v) < 10 ? 1 : 0);
    this.text(sign(panel.high), this.end + 21, y + 6, { size: 11, align: "left", alpha: 0.75 });
    this.text(sign(panel.low), this.end + 21, y + height - 6, { size: 11, align: "left", alpha: 0.75 });
    if (place.zoomed) { // where in the units this window lies
      const total = panel.units.length;
      paint.fillStyle = theme.primary;
      paint.fillRect(this.end + 2, y + (first / total) * height, 3, Math.max(6, (rows / total) * height));
    }
  }

  drawNumbers({ panel, y, pitch, rows }, first) { // cells large enough to be read
    const table = panel.signed ? this.theme.signed : this.theme.gate, tokens = this.data.tokens.length;
    for (let r = 0; r < rows; r++)
      for (let t = this.from; t < this.to; t++) {
        const code = panel.codes[(first + r) * tokens + t];
        if (code === NAN) continue;
        const style = { size: 11, align: "center", colour: inkOn(...channels(table[code >> 8])) };
        this.text(number(this.value(panel, first + r, t)), this.x(t) + this.column / 2, y + ((r + 0.5) * pitch) / this.dpr, style);
      }
  }

  symbolWidth(panel) { this.font(11, "italic", "serif"); return this.paint.measureText(panel.index || "").width; }
  drawSymbol(panel, x, y, colour, alpha) { // x: where the symbol ends and its subscript begins
    this.text(panel.symbol, x, y, { size: 16, weight: "italic", family: "serif", colour, alpha });
    this.text(panel.index || "", x, y + 4, { size: 11, weight: "italic", family: "serif", align: "left", colour, alpha });
  }

  // One pixel a cell into a small image, which the canvas then enlarges; where rows outnumber pixels, their mean.
  drawImage(panel, first, rows, pitch, y) {
    const total = this.data.tokens.length, columns = this.to - this.from, pool = pitch < 1 ? Math.round(1 / pitch) : 1;
    const lines = Math.ceil(rows / pool), image = this.paint.createImageData(columns, lines);
    const pixels = new Uint32Array(image.data.buffer), table = panel.signed ? this.theme.signed : this.theme.gate;
    for (let line = 0; line < lines; line++) {
      const top = first + line * pool, bottom = Math.min(top + pool, panel.units.length);
      for (let t = 0; t < columns; t++) {
        let sum = 0, count = 0;
        for (let at = top * total + this.from + t, stop = bottom * total; at < stop; at += total)
          if (panel.codes[at] !== NAN) { sum += panel.codes[at]; count++; }
        if (count) pixels[line * columns + t] = table[(sum / count) >> 8];
      }
    }
    Object.assign(this.scratch, { width: columns, height: lines }); // also clears it
    this.scratch.getContext("2d").putImageData(image, 0, 0);
    this.paint.imageSmoothingEnabled = false;
    this.paint.drawImage(this.scratch, this.x(this.from), y, columns * this.column, (lines * Math.max(1, pitch)) / this.dpr);
  }

  // The selected unit through the sentence: its state as the tint of the text, then a strip for each role.
  drawUnit() {
    const { paint, theme, data, column, roles } = this, row = this.rows().indexOf(this.unit), state = roles[0];
    const depth = data.annotation[String(this.unit)];
    const title = `unit ${this.unit} through the sentence` + (depth ? ` · ${depth}` : "") + (data.layers.length > 1 ? ` · layer ${this.layer + 1}` : "");
    this.text(title, LEFT, this.unitTop - 14, { size: 13, weight: 700, align: "left" });
    if (!state) return;
    const bound = (panel) => panel.role !== "cell" ? panel.high : // a cell has no bound: its own largest value here
      data.tokens.reduce((most, _, t) => Math.max(most, Math.abs(this.value(panel, row, t)) || 0), 1e-6);
    const most = bound(state);
    this.drawTokens(this.unitTop, (t) => {
      const value = this.value(state, row, t);
      return Number.isNaN(value) ? [0, 0, 0, 0] : [...channels(theme.signed[clamp(Math.round(127.5 + 127.5 * (value / most)), 0, 255)]), 1];
    });
    roles.forEach((panel, k) => {
      const numbers = column >= 32 ? 11 : 0, top = this.rolesTop + k * ROLE + numbers, height = ROLE - 8 - numbers;
      const high = bound(panel), colour = panel[theme.mode];
      const zero = panel.signed ? top + height / 2 : top + height, unit = (panel.signed ? height / 2 : height) / high;
      this.clip(top - numbers, ROLE, 0, () => {
        for (let t = this.from; t < this.to; t++) {
          const value = this.value(panel, row, t), size = value * unit;
          paint.fillStyle = colour; paint.globalAlpha = t === this.time ? 1 : 0.55;
          paint.fillRect(this.x(t), Math.min(zero, zero - size), Math.max(1, column - (column > 5 ? 1.5 : 0)), Math.abs(size));
          paint.globalAlpha = 1;
          if (numbers) this.text(number(value), this.x(t) + column / 2, top - 6, { size: 10, align: "center", alpha: 0.85 });
        }
        paint.fillStyle = theme.line; paint.fillRect(LEFT, zero, this.end - LEFT, 1);
      });
      this.text(number(this.value(panel, row, this.time)), LEFT - 12, top + height / 2, { size: 12, weight: 600 });
      this.text(panel.label.replace(/ (gate|state)$/, ""), LEFT - 52, top + height / 2, { colour });
      const end = (v) => (panel.signed && v > 0 ? "+" : "") + number(v, v % 1 ? 2 : 0);
      this.text(end(high), this.end + 8, top + 5, { size: 10, align: "left", alpha: 0.65 });
      this.text(end(panel.signed ? -high : 0), this.end + 8, top + height - 4, { size: 10, align: "left", alpha: 0.65 });
    });
  }

  frameColumn(top, bottom) { // around the selected token and everything below it
    const { paint, lean } = this, left = this.x(this.time) - 1, right = left + this.column + 1, knee = top + this.strip;
    if (right <= LEFT || left >= this.width - RIGHT) return;
    paint.strokeStyle = this.theme.primary; paint.lineWidth = 2; paint.lineJoin = "round";
    paint.beginPath();
    for (const [x, y] of [[left, bottom], [left, knee], [left + lean, top + 1], [right + lean, top + 1], [right, knee], [right, bottom]]) paint.lineTo(x, y);
    paint.closePath(); paint.stroke();
  }

  describe() { // the line over the map, and what the buttons can still do
    const { data } = this, count = data.tokens.length, place = this.panels.find((p) => p.panel.layer === this.layer) ?? this.panels[0];
    const parts = [`${count} ${data.level === "char" ? "character" : "word"}${count === 1 ? "" : "s"} × ${this.rows().length} units`];
    if (this.to - this.from < count) parts.push(`showing tokens ${this.from}–${this.to - 1}`);
    if (place?.zoomed) parts.push(`rows ${this.firstRow(place)}–${this.firstRow(place) + place.rows - 1}`);
    if (place?.pitch < 1) parts.push(`each line is the mean of ${Math.round(1 / place.pitch)} units; “units +” shows them singly`);
    this.note.textContent = parts.join(" · ");
    this.columnButtons[0].disabled = this.column <= 2;
    this.columnButtons[1].disabled = this.column >= 120;
    this.rowButtons[0].disabled = this.zoomY <= 1;
    this.rowButtons[1].disabled = !place || place.pitch >= 32 * this.dpr || place.rows <= 2;
    this.fitButton.disabled = this.zoomX === 1 && this.zoomY === 1;
  }

  // ---- what a person does ------------------------------------------------------------------------------------------

  listen() {
    const { canvas, box } = this;
    let grip = null;
    new ResizeObserver(() => {
      if (!this.data || !this.scroll.clientWidth || this.scroll.clientWidth === this.width) return;
      this.layout(); this.reveal(); this.draw();
    }).observe(this.scroll);
    this.scroll.addEventListener("scroll", () => { this.leave(); this.draw(); });
    canvas.addEventListener("pointerdown", (event) => {
      const place = this.panels.find((p) => event.offsetY >= p.y && event.offsetY < p.y + p.height);
      grip = { x: event.clientX, y: event.clientY, left: this.scroll.scrollLeft, place, first: place && this.firstRow(place), moved: false };
    });
    canvas.addEventListener("pointermove", (event) => {
      if (!grip || !(event.buttons & 1)) return this.hover(event);
      const [dx, dy] = [event.clientX - grip.x, event.clientY - grip.y];
      if (!grip.moved && Math.hypot(dx, dy) < 5) return;
      grip.moved = true; // a drag moves the window on tokens and units
      this.leave();
      this.scroll.scrollLeft = grip.left - dx;
      if (grip.place) this.first[grip.place.panel.layer] = Math.round(grip.first - (dy * this.dpr) / grip.place.pitch);
      this.draw();
    });
    canvas.addEventListener("pointerup", (event) => {
      const hit = this.at(event);
      if (grip && !grip.moved && hit?.time !== undefined) this.select(hit.time, hit.unit ?? this.unit, hit.layer ?? this.layer);
      grip = null;
    });
    canvas.addEventListener("pointerleave", () => { grip = null; this.leave(); this.announce(); });
    canvas.addEventListener("wheel", (event) => {
      if (!event.ctrlKey) return;
      event.preventDefault();
      const factor = event.deltaY < 0 ? 2 : 0.5, now = performance.now();
      if (now - (this.wheeled ?? 0) < 120) return; // a trackpad sends dozens of events a pinch
      this.wheeled = now;
      this.zoom(event.shiftKey ? factor : 1, event.shiftKey ? 1 : factor, this.at(event));
    }, { passive: false });
    box.addEventListener("keydown", (event) => this.key(event));
  }

  key(event) {
    if (event.target !== this.box || event.ctrlKey || event.metaKey || event.altKey) return;
    const rows = this.rows(), row = rows.indexOf(this.unit), last = this.data.tokens.length - 1;
    const to = (time, next) => this.select(clamp(time, 0, last), rows[clamp(next, 0, rows.length - 1)], this.layer);
    const act = {
      ArrowLeft: () => to(this.time - 1, row), ArrowRight: () => to(this.time + 1, row),
      ArrowUp: () => to(this.time, row - 1), ArrowDown: () => to(this.time, row + 1),
      PageUp: () => to(this.time, row - 10), PageDown: () => to(this.time, row + 10),
      Home: () => to(0, row), End: () => to(last, row),
      "+": () => this.zoom(1, 2), "-": () => this.zoom(1, 0.5), ">": () => this.zoom(2, 1), "<": () => this.zoom(0.5, 1),
      "0": () => this.fitButton.click(),
    }[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  }

  // What lies under the pointer: a role's label, a token's column, or one unit of it.
  at({ offsetX, offsetY }) {
    const place = this.panels.find((p) => offsetY >= p.y && offsetY < p.y + p.height);
    if (offsetX < LEFT) {
      const role = offsetY < this.rolesTop ? undefined : this.roles[Math.floor((offsetY - this.rolesTop) / ROLE)];
      return { role: place?.panel ?? role };
    }
    const time = Math.floor((offsetX - LEFT + this.scroll.scrollLeft) / this.column);
    if (offsetX >= this.width - RIGHT || time >= this.data.tokens.length) return null;
    if (!place) return { time };
    const row = this.firstRow(place) + Math.floor(((offsetY - place.y) * this.dpr) / place.pitch);
    return { time, panel: place.panel, row, unit: place.panel.units[row], layer: place.panel.layer };
  }

  zoom(byX, byY, about = null) {
    if (!this.panels.length) return;
    const keep = this.firstRow(this.panels.find((p) => p.panel.layer === this.layer) ?? this.panels[0]);
    const centre = about?.row ?? this.rows().indexOf(this.unit), before = this.panels[0].rows, x = this.x(about?.time ?? this.time);
    this.zoomX = clamp(this.zoomX * byX, 2 / (this.column / this.zoomX), 128 / (this.column / this.zoomX));
    this.zoomY = clamp(this.zoomY * byY, 1, 4096);
    this.layout();
    const layer = about?.layer ?? this.layer;
    this.first[layer] = Math.round(centre - ((centre - keep) * this.panels[0].rows) / before);
    this.scroll.scrollLeft = (about?.time ?? this.time) * this.column - (x - LEFT);
    if (!about) this.reveal();
    this.draw();
  }

  select(time, unit, layer) {
    if (layer !== this.layer) { this.layer = layer; this.unit = unit; this.layout(); }
    Object.assign(this, { time, unit, layer });
    this.reveal(); this.draw(); this.announce();
    clearTimeout(this.timer);
    this.timer = setTimeout(() => {
      const selection = { time: this.time, unit: this.unit, layer: this.layer };
      this.sent = JSON.stringify(selection);
      this.send("selection", selection);
    }, 120);
  }

  hover(event) {
    const hit = this.at(event), { tip, data } = this;
    if (!hit || (hit.time === undefined && !hit.role)) { this.leave(); this.announce(); return; }
    const line = (tag, text, name = "") => Object.assign(document.createElement(tag), { textContent: text, className: name });
    const lines = [];
    if (hit.role) lines.push(line("b", hit.role.label), line("span", hit.role.meaning));
    else {
      const t = hit.time, known = !data.unknown[t];
      lines.push(line("b", `“${data.labels[t]}” (${t})`));
      if (!known) lines.push(line("span", `not in the vocabulary: the model reads ${data.tokens[t]}`, "quiet"));
      if (data.generated_from !== null && t >= data.generated_from) lines.push(line("span", "sampled from the model", "quiet"));
      if (hit.panel) lines.push(line("span", `unit ${hit.unit} · ${hit.panel.label} ${hit.panel.symbol} = ${number(this.value(hit.panel, hit.row, t), 3)}`));
      lines.push(line("span", `loss ${number(data.nll[t])} nats · perplexity so far ${perplexity(data.running_nll[t])}`, "quiet"));
    }
    tip.replaceChildren(...lines);
    tip.style.display = "block";
    const box = this.box.getBoundingClientRect(), [x, y] = [event.clientX - box.left, event.clientY - box.top];
    tip.style.left = `${x + 18 + tip.offsetWidth > box.width ? x - 14 - tip.offsetWidth : x + 18}px`;
    tip.style.top = `${Math.max(0, y + 18 + tip.offsetHeight > box.height ? y - 14 - tip.offsetHeight : y + 18)}px`;
    this.hoverColumn.style.display = hit.role ? "none" : "block";
    if (hit.role) return;
    Object.assign(this.hoverColumn.style, { left: `${this.x(hit.time) - 1}px`, width: `${this.column + 1}px`, top: 0, height: `${this.height}px` });
    this.announce(hit.time, hit.unit ?? this.unit, hit.layer ?? this.layer, true);
  }

  leave() { this.tip.style.display = this.hoverColumn.style.display = "none"; }

  // Tell the readout beside the map, and whoever listens instead of looking.
  announce(time = this.time, unit = this.unit, layer = this.layer, hovering = false) {
    const { data } = this, row = this.rows(layer).indexOf(unit);
    const roles = this.panelsOf(layer).map(({ codes, units, ...panel }) => ({
      ...panel, value: this.value({ ...panel, codes }, row, time), previous: this.value({ ...panel, codes }, row, time - 1),
    }));
    window.__lstmviz = {
      time, unit, layer, hovering, roles, mode: this.theme.mode, level: data.level, layers: data.layers.length,
      token: data.labels[time], read_as: data.unknown[time] ? data.tokens[time] : null, annotation: data.annotation[String(unit)] ?? null,
      nll: data.nll[time], running_nll: data.running_nll[time],
      next: { tokens: data.top.tokens[time].map(visible), probabilities: data.top.probabilities[time] },
    };
    window.dispatchEvent(new CustomEvent("lstmviz:readout", { detail: window.__lstmviz }));
    if (hovering) return;
    const values = roles.map((role) => `${role.label} ${number(role.value)}`).join(", ");
    const text = `token ${data.labels[time]}, ${time + 1} of ${data.tokens.length}; unit ${unit}: ${values}; loss ${number(data.nll[time])}, perplexity ${perplexity(data.running_nll[time])}`;
    this.box.setAttribute("aria-label", `Gate map. Arrow keys choose a token and a unit, plus and minus zoom. Selected: ${text}`);
    clearTimeout(this.speech);
    this.speech = setTimeout(() => { this.spoken.textContent = text; }, 300);
  }
}

const maps = new WeakMap(); // one a mount: Streamlit calls the function below for every new message and theme

export default function ({ parentElement, data, setStateValue }) {
  if (!maps.has(parentElement)) maps.set(parentElement, new GateMap(parentElement));
  if (data) maps.get(parentElement).update(decode(data), setStateValue);
}
