// The logit lens: what the model would say if it stopped after each block; and how large the residual stream is there.

view({
  id: 'lens', group: 'thinking',
  needs: hasTexts('lens'),
  controls: textControls,
  draw(box, doc) {
    const now = textAt(doc);
    if (!now.at || !now.at.lens) { box.append(el('div', { class: 'absent' }, T('lens.missing'))); return null; }
    const { lens } = now.at;
    const depth = lens.length, tokens = lens[0].length;
    const heat = sequential();
    colorKey(box, heat, [0, 1], ['0 %', '100 %']);
    const left = 62, wide = Math.floor(box.getBoundingClientRect().width) - left - 6;
    const longest = d3.max(lens.flat(), (top) => (top && top[0] ? [...tokenText(doc, top[0][0])].length : 1)) || 1;
    const cell = Math.max(38, Math.min(92, 14 + 8 * Math.min(longest, 8)));
    const columns = Math.max(3, Math.floor(wide / cell));
    // Layers upward as in the model's picture; long texts go on below.
    for (let from = 0; from < tokens; from += columns) {
      const part = d3.range(from, Math.min(tokens, from + columns));
      const top = (row, j) => (lens[depth - 1 - row][part[j]] || [])[0];
      heatGrid(box, { label: T('lens.aria', runName(doc)), left, top: 24, cell: [cell, 26], rows: d3.range(depth).map((r) => (depth - 1 - r === 0 ? T('lens.embedding') : `h.${depth - 2 - r}`)), columns: part.map((t) => short(now.pieces[t], Math.floor(cell / 8))),
        value: (r, j) => (top(r, j) ? top(r, j)[1] : null), color: heat, text: (r, j) => short(tokenText(doc, top(r, j)[0]), Math.max(2, Math.floor((cell - 6) / 7.5))),
        tip: (r, j) => [`${T('lens.after')} ${short(now.pieces[part[j]], 16)} (${part[j] + 1}), ${depth - 1 - r === 0 ? T('lens.embedding') : `h.${depth - 2 - r}`}`, ...alternatives(doc, lens[depth - 1 - r][part[j]]), part[j] + 1 < now.pieces.length ? [T('lens.came'), short(now.pieces[part[j] + 1], 16), null, true] : null] });
    }
    residualChart(box, doc, now);
    return null;
  },
  csv(doc) {
    const now = textAt(doc);
    return [['step', 'depth', 'position', 'token', 'residual_norm', ...d3.range(3).flatMap((k) => [`guess_${k + 1}`, `p_${k + 1}`])],
      ...now.at.lens.flatMap((row, d) => row.map((top, t) => [now.step, d, t, now.pieces[t], ((now.at.residual || [])[d] || [])[t], ...(top || []).flatMap(([id, p]) => [tokenText(doc, id), p])]))];
  },
});

function residualChart(box, doc, now) {
  const { residual } = now.at;
  if (!residual) return;
  box.append(el('div', { class: 'caption' }, el('b', {}, T('lens.residual')), ` – ${T('lens.residual_look')}`));
  const start = now.text.at[0];
  const x = d3.range(residual.length);
  const summary = (rows) => ({ y: rows.map((r) => d3.median(r.filter(isNumber))), low: rows.map((r) => d3.min(r.filter(isNumber))), high: rows.map((r) => d3.max(r.filter(isNumber))) });
  const series = [{ name: snapshotNote(doc), x, ...summary(residual), color: css('--s1'), dots: true }];
  if (start !== now.at && start && start.residual) series.push({ name: T('histograms.start'), x, ...summary(start.residual), color: css('--s2'), dash: '5 4' });
  legend(box, series.map((s) => ({ name: s.name, color: s.color, dash: s.dash })));
  lineChart(box, { label: `${T('lens.residual')}, ${runName(doc)}`, height: 210, x: { label: T('lens.depth'), ticks: x.filter((d) => d % Math.ceil(x.length / 13) === 0), format: (d) => (Number.isInteger(d) ? (d === 0 ? T('lens.embedding') : `h.${d - 1}`) : '') }, y: { label: T('lens.norm'), log: true }, series });
}
