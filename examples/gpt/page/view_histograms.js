// How weights and gradients are spread, and how that moved: all matrices at the slider's step, and one over all steps.

// Only bins that some matrix uses; those around zero that hold next to nothing become one, so that the rest has room.
const compactCache = new WeakMap();
function compactHistograms(doc, part) {
  const cached = compactCache.get(doc) || {};
  if (cached[part] !== undefined) return cached[part];
  const { edges, step } = doc.histograms;
  const rows = doc.histograms[part] || [];
  const used = new Array(edges.length - 1).fill(0);
  for (const row of rows.flat().filter(Boolean)) {
    const total = d3.sum(row) || 1;
    row.forEach((n, b) => { used[b] = Math.max(used[b], n / total); });
  }
  const low = used.findIndex((u) => u > 0), high = used.length - 1 - [...used].reverse().findIndex((u) => u > 0);
  const zero = edges.findIndex((edge, b) => edge < 0 && edges[b + 1] > 0 || edge === 0);
  let result = null;
  if (low >= 0) {
    let from = zero, to = zero;
    while (from > low && used[from - 1] < 0.004) from--;
    while (to < high && used[to + 1] < 0.004) to++;
    const groups = [...d3.range(Math.max(0, low - 1), from).map((b) => [b, b]), [from, to], ...d3.range(to + 1, Math.min(used.length - 1, high + 1) + 1).map((b) => [b, b])];
    result = { step, bounds: groups.map(([a, b]) => [edges[a], edges[b + 1]]), rows: rows.map((steps) => (steps || []).map((row) => row && groups.map(([a, b]) => d3.sum(row.slice(a, b + 1))))) };
  }
  compactCache.set(doc, { ...cached, [part]: result });
  return result;
}

const binText = ([from, to]) => `${number(from, 2)} … ${number(to, 2)}`;
const edgeLabel = (edge) => (edge < 0 ? '−' : '') + powerOfTen(Math.log10(Math.abs(edge)));

// Ticks at bins that begin at a power of ten, as many as there is room for, and at the bin of zero.
function binAxis(svg, x, bounds, y) {
  const zero = bounds.findIndex(([from, to]) => from < 0 && to > 0);
  const ticks = [];
  if (zero >= 0) ticks.push([zero + 0.5, '0']);
  const near = (at) => ticks.every(([other]) => Math.abs(x(other) - x(at)) > 38);
  const places = d3.range(bounds.length).filter((b) => bounds[b][0] !== 0 && Math.abs(Math.log10(Math.abs(bounds[b][0])) % 1) < 1e-3 && b !== zero);
  for (const b of places.sort((a, c) => Math.abs(Math.log10(Math.abs(bounds[c][0]))) % 2 - Math.abs(Math.log10(Math.abs(bounds[a][0]))) % 2)) if (near(b)) ticks.push([b, edgeLabel(bounds[b][0])]);
  const label = new Map(ticks);
  svg.append('g').attr('class', 'axis').attr('transform', `translate(0,${y})`).call(d3.axisBottom(x).tickValues(ticks.map(([at]) => at)).tickFormat((at) => label.get(at)).tickSize(3));
}

function histogramSmall(box, doc, i, part, { step, bounds, rows: all }) {
  const rows = all[i] || [];
  const last = bounds.length - 1;
  const at = indexAtStep(step, state.step);
  const shown = rows[at] || rows.find((row) => row);
  if (!shown) return;
  const start = rows.find((row) => row);
  const cell = el('div', {});
  box.append(cell);
  cell.append(el('div', { class: 'caption' }, el('b', {}, shortName(doc.matrices[i].name))));
  const { svg, width, height } = drawing(cell, 96, `${shortName(doc.matrices[i].name)}: ${T(`histograms.${part}`)}`);
  const x = d3.scaleLinear().domain([0, bounds.length]).range([6, width - 6]);
  const share = (row) => { const total = d3.sum(row) || 1; return row.map((n) => n / total); };
  const now = share(shown), first = share(start);
  const y = d3.scaleLinear().domain([0, Math.max(d3.max(now), d3.max(first))]).range([height - 20, 4]);
  const line = d3.area().curve(d3.curveStepAfter).x((b) => x(b)).y0(y(0));
  const places = d3.range(bounds.length + 1);
  svg.append('path').attr('class', 'band-full').attr('fill', css('--s1')).attr('opacity', 0.75).attr('d', line.y1((b) => y(now[b] || 0))(places));
  svg.append('path').attr('class', 'line').attr('stroke', css('--s2')).attr('stroke-width', 1.2).attr('d', d3.line().curve(d3.curveStepAfter).x((b) => x(b)).y((b) => y(first[b] || 0))(places));
  binAxis(svg, x, bounds, height - 20);
  const node = svg.node();
  let bin = Math.round(last / 2);
  const show = (b, px, py, aloud) => {
    const lines = [`${shortName(doc.matrices[i].name)}, ${T('step')} ${count(step[at])}`, binText(bounds[b]), [T('histograms.share'), percent(now[b], 2), css('--s1')], [T('histograms.count'), count(shown[b])], [T('histograms.start'), percent(first[b], 2), css('--s2')]];
    tip.show(px, py, lines);
    if (aloud) tip.say(lines);
  };
  node.addEventListener('pointermove', (event) => {
    const b = Math.floor(x.invert(event.clientX - node.getBoundingClientRect().left));
    if (b >= 0 && b <= last) show(b, event.clientX, event.clientY); else tip.hide();
  });
  node.addEventListener('pointerleave', () => tip.hide());
  node.addEventListener('blur', () => tip.hide());
  node.addEventListener('click', () => { state.matrix = i; refresh(['histograms']); });
  node.addEventListener('keydown', (event) => {
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (event.key === 'Enter') { state.matrix = i; return refresh(['histograms']); }
    if (!by) return;
    event.preventDefault();
    bin = Math.max(0, Math.min(last, bin + by));
    const frameBox = node.getBoundingClientRect();
    show(bin, frameBox.left + x(bin), frameBox.top, true);
  });
}

