// Saving a view: its drawings as one SVG or PNG, its numbers as CSV.

function download(name, type, content) {
  const url = URL.createObjectURL(content instanceof Blob ? content : new Blob([content], { type }));
  const link = el('a', { href: url, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(url), 10000);
}

const fileName = (id, extension) => `${state.runs.map(runName).join('-') || 'lab'}-${id}.${extension}`.replace(/[^\p{L}\p{N}.-]+/gu, '_');

// A cell of CSV as RFC 4180 wants it. A sheet program would run a text that begins with "=", so such a one is quoted
// with an apostrophe; numbers stay numbers.
function csvCell(value) {
  if (value === null || value === undefined || (typeof value === 'number' && !Number.isFinite(value))) return '';
  if (typeof value === 'number') return String(value);
  const text = /^[=+\-@\t\r]/.test(value) ? `'${value}` : String(value);
  return /[",\r\n]/.test(text) ? `"${text.replace(/"/g, '""')}"` : text;
}
const csvText = (rows) => '\ufeff' + rows.map((row) => row.map(csvCell).join(',')).join('\r\n') + '\r\n';

// The rules that drawings need away from the page, with the colours of the moment in place of variables.
function chartStyle() {
  const rules = [];
  for (const sheet of document.styleSheets) {
    for (const rule of sheet.cssRules) {
      if (rule.selectorText && rule.selectorText.includes('svg')) rules.push(rule.cssText.replace(/var\((--[a-z0-9-]+)\)/g, (_, name) => css(name)));
    }
  }
  return rules.join('\n');
}

// All drawings of the view at their places, under its title.
function viewAsSvg(body, title) {
  const frameBox = body.getBoundingClientRect();
  const svgs = [...body.querySelectorAll('svg.chart')].filter((svg) => svg.getBoundingClientRect().width > 0);
  if (!svgs.length) return null;
  const boxes = svgs.map((svg) => svg.getBoundingClientRect());
  const top = Math.min(...boxes.map((b) => b.top)), left = Math.min(...boxes.map((b) => b.left), frameBox.left);
  const width = Math.ceil(Math.max(...boxes.map((b) => b.right)) - left) + 32;
  const height = Math.ceil(Math.max(...boxes.map((b) => b.bottom)) - top) + 64;
  const space = 'http://www.w3.org/2000/svg';
  const whole = document.createElementNS(space, 'svg');
  whole.setAttribute('xmlns', space);
  whole.setAttribute('width', width);
  whole.setAttribute('height', height);
  whole.setAttribute('viewBox', `0 0 ${width} ${height}`);
  whole.setAttribute('class', 'chart');
  const style = document.createElementNS(space, 'style');
  style.textContent = chartStyle();
  const ground = document.createElementNS(space, 'rect');
  ground.setAttribute('width', width);
  ground.setAttribute('height', height);
  ground.setAttribute('fill', css('--card'));
  const heading = document.createElementNS(space, 'text');
  heading.setAttribute('x', 16);
  heading.setAttribute('y', 28);
  heading.setAttribute('class', 'heading');
  heading.textContent = title;
  whole.append(style, ground, heading);
  svgs.forEach((svg, i) => {
    const copy = svg.cloneNode(true);
    copy.querySelectorAll('.hover-only, .brush, .empty-hit').forEach((node) => node.remove());
    copy.setAttribute('x', boxes[i].left - left + 16);
    copy.setAttribute('y', boxes[i].top - top + 48);
    copy.setAttribute('width', boxes[i].width);
    copy.setAttribute('height', boxes[i].height);
    for (const name of ['tabindex', 'role', 'aria-label', 'style']) copy.removeAttribute(name);
    whole.append(copy);
  });
  return { text: new XMLSerializer().serializeToString(whole), width, height };
}

function saveSvg(id, body, title) {
  const drawing = viewAsSvg(body, title);
  if (drawing) download(fileName(id, 'svg'), 'image/svg+xml', drawing.text);
}

function savePng(id, body, title) {
  const drawing = viewAsSvg(body, title);
  if (!drawing) return;
  const image = new Image();
  image.onload = () => {
    const canvas = el('canvas', { width: 2 * drawing.width, height: 2 * drawing.height });
    const context = canvas.getContext('2d');
    context.scale(2, 2);
    context.drawImage(image, 0, 0);
    canvas.toBlob((blob) => { if (blob) download(fileName(id, 'png'), 'image/png', blob); else tip.say([T('save.failed')]); }, 'image/png');
  };
  image.onerror = () => tip.say([T('save.failed')]);
  image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(drawing.text)}`;
}

function saveCsv(id, definition) {
  const rows = [];
  const runs = state.runs.length ? state.runs : [null];
  for (const doc of runs) {
    const table = doc && definition.needs && !definition.needs(doc) ? [] : definition.csv(doc);
    if (!table.length) continue;
    const own = runs.length > 1 ? (row, i) => [i === 0 ? 'run' : runName(doc), ...row] : (row) => row;
    rows.push(...table.map(own).slice(rows.length && String(rows[0]) === String(own(table[0], 0)) ? 1 : 0));
  }
  download(fileName(id, 'csv'), 'text/csv', csvText(rows));
}

// The buttons of a view.
function saveTools(id, body, title, definition, kinds) {
  const actions = { SVG: () => saveSvg(id, body, title), PNG: () => savePng(id, body, title), CSV: () => saveCsv(id, definition) };
  return el('div', { class: 'tools', role: 'group', 'aria-label': T('save') }, kinds.map((kind) => el('button', { 'data-save': kind, 'aria-label': `${T('save')}: ${title}, ${kind}`, onclick: actions[kind] }, kind)));
}
