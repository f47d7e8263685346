// Loss: training, smoothed and held-out, beside what counting alone reaches; and the learning rate under it.

view({
  id: 'loss', group: 'learning', together: true,
  needs: (doc) => doc.loss && present(doc.loss.step),
  controls: () => el('div', { class: 'controls' }, toggle('loss.log_x', 'logX', ['loss', 'updates', 'flow', 'activations', 'sharpen']), toggle('loss.log_y', 'lossLogY', ['loss']), el('span', {}, T('chart.zoom'))),
  draw(box, docs) {
    const colors = palette();
    const series = [], rules = [], marks = [];
    docs.forEach((doc, run) => {
      const { loss } = doc, dash = run ? '6 4' : null;
      const of = docs.length > 1 ? ` · ${runName(doc)}` : '';
      series.push({ name: T('loss.train') + of, x: loss.step, y: loss.train, color: colors[7], width: 1, opacity: 0.3, dash, quiet: run > 0, outside: present(loss.smoothed) });
      if (present(loss.smoothed)) series.push({ name: T('loss.smoothed') + of, x: loss.step, y: loss.smoothed, color: colors[0], width: 2, dash });
      if (loss.held_out && present(loss.held_out.step)) series.push({ name: T('loss.held_out') + of, x: loss.held_out.step, y: loss.held_out.loss, color: colors[1], width: 2, dots: true, dash });
      const { uniform, unigram, bigram } = doc.baselines || {};
      for (const [value, key] of [[uniform, 'loss.uniform'], [unigram, 'loss.unigram'], [bigram, 'loss.bigram']]) {
        if (isNumber(value) && !rules.some((r) => Math.abs(r.y - value) < 0.005)) rules.push({ y: value, label: `${T(key)} ${number(value)}`, along: key === 'loss.uniform' ? 0.55 : run * 0.3 });
      }
      if (docs.length === 1 && doc.run && isNumber(doc.run.best_step)) marks.push({ x: doc.run.best_step, label: T('loss.best') });
      const stopped = whenItStopped(doc);
      if (stopped && docs.length === 1 && stopped.near.step < stopped.best.step) marks.push({ x: stopped.near.step, label: T('loss.near') });
    });
    legend(box, series.filter((s) => docs.length === 1 || s.color !== colors[7]).map((s) => ({ name: s.name, color: s.color, dash: s.dash })));
    const steps = { label: T('step'), steps: true, log: state.logX };
    const main = lineChart(box, { label: T('loss.aria', docs.map(runName).join(', ')), height: 340, x: steps, y: { label: T('loss.axis'), log: state.lossLogY }, series, rules, marks, atStep: true });
    const rates = docs.filter((doc) => present(doc.loss.lr)).map((doc, run) => ({ name: `${T('loss.lr')}${docs.length > 1 ? ` · ${runName(doc)}` : ''}`, x: doc.loss.step, y: doc.loss.lr, color: colors[2], dash: run ? '6 4' : null }));
    if (!rates.length) return main;
    const rate = lineChart(box, { label: T('loss.lr'), height: 130, x: steps, y: { label: T('loss.lr'), zero: true, format: d3.format('~g') }, series: rates, atStep: true });
    return () => { main(); rate(); };
  },
  csv(doc) {
    const { loss } = doc;
    const held = new Map(((loss.held_out || {}).step || []).map((step, i) => [step, loss.held_out.loss[i]]));
    const rows = loss.step.map((step, i) => [step, loss.train[i], (loss.smoothed || [])[i], held.get(step), (loss.lr || [])[i], (loss.grad_norm || [])[i], (loss.clip || [])[i]]);
    for (const [step, value] of held) if (!loss.step.includes(step)) rows.push([step, null, null, value, null, null, null]);
    return [['step', 'train', 'smoothed', 'held_out', 'lr', 'grad_norm', 'clip'], ...rows.sort((a, b) => a[0] - b[0])];
  },
});

// A button that turns a choice on or off and has the views that use it drawn again.
function toggle(key, field, ids) {
  return el('button', { 'aria-pressed': String(Boolean(state[field])), 'data-toggle': field, onclick: () => { state[field] = !state[field]; refresh(ids); } }, T(key));
}
// A list to choose from: options are [value, text].
function chooser(label, options, value, onChange) {
  const select = el('select', { onchange: (event) => onChange(event.target.value) }, options.map(([v, text]) => el('option', { value: v, selected: String(v) === String(value) }, text)));
  return el('label', {}, `${label} `, select);
}