// The latest step at the top, each step a ridge.
function histogramRidges(box, doc, i, part, { step, bounds, rows }) {
  const ridges = d3.range(step.length).filter((s) => (rows[i] || [])[s]).reverse();
  const gap = 24, top = 46;
  const { svg, width, height } = drawing(box, top + ridges.length * gap + 26, T('histograms.ridges', shortName(doc.matrices[i].name)));
  const x = d3.scaleLinear().domain([0, bounds.length]).range([58, width - 10]);
  const places = d3.range(bounds.length);
  const heat = d3.scaleLinear().domain([0, Math.max(1, ridges.length - 1)]).range([css('--s1'), css('--s6')]).interpolate(d3.interpolateLab);
  const chosen = indexAtStep(step, state.step);
  ridges.forEach((s, r) => {
    const row = rows[i][s], most = d3.max(row) || 1;
    const base = top + r * gap + gap - 4;
    const y = d3.scaleLinear().domain([0, most]).range([base, base - 42]);
    svg.append('path').attr('class', 'ridge').attr('fill', heat(r)).attr('fill-opacity', 0.72).attr('stroke', s === chosen ? css('--ink') : css('--card')).attr('stroke-width', s === chosen ? 1.6 : 1)
      .attr('d', d3.area().curve(d3.curveBasis).x((b) => x(b + 0.5)).y0(base).y1((b) => y(row[b]))(places));
    svg.append('text').attr('class', 'label').attr('x', 50).attr('y', base).attr('text-anchor', 'end').text(stepFormat(step[s]));
  });
  binAxis(svg, x, bounds, height - 26);
  const node = svg.node();
  const lines = (r, b) => [`${T('step')} ${count(step[ridges[r]])}`, binText(bounds[b]), [T('histograms.count'), count(rows[i][ridges[r]][b])]];
  const marks = d3.cross(d3.range(ridges.length), places);
  arrowKeys(node, marks.length, (m) => [x(marks[m][1] + 0.5), top + marks[m][0] * gap], (m) => lines(...marks[m]));
  node.addEventListener('pointermove', (event) => {
    const frameBox = node.getBoundingClientRect();
    const b = Math.floor(x.invert(event.clientX - frameBox.left)), r = Math.floor((event.clientY - frameBox.top - top + 4) / gap);
    if (b < 0 || b >= bounds.length || r < 0 || r >= ridges.length) return tip.hide();
    tip.show(event.clientX, event.clientY, lines(r, b));
  });
  node.addEventListener('pointerleave', () => tip.hide());
}

view({
  id: 'histograms', group: 'learning',
  needs: (doc) => doc.histograms && present(doc.histograms.step) && present(doc.histograms.weights) && present(doc.matrices),
  controls(docs) {
    const part = state.histogramPart || 'weights';
    return el('div', { class: 'controls' }, ['weights', 'gradients'].map((p) => el('button', { 'aria-pressed': String(p === part), 'data-part': p, onclick: () => { state.histogramPart = p; refresh(['histograms']); } }, T(`histograms.${p}`))),
      chooser(T('matrix'), docs[0].matrices.map((m, i) => [i, shortName(m.name)]), state.matrix, (v) => { state.matrix = Number(v); refresh(['histograms']); }));
  },
  draw(box, doc) {
    const part = state.histogramPart || 'weights';
    const bins = compactHistograms(doc, part);
    if (!bins) { box.append(el('div', { class: 'absent' }, T('histograms.missing'))); return null; }
    const i = Math.min(state.matrix, doc.matrices.length - 1);
    const at = indexAtStep(doc.histograms.step, state.step);
    legend(box, [{ name: `${T('step')} ${count(doc.histograms.step[at])}`, color: css('--s1') }, { name: T('histograms.start'), color: css('--s2') }]);
    const many = el('div', { class: 'multiples' });
    box.append(many);
    doc.matrices.forEach((_, m) => histogramSmall(many, doc, m, part, bins));
    box.append(el('div', { class: 'caption' }, el('b', {}, shortName(doc.matrices[i].name)), ` – ${T('histograms.over')}`));
    histogramRidges(box, doc, i, part, bins);
    return null;
  },
  csv(doc) {
    const { edges, step } = doc.histograms;
    const rows = [['matrix', 'of', 'step', 'from', 'to', 'count']];
    for (const part of ['weights', 'gradients']) {
      (doc.histograms[part] || []).forEach((steps, i) => (steps || []).forEach((row, s) => (row || []).forEach((n, b) => { if (n > 0) rows.push([doc.matrices[i].name, part, step[s], edges[b], edges[b + 1], n]); })));
    }
    return rows;
  },
});
