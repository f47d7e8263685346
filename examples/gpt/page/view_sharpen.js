// How attention sharpened: the entropy of each head over the snapshots, and the chosen head as a strip of film.

view({
  id: 'sharpen', group: 'thinking',
  needs: (doc) => doc.entropy && present(doc.entropy.step) && present(doc.entropy.value),
  draw(box, doc) {
    const { step, value } = doc.entropy;
    const colors = palette();
    const many = el('div', { class: value.length > 1 ? 'split' : '' });
    box.append(many);
    const highest = d3.max(value.flat(2).filter(isNumber)) || 1;
    const moves = value.map((heads, layer) => {
      const cell = el('div', {}, el('div', { class: 'caption' }, el('b', {}, `h.${layer}`)));
      many.append(cell);
      const series = heads.map((values, head) => ({ name: T('attention.tile', layer, head), tag: T('head', head), x: step, y: values, color: colors[head % 8], dots: heads.length <= 6, width: layer === state.layer && head === state.head ? 3 : 1.6 }));
      return lineChart(cell, { label: T('sharpen.aria', layer, runName(doc)), height: 210, x: { label: T('step'), steps: true, log: state.logX }, y: { label: T('sharpen.axis'), domain: [0, highest * 1.06] }, series, atStep: true });
    });
    filmStrip(box, doc);
    return doc.snapshots ? () => { moves.forEach((move) => move()); } : null;
  },
  csv: (doc) => [['layer', 'head', 'step', 'entropy_nats'], ...doc.entropy.value.flatMap((heads, l) => heads.flatMap((values, h) => values.map((v, i) => [l, h, doc.entropy.step[i], v])))],
});

function filmStrip(box, doc) {
  const now = textAt(doc);
  if (!now || !doc.snapshots || now.text.at.length < 2) return;
  const usable = d3.range(now.text.at.length).filter((i) => attentionOf(now.text.at[i], state.layer, state.head));
  if (usable.length < 2) return;
  box.append(el('div', { class: 'caption' }, el('b', {}, T('attention.tile', state.layer, state.head)), ` – ${T('sharpen.film')}`));
  const width = Math.floor(box.getBoundingClientRect().width), size = 84;
  const shown = Math.max(2, Math.min(usable.length, Math.floor(width / (size + 12))));
  const chosen = d3.range(shown).map((i) => usable[Math.round((i * (usable.length - 1)) / (shown - 1))]);
  const { svg } = drawing(box, size + 24, T('sharpen.film'), width);
  const heat = sequential();
  chosen.forEach((index, i) => {
    const attention = attentionOf(now.text.at[index], state.layer, state.head);
    const x = i * (size + 12);
    svg.append('image').attr('class', 'cells').attr('x', x).attr('y', 2).attr('width', size).attr('height', size).attr('preserveAspectRatio', 'none')
      .attr('href', pixels(attention.T, attention.T, (q, k) => (k <= q ? heat(Math.sqrt(attention.at(q, k))) : css('--card'))));
    svg.append('text').attr('class', 'label').attr('x', x + size / 2).attr('y', size + 18).attr('text-anchor', 'middle').text(stepFormat(doc.snapshots[index]));
  });
}
