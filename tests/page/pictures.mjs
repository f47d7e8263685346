// node pictures.mjs VIEW.html: takes the pictures of docs/see-it-learn.md from a run's page. `make view-pictures` calls it.
import path from 'node:path';
import { end, open, root, scrollTo } from './browser.mjs';

const picture = (name) => path.join(root, 'docs', `${name}.png`);
const hidden = '#player { display: none !important }';

const { page, faults } = await open(path.resolve(process.argv[2]), { width: 1120, height: 840 });
await page.screenshot({ path: picture('view-page') });
await scrollTo(page, 'attention');
const [row, column] = await page.evaluate(() => {  // the strongest weight of the large head but its first cell
  const texts = [...document.querySelectorAll('#attention .cell-text text')].map((text) => [Number(text.textContent), text.getBoundingClientRect()]).slice(1);
  const best = texts.reduce((a, b) => (b[0] > a[0] ? b : a), [-1, { x: 0, y: 0, width: 0, height: 0 }])[1];
  return [best.y + best.height / 2, best.x + best.width / 2];
});
if (column > 0) await page.mouse.move(column, row);
await page.screenshot({ path: picture('view-attention'), clip: await (await page.$('#attention')).boundingBox(), style: hidden });
await page.mouse.move(1, 1);
await scrollTo(page, 'step');
await (await page.$('#step')).screenshot({ path: picture('view-step'), style: hidden });
if (faults.length) console.error(faults.join('\n'));
await end();
process.exit(faults.length ? 1 : 0);
