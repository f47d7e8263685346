// The line chart that most views share: d3 scales, axes and lines, a brush to zoom, hover by pointer or arrow keys.

const palette = () => ['--s1', '--s2', '--s3', '--s4', '--s5', '--s6', '--s7', '--s8'].map(css);

// Colours for heat: `share` from 0 to 1 on one hue, `signed` from -1 to 1 on two.
function sequential() {
  const stops = ['--heat0', '--heat1', '--heat2', '--heat3'].map(css);
  return d3.scaleLinear().domain([0, 0.33, 0.66, 1]).range(stops).interpolate(d3.interpolateLab).clamp(true);
}
function signed() {
  return d3.scaleLinear().domain([-1, 0, 1]).range([css('--minus'), css('--zero'), css('--plus')]).interpolate(d3.interpolateLab).clamp(true);
}
// Ink that can be read on a ground of this colour.
function inkOn(color) {
  const { r, g, b } = d3.rgb(color);
  return 0.299 * r + 0.587 * g + 0.114 * b > 140 ? '#16181b' : '#f7f6f2';
}

// An empty drawing as wide as its box.
function drawing(box, height, label, width = Math.max(220, Math.floor(box.getBoundingClientRect().width))) {
  const svg = d3.select(box).append('svg').attr('class', 'chart').attr('width', width).attr('height', height)
    .attr('viewBox', `0 0 ${width} ${height}`).attr('role', 'img').attr('aria-label', label).attr('tabindex', 0);
  return { svg, width, height };
}

// Step 0 has a place on the log axis of steps too.
const stepScale = (log) => (log ? d3.scaleSymlog().constant(1) : d3.scaleLinear());
function stepTicks(scale, log, width) {
  if (!log) return scale.ticks(Math.max(2, Math.floor(width / 90)));
  const [low, high] = scale.domain();
  const ticks = low <= 0 ? [0] : [];
  for (let power = 1; power <= high; power *= 10) {
    for (const factor of width > 520 ? [1, 2, 5] : [1]) {
      if (factor * power >= low && factor * power <= high) ticks.push(factor * power);
    }
  }
  return ticks.length > 2 ? ticks : scale.ticks(4);
}
const stepFormat = (step) => (step >= 1000 && step % 100 === 0 ? d3.format('~s')(step) : count(step));

function axes(svg, x, y, { width, height, margin, xTicks, yTicks, xLabel, yLabel, xFormat, yFormat }) {
  const bottom = d3.axisBottom(x).tickSizeOuter(0).tickPadding(6).tickFormat(xFormat);
  const left = d3.axisLeft(y).tickSize(-(width - margin.left - margin.right)).tickPadding(6).tickFormat(yFormat);
  if (xTicks) bottom.tickValues(xTicks);
  if (yTicks) left.tickValues(yTicks);
  svg.append('g').attr('class', 'axis grid').attr('transform', `translate(${margin.left},0)`).call(left);
  svg.append('g').attr('class', 'axis').attr('transform', `translate(0,${height - margin.bottom})`).call(bottom);
  if (xLabel) svg.append('text').attr('class', 'label').attr('x', width - margin.right).attr('y', height - 4).attr('text-anchor', 'end').text(xLabel);
  if (yLabel) svg.append('text').attr('class', 'label').attr('x', 4).attr('y', 12).text(yLabel);
}

// Ticks of a log axis: powers of ten, and 2 and 5 between them where the range is short.
function logTicks([low, high]) {
  const decades = Math.log10(high / low);
  const ticks = [];
  const every = Math.max(1, Math.ceil(decades / 7));
  for (let e = Math.floor(Math.log10(low)); e <= Math.ceil(Math.log10(high)); e++) {
    if (e % every !== 0) continue;
    for (const factor of decades < 2 ? [1, 2, 3, 5, 7] : [1]) {
      const value = factor * 10 ** e;
      if (value >= low * 0.999 && value <= high * 1.001) ticks.push(value);
    }
  }
  return ticks;
}
const logFormat = (value) => (value >= 0.00099 && value < 10000 ? d3.format('~g')(value) : Number.isInteger(Math.log10(value) + 1e-12) || Math.abs(Math.log10(value) % 1) < 1e-9 ? powerOfTen(Math.log10(value)) : value.toExponential(0).replace('-', '−'));

