// What the reader has chosen, and which views have to be drawn again when it changes.

const stored = (key) => { try { return localStorage.getItem(`gradus.${key}`); } catch { return null; } };
const store = (key, value) => { try { localStorage.setItem(`gradus.${key}`, value); } catch { /* a browser may forbid storage to pages from disk */ } };

const state = {
  runs: [],            // one or two documents
  step: 0,
  text: 0,             // which of the document's texts
  layer: 0, head: 0,   // the head that is shown large
  matrix: 0,
  weight: 0,           // which weight of one_step
  node: null,          // which node of the graph
  logX: true,
  perWeight: true,     // gradient norms over the root of the matrix's size
  language: stored('language') || ((navigator.language || 'en').toLowerCase().startsWith('ko') ? 'ko' : 'en'),
  theme: stored('theme') || 'auto',
};

// {id, group, draw, ...}: filled by the scripts of the views, in the order of the page.
const views = [];
const view = (definition) => views.push(definition);

const runName = (doc) => short((doc.run && doc.run.name) || '?', 40);
const compared = () => state.runs.length > 1;

// Steps at which the slider stops: every snapshot, and some 240 others on a log scale between the first and the last.
function sliderSteps() {
  const stops = new Set([0]);
  for (const doc of state.runs) {
    for (const steps of [doc.snapshots, doc.histograms && doc.histograms.step, (doc.samples || []).map((s) => s.step)]) {
      for (const step of steps || []) stops.add(step);
    }
    const recorded = (doc.per_matrix && doc.per_matrix.step) || (doc.loss && doc.loss.step) || [];
    if (!recorded.length) continue;
    const scale = d3.scaleSymlog().domain([0, recorded[recorded.length - 1]]).range([0, 240]);
    for (let i = 0; i <= 240; i++) stops.add(recorded[indexAtStep(recorded, scale.invert(i))]);
  }
  return [...stops].filter(isNumber).sort((a, b) => a - b);
}

// A view is drawn when it first comes into sight, and again only while it is in sight.
const drawn = new Map();      // id -> {body, seen, dirty, atStep, frame, controls}
let frame = 0;
// `how` is 'gently' if only the training went on: a view that the reader has in hand then waits.
function refresh(ids, how = 'at once') {
  for (const [id, entry] of drawn) {
    if (!ids || ids.includes(id)) entry.dirty = entry.dirty === 'at once' ? entry.dirty : how;
  }
  schedule();
}

// Where the pointer is, and what it is pressed on.
const pointer = { x: -1, y: -1, pressed: null };
addEventListener('pointermove', (event) => { if (event.isTrusted) { pointer.x = event.clientX; pointer.y = event.clientY; } if (!event.buttons) pointer.pressed = null; }, true);
addEventListener('pointerdown', (event) => { pointer.pressed = event.target; }, true);
for (const end of ['pointerup', 'pointercancel', 'focusout']) addEventListener(end, () => { if (end !== 'focusout') pointer.pressed = null; schedule(); }, true);

// A drag, a tip that arrow keys opened, or a run through the graph would break off.
function inHand({ body }) {
  const focused = document.activeElement;
  return (pointer.pressed && body.contains(pointer.pressed)) || body.querySelector('[data-playing]')
    || (focused.matches('svg.chart') && body.contains(focused) && !document.getElementById('tip').hidden && !focused.matches(':hover'));
}
function moveToStep(step) {
  state.step = step;
  for (const entry of drawn.values()) entry.moved = true;
  schedule();
}
function schedule() {
  if (!frame) frame = requestAnimationFrame(drawVisible);
}
function drawVisible() {
  frame = 0;
  for (const [id, entry] of drawn) {
    if (!entry.seen) continue;
    const waits = entry.dirty === 'gently' && inHand(entry);
    if ((entry.dirty && !waits) || (entry.moved && !entry.atStep)) drawView(id, entry);
    else if (entry.moved) entry.atStep();
    entry.moved = false;
  }
}
