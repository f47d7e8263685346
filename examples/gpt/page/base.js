// Small tools that every other script uses: elements, numbers, texts made visible, the tip that follows the pointer.
'use strict';

// el('p', {class: 'look'}, 'text', node): texts become text nodes, so nothing that a run contains is ever read as HTML.
function el(tag, attributes, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith('on')) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? '' : value);
  }
  for (const child of children.flat()) {
    if (child !== null && child !== undefined) node.append(child);
  }
  return node;
}

const isNumber = (x) => typeof x === 'number' && Number.isFinite(x);

// 4 significant digits, with an exponent only where plain digits would be unreadable.
function number(x, digits = 4) {
  if (!isNumber(x)) return '–';
  const size = Math.abs(x);
  if (size === 0) return '0';
  if (size >= 1e6 || size < 1e-4) return x.toExponential(Math.max(digits - 2, 1)).replace(/-/g, '−').replace('e+', 'e');
  if (Number.isInteger(x)) return x.toLocaleString('en').replace('-', '−');
  return String(Number(x.toPrecision(digits))).replace('-', '−');
}
const percent = (x, digits = 0) => (isNumber(x) ? `${(100 * x).toFixed(x !== 0 && Math.abs(x) < 0.0995 && digits === 0 ? 1 : digits)}\u00a0%` : '–');
const count = (n) => (isNumber(n) ? Math.round(n).toLocaleString('en') : '–');

const superscripts = '⁰¹²³⁴⁵⁶⁷⁸⁹';
const powerOfTen = (exponent) =>
  '10' + String(Math.round(exponent)).replace('-', '⁻').replace(/\d/g, (d) => superscripts[d]);

// What a chart can show of a token: control characters by their pictures, spaces and marks of direction visibly.
function visible(text, space = '·') {
  return String(text).replace(/[\u0000-\u0020\u007f-\u00a0\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u2069\ud800-\udfff\ufeff\ufffe\uffff]/gu, (c) => {
    const code = c.codePointAt(0);
    if (c === '\n') return '↵';
    if (c === ' ') return space;
    if (code < 0x20) return String.fromCharCode(0x2400 + code);
    if (code === 0x7f) return '␡';
    return `<${code.toString(16).toUpperCase().padStart(4, '0')}>`;
  });
}
// The same for running text, where spaces stay spaces.
const readable = (text) => visible(text, ' ');
function short(text, length = 28) {
  const signs = [...readable(text)];
  return signs.length > length ? signs.slice(0, length - 1).join('') + '…' : signs.join('');
}

// A text from right to left keeps to itself within a line from left to right.
const isolated = (text) => (/[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]/.test(text) ? `\u2068${text}\u2069` : text);

// The item with the least value; undefined if there is none. (d3 5 as npm has it comes without d3.least.)
function leastBy(items, value) {
  let best, least = Infinity;
  for (const item of items) {
    const v = value(item);
    if (v < least) { least = v; best = item; }
  }
  return best;
}

// A text of the document: a string, or one for each language.
const localized = (text) => (text && typeof text === 'object' ? text[state.language] || text.en || text.ko || '' : String(text ?? ''));

const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

// Tips hold rows [label, value] and plain lines; whoever cannot see them hears them from #say.
const tip = {
  show(x, y, rows) {
    const box = document.getElementById('tip');
    box.replaceChildren(...rows.filter(Boolean).map((row) =>
      Array.isArray(row)
        ? el('div', { class: row[3] ? 'row strong' : 'row' }, row[2] ? el('i', { style: `background:${row[2]}` }) : null, el('span', {}, row[0]), el('b', {}, row[1]))
        : el('div', { class: 'head' }, row)));
    box.hidden = false;
    const { width, height } = box.getBoundingClientRect();
    const left = x + 16 + width > innerWidth ? Math.max(4, x - width - 16) : x + 16;
    const top = y + 16 + height > innerHeight ? Math.max(4, y - height - 12) : y + 16;
    box.style.transform = `translate(${left}px, ${top}px)`;
  },
  hide() {
    document.getElementById('tip').hidden = true;
  },
  say(rows) {
    document.getElementById('say').textContent = rows.filter(Boolean).map((row) => (Array.isArray(row) ? `${row[0]}: ${row[1]}` : row)).join('; ');
  },
};

// Arrow keys go through the n marks of a drawing: `at(i)` is a mark's place in it, `lines(i)` what its tip says.
function arrowKeys(node, n, at, lines) {
  let chosen = -1;
  node.addEventListener('blur', () => tip.hide());
  node.addEventListener('keydown', (event) => {
    const by = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -1, ArrowDown: 1 }[event.key];
    if (!by || !n) return;
    event.preventDefault();
    chosen = chosen < 0 ? 0 : (chosen + by + n) % n;
    const box = node.getBoundingClientRect(), [x, y] = at(chosen);
    tip.show(box.left + x, box.top + y, lines(chosen));
    tip.say(lines(chosen));
  });
}

// The width of a text in pixels.
const measure = (() => {
  const context = document.createElement('canvas').getContext('2d');
  return (text, font) => {
    context.font = font;
    return context.measureText(text).width;
  };
})();
