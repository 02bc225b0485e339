'use strict';
// Each list keeps its rows as text: pairs of search words and a table row made by decant, already escaped.
const PAGE = 50;
for (const list of document.querySelectorAll('[data-list]')) {
  const rows = JSON.parse(list.querySelector('script').textContent);
  const body = list.querySelector('tbody');
  const status = list.querySelector('.status');
  const steps = [...list.querySelectorAll('[data-step]')];
  let found = rows;
  let page = 0;
  const draw = () => {
    const first = page * PAGE;
    const last = Math.min(first + PAGE, found.length);
    body.innerHTML = found.slice(first, last).map((row) => row[1]).join('');
    status.textContent = found.length === 0 ? 'none found' : `${first + 1} to ${last} of ${found.length}`;
    for (const step of steps) {
      const to = page + Number(step.dataset.step);
      step.disabled = to < 0 || to * PAGE >= found.length;
      step.hidden = rows.length <= PAGE;
    }
  };
  list.querySelector('input').addEventListener('input', (event) => {
    const words = event.target.value.toLowerCase().split(/\s+/).filter(Boolean);
    found = rows.filter((row) => words.every((word) => row[0].includes(word)));
    page = 0;
    draw();
  });
  for (const step of steps) {
    step.addEventListener('click', () => {
      page += Number(step.dataset.step);
      draw();
    });
  }
  draw();
}
