// Attention: every head of every layer on a text, and the chosen head large, token by token.

// The chosen text of a document and what was recorded of it at the slider's step.
function textAt(doc) {
  const texts = doc.texts || [];
  const text = texts[Math.min(state.text, texts.length - 1)];
  if (!text) return null;
  const i = Math.min(text.at.length - 1, Math.max(0, indexAtStep(doc.snapshots, state.step)));
  return { text, at: text.at[i], step: text.live ? text.asked : (doc.snapshots || [])[i], pieces: text.pieces.map((piece) => visible(piece)) };
}
const hasTexts = (part) => (doc) => present(doc.texts) && doc.texts.some((t) => t.at && t.at.some((a) => a && a[part]));
const textViews = ['attention', 'sharpen', 'confidence', 'lens'];

function textControls(docs) {
  const doc = docs[0];
  return el('div', { class: 'controls' },
    chooser(T('text'), doc.texts.map((t, i) => [i, short(t.text, 44) || '–']), Math.min(state.text, doc.texts.length - 1), (v) => { state.text = Number(v); refresh(textViews); }),
    typeForm(docs), el('span', { class: 'at-step' }, snapshotNote(docs[0])));
}
function snapshotNote(doc) {
  const now = textAt(doc);
  if (!now || !isNumber(now.step)) return '';
  return now.text.live ? T('type.asked', count(now.step)) : `${T('snapshot')} ${count(now.step)}`;
}

function headTile(box, doc, now, layer, head, { size, caption, onPick, chosen }) {
  const attention = attentionOf(now.at, layer, head);
  const heat = sequential();
  const { T: tokens } = attention;
  const previous = ((doc.previous || [])[layer] || [])[head];
  const tile = el('button', { class: 'tile', 'aria-pressed': String(Boolean(chosen)), 'data-head': `${layer}.${head}`, 'aria-label': T('attention.tile', layer, head) + (isNumber(previous) ? `, ${T('attention.previous')} ${percent(previous)}` : ''), onclick: onPick });
  box.append(tile);
  const { svg } = drawing(tile, size, '', size);
  svg.attr('tabindex', null).attr('role', null).attr('aria-label', null).attr('aria-hidden', 'true');
  svg.append('image').attr('class', 'cells').attr('width', size).attr('height', size).attr('preserveAspectRatio', 'none')
    .attr('href', pixels(tokens, tokens, (i, j) => (j <= i ? heat(Math.sqrt(attention.at(i, j))) : css('--card'))));
  tile.append(el('span', {}, caption));
  return tile;
}

function tileGrid(box, doc, now) {
  const [layers, heads] = unpack(now.at.attention).shape;
  const wide = Math.floor(box.getBoundingClientRect().width);
  const size = Math.max(44, Math.min(112, Math.floor((Math.min(wide, 760) - 40) / heads) - 12));
  const grid = el('div', { class: 'tiles scroll', role: 'group', 'aria-label': T('attention.tiles') });
  box.append(grid);
  for (let layer = 0; layer < layers; layer++) {
    const row = el('div', { class: 'tile-row' }, el('span', { class: 'tile-layer' }, `h.${layer}`));
    grid.append(row);
    for (let head = 0; head < heads; head++) {
      const previous = ((doc.previous || [])[layer] || [])[head];
      const tile = headTile(row, doc, now, layer, head, { size, chosen: layer === state.layer && head === state.head, caption: isNumber(previous) ? `${head} · ${percent(previous)}` : `${head}`,
        onPick: () => { state.layer = layer; state.head = head; refresh(['attention', 'sharpen']); } });
      tile.addEventListener('pointermove', (event) => tip.show(event.clientX, event.clientY, [T('attention.tile', layer, head), isNumber(previous) ? [T('attention.previous'), percent(previous, 1)] : null, headEntropy(doc, layer, head)]));
      tile.addEventListener('pointerleave', () => tip.hide());
    }
  }
  grid.addEventListener('keydown', (event) => {
    const by = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -heads, ArrowDown: heads }[event.key];
    const tiles = [...grid.querySelectorAll('.tile')], i = tiles.indexOf(document.activeElement);
    if (by === undefined || i < 0) return;
    event.preventDefault();
    if (tiles[i + by]) tiles[i + by].focus();
  });
}

