// What a failed test leaves for its reader: screenshots, consoles and server logs under tests/browser/out (git-ignored).
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const out = join(dirname(fileURLToPath(import.meta.url)), '..', 'out');
mkdirSync(out, { recursive: true });

const fileName = (text) => text.replace(/[^\p{L}\p{N}]+/gu, '-').slice(0, 90);

/** Saves what every open page shows and said. */
export async function keepEvidence(test, people) {
  for (const person of people) {
    const stem = join(out, `failed-${fileName(test)}-${person.login}-${person.browser}`);
    await person.page.screenshot({ path: `${stem}.png` }).catch(() => {});
    const state = await person.debugState().catch((error) => String(error));
    writeFileSync(`${stem}.txt`, `${person.console.join('\n')}\n\n${JSON.stringify(state, null, 2)}\n`);
  }
}
