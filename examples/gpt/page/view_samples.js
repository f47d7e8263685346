// What the model wrote at each snapshot, from the same seed.

// Lines that fit the width.
function wrapped(text, width, font) {
  const lines = [];
  let line = '';
  for (const word of text.split(/(?<=\s)|(?=⏎)/)) {
    let rest = word;
    while (measure(line + rest, font) > width) {
      if (line) { lines.push(line); line = ''; continue; }
      let n = Math.max(1, Math.floor((rest.length * width) / measure(rest, font)));
      lines.push(rest.slice(0, n));
      rest = rest.slice(n);
    }
    line += rest;
  }
  if (line) lines.push(line);
  return lines;
}

view({
  id: 'samples', group: 'learning',
  needs: (doc) => present(doc.samples),
  draw(box, doc) {
    const font = `14px ${css('--mono')}`;
    const boxWidth = Math.max(220, Math.floor(box.getBoundingClientRect().width));
    const left = 64, line = 20;
    const rows = [...doc.samples].reverse();
    const chosen = doc.samples[indexAtStep(doc.samples.map((s) => s.step), state.step)];
    let y = 6;
    const laid = rows.map((sample) => {
      const texts = sample.texts || [];
      const joined = texts.every((t) => [...t].length < 80) ? texts.map((t) => readable(t)).join('    ') : readable(texts[0] || '');
      const lines = wrapped(joined, boxWidth - left - 10, font).slice(0, sample === chosen ? 14 : 4);
      const place = { sample, lines, y, height: Math.max(1, lines.length) * line + 10 };
      y += place.height + 4;
      return place;
    });
    const { svg } = drawing(box, y + 2, T('samples.aria', runName(doc)), boxWidth);
    const groups = svg.append('g').selectAll('g').data(laid).join('g').attr('class', 'sample').attr('transform', (p) => `translate(0,${p.y})`);
    groups.append('rect').attr('width', boxWidth).attr('height', (p) => p.height).attr('rx', 7).attr('fill', (p) => (p.sample === chosen ? css('--wash') : 'transparent'));
    groups.append('text').attr('class', 'label').attr('x', 8).attr('y', 20).text((p) => stepFormat(p.sample.step));
    const tipOf = (p) => [`${T('step')} ${count(p.sample.step)}`, ...(p.sample.texts || []).slice(0, 6).map((t) => [short(t, 46), `${[...t].length}`])];
    arrowKeys(svg.node(), laid.length, (i) => [left, laid[i].y + 12], (i) => tipOf(laid[i]));
    groups.each(function (p) {
      p.lines.forEach((text, i) => d3.select(this).append('text').attr('x', left).attr('y', 20 + i * line).text(text));
      this.addEventListener('pointermove', (event) => tip.show(event.clientX, event.clientY, tipOf(p)));
      this.addEventListener('pointerleave', () => tip.hide());
    });
    return null;
  },
  csv: (doc) => [['step', 'number', 'text'], ...doc.samples.flatMap((s) => (s.texts || []).map((text, i) => [s.step, i, text]))],
});