function headEntropy(doc, layer, head) {
  const values = doc.entropy && ((doc.entropy.value || [])[layer] || [])[head];
  return values ? [T('sharpen.entropy'), number(values[indexAtStep(doc.entropy.step, state.step)], 3)] : null;
}

// Row by row: who looks (query) at whom (key).
function headLarge(box, doc, now) {
  const attention = attentionOf(now.at, state.layer, state.head);
  if (!attention) return;
  const heat = sequential();
  const pieces = now.pieces.slice(0, attention.T);
  const left = 12 + Math.ceil(d3.max(pieces, (p) => measure(short(p, 8), clipFont())));
  const room = Math.floor(box.getBoundingClientRect().width) - left - 8;
  const cell = Math.max(4, Math.min(36, Math.floor(room / attention.T)));
  const scroll = el('div', { class: 'scroll' });
  box.append(el('div', { class: 'caption' }, el('b', {}, T('attention.tile', state.layer, state.head)), ` – ${T('attention.rows')}`), scroll);
  heatGrid(scroll, { label: T('attention.aria', state.layer, state.head, runName(doc)), rows: pieces.map((p) => short(p, 8)), columns: pieces.map((p) => short(p, cell > 24 ? 4 : 2)), left, top: 26, cell: [cell, cell],
    value: (i, j) => (j <= i ? attention.at(i, j) : null), color: (v) => heat(Math.sqrt(v)), text: (i, j) => (cell >= 28 ? Math.round(100 * attention.at(i, j)) : ''),
    tip: (i, j) => [`${isolated(short(pieces[i], 16))} (${i + 1}) → ${isolated(short(pieces[j], 16))} (${j + 1})`, [T('attention.weight'), percent(attention.at(i, j), 1)]], onHover: (i) => strip(i) });
  const heading = el('div', { class: 'caption' });
  const row = el('div', {});
  box.append(heading, row);
  function strip(query) {
    heading.replaceChildren(T('attention.from'), ' ', el('b', {}, el('bdi', {}, pieces[query])), ` (${query + 1})`);
    row.replaceChildren();
    tokenRow(row, { label: T('attention.from'), pieces, picked: query, fill: (j) => (j <= query ? heat(Math.sqrt(attention.at(query, j))) : css('--card')), ink: (j) => (j <= query ? inkOn(heat(Math.sqrt(attention.at(query, j)))) : css('--soft')),
      tip: (j) => [`${isolated(short(pieces[query], 16))} → ${isolated(short(pieces[j], 16))}`, [T('attention.weight'), j <= query ? percent(attention.at(query, j), 1) : T('attention.later')]], onPick: strip });
  }
  strip(pieces.length - 1);
}

view({
  id: 'attention', group: 'thinking',
  needs: hasTexts('attention'),
  controls: textControls,
  draw(box, doc) {
    const now = textAt(doc);
    if (!unpack(now.at && now.at.attention)) { box.append(el('div', { class: 'absent' }, T('attention.missing'))); return null; }
    const heat = sequential();
    colorKey(box, (v) => heat(Math.sqrt(v)), [0, 1], ['0 %', '100 %']);
    const parts = el('div', { class: 'split' }), left = el('div', {}), right = el('div', {});
    parts.append(left, right);
    box.append(parts);
    tileGrid(left, doc, now);
    headLarge(right, doc, now);
    return null;
  },
  csv(doc) {
    const rows = [['step', 'layer', 'head', 'query', 'key', 'query_token', 'key_token', 'weight']];
    const now = textAt(doc);
    const [layers, heads] = (unpack(now.at.attention) || { shape: [0, 0] }).shape;
    for (const [layer, head] of d3.cross(d3.range(layers), d3.range(heads))) {
      const attention = attentionOf(now.at, layer, head);
      for (let i = 0; i < attention.T; i++) for (let j = 0; j <= i; j++) rows.push([now.step, layer, head, i, j, now.pieces[i], now.pieces[j], Number(attention.at(i, j).toPrecision(5))]);
    }
    return rows;
  },
});
