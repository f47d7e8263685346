// The graph that autograd ran: a row for each node in the order of its creation, arcs to its inputs, and beside it the
// spread of what flows forward and of the gradient that flows back.

const isLeaf = (node) => !(node.inputs && node.inputs.length);
const spread = (node, way) => (node[way] && isNumber(node[way].std) && node[way].std > 0 ? node[way].std : null);

function graphColor(node) {
  if (isLeaf(node)) return css('--heat0');
  const { block, kind } = matrixParts(`${node.module || ''}`);
  return block === null ? css('--wash') : d3.interpolateLab(css('--wash'), /attn/.test(kind) ? css('--s6') : css('--s3'))(0.22);
}

function graphRows(doc) {
  return state.graphLeaves ? doc.graph.nodes : doc.graph.nodes.filter((n) => !isLeaf(n));
}

function drawGraph(box, doc) {
  const nodes = graphRows(doc);
  const width = Math.max(260, Math.floor(box.getBoundingClientRect().width));
  const narrow = width < 560, line = 24, top = 34;
  const gutter = narrow ? 44 : 86, bars = narrow ? 62 : Math.min(240, width * 0.24), labelLeft = gutter + 6;
  const forwardLeft = width - 2 * bars - 22, backwardLeft = width - bars - 4;
  const { svg } = drawing(box, top + nodes.length * line + 8, T('graph.aria', count(nodes.length)), width);
  const y = new Map(nodes.map((n, i) => [n.id, top + i * line + line / 2]));
  // Arcs from every node to those that read it: the longer the way, the further out.
  const links = nodes.flatMap((n) => (n.inputs || []).filter((id) => y.has(id)).map((id) => ({ from: id, to: n.id })));
  const arc = ({ from, to }) => {
    const a = y.get(from), b = y.get(to), out = Math.min(gutter - 8, 8 + 5 * Math.sqrt((b - a) / line));
    const path = d3.path();
    path.moveTo(gutter, a);
    path.bezierCurveTo(gutter - out * 1.3, a, gutter - out * 1.3, b, gutter, b);
    return path.toString();
  };
  const arcs = svg.append('g').selectAll('path').data(links).join('path').attr('class', 'link').attr('d', arc);
  const scaleOf = (way, left) => {
    const values = nodes.map((n) => spread(n, way)).filter(isNumber);
    const [low, high] = values.length ? d3.extent(values) : [0.1, 1];
    return d3.scaleLog().domain([low / 1.6, high * 1.05]).range([left, left + bars]);
  };
  const forward = scaleOf('forward', forwardLeft), backward = scaleOf('backward', backwardLeft);
  for (const [key, left] of [['graph.forward', forwardLeft], ['graph.backward', backwardLeft]]) svg.append('text').attr('class', 'label').attr('x', left).attr('y', 16).text(T(narrow ? `${key}_short` : key));
  const rows = svg.append('g').selectAll('g').data(nodes).join('g').attr('class', 'op').attr('transform', (n) => `translate(0,${y.get(n.id)})`).style('cursor', 'pointer');
  rows.append('rect').attr('x', labelLeft - 4).attr('y', -10).attr('width', Math.max(60, forwardLeft - labelLeft - 8)).attr('height', 20).attr('rx', 5).attr('fill', graphColor);
  rows.append('text').attr('x', labelLeft + 2).attr('y', 4).text((n) => clipText(`${n.op === 'parameter' ? '' : visible(n.op)}  ${visible(n.module || '')}${narrow ? '' : `  (${(n.shape || []).join(', ')})`}`.trim(), forwardLeft - labelLeft - 22));
  for (const [way, scale, left, color] of [['forward', forward, forwardLeft, css('--s1')], ['backward', backward, backwardLeft, css('--s2')]]) {
    rows.filter((n) => spread(n, way) !== null).append('rect').attr('x', left).attr('y', -6).attr('height', 12).attr('rx', 2).attr('width', (n) => Math.max(1, scale(spread(n, way)) - left)).attr('fill', color).style('stroke', 'none');
  }
  const light = (id) => {
    rows.classed('on', (n) => n.id === id);
    arcs.classed('on', (l) => l.to === id || l.from === id);
  };
  const lines = (n) => [`${visible(n.op)} ${short(n.module || '', 36)}`, [T('graph.shape'), `(${(n.shape || []).join(', ')})`], n.forward ? [T('graph.value'), `${number(n.forward.mean, 3)} ± ${number(n.forward.std, 3)}`, css('--s1')] : null, n.forward ? [T('graph.range'), `${number(n.forward.min, 3)} … ${number(n.forward.max, 3)}`] : null,
    n.backward ? [T('graph.gradient'), `${number(n.backward.mean, 3)} ± ${number(n.backward.std, 3)}`, css('--s2')] : null, n.backward ? [T('graph.range'), `${number(n.backward.min, 3)} … ${number(n.backward.max, 3)}`] : null];
  return { svg, rows, nodes, y, light, lines };
}

