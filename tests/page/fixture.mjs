// node fixture.mjs SEED KIND: prints a document as gpt view makes them, with plausible numbers from a seed. Kinds:
// whole; second (another size and name, to compare); sparse (an old run with nothing but its log); hostile (texts that
// would break a page that trusts them).
export function random(seed) {  // mulberry32
  let a = seed >>> 0;
  return () => {
    a = (a + 0x6d2b79f5) | 0;
    let t = Math.imul(a ^ (a >>> 15), 1 | a);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

const range = (n) => Array.from({ length: n }, (_, i) => i);
const round = (x) => Number(x.toPrecision(6));

export function half(x) {  // a number from 0 to 1 as binary16 bits
  if (x < 2 ** -24) return 0;
  let e = Math.max(-14, Math.floor(Math.log2(x)));
  let f = Math.round((x / 2 ** e) * 1024);
  if (f === 2048) { e++; f = 1024; }
  return f < 1024 ? f : ((e + 15) << 10) | (f - 1024);
}

const hostilePieces = ['</script><script>window.broken=1</script>', '<img src=x onerror="window.broken=1">', '"\'`${1}&amp;', '\u0000\u0001\u001b[31m', '\u202eabc\u2066', 'שלום', '\ud800', '=1+1', '한글', '😀', ' ', '\n'];

export function fixture(seed, kind) {
  const next = random(seed);
  const normal = () => Math.sqrt(-2 * Math.log(next() + 1e-12)) * Math.cos(2 * Math.PI * next());
  const layers = kind === 'second' ? 3 : 2, heads = 4, steps = kind === 'second' ? 800 : 1500;
  const hostile = kind === 'hostile';
  const letters = hostile ? hostilePieces : [...'abcdefghijklmnopqrstuvwxyz', '\n'];
  const V = letters.length;
  const recorded = range(steps).map((i) => i + 1).filter((s) => s <= 1000 || s % 10 === 0);
  const snapshots = [0, 1, 2, 5, 10, 20, 50, 100, 200, 500, steps];
  const loss = recorded.map((s) => round(2.2 + (Math.log(V) - 2.2) * Math.exp(-s / 60) + 0.05 * normal()));
  const heldSteps = range(8).map((i) => Math.round(((i + 1) * steps) / 8));
  const doc = {
    version: 1,
    run: { name: hostile ? '<b>run</b> & "co" \u202e' : kind === 'whole' ? 'names' : kind, command: hostile ? 'gpt train --out "</script>"' : 'gpt train --seconds 20', config: { n_layer: layers, n_head: heads, vocab_size: V }, settings: {}, parameters: 102400, tokenizer: 'characters', vocab_size: V, steps, tokens: steps * 460, seconds: 20.4, best_step: steps, running: false, serve: false },
    loss: { step: recorded, train: loss, smoothed: loss.map((_, i) => round(loss.slice(Math.max(0, i - 20), i + 1).reduce((a, b) => a + b) / Math.min(21, i + 1))), lr: recorded.map((s) => round(0.004 * Math.min(1, s / 50) * (1 - s / steps))), grad_norm: recorded.map(() => round(0.5 + next())), clip: recorded.map(() => (next() < 0.2 ? 0.7 : 1)), tokens: recorded.map((s) => s * 460),
      held_out: { step: heldSteps, loss: heldSteps.map((s) => round(2.25 + 0.9 * Math.exp(-s / 120))) } },
    left_out: [{ en: 'The weights of step 300', ko: '스텝 300의 가중치' }], warnings: [],
  };
  if (kind === 'sparse') return doc;
  const names = ['wte.weight', 'wpe.weight', ...range(layers).flatMap((l) => ['attn.c_attn', 'attn.c_proj', 'mlp.c_fc', 'mlp.c_proj'].map((m) => `h.${l}.${m}.weight`))];
  doc.matrices = names.map((name, i) => ({ name: hostile && i === 1 ? 'w<pe> "&\'.weight' : name, shape: [64, 64] }));
  doc.vocab = Object.fromEntries(letters.map((letter, id) => [id, letter]));
  doc.baselines = { uniform: round(Math.log(V)), unigram: 2.85, bigram: 2.45 };
  const perMatrix = (f) => names.map((_, m) => recorded.map((s) => round(f(m, s) * Math.exp(0.2 * normal()))));
  doc.per_matrix = { step: recorded, grad_norm: perMatrix((m, s) => 0.3 * Math.exp(-m / 8) * (1 + 3 / s)), weight_norm: perMatrix((m) => 3 + m), update_ratio: perMatrix((m, s) => 0.01 * (1.02 - s / steps)) };
  const decades = range(21).map((i) => 10 ** (-8 + i / 2));
  const edges = [...decades.map((x) => -x).reverse(), ...decades];
  const bell = (center) => { const row = new Array(edges.length - 1).fill(0); for (let i = 0; i < 400; i++) { const x = center * normal(); const b = edges.findIndex((e, k) => x >= e && x < edges[k + 1]); if (b >= 0) row[b]++; } return row; };
  const snapped = snapshots.slice(0, -1);
  doc.histograms = { edges: edges.map(round), step: snapped, weights: names.map(() => snapped.map((s, i) => bell(0.02 * (1 + i / 3)))), gradients: names.map(() => snapped.map((s, i) => (i ? bell(0.001) : null))) };
  const moduleNames = range(layers).flatMap((l) => [`h.${l}.attn`, `h.${l}.mlp`]);
  const perLayer = (f) => moduleNames.map((_, l) => snapped.map((_, i) => f(l, i)));
  doc.activations = { layers: moduleNames, step: snapped, mean: perLayer(() => round(0.01 * normal())), std: perLayer((l, i) => round(0.02 * (1 + i) * (1 + l))), saturated: perLayer((l, i) => (l % 2 ? round(i * 0.01) : null)), never_fire: perLayer((l) => (l % 2 ? round(0.43 * (l === 3)) : null)) };
  doc.warnings.push({ view: 'activations', en: hostile ? '<script>window.broken=1</script>' : 'h.1.mlp: 43 % of units never fire', ko: 'h.1.mlp: 유닛의 43 %가 켜지지 않습니다' });
  doc.snapshots = snapshots;
  const softmax = (n, sharp) => { const e = range(n).map(() => Math.exp(sharp * next())); const sum = e.reduce((a, b) => a + b); return e.map((x) => x / sum); };
  const top = (k) => { const p = softmax(V, 4).map((x, id) => [id, round(x)]).sort((a, b) => b[1] - a[1]); return p.slice(0, k); };
  const attention = (T, sharp) => {
    const bytes = Buffer.alloc(layers * heads * T * T * 2);
    let at = 0;
    for (let l = 0; l < layers; l++) for (let h = 0; h < heads; h++) for (let i = 0; i < T; i++) {
      const row = softmax(i + 1, 1);
      if (l === 0 && h === 2 && i > 0) row[i - 1] += sharp;
      const sum = row.reduce((a, b) => a + b);
      for (let j = 0; j < T; j++) { bytes.writeUInt16LE(j <= i ? half(row[j] / sum) : 0, at); at += 2; }
    }
    return { f16: bytes.toString('base64'), shape: [layers, heads, T, T] };
  };
  const text = (ids) => ({ text: ids.map((id) => letters[id]).join(''), ids, pieces: ids.map((id) => letters[id]), at: snapshots.map((s, i) => ({ attention: attention(ids.length, i), prob: ids.map((_, t) => (t ? round(0.02 + 0.9 * next() ** 2) : null)), top: ids.map(() => top(5)), lens: range(layers + 1).map(() => ids.map(() => top(3))), residual: range(layers + 1).map((l) => ids.map(() => round((1 + l * i) * (0.8 + 0.4 * next())))) })) });
  doc.texts = [text(hostile ? range(V) : [26, 0, 0, 19, 20, 26]), text([1, 3, 5, 7, 2, 8, 4, 6].map((id) => id % V))];
  doc.entropy = { step: snapshots, value: range(layers).map((l) => range(heads).map((h) => snapshots.map((_, i) => round(1.4 - (l + h / 4) * 0.05 * i)))) };
  doc.previous = range(layers).map((l) => range(heads).map((h) => (l === 0 && h === 2 ? 0.73 : round(0.1 + 0.3 * next()))));
  doc.calibration = { bins: range(9).map((i) => ({ confidence: round(0.1 + i / 10), accuracy: round(0.1 + i / 10 - 0.02 * next()), count: 4000 - 400 * i })), ece: 0.0133 };
  doc.samples = snapped.map((step) => ({ step, texts: range(4).map(() => range(8).map(() => letters[Math.floor(next() * V)]).join('')) }));
  doc.embedding = { ids: range(V), explained: [0.31, 0.12], xy: snapshots.map((_, i) => range(V).map((v) => [round(Math.cos(v) * (0.1 + i)), round(Math.sin(v * 1.7) * (0.1 + i))])) };
  const T = doc.texts[0].ids.length;
  const weight = (name, row, col) => {
    const blame = range(T).map((t) => (t < T - 1 ? round(0.1 * normal()) : 0));
    const grad = round(blame.reduce((a, b) => a + b)), value = round(0.1 * normal()), clip = 0.5;
    const m = round(0.1 * grad * clip), v = round(0.01 * (grad * clip) ** 2 + 1e-5), mHat = m, vHat = v;
    const update = round(-0.004 * (mHat / (Math.sqrt(vHat) + 1e-8) + 0.1 * value));
    return { name, shape: [64, 64], row, col, value, grad, m, v, m_hat: mHat, v_hat: vHat, update, after: round(value + update), blame };
  };
  doc.one_step = { step: steps + 1, ids: doc.texts[0].ids, pieces: doc.texts[0].pieces, loss: 2.31, lr: 0.004, beta1: 0.9, beta2: 0.99, eps: 1e-8, weight_decay: 0.1, clip: 0.5, weights: doc.matrices.flatMap((m) => range(9).map((i) => weight(m.name, Math.floor(i / 3), i % 3))) };
  const flow = (std) => ({ mean: 0, std: round(std), min: -3 * std, max: 3 * std, values: range(16).map(() => round(std * normal())) });
  const nodes = [];
  const node = (op, module, inputs) => nodes.push({ id: nodes.length, op, module, shape: [T, 64], inputs, forward: flow(0.1 + next()), backward: flow(0.01 * (1 + nodes.length)) }) - 1;
  let x = node('embedding', 'wte', [node('parameter', 'wte.weight', [])]);
  for (let l = 0; l < layers; l++) {
    const a = node('linear', `h.${l}.attn.c_proj`, [node('layer_norm', `h.${l}.ln_1`, [x]), node('parameter', `h.${l}.attn.c_proj.weight`, [])]);
    x = node('add', `h.${l}.attn`, [x, a]);
    x = node('add', `h.${l}.mlp`, [x, node('gelu_tanh', `h.${l}.mlp`, [x])]);
  }
  node('cross_entropy', '', [x]);
  doc.graph = { text: doc.texts[0].text, pieces: doc.texts[0].pieces, loss: 2.31, nodes };
  return doc;
}

// A study's result, for lab_page().
export function labFixture(seed) {
  const next = random(seed);
  const x = [1, 2, 4, 8, 16];
  const series = (name) => { const y = x.map((v) => 2 + 1 / v + 0.1 * next()); return { name, x, y, low: y.map((v) => v - 0.05), high: y.map((v) => v + 0.05) }; };
  return { question: 'heads', title: { en: 'How many heads?', ko: '헤드는 몇 개?' }, sentences: [{ en: '8 heads are best, 2.13 ± 0.05.', ko: '헤드 8개가 가장 좋습니다. 2.13 ± 0.05.' }],
    tables: [{ caption: 'Held-out loss <b>', columns: ['heads', 'loss'], rows: x.map((v) => [v, 2 + 1 / v]) }],
    charts: [{ title: 'Loss against heads', x: 'heads', y: 'held-out loss', log_x: true, log_y: false, series: [series('fixed width'), series('fixed head size')] }] };
}
