// Where the tokens lie in the first two principal directions of the last snapshot, and the way that they came.

view({
  id: 'embedding', group: 'thinking',
  needs: (doc) => doc.embedding && present(doc.embedding.ids) && present(doc.embedding.xy),
  draw(box, doc) {
    const { ids, xy, explained } = doc.embedding;
    const snapshots = doc.snapshots || [];
    const at = Math.min(xy.length - 1, Math.max(0, indexAtStep(snapshots, state.step)));
    const { svg, width, height } = drawing(box, Math.min(560, Math.max(340, Math.floor(box.getBoundingClientRect().width * 0.62))), T('embedding.aria', runName(doc)));
    const margin = 34;
    const all = xy.flat();
    const [x0, x1] = d3.extent(all, (p) => p[0]), [y0, y1] = d3.extent(all, (p) => p[1]);
    const unit = Math.min((width - 2 * margin) / (x1 - x0 || 1), (height - 2 * margin) / (y1 - y0 || 1));
    const x = d3.scaleLinear().domain([x0, x1]).range([width / 2 - (unit * (x1 - x0)) / 2, width / 2 + (unit * (x1 - x0)) / 2]);
    const y = d3.scaleLinear().domain([y0, y1]).range([height / 2 + (unit * (y1 - y0)) / 2, height / 2 - (unit * (y1 - y0)) / 2]);
    const clip = `map${lineChart.count = (lineChart.count || 0) + 1}`;
    svg.append('clipPath').attr('id', clip).append('rect').attr('width', width).attr('height', height);
    const plot = svg.append('g').attr('clip-path', `url(#${clip})`);
    const drift = ids.map((_, i) => Math.hypot(xy[at][i][0] - xy[0][i][0], xy[at][i][1] - xy[0][i][1]));
    const heat = d3.scaleLinear().domain([0, d3.max(drift) || 1]).range([css('--s8'), css('--s1')]).interpolate(d3.interpolateLab);
    const crowd = ids.length > 150;
    plot.append('line').attr('class', 'rule').attr('x1', x(0)).attr('x2', x(0)).attr('y1', 0).attr('y2', height);
    plot.append('line').attr('class', 'rule').attr('x1', 0).attr('x2', width).attr('y1', y(0)).attr('y2', y(0));
    const trails = plot.append('g').selectAll('path').data(ids).join('path').attr('class', 'trail');
    const dots = plot.append('g').selectAll('circle').data(ids).join('circle').attr('class', 'dot').attr('r', crowd ? 2.5 : 3.5).attr('fill', (_, i) => heat(drift[i]));
    const names = plot.append('g').selectAll('text').data(ids).join('text').style('font-size', crowd ? '10px' : '14px').text((id) => short(tokenText(doc, id), 10));
    const put = (sx, sy) => {
      trails.attr('d', (_, i) => d3.line().curve(d3.curveCatmullRom)(d3.range(at + 1).map((s) => [sx(xy[s][i][0]), sy(xy[s][i][1])])));
      dots.attr('cx', (_, i) => sx(xy[at][i][0])).attr('cy', (_, i) => sy(xy[at][i][1]));
      names.attr('x', (_, i) => sx(xy[at][i][0]) + 6).attr('y', (_, i) => sy(xy[at][i][1]) - 5);
    };
    let now = { x, y };
    put(x, y);
    zoomMap(svg, runName(doc), (transform) => { now = { x: transform.rescaleX(x), y: transform.rescaleY(y) }; put(now.x, now.y); });
    box.append(el('div', { class: 'caption' }, `${isNumber(snapshots[at]) ? `${T('snapshot')} ${count(snapshots[at])} · ` : ''}${present(explained) ? T('embedding.explained', percent(explained[0]), percent(explained[1])) : ''}${compared() ? ` · ${T('embedding.own_axes')}` : ''} · ${T('embedding.zoom')}`));
    hoverPoints(svg.node(), ids.length, (i) => [now.x(xy[at][i][0]), now.y(xy[at][i][1])], (i) => [short(tokenText(doc, ids[i]), 20), [T('embedding.place'), `${number(xy[at][i][0], 3)}, ${number(xy[at][i][1], 3)}`], [T('embedding.drift'), number(drift[i], 3)], [T('embedding.near'), nearestTokens(doc, xy[at], i)]]);
    return null;
  },
  csv: (doc) => [['step', 'id', 'token', 'x', 'y'], ...doc.embedding.xy.flatMap((points, s) => points.map((p, i) => [(doc.snapshots || [])[s], doc.embedding.ids[i], tokenText(doc, doc.embedding.ids[i]), p[0], p[1]]))],
});

function nearestTokens(doc, points, i) {
  return d3.range(points.length).filter((j) => j !== i).sort((a, b) => Math.hypot(points[a][0] - points[i][0], points[a][1] - points[i][1]) - Math.hypot(points[b][0] - points[i][0], points[b][1] - points[i][1])).slice(0, 4).map((j) => short(tokenText(doc, doc.embedding.ids[j]), 8)).join(' ');
}

// Zoom by pinching, by the wheel with Ctrl, or by + and -: a plain wheel scrolls the page.
const mapZooms = new Map();  // by the runs' names
function zoomMap(svg, name, onZoom) {
  const zoom = d3.zoom().scaleExtent([1, 20]).on('zoom', (given) => { const { transform } = d3.event || given; mapZooms.set(name, transform); onZoom(transform); })
    .filter((given) => { const event = d3.event || given; return event.type === 'wheel' ? event.ctrlKey || event.metaKey : event.type.startsWith('touch') ? event.touches.length > 1 : !event.button; });
  svg.call(zoom).style('touch-action', 'pan-y');
  if (mapZooms.has(name)) svg.call(zoom.transform, mapZooms.get(name));
  svg.node().addEventListener('keydown', (event) => {
    if (event.key === '+' || event.key === '=') svg.call(zoom.scaleBy, 1.4);
    if (event.key === '-') svg.call(zoom.scaleBy, 1 / 1.4);
    if (event.key === 'Escape') svg.call(zoom.transform, d3.zoomIdentity);
  });
}

// The numbers of the point nearest to the pointer; arrow keys go through all points.
function hoverPoints(node, n, at, lines) {
  node.addEventListener('pointermove', (event) => {
    const box = node.getBoundingClientRect();
    const px = event.clientX - box.left, py = event.clientY - box.top;
    const distance = (i) => Math.hypot(at(i)[0] - px, at(i)[1] - py);
    const i = leastBy(d3.range(n), distance);
    if (i === undefined || distance(i) > 30) return tip.hide();
    tip.show(event.clientX, event.clientY, lines(i));
  });
  node.addEventListener('pointerleave', () => tip.hide());
  arrowKeys(node, n, at, lines);
}