// The first values of the chosen node, forward and backward.
function nodeValues(box, node) {
  box.replaceChildren(el('div', { class: 'caption' }, el('b', {}, `${visible(node.op)} ${short(node.module || '', 40)}`), ` – ${T('graph.values')}`));
  const parts = el('div', { class: 'split' });
  box.append(parts);
  for (const [way, color] of [['forward', css('--s1')], ['backward', css('--s2')]]) {
    const values = node[way] && (node[way].values || []).filter(isNumber);
    const cell = el('div', {});
    parts.append(cell);
    cell.append(el('div', { class: 'caption' }, T(`graph.${way}_short`)));
    if (!values || !values.length) { cell.append(el('div', { class: 'caption' }, T('graph.nothing'))); continue; }
    const { svg, width, height } = drawing(cell, 110, `${T(`graph.${way}_short`)}: ${values.map((v) => number(v, 3)).join(', ')}`);
    const lines = (i) => [`[${i}]`, [T(`graph.${way}_short`), number(values[i], 5)]];
    const x = d3.scaleBand().domain(d3.range(values.length)).range([58, width - 6]).padding(0.15);
    const y = d3.scaleLinear().domain([Math.min(0, d3.min(values)), Math.max(0, d3.max(values))]).nice().range([height - 8, 8]);
    svg.append('g').attr('class', 'axis grid').attr('transform', 'translate(58,0)').call(d3.axisLeft(y).ticks(3).tickSize(-(width - 64)).tickFormat((v) => number(v, 2)));
    svg.append('g').selectAll('rect').data(values).join('rect').attr('class', 'bar').attr('x', (_, i) => x(i)).attr('width', x.bandwidth()).attr('y', (v) => Math.min(y(0), y(v))).attr('height', (v) => Math.max(0.5, Math.abs(y(v) - y(0)))).attr('fill', color)
      .each(function (v, i) { this.addEventListener('pointermove', (event) => tip.show(event.clientX, event.clientY, lines(i))); this.addEventListener('pointerleave', () => tip.hide()); });
    arrowKeys(svg.node(), values.length, (i) => [x(i), y(values[i])], lines);
  }
}

view({
  id: 'graph', group: 'computing', still: true,
  needs: (doc) => doc.graph && present(doc.graph.nodes),
  controls: () => el('div', { class: 'controls' }, toggle('graph.leaves', 'graphLeaves', ['graph'])),
  draw(box, doc) {
    box.append(el('div', { class: 'caption' }, el('b', {}, el('bdi', {}, short(doc.graph.text || '', 50))), ` · ${T('loss.title')} ${number(doc.graph.loss)}`));
    const buttons = el('div', { class: 'controls' });
    box.append(buttons);
    const { svg, rows, nodes, y, light, lines } = drawGraph(box, doc);
    const detail = el('div', {});
    box.append(detail);
    const choose = (n) => { state.node = n.id; light(n.id); nodeValues(detail, n); };
    choose(nodes.find((n) => n.id === state.node) || nodes[Math.max(0, nodes.length - 2)]);
    rows.each(function (n) {
      this.addEventListener('pointermove', (event) => tip.show(event.clientX, event.clientY, lines(n)));
      this.addEventListener('pointerleave', () => tip.hide());
      this.addEventListener('click', () => choose(n));
    });
    let timer = null;
    for (const [key, order] of [['graph.run_forward', nodes], ['graph.run_backward', [...nodes].reverse()]]) {
      buttons.append(el('button', { onclick: () => {
        clearInterval(timer);
        let i = 0;
        svg.attr('data-playing', '');
        timer = setInterval(() => {
          if (i < order.length && svg.node().isConnected) return choose(order[i++]);
          clearInterval(timer);
          svg.attr('data-playing', null);
          schedule();
        }, 220);
      } }, T(key)));
    }
    svg.node().addEventListener('keydown', (event) => {
      const by = { ArrowUp: -1, ArrowDown: 1 }[event.key];
      if (!by) return;
      event.preventDefault();
      const i = Math.max(0, Math.min(nodes.length - 1, nodes.findIndex((n) => n.id === state.node) + by));
      choose(nodes[i]);
      const frameBox = svg.node().getBoundingClientRect();
      tip.show(frameBox.left + 120, frameBox.top + y.get(nodes[i].id), lines(nodes[i]));
      tip.say(lines(nodes[i]));
    });
    return null;
  },
  csv: (doc) => [['id', 'op', 'module', 'shape', 'inputs', ...['forward', 'backward'].flatMap((way) => ['mean', 'std', 'min', 'max'].map((s) => `${way}_${s}`))],
    ...doc.graph.nodes.map((n) => [n.id, n.op, n.module, (n.shape || []).join('x'), (n.inputs || []).join(' '), ...['forward', 'backward'].flatMap((way) => ['mean', 'std', 'min', 'max'].map((s) => (n[way] || {})[s]))])],
});
