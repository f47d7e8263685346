// A text coloured by the probability that the model gave to what really came, with what it held likelier on hover.

function sureness() {
  const scale = d3.scaleLinear().domain([0, 0.5, 1]).range([css('--unsure'), css('--halfway'), css('--sure')]).interpolate(d3.interpolateLab).clamp(true);
  return (p) => scale(Math.sqrt(p));
}

const alternatives = (doc, top) => (top || []).map(([id, p]) => [short(tokenText(doc, id), 20), percent(p, 1)]);

// The tokens that the model expected least, each with what it expected instead.
function worstTokens(box, doc, now) {
  const rows = leastExpected(doc, now.text.live ? undefined : now.text.at.indexOf(now.at)).slice(0, 8);
  box.append(el('div', { class: 'caption' }, el('b', {}, T('confidence.worst'))));
  const left = 150, line = 26;
  const { svg, width } = drawing(box, rows.length * line + 8, T('confidence.worst'));
  const x = d3.scaleLinear().domain([0, 1]).range([0, Math.max(60, width - left - 190)]);
  const tips = [];
  rows.forEach(({ p, i, text, top }, r) => {
    const pieces = text.pieces.map((piece) => visible(piece));
    const y = 4 + r * line;
    const row = svg.append('g');
    row.append('text').attr('x', left - 10).attr('y', y + 16).attr('text-anchor', 'end').text(clipText(`${isolated([...pieces.slice(Math.max(0, i - 9), i).join('')].slice(-9).join(''))} → ${isolated(short(pieces[i], 8))}`, left - 14));
    const rather = top[0] ? top[0][1] : 0;
    row.append('rect').attr('x', left).attr('y', y + 3).attr('height', 8).attr('rx', 2).attr('width', Math.max(2, x(p))).attr('fill', css('--unsure'));
    row.append('rect').attr('x', left).attr('y', y + 12).attr('height', 8).attr('rx', 2).attr('width', Math.max(2, x(rather))).attr('fill', css('--sure'));
    row.append('text').attr('class', 'note').attr('x', left + Math.max(2, x(p), x(rather)) + 8).attr('y', y + 16).text(`${percent(p, 1)}${top[0] ? `   ${T('confidence.rather')} ${isolated(short(tokenText(doc, top[0][0]), 10))} ${percent(top[0][1])}` : ''}`);
    tips.push([`${isolated(short(pieces[i], 20))} (${i + 1}), ${isolated(short(text.text, 24))}`, [T('confidence.came'), percent(p, 2)], ...alternatives(doc, top)]);
    row.node().addEventListener('pointermove', (event) => tip.show(event.clientX, event.clientY, tips[r]));
    row.node().addEventListener('pointerleave', () => tip.hide());
  });
  arrowKeys(svg.node(), rows.length, (i) => [left, i * line + 20], (i) => tips[i]);
}

view({
  id: 'confidence', group: 'thinking',
  needs: hasTexts('prob'),
  controls: textControls,
  draw(box, doc) {
    const now = textAt(doc);
    if (!now.at || !now.at.prob) { box.append(el('div', { class: 'absent' }, T('confidence.missing'))); return null; }
    const color = sureness();
    colorKey(box, color, [0, 1], [T('confidence.low'), T('confidence.high')]);
    const { prob } = now.at;
    tokenRow(box, { label: T('confidence.aria', short(now.text.text, 60)), pieces: now.pieces, fill: (i) => (isNumber(prob[i]) ? color(prob[i]) : css('--card')), under: (i) => (isNumber(prob[i]) ? percent(prob[i]) : ''),
      tip: (i) => [`${isolated(short(now.pieces[i], 24))} (${i + 1})`, isNumber(prob[i]) ? [T('confidence.came'), percent(prob[i], 2), color(prob[i]), true] : T('confidence.first'), isNumber(prob[i]) && prob[i] > 0 ? [T('confidence.nats'), number(-Math.log(prob[i]), 3)] : null, ...alternatives(doc, expectedAt(now.at, i))] });
    const scored = prob.filter((p) => isNumber(p) && p > 0);
    box.append(el('div', { class: 'caption' }, T('confidence.mean', number(d3.mean(scored, (p) => -Math.log(p)), 3), percent(Math.exp(d3.mean(scored, (p) => Math.log(p))), 1))));
    worstTokens(box, doc, now);
    return null;
  },
  csv(doc) {
    const now = textAt(doc);
    return [['step', 'position', 'token', 'probability', ...d3.range(5).flatMap((k) => [`likely_${k + 1}`, `p_${k + 1}`])],
      ...now.pieces.map((piece, i) => [now.step, i, piece, now.at.prob[i], ...expectedAt(now.at, i).flatMap(([id, p]) => [tokenText(doc, id), p])])];
  },
});