function domainOf(options, axis) {
  const values = [];
  for (const s of options.series) {
    for (let i = 0; i < s.x.length; i++) {
      for (const v of axis === 'x' ? [s.x[i]] : [s.y[i], s.low && s.low[i], s.high && s.high[i]]) {
        if (isNumber(v) && !s.outside && (!(options[axis] || {}).log || v > 0 || axis === 'x')) values.push(v);
      }
    }
  }
  if (axis === 'y') for (const rule of options.rules || []) if (isNumber(rule.y)) values.push(rule.y);
  let [low, high] = values.length ? d3.extent(values) : [0, 1];
  if (axis === 'x') return low === high ? [low - 1, high + 1] : [low, high];
  if (options.y.log) return [low / 1.15, high * 1.15];
  const room = 0.05 * (high - low) || Math.abs(high) * 0.1 || 1;
  return [options.y.zero ? Math.min(0, low) : low - room, high + room];
}

// A text cut where the room ends.
const clipFont = () => `500 12px ${css('--sans')}`;
function clipText(text, room) {
  if (measure(text, clipFont()) <= room) return text;
  let signs = [...text];
  while (signs.length > 1 && measure(signs.join('') + '…', clipFont()) > room) signs = signs.slice(0, -1);
  return signs.join('') + '…';
}

// Ranges that the reader enlarged, by the labels of the charts: a chart that is drawn again shows them still.
const enlarged = new Map();

