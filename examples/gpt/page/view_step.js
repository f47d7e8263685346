// One step of AdamW on a text: a weight, its gradient, the two moments, the update; and the tokens that the gradient came from.

const matricesOfStep = (doc) => [...new Set(doc.one_step.weights.map((w) => w.name))];

// The recorded weights of the matrix as a grid of the rows and columns that there are.
function stepGrid(box, doc, name) {
  const weights = doc.one_step.weights.map((w, i) => ({ ...w, i })).filter((w) => w.name === name);
  const rows = [...new Set(weights.map((w) => w.row))].sort((a, b) => a - b), columns = [...new Set(weights.map((w) => w.col))].sort((a, b) => a - b);
  const at = new Map(weights.map((w) => [`${w.row},${w.col}`, w]));
  const find = (r, c) => at.get(`${rows[r]},${columns[c]}`);
  const part = state.stepPart || 'grad';
  const most = d3.max(weights, (w) => Math.abs(w[part])) || 1;
  const color = (v) => signed()(Math.sign(v) * Math.sqrt(Math.abs(v) / most));
  const chosen = doc.one_step.weights[state.weight];
  const picked = chosen && chosen.name === name ? [rows.indexOf(chosen.row), columns.indexOf(chosen.col)] : null;
  colorKey(box, (v) => color(v), [-most, most], [number(-most, 2), number(most, 2)]);
  const wide = Math.floor(box.getBoundingClientRect().width);
  const cell = Math.max(22, Math.min(48, Math.floor((wide - 70) / columns.length)));
  const scroll = el('div', { class: 'scroll' });
  box.append(scroll);
  heatGrid(scroll, { label: T('step.grid', shortName(name)), left: 58, top: 22, cell: [cell, Math.min(cell, 30)], rows: rows.map((r) => rowName(doc, name, r)), columns: columns.map(String), picked,
    value: (r, c) => (find(r, c) ? find(r, c)[part] : null), color,
    tip: (r, c) => { const w = find(r, c); return [`${shortName(name)} [${w.row}, ${w.col}]`, [T('step.value'), number(w.value)], [T('step.grad'), number(w.grad)], [T('step.update'), number(w.update)]]; },
    onPick: (r, c) => { state.weight = find(r, c).i; refresh(['step']); } });
  box.append(el('div', { class: 'caption' }, T('step.grid_look', (doc.matrices || []).filter((m) => m.name === name).map((m) => m.shape.join(' × '))[0] || (weights[0].shape || []).join(' × '))));
}
// Rows of the token table are tokens.
const rowName = (doc, name, row) => (/wte/.test(name) && doc.vocab && doc.vocab[row] !== undefined ? `${short(tokenText(doc, row), 4)} ${row}` : String(row));

// The arithmetic of the step, with the numbers of this weight.
function stepWork(doc, w) {
  const one = doc.one_step;
  const { beta1, beta2, lr, eps, weight_decay: decay } = one;
  const clip = isNumber(one.clip) ? one.clip : 1;
  const clipped = w.grad * clip;
  const before = (w.m - (1 - beta1) * clipped) / beta1, beforeV = Math.max(0, (w.v - (1 - beta2) * clipped * clipped) / beta2);
  const n = (x) => number(x, 4);
  const line = (name, formula, value, result) => el('div', { class: result ? 'result' : null }, el('dt', {}, name), el('dd', {}, formula, ' = ', el('b', {}, value)));
  return el('dl', { class: 'work' },
    el('div', {}, el('dt', {}, T('step.value')), el('dd', {}, 'w = ', el('b', {}, n(w.value)))),
    line(T('step.grad_clip'), `g = ${n(w.grad)} × ${n(clip)}`, n(clipped)),
    line(T('step.m'), `m = ${beta1} × ${n(before)} + ${n(1 - beta1)} × ${n(clipped)}`, n(w.m)),
    line(T('step.v'), `v = ${beta2} × ${n(beforeV)} + ${n(1 - beta2)} × ${n(clipped)}²`, n(w.v)),
    line(T('step.hat'), `m̂ = m / (1 − ${beta1}^t)`, n(w.m_hat)),
    line('', `v̂ = v / (1 − ${beta2}^t)`, n(w.v_hat)),
    line(T('step.update'), `−${n(lr)} × (m̂ / (√v̂ + ${n(eps)}) + ${n(decay)} × w)`, n(w.update), true),
    line(T('step.after'), `${n(w.value)} + (${n(w.update)})`, n(w.after), true));
}

