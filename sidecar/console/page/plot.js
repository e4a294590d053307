// Lines over the last minutes, as SVG. The legend says in text what the lines show, now or where the pointer is.

const SPACE = { left: 46, right: 8, top: 8, bottom: 18 };
const SECONDS = 300;
const svg = (tag, attributes = {}) => {
  const node = document.createElementNS('http://www.w3.org/2000/svg', tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  return node;
};

/** A round number that is not below a value. */
function ceiling(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return power * [1, 2, 5, 10].find((factor) => factor * power >= value * 0.999);
}

export class Plot {
  /** names: of the series, in the order of their colours; format: a value as text; least: what the axis reaches at least. */
  constructor(figure, { title, names, format, least }) {
    Object.assign(this, { title, format, least, names: [...names], points: [], keys: new Map() });
    const caption = document.createElement('figcaption');
    const heading = document.createElement('h2');
    heading.textContent = title;
    caption.append(heading);
    this.svg = svg('svg', { class: 'plot', role: 'img' });
    this.legend = document.createElement('dl');
    this.legend.className = 'legend';
    figure.append(caption, this.svg, this.legend);
    this.svg.addEventListener('pointermove', (event) => { this.pointer = event.offsetX; this.draw(); });
    this.svg.addEventListener('pointerleave', () => { this.pointer = undefined; this.draw(); });
    new ResizeObserver(() => this.draw()).observe(this.svg);
  }

  /** at: seconds; values: by name; one that is undefined is a gap. */
  add(at, values) {
    for (const name of Object.keys(values)) if (!this.names.includes(name)) this.names.push(name);
    this.points.push({ at, values });
    while (this.points[0].at < at - SECONDS - 10) this.points.shift();
    this.draw();
  }

  key(name, index) {
    if (!this.keys.has(name)) {
      const [row, term, value] = ['div', 'dt', 'dd'].map((tag) => document.createElement(tag));
      const key = svg('svg', { class: `key s${index % 6}`, 'aria-hidden': 'true', viewBox: '0 0 24 10' });
      key.append(svg('line', { x1: 1, y1: 5, x2: 23, y2: 5 }));
      term.append(key, name);
      row.append(term, value);
      this.legend.append(row);
      this.keys.set(name, value);
    }
    return this.keys.get(name);
  }

  draw() {
    const { width, height } = this.svg.getBoundingClientRect();
    if (!width || !this.points.length) return;
    const last = this.points.at(-1).at;
    const most = Math.max(...this.points.flatMap(({ values }) => Object.values(values).filter((value) => value !== undefined)), 0);
    const top = ceiling(Math.max(most, this.least));
    const x = (at) => SPACE.left + (width - SPACE.left - SPACE.right) * (1 - (last - at) / SECONDS);
    const y = (value) => height - SPACE.bottom - (height - SPACE.top - SPACE.bottom) * value / top;
    const shown = this.shown(x);
    const nodes = [0, 0.5, 1].flatMap((part) => {
      const text = svg('text', { x: SPACE.left - 6, y: y(top * part) + 4, 'text-anchor': 'end' });
      text.textContent = this.format(top * part);
      return [svg('line', { class: 'grid', x1: SPACE.left, x2: width - SPACE.right, y1: y(top * part), y2: y(top * part) }), text];
    });
    for (const [at, text, anchor] of [[last - SECONDS, '5 min ago', 'start'], [last, 'now', 'end']]) {
      const label = svg('text', { x: x(at), y: height - 3, 'text-anchor': anchor });
      label.textContent = text;
      nodes.push(label);
    }
    if (this.pointer !== undefined) nodes.push(svg('line', { class: 'cursor', x1: x(shown.at), x2: x(shown.at), y1: SPACE.top, y2: height - SPACE.bottom }));
    this.names.forEach((name, index) => {
      nodes.push(svg('path', { class: `s${index % 6}`, d: this.path(name, x, y, last) }));
      const value = shown.values[name];
      if (value !== undefined) nodes.push(svg('circle', { class: `s${index % 6}`, r: 3.5, cx: x(shown.at), cy: y(value) }));
      this.key(name, index).textContent = value === undefined ? '–' : this.format(value);
    });
    this.svg.replaceChildren(...nodes);
    const now = this.points.at(-1).values;
    this.svg.setAttribute('aria-label', `${this.title}: ${this.names.map((name) => `${name} ${now[name] === undefined ? 'nothing' : this.format(now[name])}`).join(', ')}; at most ${this.format(most)} in the last five minutes`);
  }

  /** The look whose values the legend says. */
  shown(x) {
    if (this.pointer === undefined) return this.points.at(-1);
    return this.points.reduce((nearest, point) => (Math.abs(x(point.at) - this.pointer) < Math.abs(x(nearest.at) - this.pointer) ? point : nearest));
  }

  path(name, x, y, last) {
    let [path, open] = ['', false];
    for (const { at, values } of this.points) {
      if (at < last - SECONDS) continue;
      const value = values[name];
      if (value !== undefined) path += `${open ? 'L' : 'M'}${x(at).toFixed(1)} ${y(value).toFixed(1)}${open ? '' : 'h0'}`;
      open = value !== undefined;
    }
    return path;
  }
}
