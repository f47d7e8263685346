// Per matrix: how far a step moves its weights, and how large its gradient is.

// Matrices of one block share a shade: the first block light, the last dark; those outside the blocks are grey.
function matrixColor(doc) {
  const blocks = d3.max(doc.matrices, (m) => matrixParts(m.name).block) ?? 0;
  const scale = d3.scaleLinear().domain([0, Math.max(blocks, 1) / 2, Math.max(blocks, 1)]).range([css('--s6'), css('--s3'), css('--s2')]).interpolate(d3.interpolateLab);
  const many = doc.matrices.length > 12;
  const colors = palette();
  return (i) => {
    const { block } = matrixParts(doc.matrices[i].name);
    if (!many) return colors[i % 8];
    return block === null ? css('--s8') : scale(block);
  };
}
const dashOf = (doc, i) => (doc.matrices.length <= 12 ? (i >= 8 ? '2 3' : null) : /attn/.test(doc.matrices[i].name) ? null : /mlp/.test(doc.matrices[i].name) ? '5 3' : '1 3');

function matrixSeries(doc, part) {
  const color = matrixColor(doc);
  return doc.matrices.map((m, i) => ({ name: shortName(m.name), tag: doc.matrices.length <= 16 ? shortName(m.name) : null, x: doc.per_matrix.step, y: doc.per_matrix[part][i] || [], color: color(i), dash: dashOf(doc, i), width: 1.4, opacity: 0.85 }));
}

// Raw ratios jump from step to step: the median of 9 neighbours shows where they stay.
function calm(values) {
  return values.map((v, i) => d3.median(values.slice(Math.max(0, i - 4), i + 5).filter((x) => isNumber(x))) ?? null);
}

// A schedule that ends at 0 pulls the last ratios to 0: they leave the picture at the bottom.
function ratioDomain(series) {
  const all = series.flatMap((s) => s.y).filter((v) => isNumber(v) && v > 0).sort((a, b) => a - b);
  return [Math.min(5e-4, d3.quantile(all, 0.03) ?? 1e-4) / 1.5, Math.max(2e-3, d3.max(all) ?? 1e-2) * 1.3];
}

const matrixCsv = (part) => (doc) => [['step', ...doc.matrices.map((m) => m.name)], ...doc.per_matrix.step.map((step, s) => [step, ...doc.matrices.map((_, i) => (doc.per_matrix[part][i] || [])[s])])];

view({
  id: 'updates', group: 'learning',
  needs: (doc) => doc.per_matrix && present(doc.per_matrix.step) && present(doc.per_matrix.update_ratio) && present(doc.matrices),
  controls: () => el('div', { class: 'controls' }, toggle('raw', 'rawRatios', ['updates']), el('span', {}, T('chart.zoom'))),
  draw(box, doc) {
    const series = matrixSeries(doc, 'update_ratio').map((s) => (state.rawRatios ? s : { ...s, y: calm(s.y) }));
    if (!series.some((s) => s.tag)) legend(box, [[css('--s6'), T('block.first')], [css('--s2'), T('block.last')], [css('--s8'), T('block.none')]].map(([color, name]) => ({ color, name })));
    return lineChart(box, { label: T('updates.aria', runName(doc)), height: 360, x: { label: T('step'), steps: true, log: state.logX }, y: { label: T('updates.axis'), log: true, domain: ratioDomain(series) },
      series, rules: [{ y: 1e-3, label: T('updates.rule'), along: 0.45 }], atStep: true });
  },
  csv: matrixCsv('update_ratio'),
});

