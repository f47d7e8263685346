// What comes out of each layer: its size, how much of it is saturated, how many units never fire.

view({
  id: 'activations', group: 'learning',
  needs: (doc) => doc.activations && present(doc.activations.step) && present(doc.activations.layers),
  draw(box, doc) {
    const { layers, step } = doc.activations;
    const colors = palette();
    const parts = ['std', 'mean', 'saturated', 'never_fire'].filter((part) => (doc.activations[part] || []).some((row) => (row || []).some(isNumber)));
    const many = el('div', { class: 'split' });
    box.append(many);
    const moves = parts.map((part) => {
      const cell = el('div', {}, el('div', { class: 'caption' }, el('b', {}, T(`activations.${part}`))));
      many.append(cell);
      const share = part === 'saturated' || part === 'never_fire';
      const series = layers.map((layer, i) => ({ name: short(layer), tag: layers.length <= 8 ? short(layer, 12) : null, x: step, y: doc.activations[part][i] || [], color: layers.length <= 8 ? colors[i % 8] : d3.interpolateLab(css('--s6'), css('--s2'))(i / (layers.length - 1)), dots: layers.length <= 8, width: 1.6 }))
        .filter((s) => s.y.some(isNumber));
      return lineChart(cell, { label: `${T(`activations.${part}`)}, ${runName(doc)}`, height: 220, x: { label: T('step'), steps: true, log: state.logX }, y: { label: '', zero: share, log: part === 'std', format: share ? d3.format('.0%') : undefined }, series, atStep: true });
    });
    return () => moves.forEach((move) => move());
  },
  csv(doc) {
    const { layers, step } = doc.activations;
    return [['layer', 'step', 'mean', 'std', 'saturated', 'never_fire'], ...layers.flatMap((layer, i) => step.map((s, j) => [layer, s, ...['mean', 'std', 'saturated', 'never_fire'].map((part) => ((doc.activations[part] || [])[i] || [])[j])]))];
  },
});