function blame(box, doc, w) {
  const pieces = (doc.one_step.pieces || []).map((piece) => visible(piece));
  const values = w.blame || [];
  if (!values.some(isNumber)) return;
  const most = d3.max(values, (v) => Math.abs(v)) || 1;
  const color = (v) => signed()(v / most);
  box.append(el('div', { class: 'caption' }, el('b', {}, T('step.blame')), ` – ${T('step.blame_look')}`));
  tokenRow(box, { label: T('step.blame'), pieces: pieces.slice(0, values.length), fill: (i) => color(values[i] || 0), under: (i) => (Math.abs(values[i]) >= 0.01 * most ? number(values[i], 2) : ''), tip: (i) => [`${short(pieces[i], 20)} (${i + 1})`, [T('step.part'), number(values[i])], [T('step.share'), percent(Math.abs(values[i]) / (d3.sum(values, Math.abs) || 1), 1)]] });
  box.append(el('div', { class: 'caption' }, T('step.blame_sum', number(d3.sum(values)), number(w.grad))));
}

view({
  id: 'step', group: 'computing', still: true,
  needs: (doc) => doc.one_step && present(doc.one_step.weights),
  controls(docs) {
    const doc = docs[0];
    const chosen = doc.one_step.weights[Math.min(state.weight, doc.one_step.weights.length - 1)];
    const part = state.stepPart || 'grad';
    return el('div', { class: 'controls' },
      chooser(T('matrix'), matricesOfStep(doc).map((name) => [name, shortName(name)]), chosen.name, (name) => {
        const { weights } = state.runs.find((run) => run.one_step).one_step;  // of now: this list may outlive its document
        state.weight = leastBy(d3.range(weights.length).filter((i) => weights[i].name === name), (i) => -Math.abs(weights[i].grad));
        refresh(['step']);
      }),
      chooser(T('step.color'), ['grad', 'value', 'update', 'm'].map((p) => [p, T(`step.${p}`)]), part, (p) => { state.stepPart = p; refresh(['step']); }));
  },
  draw(box, doc) {
    const chosen = state.runs[0].one_step && state.runs[0].one_step.weights[state.weight];
    const own = doc.one_step.weights;
    const w = own.find((o) => chosen && o.name === chosen.name && o.row === chosen.row && o.col === chosen.col) || own[0];
    const at = doc.one_step;
    box.append(el('div', { class: 'caption' }, T('step.of', count(at.step), number(at.loss), number(at.lr)), ' ', el('bdi', {}, short((at.pieces || []).map((piece) => visible(piece)).join(''), 60))));
    const parts = el('div', { class: 'split' }), left = el('div', {}), right = el('div', {});
    parts.append(left, right);
    box.append(parts);
    stepGrid(left, doc, w.name);
    right.append(el('div', { class: 'caption' }, el('b', {}, `${shortName(w.name)} [${w.row}, ${w.col}]`)), stepWork(doc, w));
    const below = el('div', {});
    box.append(below);
    blame(below, doc, w);
    return null;
  },
  csv: (doc) => [['matrix', 'row', 'column', 'value', 'grad', 'm', 'v', 'm_hat', 'v_hat', 'update', 'after', ...(doc.one_step.pieces || []).map((p, i) => `blame_${i}_${visible(p)}`)],
    ...doc.one_step.weights.map((w) => [w.name, w.row, w.col, w.value, w.grad, w.m, w.v, w.m_hat, w.v_hat, w.update, w.after, ...(w.blame || [])])],
});
