// The four questions that a reader of a run asks first, answered from its numbers.

// When the held-out loss came within 1 % of its best, and whether it was still falling at the end. It is worse by the rule
// of the warning that the program writes beside the loss: 0.01 nats above its lowest.
function whenItStopped(doc) {
  const held = doc.loss && doc.loss.held_out;
  if (!held || held.step.length < 2) return null;
  const points = held.step.map((step, i) => ({ step, loss: held.loss[i] })).filter((p) => isNumber(p.loss));
  if (points.length < 2) return null;
  const best = leastBy(points, (p) => p.loss), last = points[points.length - 1], first = points[0];
  const near = points.find((p) => p.loss <= best.loss * 1.01);
  const before = points[Math.max(0, points.length - 1 - Math.max(1, Math.floor(points.length / 4)))];
  return { best, near, last, first, before, gain: before.loss - last.loss, worse: last.loss - best.loss >= 0.01 };
}

// The gradient norm of the first block's mlp.c_fc over the last one's: medians over the middle fifth of the training, as
// the program's warning has it. And the matrix of the blocks whose gradient is the smallest per weight then.
function gradientAcrossBlocks(doc) {
  const recorded = doc.per_matrix;
  if (!recorded || !present(recorded.grad_norm) || !present(recorded.step) || !present(doc.matrices)) return null;
  const end = recorded.step[recorded.step.length - 1];
  const middle = d3.range(recorded.step.length).filter((s) => recorded.step[s] >= 0.4 * end && recorded.step[s] <= 0.6 * end);
  const rows = doc.matrices.map((matrix, i) => {
    const norms = middle.map((s) => (recorded.grad_norm[i] || [])[s]).filter(isNumber);
    const root = Math.sqrt((matrix.shape || [1]).reduce((a, b) => a * b, 1));
    return { name: matrix.name, ...matrixParts(matrix.name), norm: norms.length ? d3.median(norms) : null, rms: norms.length ? d3.median(norms) / root : null };
  }).filter((row) => row.block !== null && isNumber(row.norm));
  const inner = rows.filter((row) => row.kind === 'mlp.c_fc');
  if (!inner.length) return null;
  const first = leastBy(inner, (row) => row.block), last = leastBy(inner, (row) => -row.block);
  return { first, last, alone: first === last, ratio: first.norm / last.norm, least: leastBy(rows, (row) => row.rms) };
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

// Where the best guess at the last snapshot had the least probability, in the run's own texts.
function leastSure(doc) {
  const places = (doc.texts || []).filter((text) => !text.live).flatMap((text) => {
    const at = text.at && text.at[text.at.length - 1];
    return at ? text.ids.map((_, i) => ({ text, i, top: expectedAt(at, i) })) : [];
  });
  return leastBy(places.filter(({ top }) => top.length && isNumber(top[0][1])), ({ top }) => top[0][1]);
}

// A sentence of strings.js with its figures in bold.
function emphasized(key, ...values) {
  return T(key).split(/(\{\d\})/).map((part) => {
    const match = /^\{(\d)\}$/.exec(part);
    return match ? el('b', {}, el('bdi', {}, values[Number(match[1])])) : part;
  });
}

function vanishing(doc) {
  const flow = gradientAcrossBlocks(doc);
  if (!flow) return T('answer.unknown');
  if (flow.alone) return T('answer.vanish.alone');
  const { first, last, ratio, least } = flow;
  if (Number.isNaN(ratio)) return emphasized('answer.vanish.all', shortName(first.name), shortName(last.name));
  if (ratio <= 0.1) return emphasized('answer.vanish.at', shortName(first.name), ratio > 0 ? number(1 / ratio, 2) : '∞', shortName(last.name), shortName(least.name));
  return emphasized(ratio >= 10 ? 'answer.vanish.grow' : 'answer.vanish.not', shortName(first.name), Number.isFinite(ratio) ? number(ratio, 2) : '∞', shortName(last.name), shortName(least.name));
}

function answersOf(doc) {
  const result = [];
  const stopped = whenItStopped(doc);
  result.push(['answer.stop', 'loss', !stopped ? T('answer.unknown') : stopped.worse ? emphasized('answer.stop.worse', count(stopped.best.step), number(stopped.best.loss), number(stopped.last.loss))
    : stopped.near.step === stopped.last.step || stopped.gain > 0.01 * stopped.last.loss ? emphasized('answer.stop.not', count(stopped.last.step), number(stopped.gain, 2), count(stopped.before.step))
      : emphasized('answer.stop.at', count(stopped.near.step), count(stopped.last.step), number(stopped.near.loss - stopped.best.loss, 2))]);
  result.push(['answer.vanish', 'flow', vanishing(doc)]);
  const head = strongestPreviousHead(doc);
  result.push(['answer.previous', 'attention', !head ? T('answer.unknown') : emphasized(head.value >= 0.5 ? 'answer.previous.head' : 'answer.previous.weak', `h.${head.layer}`, head.head, percent(head.value))]);
  const unsure = leastSure(doc);
  result.push(['answer.unsure', 'confidence', !unsure ? T('answer.unknown') : emphasized('answer.unsure.at', short(unsure.text.pieces[unsure.i], 14), unsure.i + 1, short(unsure.text.text, 30), percent(unsure.top[0][1], 1),
    unsure.top.slice(0, 3).map(([id, p]) => `${isolated(short(tokenText(doc, id), 12))} ${percent(p)}`).join(', '))]);
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
