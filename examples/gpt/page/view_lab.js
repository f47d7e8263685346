// The page of a study: its conclusion in sentences, then charts and tables.

const labText = localized;

function labChart(chart, i) {
  const colors = palette();
  const title = labText(chart.title);
  const body = el('div', { class: 'body' });
  const series = (chart.series || []).map((s, k) => ({ ...s, name: short(labText(s.name), 60), color: colors[k % 8], dash: k >= 8 ? '5 3' : null, dots: (s.x || []).length <= 60, width: 2, ...orderedByX(s) }));
  const csv = () => [['series', labText(chart.x), labText(chart.y), 'low', 'high'], ...series.flatMap((s) => s.x.map((x, k) => [s.name, x, s.y[k], (s.low || [])[k], (s.high || [])[k]]))];
  const definition = { csv, needs: () => true };
  const section = el('section', { class: 'view', id: `chart-${i + 1}`, 'aria-label': title },
    el('header', {}, el('h2', {}, title), saveTools(`chart-${i + 1}`, body, title, definition, ['SVG', 'PNG', 'CSV'])), body);
  return { section, draw: () => {
    body.replaceChildren();
    legend(body, series.map((s) => ({ name: s.name, color: s.color, dash: s.dash })));
    lineChart(body, { label: title, height: 340, x: { label: labText(chart.x), log: Boolean(chart.log_x), ticks: chart.log_x ? ownTicks(series) : null }, y: { label: labText(chart.y), log: Boolean(chart.log_y) }, series });
  } };
}

// Few places, as 1, 2, 4, 8 heads, are their own ticks.
function ownTicks(series) {
  const places = [...new Set(series.flatMap((s) => s.x))].filter((v) => v > 0);
  return places.length <= 10 ? places : null;
}

function orderedByX(s) {
  const order = d3.range((s.x || []).length).sort((a, b) => s.x[a] - s.x[b]);
  const take = (values) => (values ? order.map((i) => values[i]) : undefined);
  return { x: take(s.x || []), y: take(s.y || []), low: take(s.low), high: take(s.high) };
}

function labTable(table, i) {
  const title = labText(table.caption);
  const csv = () => [table.columns.map(labText), ...table.rows.map((row) => row.map((cell) => (typeof cell === 'number' || cell === null ? cell : labText(cell))))];
  return el('section', { class: 'view', id: `table-${i + 1}` }, el('header', {}, el('h2', {}, title), saveTools(`table-${i + 1}`, null, title, { csv, needs: () => true }, ['CSV'])),
    el('div', { class: 'scroll' }, el('table', {}, el('thead', {}, el('tr', {}, table.columns.map((c) => el('th', { scope: 'col' }, labText(c))))),
      el('tbody', {}, table.rows.map((row) => el('tr', {}, row.map((cell) => el('td', { class: typeof cell === 'number' ? 'n' : null }, typeof cell === 'number' ? number(cell) : readable(cell === null ? '–' : labText(cell))))))))));
}

function buildLab(switchButtons) {
  const lab = state.lab;
  document.body.classList.add('lab');
  document.title = `${localized(lab.title) || lab.question} · gradus lab`;
  document.getElementById('top').replaceChildren(
    el('div', { class: 'line' }, el('h1', {}, localized(lab.title) || readable(lab.question || '')), switchButtons),
    el('p', { class: 'lead' }, el('code', {}, `gpt lab ${readable(lab.question || '')}`)),
    el('div', { class: 'conclusion' }, (lab.sentences || []).map((s) => el('p', {}, localized(s)))));
  const charts = (lab.charts || []).map(labChart);
  document.getElementById('main').replaceChildren(...charts.map((c) => c.section), ...(lab.tables || []).map(labTable));
  state.labDraw = () => charts.forEach((c) => c.draw());
  state.labDraw();
}
