// Screenshots for people to look at, in light and dark: tests/browser/out/look-*.png. What is asserted is only that the
// pages come about without an error; whether they look like a product is for eyes.
import { join } from 'node:path';

import { out } from '../harness/evidence.mjs';
import { decodes } from '../harness/media.mjs';
import { BROWSERS, scenario, server } from '../harness/stage.mjs';

if (BROWSERS.includes('chromium')) {
  for (const look of ['light', 'dark']) {
    scenario(`the pages in ${look}`, async ({ arrive }) => {
      const here = await server('sqlite');
      const { direct, users } = await here.directory();
      const dark = look === 'dark';
      const ivan = await arrive('chromium', here, 'ivan', { dark });
      const maria = await arrive('chromium', here, 'maria', { dark });
      const shot = (person, name) => person.page.screenshot({ path: join(out, `look-${look}-${name}.png`) });

      await ivan.openChat(direct);
      await ivan.write('Созвонимся?');
      await ivan.sees('message', '[data-kind="text"]');
      await shot(ivan, 'chat');
      await ivan.call('video');
      await maria.sees('incoming-call');
      await shot(maria, 'incoming');
      await ivan.inCall('ringing');
      await shot(ivan, 'ringing');
      await maria.accept();
      await decodes(ivan, users.maria);
      await shot(ivan, 'call');
      await ivan.click('leave-call');
      await ivan.sees('call-ended');
      await shot(ivan, 'ended');
      await ivan.page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: look }]);
      await ivan.page.evaluate(() => sessionStorage.clear());
      await ivan.page.goto(here.url);
      await ivan.sees('login-name');
      await shot(ivan, 'sign-in');
    });
  }
}