// options: {label, height, x: {label, log, steps, format}, y: {label, log, zero, format}, atStep,
//   series: [{name, x, y, color, dash, width, opacity, dots, low, high, tag, quiet, outside}],
//   rules: [{y, label, along}], marks: [{x, label}], onPick(series)}
// Returns a function that moves the line of the step, or null.
function lineChart(box, options) {
  const { svg, width, height } = drawing(box, options.height || 280, options.label);
  const tags = options.series.filter((s) => s.tag);
  const room = tags.length ? Math.min(width * 0.3, 14 + d3.max(tags, (s) => measure(s.tag, clipFont()))) : 14;
  const margin = { top: (options.marks || []).length > 1 ? 34 : 24, right: room, bottom: 40, left: 52 };
  const bounds = [margin.left, width - margin.right];
  const xLog = options.x.log;
  const x = (options.x.steps ? stepScale(xLog) : xLog ? d3.scaleLog() : d3.scaleLinear()).domain(options.x.domain || domainOf(options, 'x')).range(bounds);
  const y = (options.y.log ? d3.scaleLog() : d3.scaleLinear()).domain(options.y.domain || domainOf(options, 'y')).range([height - margin.bottom, margin.top]);
  const whole = x.domain();
  const kept = enlarged.get(options.label);
  if (kept && kept[0] < whole[1] && kept[1] > whole[0]) x.domain(kept);
  const clip = `clip${lineChart.count = (lineChart.count || 0) + 1}`;
  svg.append('clipPath').attr('id', clip).append('rect').attr('x', margin.left - 1).attr('y', margin.top - 6).attr('width', bounds[1] - bounds[0] + 2).attr('height', height - margin.top - margin.bottom + 7);
  const ground = svg.append('g');
  const plot = svg.append('g').attr('clip-path', `url(#${clip})`);
  const over = svg.append('g');
  const cursor = svg.append('g').attr('class', 'hover-only').attr('pointer-events', 'none');
  const stepLine = svg.append('line').attr('class', 'step-line hover-only').attr('y1', margin.top - 4).attr('y2', height - margin.bottom);

  const drawable = (s) => (v, i) => isNumber(s.y[i]) && isNumber(s.x[i]) && (!options.y.log || s.y[i] > 0) && (!xLog || options.x.steps || s.x[i] > 0);
  function draw() {
    for (const layer of [ground, plot, over]) layer.selectAll('*').remove();
    axes(ground, x, y, { width, height, margin,
      xTicks: options.x.ticks ? options.x.ticks.filter((t) => t >= x.domain()[0] && t <= x.domain()[1]) : options.x.steps ? stepTicks(x, xLog, width) : xLog ? logTicks(x.domain()) : x.ticks(Math.max(2, Math.floor(width / 110))),
      yTicks: options.y.log ? logTicks(y.domain()) : y.ticks(Math.max(3, Math.floor(height / 55))),
      xLabel: options.x.label, yLabel: options.y.label,
      xFormat: options.x.format || (options.x.steps ? stepFormat : xLog ? logFormat : d3.format('~g')), yFormat: options.y.format || (options.y.log ? logFormat : d3.format('~g')) });
    const ruleRows = (options.rules || []).filter((r) => isNumber(r.y) && y(r.y) >= margin.top - 6 && y(r.y) <= height - margin.bottom);
    for (const rule of ruleRows) {
      plot.append('line').attr('class', 'rule').attr('x1', bounds[0]).attr('x2', bounds[1]).attr('y1', y(rule.y)).attr('y2', y(rule.y));
      over.append('text').attr('class', 'note').attr('x', bounds[0] + 8 + (rule.along || 0) * (bounds[1] - bounds[0])).attr('y', y(rule.y) - 4).text(rule.label);
    }
    for (const [i, mark] of (options.marks || []).entries()) {
      if (!isNumber(mark.x) || x(mark.x) < bounds[0] - 1 || x(mark.x) > bounds[1] + 1) continue;
      plot.append('line').attr('class', 'mark').attr('x1', x(mark.x)).attr('x2', x(mark.x)).attr('y1', margin.top).attr('y2', height - margin.bottom);
      const late = x(mark.x) > (bounds[0] + bounds[1]) / 2;
      over.append('text').attr('class', 'note').attr('x', x(mark.x) + (late ? -5 : 5)).attr('y', 12 + 14 * i).attr('text-anchor', late ? 'end' : 'start').text(mark.label);
    }
    for (const s of options.series) {
      const at = d3.range(s.x.length);
      const ok = drawable(s);
      if (s.low && s.high) {
        plot.append('path').attr('class', 'band').attr('fill', s.color).attr('d', d3.area().defined((i) => ok(0, i) && isNumber(s.low[i]) && isNumber(s.high[i]))
          .x((i) => x(s.x[i])).y0((i) => y(options.y.log ? Math.max(s.low[i], y.domain()[0]) : s.low[i])).y1((i) => y(s.high[i]))(at));
      }
      plot.append('path').attr('class', 'line').attr('stroke', s.color).attr('stroke-width', s.width || 1.8).attr('stroke-dasharray', s.dash || null).attr('opacity', s.opacity || 1)
        .attr('d', d3.line().defined((i) => ok(0, i)).x((i) => x(s.x[i])).y((i) => y(s.y[i]))(at));
      if (s.dots) {
        plot.append('g').selectAll('circle').data(at.filter((i) => ok(0, i))).join('circle').attr('class', 'dot').attr('cx', (i) => x(s.x[i])).attr('cy', (i) => y(s.y[i])).attr('r', 3.2).attr('fill', s.color);
      }
    }
    nameLines();
  }
  // Names at the lines' ends, moved apart where they would overlap.
  function nameLines() {
    const rows = tags.map((s) => {
      const last = d3.range(s.x.length).filter((i) => drawable(s)(0, i) && s.x[i] <= x.domain()[1]).pop();
      return last === undefined ? null : { s, y: y(s.y[last]) };
    }).filter(Boolean).sort((a, b) => a.y - b.y);
    for (let i = 1; i < rows.length; i++) rows[i].y = Math.max(rows[i].y, rows[i - 1].y + 13);
    const over_ = rows.length ? rows[rows.length - 1].y - (height - margin.bottom) : 0;
    if (over_ > 0) rows.forEach((row) => { row.y -= over_; });
    for (const { s, y: at } of rows) over.append('text').attr('class', 'tag').attr('x', bounds[1] + 6).attr('y', at + 4).style('fill', s.color).text(clipText(s.tag, room - 8));
  }
  draw();
  moveStep();
  hoverLines(svg, { options, x, y, bounds, margin, height, cursor, drawable });
  brushLines(svg, { label: options.label, x, whole, bounds, margin, height, redraw: () => { draw(); moveStep(); } });
  function moveStep() {
    const at = options.atStep ? x(state.step) : -1;
    stepLine.style('display', at >= bounds[0] - 0.5 && at <= bounds[1] + 0.5 ? null : 'none').attr('x1', at).attr('x2', at);
  }
  return options.atStep ? moveStep : null;
}

function nearestIndex(sorted, value) {
  const right = d3.bisectLeft(sorted, value);
  if (right <= 0) return sorted.length - 1 < 0 ? -1 : 0;
  if (right >= sorted.length) return sorted.length - 1;
  return value - sorted[right - 1] <= sorted[right] - value ? right - 1 : right;
}

