// Is the model as often right as it is sure? On held-out text, by ranges of confidence.

view({
  id: 'calibration', group: 'thinking', together: true, still: true,
  needs: (doc) => doc.calibration && present(doc.calibration.bins),
  draw(box, docs) {
    const colors = palette();
    legend(box, docs.map((doc, run) => ({ name: `${runName(doc)}: ${T('calibration.ece')} ${percent(doc.calibration.ece, 1)}`, color: colors[run] })));
    const parts = el('div', { class: 'split' }), left = el('div', {}), right = el('div', {});
    parts.append(left, right);
    box.append(parts);
    const share = d3.format('.0%');
    const rows = docs.map((doc) => doc.calibration.bins.filter((b) => b.count > 0).sort((a, b) => a.confidence - b.confidence));
    lineChart(left, { label: T('calibration.aria'), height: 330, x: { label: T('calibration.confidence'), domain: [0, 1], format: share }, y: { label: T('calibration.accuracy'), domain: [0, 1], format: share },
      series: [{ name: T('calibration.perfect'), x: [0, 1], y: [0, 1], color: css('--soft'), dash: '3 4', width: 1.2, quiet: true },
        ...rows.map((bins, run) => {
          const error = bins.map((b) => 1.96 * Math.sqrt(Math.max(b.accuracy * (1 - b.accuracy), 1e-9) / b.count));
          return { name: runName(docs[run]), x: bins.map((b) => b.confidence), y: bins.map((b) => b.accuracy), low: bins.map((b, i) => Math.max(0, b.accuracy - error[i])), high: bins.map((b, i) => Math.min(1, b.accuracy + error[i])), color: colors[run], dots: true };
        })] });
    right.append(el('div', { class: 'caption' }, T('calibration.counts')));
    countBars(right, docs, rows, colors);
    return null;
  },
  csv: (doc) => [['confidence', 'accuracy', 'count'], ...doc.calibration.bins.map((b) => [b.confidence, b.accuracy, b.count])],
});

function countBars(box, docs, rows, colors) {
  const { svg, width, height } = drawing(box, 300, T('calibration.counts'));
  const margin = { top: 14, right: 10, bottom: 40, left: 56 };
  const x = d3.scaleLinear().domain([0, 1]).range([margin.left, width - margin.right]);
  const y = d3.scaleLinear().domain([0, d3.max(rows.flat(), (b) => b.count) || 1]).range([height - margin.bottom, margin.top]);
  axes(svg, x, y, { width, height, margin, xTicks: [0, 0.25, 0.5, 0.75, 1], yTicks: y.ticks(5), xLabel: T('calibration.confidence'), xFormat: d3.format('.0%'), yFormat: d3.format('~s') });
  const bar = Math.max(4, ((width - margin.left - margin.right) / 12) / docs.length);
  const lines = (run, b) => [runName(docs[run]), [T('calibration.confidence'), percent(b.confidence, 1)], [T('calibration.accuracy'), percent(b.accuracy, 1)], [T('calibration.tokens'), count(b.count)]];
  const all = rows.flatMap((bins, run) => bins.map((b) => [run, b]));
  arrowKeys(svg.node(), all.length, (i) => [x(all[i][1].confidence), y(all[i][1].count)], (i) => lines(...all[i]));
  rows.forEach((bins, run) => {
    svg.append('g').selectAll('rect').data(bins).join('rect').attr('class', 'bar').attr('x', (b) => x(b.confidence) - (bar * docs.length) / 2 + run * bar).attr('y', (b) => y(b.count)).attr('width', bar - 1).attr('height', (b) => y(0) - y(b.count)).attr('rx', 2).attr('fill', colors[run])
      .each(function (b) {
        this.addEventListener('pointermove', (event) => tip.show(event.clientX, event.clientY, lines(run, b)));
        this.addEventListener('pointerleave', () => tip.hide());
      });
  });
}
