// A text as a row of tokens that wraps, each in a box: for attention, confidence, blame and the samples.

// options: {label, pieces, fill(i), ink(i), tip(i), under(i) -> text below, onPick(i), onHover(i), picked}
function tokenRow(box, options) {
  const width = Math.max(220, Math.floor(box.getBoundingClientRect().width));
  const font = `15px ${css('--mono')}`, line = options.under ? 50 : 34;
  let x = 1, row = 0;
  const places = options.pieces.map((piece, i) => {
    const text = short(piece, 40);
    const under = options.under ? measure(options.under(i), `11px ${css('--mono')}`) + 4 : 0;
    const own = Math.ceil(Math.max(options.under ? 34 : 22, under, measure(text, font) + 12));
    if (x + own > width && x > 1) { x = 1; row++; }
    const place = { text, x, y: row * line + 2, width: own };
    x += own + 3;
    return place;
  });
  const { svg } = drawing(box, (row + 1) * line + 4, options.label, width);
  const tokens = svg.append('g').selectAll('g').data(places).join('g').attr('class', 'token').attr('transform', (p) => `translate(${p.x},${p.y})`);
  tokens.append('rect').attr('width', (p) => p.width).attr('height', 28).attr('rx', 5).attr('fill', (p, i) => options.fill(i));
  tokens.append('text').attr('x', (p) => p.width / 2).attr('y', 19).attr('text-anchor', 'middle').style('fill', (p, i) => (options.ink ? options.ink(i) : inkOn(options.fill(i)))).text((p) => p.text);
  if (options.under) tokens.append('text').attr('class', 'note').attr('x', (p) => p.width / 2).attr('y', 42).attr('text-anchor', 'middle').text((p, i) => options.under(i));
  const ring = svg.append('rect').attr('class', 'ring').attr('height', 28).attr('rx', 5).style('display', 'none');
  const place = (i) => ring.style('display', null).attr('x', places[i].x).attr('y', places[i].y).attr('width', places[i].width);
  const mark = () => { if (options.picked !== undefined && places[options.picked]) place(options.picked); else ring.style('display', 'none'); };
  const rest = () => { tip.hide(); mark(); };
  mark();
  const node = svg.node();
  const show = (i, where, aloud) => {
    const lines = options.tip(i);
    place(i);
    tip.show(where[0], where[1], lines);
    if (aloud) tip.say(lines);
    if (options.onHover) options.onHover(i);
  };
  tokens.each(function (p, i) {
    this.addEventListener('pointermove', (event) => show(i, [event.clientX, event.clientY]));
    if (options.onPick) { this.addEventListener('click', () => options.onPick(i)); this.style.cursor = 'pointer'; }
  });
  node.addEventListener('pointerleave', rest);
  node.addEventListener('blur', rest);
  let at = options.picked ?? -1;
  node.addEventListener('keydown', (event) => {
    const by = { ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity }[event.key];
    if (event.key === 'Enter' && options.onPick && at >= 0) return options.onPick(at);
    if (by === undefined) return;
    event.preventDefault();
    at = Math.max(0, Math.min(places.length - 1, at + by));
    const frameBox = node.getBoundingClientRect();
    show(at, [frameBox.left + places[at].x, frameBox.top + places[at].y + 20], true);
  });
  return svg;
}
