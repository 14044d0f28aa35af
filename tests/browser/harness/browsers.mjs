// Real browsers with fake devices. Each is started once per run; a person is a window in a context of its own.
import { readdirSync, readFileSync } from 'node:fs';

import puppeteer from 'puppeteer-core';

import { FarHost } from './far-host.mjs';
import { KEY_DIGEST, trustingProfile } from './certificates.mjs';

const CHROMIUM = process.env.CHROMIUM_BIN ?? '/usr/bin/chromium';

const FAKES = '--use-fake-device-for-media-stream';
const ANSWERS = '--use-fake-ui-for-media-stream';

const launchers = {
  chromium: () => launchers.chromiumAt(CHROMIUM),
  /** On the second machine. The driver reaches it by a pipe, not by the network. */
  'chromium-far': async () => launchers.chromiumAt((await FarHost.get()).wrapper(CHROMIUM), true),
  /** One that asks before it gives a device. */
  'chromium-asking': () => launchers.chromiumAt(CHROMIUM, false, (args) => args.filter((arg) => arg !== ANSWERS)),
  /** One that has no camera. */
  'chromium-bare': () =>
    launchers.chromiumAt(CHROMIUM, false, (args) => args.map((arg) => (arg === FAKES ? `${FAKES}=device-count=0` : arg))),
  chromiumAt: (executablePath, pipe = false, change = (args) => args) =>
    puppeteer.launch({
      browser: 'chrome',
      executablePath,
      pipe,
      headless: true,
      protocolTimeout: 120_000,
      args: change([
        '--no-sandbox',
        '--disable-gpu',
        FAKES,
        ANSWERS, // also answers the screen picker
        '--auto-select-desktop-capture-source=Entire screen',
        `--ignore-certificate-errors-spki-list=${KEY_DIGEST}`,
        '--disable-background-networking',
        '--disable-component-update',
        '--disable-sync',
        // Every window is somebody's screen: none of them is in the background.
        '--disable-backgrounding-occluded-windows',
        '--disable-renderer-backgrounding',
        '--disable-background-timer-throttling',
      ]),
    }),
  firefox: () =>
    puppeteer.launch({
      browser: 'firefox',
      executablePath: process.env.FIREFOX_BIN ?? '/usr/bin/firefox-esr',
      headless: true,
      protocolTimeout: 120_000,
      userDataDir: trustingProfile(),
      extraPrefsFirefox: {
        'media.navigator.streams.fake': true,
        'media.navigator.permission.disabled': true,
        'media.autoplay.default': 0,
        'media.peerconnection.ice.obfuscate_host_addresses': false,
        // A machine without a sound card: without these an AudioContext never runs, whatever the page does.
        'media.cubeb.force_mock_context': true,
        'media.cubeb.sandbox': false,
        'network.captive-portal-service.enabled': false,
        'app.update.enabled': false,
      },
    }),
};

const running = new Map();

/** The browser of this name, started at its first use. */
export async function browser(name) {
  if (!running.has(name)) running.set(name, launchers[name]());
  return running.get(name);
}

/** Stops every process of this browser, as a computer that goes to sleep does; what is returned wakes them up. */
export async function sleeping(name) {
  const processes = tree((await browser(name)).process().pid);
  for (const pid of processes) process.kill(pid, 'SIGSTOP');
  return () => {
    for (const pid of processes.reverse()) process.kill(pid, 'SIGCONT');
  };
}

/** A process and all that it has started, itself first. */
function tree(pid) {
  // A process belongs to the thread that started it.
  const threads = readdirSync(`/proc/${pid}/task`);
  const children = threads.flatMap((thread) => readFileSync(`/proc/${pid}/task/${thread}/children`, 'utf8').split(' ').filter(Boolean));
  return [pid, ...children.map(Number).flatMap(tree)];
}

export async function closeBrowsers() {
  for (const launched of running.values()) await launched.then((b) => b.close()).catch(() => {});
  running.clear();
  await FarHost.stop();
}

/**
 * Firefox without a display has no screen to share and its fake devices know no screens. There the picker, and only the
 * picker, is replaced: it gives a moving picture. All that the page does with the track is its own.
 */
export const SCREEN_FOR_FIREFOX = `(() => {
  // Not on a page without https.
  if (!navigator.mediaDevices) return;
  navigator.mediaDevices.getDisplayMedia = async () => {
    const canvas = Object.assign(document.createElement('canvas'), { width: 1280, height: 720 });
    const paint = canvas.getContext('2d');
    let frame = 0;
    const timer = setInterval(() => {
      frame += 1;
      paint.fillStyle = 'hsl(' + (frame * 7) % 360 + ' 60% 50%)';
      paint.fillRect(0, 0, 1280, 720);
      paint.fillStyle = '#fff';
      paint.fillRect((frame * 16) % 1280, 300, 120, 120);
    }, 66);
    const stream = canvas.captureStream(15);
    stream.getVideoTracks()[0].addEventListener('ended', () => clearInterval(timer));
    return stream;
  };
})()`;
