// A tab that nobody has touched may not make sound. It must be noticed all the same.
import assert from 'node:assert/strict';

import { BROWSERS, scenario, server } from '../harness/stage.mjs';
import { eventually } from '../harness/wait.mjs';

// Firefox is driven with autoplay allowed (media.autoplay.default), so the lock exists in Chromium only.
if (BROWSERS.includes('chromium')) {
  scenario('a ring that may not sound is shown in the title until the first gesture unlocks it', async ({ arrive }) => {
    const here = await server('sqlite');
    const { direct } = await here.directory();
    const ivan = await arrive('chromium', here, 'ivan');
    const maria = await arrive('chromium', here, 'maria');
    await maria.restoreWithoutGesture(here);

    await ivan.openChat(direct);
    await ivan.call('audio');
    await maria.sees('incoming-call');
    assert.equal(await maria.page.evaluate(() => window.ringhall.audioState()), 'suspended');
    const titles = new Set();
    await eventually('the title of the tab alternates', async () => {
      titles.add(await maria.page.title());
      return titles.size > 1;
    });

    await maria.page.mouse.click(3, 3);
    await maria.hearsRing();

    await ivan.click('leave-call');
    await maria.seesNo('incoming-call');
    await maria.hearsNoRing();
    const title = await maria.page.title();
    await eventually('the title is quiet again', async () => (await maria.page.title()) === title);
  });
}
