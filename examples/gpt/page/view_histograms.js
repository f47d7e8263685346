// How weights and gradients are spread, and how that moved: all matrices at the slider's step, and one over all steps.

// Only bins that some matrix uses, so that the picture fills its width.
function usedBins(doc, part) {
  const rows = doc.histograms[part] || [];
  const bins = doc.histograms.edges.length - 1;
  let low = bins, high = 0;
  for (const steps of rows) for (const row of steps || []) if (row) row.forEach((n, b) => { if (n > 0) { low = Math.min(low, b); high = Math.max(high, b); } });
  return low <= high ? [Math.max(0, low - 1), Math.min(bins - 1, high + 1)] : null;
}

const edgeText = (edges, b) => `${number(edges[b], 2)} … ${number(edges[b + 1], 2)}`;

// Ticks at some of the edges that are powers of ten.
function edgeTicks(edges, [low, high], most) {
  const all = d3.range(low, high + 1).filter((b) => edges[b] !== 0 && Math.abs(Math.log10(Math.abs(edges[b])) % 1) < 1e-3);
  const every = Math.ceil(all.length / most);
  return all.filter((b, i) => i % every === 0);
}
const edgeLabel = (edge) => (edge < 0 ? '−' : '') + powerOfTen(Math.log10(Math.abs(edge)));

function histogramSmall(box, doc, i, part, bins) {
  const { edges, step } = doc.histograms;
  const rows = (doc.histograms[part] || [])[i] || [];
  const at = indexAtStep(step, state.step);
  const shown = rows[at] || rows.find((row) => row);
  if (!shown) return;
  const start = rows.find((row) => row);
  const cell = el('div', {});
  box.append(cell);
  cell.append(el('div', { class: 'caption' }, el('b', {}, shortName(doc.matrices[i].name))));
  const { svg, width, height } = drawing(cell, 96, `${shortName(doc.matrices[i].name)}: ${T(`histograms.${part}`)}`);
  const x = d3.scaleLinear().domain([bins[0], bins[1] + 1]).range([6, width - 6]);
  const share = (row) => { const total = d3.sum(row) || 1; return row.map((n) => n / total); };
  const now = share(shown), first = share(start);
  const y = d3.scaleLinear().domain([0, Math.max(d3.max(now), d3.max(first))]).range([height - 20, 4]);
  const line = d3.area().curve(d3.curveStepAfter).x((b) => x(b)).y0(y(0));
  const places = d3.range(bins[0], bins[1] + 2);
  svg.append('path').attr('class', 'band-full').attr('fill', css('--s1')).attr('opacity', 0.75).attr('d', line.y1((b) => y(now[b] || 0))(places));
  svg.append('path').attr('class', 'line').attr('stroke', css('--s2')).attr('stroke-width', 1.2).attr('d', d3.line().curve(d3.curveStepAfter).x((b) => x(b)).y((b) => y(first[b] || 0))(places));
  svg.append('g').attr('class', 'axis').attr('transform', `translate(0,${height - 20})`).call(d3.axisBottom(x).tickValues(edgeTicks(edges, bins, 5)).tickFormat((b) => edgeLabel(edges[b])).tickSize(3));
  const node = svg.node();
  let bin = Math.round((bins[0] + bins[1]) / 2);
  const show = (b, px, py, aloud) => {
    const lines = [`${shortName(doc.matrices[i].name)}, ${T('step')} ${count(step[at])}`, edgeText(edges, b), [T('histograms.share'), percent(now[b], 2), css('--s1')], [T('histograms.count'), count(shown[b])], [T('histograms.start'), percent(first[b], 2), css('--s2')]];
    tip.show(px, py, lines);
    if (aloud) tip.say(lines);
  };
  node.addEventListener('pointermove', (event) => {
    const b = Math.floor(x.invert(event.clientX - node.getBoundingClientRect().left));
    if (b >= bins[0] && b <= bins[1]) show(b, event.clientX, event.clientY); else tip.hide();
  });
  node.addEventListener('pointerleave', () => tip.hide());
  node.addEventListener('blur', () => tip.hide());
  node.addEventListener('click', () => { state.matrix = i; refresh(['histograms']); });
  node.addEventListener('keydown', (event) => {
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (event.key === 'Enter') { state.matrix = i; return refresh(['histograms']); }
    if (!by) return;
    event.preventDefault();
    bin = Math.max(bins[0], Math.min(bins[1], bin + by));
    const frameBox = node.getBoundingClientRect();
    show(bin, frameBox.left + x(bin), frameBox.top, true);
  });
}

// The latest step at the top, each step a ridge.
function histogramRidges(box, doc, i, part, bins) {
  const { edges, step } = doc.histograms;
  const ridges = d3.range(step.length).filter((s) => ((doc.histograms[part] || [])[i] || [])[s]).reverse();
  const gap = 24, top = 46;
  const { svg, width, height } = drawing(box, top + ridges.length * gap + 26, T('histograms.ridges', shortName(doc.matrices[i].name)));
  const x = d3.scaleLinear().domain([bins[0], bins[1] + 1]).range([58, width - 10]);
  const places = d3.range(bins[0], bins[1] + 1);
  const heat = d3.scaleLinear().domain([0, Math.max(1, ridges.length - 1)]).range([css('--s1'), css('--s6')]).interpolate(d3.interpolateLab);
  const chosen = indexAtStep(step, state.step);
  ridges.forEach((s, r) => {
    const row = doc.histograms[part][i][s], most = d3.max(row) || 1;
    const base = top + r * gap + gap - 4;
    const y = d3.scaleLinear().domain([0, most]).range([base, base - 42]);
    svg.append('path').attr('class', 'ridge').attr('fill', heat(r)).attr('fill-opacity', 0.72).attr('stroke', s === chosen ? css('--ink') : css('--card')).attr('stroke-width', s === chosen ? 1.6 : 1)
      .attr('d', d3.area().curve(d3.curveBasis).x((b) => x(b + 0.5)).y0(base).y1((b) => y(row[b]))(places));
    svg.append('text').attr('class', 'label').attr('x', 50).attr('y', base).attr('text-anchor', 'end').text(stepFormat(step[s]));
  });
  svg.append('g').attr('class', 'axis').attr('transform', `translate(0,${height - 26})`).call(d3.axisBottom(x).tickValues(edgeTicks(edges, bins, width > 500 ? 10 : 5)).tickFormat((b) => edgeLabel(edges[b])).tickSize(4));
  const node = svg.node();
  node.addEventListener('pointermove', (event) => {
    const frameBox = node.getBoundingClientRect();
    const b = Math.floor(x.invert(event.clientX - frameBox.left)), r = Math.floor((event.clientY - frameBox.top - top + 4) / gap);
    if (b < bins[0] || b > bins[1] || r < 0 || r >= ridges.length) return tip.hide();
    tip.show(event.clientX, event.clientY, [`${T('step')} ${count(step[ridges[r]])}`, edgeText(edges, b), [T('histograms.count'), count(doc.histograms[part][i][ridges[r]][b])]]);
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
    const bins = usedBins(doc, part);
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
