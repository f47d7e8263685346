// Grids of coloured cells with hover, arrow keys and, where it says so, a choice; and the bar that explains the colours.

// options: {label, rows: [text], columns: [text], value(i, j), color(value), tip(i, j) -> rows, text(i, j), cell: [w, h],
//   left, top, onPick(i, j), picked: [i, j], xLabel}
function heatGrid(box, options) {
  const rows = options.rows.length, columns = options.columns.length;
  const width = Math.floor(box.getBoundingClientRect().width);
  const left = options.left ?? 60, top = options.top ?? 8, bottom = options.xLabel ? 26 : 6;
  const cellWidth = options.cell ? options.cell[0] : Math.max(2, (width - left - 6) / columns);
  const cellHeight = options.cell ? options.cell[1] : 20;
  const size = { width: Math.max(200, Math.ceil(left + cellWidth * columns + 6)), height: Math.ceil(top + cellHeight * rows + bottom) };
  const { svg } = drawing(box, size.height, options.label, size.width);
  const x = d3.scaleBand().domain(d3.range(columns)).range([left, left + cellWidth * columns]);
  const y = d3.scaleBand().domain(d3.range(rows)).range([top, top + cellHeight * rows]);
  const cells = d3.cross(d3.range(rows), d3.range(columns)).filter(([i, j]) => isNumber(options.value(i, j)));
  if (cells.length > 4000) {
    paintCells(svg, options, { left, top, width: cellWidth * columns, height: cellHeight * rows });
  } else {
    const gap = cellWidth > 8 && cellHeight > 8 ? 1 : 0;
    svg.append('g').selectAll('rect').data(cells).join('rect').attr('class', gap ? null : 'cell').attr('x', ([, j]) => x(j)).attr('y', ([i]) => y(i))
      .attr('width', x.bandwidth() - gap).attr('height', y.bandwidth() - gap).attr('rx', gap ? 2 : 0).attr('fill', ([i, j]) => options.color(options.value(i, j)));
  }
  if (options.text && cellWidth >= 18) {
    svg.append('g').attr('class', 'cell-text').selectAll('text').data(cells).join('text').attr('x', ([, j]) => x(j) + x.bandwidth() / 2).attr('y', ([i]) => y(i) + y.bandwidth() / 2 + 4)
      .style('fill', ([i, j]) => inkOn(options.color(options.value(i, j)))).text(([i, j]) => options.text(i, j));
  }
  gridLabels(svg, options, { x, y, left, top, size });
  const ring = svg.append('rect').attr('class', 'ring').attr('width', x.bandwidth()).attr('height', y.bandwidth()).attr('rx', 2).style('display', 'none');
  const place = (i, j) => ring.style('display', null).attr('x', x(j)).attr('y', y(i));
  if (options.picked) place(...options.picked);
  hoverCells(svg.node(), { options, x, y, rows, columns, place, rest: () => (options.picked ? place(...options.picked) : ring.style('display', 'none')) });
  return svg;
}

function gridLabels(svg, options, { x, y, left, top, size }) {
  const every = Math.max(1, Math.ceil(11 / y.bandwidth()));
  svg.append('g').attr('class', 'names').selectAll('text').data(options.rows.map((text, i) => ({ text, i })).filter(({ i }) => i % every === 0)).join('text')
    .attr('x', left - 6).attr('y', ({ i }) => y(i) + y.bandwidth() / 2 + 4).attr('text-anchor', 'end').text(({ text }) => text);
  if (top > 12) {
    const step = Math.max(1, Math.ceil(14 / x.bandwidth()));
    svg.append('g').attr('class', 'names').selectAll('text').data(options.columns.map((text, j) => ({ text, j })).filter(({ j }) => j % step === 0)).join('text')
      .attr('x', ({ j }) => x(j) + x.bandwidth() / 2).attr('y', top - 6).attr('text-anchor', 'middle').text(({ text }) => text);
  }
  if (options.xLabel) svg.append('text').attr('class', 'label').attr('x', left).attr('y', size.height - 6).text(options.xLabel);
}

// Thousands of cells as one picture, a pixel a cell.
function paintCells(svg, options, { left, top, width, height }) {
  svg.append('image').attr('class', 'cells').attr('x', left).attr('y', top).attr('width', width).attr('height', height).attr('preserveAspectRatio', 'none')
    .attr('href', pixels(options.columns.length, options.rows.length, (i, j) => { const v = options.value(i, j); return isNumber(v) ? options.color(v) : null; }));
}

function pixels(columns, rows, color) {
  const canvas = el('canvas', { width: columns, height: rows });
  const context = canvas.getContext('2d');
  const data = context.createImageData(columns, rows);
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j < columns; j++) {
      const c = color(i, j);
      if (c === null) continue;
      const { r, g, b } = d3.rgb(c);
      data.data.set([r, g, b, 255], 4 * (i * columns + j));
    }
  }
  context.putImageData(data, 0, 0);
  return canvas.toDataURL();
}

function hoverCells(node, { options, x, y, rows, columns, place, rest }) {
  let at = options.picked ? [...options.picked] : [0, 0];
  const cellAt = (event) => {
    const box = node.getBoundingClientRect();
    const j = Math.floor((event.clientX - box.left - x.range()[0]) / x.step()), i = Math.floor((event.clientY - box.top - y.range()[0]) / y.step());
    return i >= 0 && j >= 0 && i < rows && j < columns ? [i, j] : null;
  };
  node.addEventListener('pointermove', (event) => {
    const cell = cellAt(event);
    const lines = cell && isNumber(options.value(...cell)) && options.tip(...cell);
    if (!lines) { tip.hide(); rest(); return; }
    place(...cell);
    tip.show(event.clientX, event.clientY, lines);
    if (options.onHover) options.onHover(...cell);
  });
  node.addEventListener('pointerleave', () => { tip.hide(); rest(); });
  node.addEventListener('blur', () => { tip.hide(); rest(); });
  if (options.onPick) {
    node.style.cursor = 'pointer';
    node.addEventListener('click', (event) => { const cell = cellAt(event); if (cell && isNumber(options.value(...cell))) options.onPick(...cell); });
  }
  node.addEventListener('keydown', (event) => {
    const by = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
    if ((event.key === 'Enter' || event.key === ' ') && options.onPick) {
      event.preventDefault();
      return options.onPick(...at);
    }
    if (!by) return;
    event.preventDefault();
    at = [Math.max(0, Math.min(rows - 1, at[0] + by[0])), Math.max(0, Math.min(columns - 1, at[1] + by[1]))];
    const lines = isNumber(options.value(...at)) ? options.tip(...at) : ['–'];
    place(...at);
    const box = node.getBoundingClientRect();
    tip.show(box.left + x(at[1]) + x.bandwidth(), box.top + y(at[0]), lines);
    tip.say(lines);
    if (options.onHover) options.onHover(...at);
  });
}

// A bar from one end of a colour scale to the other.
function colorKey(box, color, [from, to], [fromLabel, toLabel]) {
  const { svg } = drawing(box, 22, `${fromLabel} – ${toLabel}`, 300);
  svg.attr('tabindex', null).classed('key', true);
  const bar = svg.append('g');
  d3.range(60).forEach((i) => bar.append('rect').attr('x', 90 + i * 2).attr('y', 5).attr('width', 2.4).attr('height', 11).attr('fill', color(from + ((to - from) * i) / 59)));
  svg.append('text').attr('class', 'note').attr('x', 84).attr('y', 15).attr('text-anchor', 'end').text(fromLabel);
  svg.append('text').attr('class', 'note').attr('x', 216).attr('y', 15).text(toLabel);
}
