// The four questions that a reader of a run asks first, answered from its numbers.

// When the held-out loss came within 1 % of its best, and whether it was still falling at the end.
function whenItStopped(doc) {
  const held = doc.loss && doc.loss.held_out;
  if (!held || held.step.length < 2) return null;
  const points = held.step.map((step, i) => ({ step, loss: held.loss[i] })).filter((p) => isNumber(p.loss));
  if (points.length < 2) return null;
  const best = leastBy(points, (p) => p.loss), last = points[points.length - 1], first = points[0];
  const near = points.find((p) => p.loss <= best.loss * 1.01);
  const before = points[Math.max(0, points.length - 1 - Math.max(1, Math.floor(points.length / 4)))];
  return { best, near, last, first, before, gain: before.loss - last.loss, worse: last.loss > best.loss * 1.02 };
}

// The gradient norm of the same kind of matrix in the first and the last block, over the last tenth of the steps.
function gradientAcrossBlocks(doc) {
  const recorded = doc.per_matrix;
  if (!recorded || !present(recorded.grad_norm) || !present(doc.matrices)) return null;
  const from = Math.floor(recorded.step.length * 0.9);
  const rows = doc.matrices.map((matrix, i) => {
    const norms = (recorded.grad_norm[i] || []).slice(from).filter((v) => isNumber(v));
    return { i, name: matrix.name, ...matrixParts(matrix.name), norm: norms.length ? d3.median(norms) : null, numel: (matrix.shape || [1]).reduce((a, b) => a * b, 1) };
  }).filter((row) => row.block !== null && isNumber(row.norm));
  if (!rows.length) return null;
  // Per weight, so that large matrices compare with small ones.
  for (const row of rows) row.rms = row.norm / Math.sqrt(row.numel);
  const blocks = [...new Set(rows.map((r) => r.block))].sort((a, b) => a - b);
  const size = (block) => d3.mean(rows.filter((r) => r.block === block), (r) => Math.log(Math.max(r.rms, 1e-30)));
  const sizes = blocks.map((block) => ({ block, size: Math.exp(size(block)) }));
  return { rows, least: leastBy(rows, (r) => r.rms), most: leastBy(rows, (r) => -r.rms), smallest: leastBy(sizes, (b) => b.size), largest: leastBy(sizes, (b) => -b.size), sizes };
}

function strongestPreviousHead(doc) {
  if (!present(doc.previous)) return null;
  return leastBy(doc.previous.flatMap((heads, layer) => heads.map((value, head) => ({ layer, head, value }))).filter((r) => isNumber(r.value)), (r) => -r.value);
}

// What the model held likely at position i: what it said after the token before.
const expectedAt = (at, i) => (at.top || [])[i - 1] || [];

// The tokens of all texts that the model gave the least, at snapshot `s` of each text (the last by default).
function leastExpected(doc, s = Infinity) {
  return (doc.texts || []).flatMap((text) => {
    const at = text.at && text.at[Math.min(s, text.at.length - 1)];
    return ((at && at.prob) || []).map((p, i) => ({ p, i, text, top: expectedAt(at, i) }));
  }).filter(({ p }) => isNumber(p)).sort((a, b) => a.p - b.p);
}

// A sentence of strings.js with its figures in bold.
function emphasized(key, ...values) {
  return T(key).split(/(\{\d\})/).map((part) => {
    const match = /^\{(\d)\}$/.exec(part);
    return match ? el('b', {}, el('bdi', {}, values[Number(match[1])])) : part;
  });
}

function answersOf(doc) {
  const result = [];
  const stopped = whenItStopped(doc);
  result.push(['answer.stop', 'loss', !stopped ? T('answer.unknown') : stopped.worse ? emphasized('answer.stop.worse', count(stopped.best.step), number(stopped.best.loss), number(stopped.last.loss))
    : stopped.near.step === stopped.last.step || stopped.gain > 0.01 * stopped.last.loss ? emphasized('answer.stop.not', count(stopped.last.step), number(stopped.gain, 2), count(stopped.before.step))
      : emphasized('answer.stop.at', count(stopped.near.step), count(stopped.last.step), number(stopped.near.loss - stopped.best.loss, 2))]);
  const flow = gradientAcrossBlocks(doc);
  result.push(['answer.vanish', 'flow', !flow ? T('answer.unknown') : flow.largest.size < 10 * flow.smallest.size
    ? emphasized('answer.vanish.not', number(flow.largest.size / flow.smallest.size, 2), `h.${flow.largest.block}`, `h.${flow.smallest.block}`, shortName(flow.least.name))
    : emphasized('answer.vanish.at', `h.${flow.smallest.block}`, number(flow.largest.size / flow.smallest.size, 2), `h.${flow.largest.block}`, shortName(flow.least.name))]);
  const head = strongestPreviousHead(doc);
  result.push(['answer.previous', 'attention', !head ? T('answer.unknown') : emphasized(head.value >= 0.5 ? 'answer.previous.head' : 'answer.previous.weak', `h.${head.layer}`, head.head, percent(head.value))]);
  const unsure = leastExpected(doc)[0];
  result.push(['answer.unsure', 'confidence', !unsure ? T('answer.unknown') : emphasized('answer.unsure.at', short(unsure.text.pieces[unsure.i], 14), unsure.i + 1, short(unsure.text.text, 30), percent(unsure.p, 1),
    unsure.top.slice(0, 3).map(([id, p]) => `${short(tokenText(doc, id), 12)} ${percent(p)}`).join(', '))]);
  return result;
}

function answerList() {
  const each = state.runs.map(answersOf);
  return el('ul', { class: 'answers', 'aria-label': T('answers') }, each[0].map(([key, id], i) => el('li', {}, el('h3', {}, T(key)),
    each.map((answers, run) => el('p', {}, compared() ? el('span', { class: 'which' }, `${runName(state.runs[run])}: `) : null, answers[i][2])),
    el('a', { href: `#${id}` }, `${T('answer.see')} ${T(`${id}.title`)} →`))));
}

// What is shown first: the head that looks at the previous token, the weight with the largest gradient.
function chooseStart(doc) {
  const head = strongestPreviousHead(doc);
  if (head) { state.layer = head.layer; state.head = head.head; }
  chooseWeight(doc);
}
function chooseWeight(doc) {
  const weights = doc.one_step && doc.one_step.weights;
  if (weights && weights.length) state.weight = leastBy(d3.range(weights.length), (i) => -Math.abs(weights[i].grad)) ?? 0;
}