view({
  id: 'flow', group: 'learning',
  needs: (doc) => doc.per_matrix && present(doc.per_matrix.step) && present(doc.per_matrix.grad_norm) && present(doc.matrices),
  controls: () => el('div', { class: 'controls' }, toggle('flow.per_weight', 'perWeight', ['flow'])),
  draw(box, doc) {
    const { step, grad_norm: norms } = doc.per_matrix;
    const nothing = -1e3;  // stands for the logarithm of 0
    const root = doc.matrices.map((m) => (state.perWeight ? Math.sqrt((m.shape || [1]).reduce((a, b) => a * b, 1)) : 1));
    const width = Math.floor(box.getBoundingClientRect().width), left = width > 560 ? 148 : 104;
    const columns = Math.max(24, Math.min(180, Math.floor((width - left) / 4)));
    const scale = stepScale(state.logX).domain(d3.extent(step)).range([0, columns]);
    const stops = [...new Set(d3.range(columns).map((c) => indexAtStep(step, scale.invert(c + 0.5))))];
    const value = (i, j) => { const v = (norms[i] || [])[stops[j]]; return !isNumber(v) ? null : v > 0 ? Math.log10(v / root[i]) : nothing; };
    const cells = d3.cross(d3.range(doc.matrices.length), d3.range(stops.length)).map(([i, j]) => value(i, j)).filter(isNumber).sort((a, b) => a - b);
    const all = cells.filter((v) => v > nothing);
    const low = d3.quantile(all, 0.02) ?? -1, high = Math.max(d3.quantile(all, 0.98) ?? 0, low + 0.5);
    const heat = sequential();
    const color = (v) => (v > nothing ? heat((v - low) / (high - low)) : css('--minus'));
    const cell = [(width - left - 8) / stops.length, Math.max(12, Math.min(24, 460 / doc.matrices.length))];
    colorKey(box, color, [low, high], [number(10 ** low, 2), number(10 ** high, 2)]);
    if (all.length < cells.length) legend(box, [{ color: css('--minus'), name: T('flow.nothing') }]);
    const clipped = clipShares(doc, step, stops);
    if (clipped) {
      box.append(el('div', { class: 'caption' }, T('flow.clip')));
      heatGrid(box, { label: T('flow.clip'), rows: [T('flow.clip_row')], columns: stops.map((s) => step[s]), left, cell: [cell[0], 12], value: (i, j) => clipped[j], color: (v) => d3.interpolateLab(css('--zero'), css('--minus'))(v),
        tip: (i, j) => [`${T('step')} ${count(step[stops[j]])}`, [T('flow.clip_row'), percent(clipped[j])]] });
    }
    const svg = heatGrid(box, { label: T('flow.aria', runName(doc)), rows: doc.matrices.map((m) => shortName(m.name)), columns: stops.map((s) => step[s]), left, cell, value, color, xLabel: ' ',
      tip: (i, j) => [`${shortName(doc.matrices[i].name)}, ${T('step')} ${count(step[stops[j]])}`, [T('flow.norm'), number((norms[i] || [])[stops[j]])], [T('flow.per_weight'), number((norms[i] || [])[stops[j]] / Math.sqrt((doc.matrices[i].shape || [1]).reduce((a, b) => a * b, 1)))]],
      onPick: (i) => { state.matrix = i; refresh(['histograms', 'step']); document.getElementById('histograms').scrollIntoView(); } });
    return flowAxis(svg, step, stops, { left, cell, rows: doc.matrices.length });
  },
  csv: matrixCsv('grad_norm'),
});

// Steps under the grid, and the line of the slider's step.
function flowAxis(svg, step, stops, { left, cell, rows }) {
  const at = (s) => left + cell[0] * (nearestIndex(stops.map((i) => step[i]), s) + 0.5);
  const bottom = 8 + rows * cell[1];
  const wanted = stepTicks(d3.scaleLinear().domain([step[0], step[step.length - 1]]), state.logX, 400);
  let last = -100;
  for (const tick of [...new Set([step[0], ...wanted])].sort((a, b) => a - b)) {
    if (at(tick) - last < 30) continue;
    last = at(tick);
    svg.append('text').attr('class', 'label').attr('x', at(tick)).attr('y', bottom + 14).attr('text-anchor', 'middle').text(stepFormat(tick));
  }
  const line = svg.append('line').attr('class', 'step-line hover-only').attr('y1', 8).attr('y2', bottom);
  const move = () => line.attr('x1', at(state.step)).attr('x2', at(state.step));
  move();
  return move;
}

// How much of the time between two columns the gradient was cut, from the log's clip factors (1: not cut).
function clipShares(doc, step, stops) {
  const { loss } = doc;
  if (!loss || !present(loss.clip) || !loss.clip.some((c) => isNumber(c) && c < 1)) return null;
  return stops.map((s, j) => {
    const from = j ? step[stops[j - 1]] : -1, to = step[s];
    const between = loss.clip.filter((c, i) => isNumber(c) && loss.step[i] > from && loss.step[i] <= to);
    const nearby = between.length ? between : [loss.clip[indexAtStep(loss.step, to)]];
    return d3.mean(nearby, (c) => (isNumber(c) && c < 1 ? 1 : 0)) ?? 0;
  });
}