// The numbers at the place of the pointer, or of the arrow keys.
function hoverLines(svg, { options, x, y, bounds, margin, height, cursor, drawable }) {
  const node = svg.node();
  const stops = [...new Set(options.series.filter((s) => !s.quiet).flatMap((s) => s.x).filter(isNumber))].sort((a, b) => a - b);
  let at = -1;
  function show(place, client, aloud) {
    cursor.selectAll('*').remove();
    cursor.append('line').attr('class', 'cursor').attr('x1', x(place)).attr('x2', x(place)).attr('y1', margin.top).attr('y2', height - margin.bottom);
    let rows = options.series.filter((s) => !s.quiet).map((s) => {
      const i = nearestIndex(s.x, place);
      if (i < 0 || !drawable(s)(0, i)) return null;
      return { s, i, distance: Math.abs(y(s.y[i]) - client.own) };
    }).filter(Boolean);
    const nearest = leastBy(rows, (row) => row.distance);
    for (const row of rows) cursor.append('circle').attr('cx', x(row.s.x[row.i])).attr('cy', y(row.s.y[row.i])).attr('r', row === nearest ? 4.5 : 2.5).attr('fill', row.s.color);
    if (rows.length > 12) rows = rows.sort((a, b) => a.distance - b.distance).slice(0, 12).sort((a, b) => y(a.s.y[a.i]) - y(b.s.y[b.i]));
    const lines = [`${options.x.label} ${number(place, 5)}`, ...rows.map((row) => [row.s.name,
      number(row.s.y[row.i]) + (row.s.low && row.s.high && isNumber(row.s.low[row.i]) ? `  [${number(row.s.low[row.i])}, ${number(row.s.high[row.i])}]` : ''), row.s.color, row === nearest])];
    tip.show(client.x, client.y, lines);
    if (aloud) tip.say(lines);
    return nearest;
  }
  const clear = () => { cursor.selectAll('*').remove(); tip.hide(); };
  const nearestStop = (place) => stops[nearestIndex(stops, place)];
  node.addEventListener('pointermove', (event) => {
    const box = node.getBoundingClientRect();
    const px = event.clientX - box.left;
    if (!stops.length || px < bounds[0] - 8 || px > bounds[1] + 8) return clear();
    const place = nearestStop(x.invert(px));
    at = stops.indexOf(place);
    show(place, { x: event.clientX, y: event.clientY, own: event.clientY - box.top });
  });
  node.addEventListener('pointerleave', clear);
  node.addEventListener('blur', clear);
  node.addEventListener('keydown', (event) => {
    const by = { ArrowLeft: -1, ArrowRight: 1, PageUp: -10, PageDown: 10, Home: -Infinity, End: Infinity }[event.key];
    if (by === undefined || !stops.length) return;
    event.preventDefault();
    at = Math.max(0, Math.min(stops.length - 1, (at < 0 ? 0 : at) + by));
    const box = node.getBoundingClientRect();
    show(stops[at], { x: box.left + x(stops[at]), y: box.top + 40, own: 0 }, true);
  });
}

// Dragging over a range of x shows that range; a double click or Escape shows all again.
function brushLines(svg, { label, x, whole, bounds, margin, height, redraw }) {
  const brush = d3.brushX().extent([[bounds[0], margin.top], [bounds[1], height - margin.bottom]]);
  if (brush.touchable) brush.touchable(false);
  const layer = svg.append('g').attr('class', 'brush');
  brush.on('end', (given) => {
    const event = d3.event || given;
    if (!event.selection) return;
    const [from, to] = event.selection.map(x.invert);
    layer.call(brush.move, null);
    if (to > from) { x.domain([from, to]); enlarged.set(label, [from, to]); }
    redraw();
  });
  layer.call(brush);
  const reset = () => { enlarged.delete(label); x.domain(whole); redraw(); };
  svg.node().addEventListener('dblclick', reset);
  svg.node().addEventListener('keydown', (event) => { if (event.key === 'Escape') reset(); });
}

// What the colours and dashes mean.
function legend(box, rows) {
  box.append(el('div', { class: 'legend' }, rows.map((row) => el('span', {}, el('i', { class: row.dash ? 'dash' : '', style: `--c:${row.color}` }), row.name))));
}
