// Behind nginx, as docs/operations.md ("Behind a reverse proxy") says: the proxy has the certificate and passes page, REST and
// WebSocket; media goes past it, by UDP or to the TCP port that is for media alone.
import { strict as assert } from 'node:assert';

import { HOST, NAME } from '../harness/certificates.mjs';
import { selectedPair, talkBothWays } from '../harness/media.mjs';
import { Nginx } from '../harness/nginx.mjs';
import { freePort } from '../harness/server.mjs';
import { eventually } from '../harness/wait.mjs';
import { BROWSERS, scenario, server } from '../harness/stage.mjs';

const [first, second = first] = BROWSERS;

/** A server behind a proxy of its own. */
async function behindNginx(afterwards, options) {
  const [port, tcp] = [await freePort('0.0.0.0'), await freePort('0.0.0.0')];
  const here = await server('sqlite', {
    RINGHALL_HTTP_PUBLIC_URL: `https://${NAME}:${port}`,
    RINGHALL_HTTP_TRUSTED_PROXIES: '127.0.0.1',
    RINGHALL_MEDIA_TCP_LISTEN: `0.0.0.0:${tcp}`,
    RINGHALL_SOCKETS_COMMANDS_PER_SECOND: '10000',
    RINGHALL_SOCKETS_COMMANDS_BURST: '10000',
    ...options,
  });
  const nginx = await Nginx.start(port, here.port);
  afterwards(() => nginx.stop());
  return { here, tcp, nginx };
}

const WAYS = [
  ['udp', {}, {}],
  // As in by-tcp.mjs: UDP leads nowhere.
  ['tcp', { RINGHALL_MEDIA_LISTEN: '127.0.0.1:0', RINGHALL_MEDIA_ADVERTISE: HOST }, { directOnly: true }],
];

for (const [way, options, how] of WAYS) {
  scenario(`a call behind nginx with the sample configuration, media by ${way.toUpperCase()}`, async ({ t, arrive, afterwards }) => {
    const { here, tcp, nginx } = await behindNginx(afterwards, options);
    const ivan = await arrive(first, nginx, 'ivan', how);
    const maria = await arrive(second, nginx, 'maria', how);
    await talkBothWays(t, ivan, maria, await here.directory());
    const { remote } = await selectedPair(ivan);
    assert.equal(remote.protocol, way, JSON.stringify(remote));
    if (way === 'tcp') assert.equal(remote.port, tcp, JSON.stringify(remote));
    if (way === 'udp') {
      const past = await arrive(first, here, 'sergey');
      t.diagnostic(`a command by WebSocket: ${await answerTime(ivan)} ms through nginx, ${await answerTime(past)} ms past it`);
    }
    await ivan.click('leave-call');
    await maria.sees('call-ended');
    // What was opened through the proxy was not opened past it; its log has a WebSocket when that has ended.
    await Promise.all([ivan, maria].map((person) => person.leave()));
    await eventually('nginx has passed two WebSockets', () => nginx.log.split('"GET /v1/ws HTTP/1.1" 101 ').length > 2);
  });
}

/** Median of a hundred commands, milliseconds. */
function answerTime(person) {
  return person.page.evaluate(async () => {
    const took = [];
    for (let n = 0; n < 100; n += 1) {
      const begun = performance.now();
      await window.ringhall.client.request('mark_calls_seen', {});
      took.push(performance.now() - begun);
    }
    return took.sort((a, b) => a - b)[50].toFixed(1);
  });
}
