// With `gpt view --serve`: a text that is typed is answered by the engine, and a running training streams in.

const served = (docs) => docs.length === 1 && docs[0].run && docs[0].run.serve && location.protocol.startsWith('http');

// A field for a text of the reader's own; without the engine behind the page, the way to get it.
function typeForm(docs) {
  if (!served(docs)) return el('span', {}, T('type.without'));
  const input = el('input', { type: 'text', maxlength: 2000, 'aria-label': T('type.label'), placeholder: T('type.label'), value: state.typed || '' });
  const fault = el('span', { class: 'fault', role: 'alert' });
  const form = el('form', { class: 'type' }, input, el('button', { type: 'submit' }, T('type.ask')), fault);
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    state.typed = input.value;
    try {
      const response = await fetch('/api/text', { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ text: input.value }) });
      const answer = await response.json();
      if (!response.ok || !answer.at) throw new Error(localized(answer.error) || `${response.status}`);
      addTyped(docs[0], answer);
    } catch (error) {
      fault.textContent = `${T('type.failed')} ${error.message}`;
    }
  });
  return form;
}

// The answer has the newest weights only and stands for every step. Its step of Adam takes the place of the recorded one.
function addTyped(doc, answer) {
  Object.assign(doc.vocab = doc.vocab || {}, answer.vocab || {});
  doc.texts = (doc.texts || []).filter((t) => !t.live).concat({ text: answer.text, ids: answer.ids, pieces: answer.pieces, at: answer.at, live: true });
  state.text = doc.texts.length - 1;
  if (answer.one_step && present(answer.one_step.weights)) {
    doc.one_step = answer.one_step;
    chooseWeight(doc);
  }
  refresh([...textViews, 'step']);
}

async function poll() {
  if (document.hidden) return;
  try {
    const response = await fetch('/api/run');
    if (!response.ok) throw new Error(`${response.status}`);
    const fresh = await response.json();
    const typed = ((state.runs[0] && state.runs[0].texts) || []).filter((t) => t.live);
    if (typed.length) {
      fresh.texts = (fresh.texts || []).concat(typed);
      fresh.vocab = { ...state.runs[0].vocab, ...fresh.vocab };
      fresh.one_step = state.runs[0].one_step;
    }
    const stops = sliderSteps(), atEnd = !stops.length || state.step >= stops[stops.length - 1];
    state.runs = [fresh];
    const now = sliderSteps();
    if (atEnd && now.length) state.step = now[now.length - 1];
    buildTop();
    buildPlayer();
    refresh();
    if (!fresh.run.running) { clearInterval(state.polling); state.polling = null; }
  } catch {
    tip.say([T('type.lost')]);
  }
}
