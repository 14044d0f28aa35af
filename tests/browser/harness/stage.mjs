// What the scenarios share: servers, browsers and the people in them, and the promise that all of it is ended.
import { test } from 'node:test';

import { closeBrowsers } from './browsers.mjs';
import { keepEvidence } from './evidence.mjs';
import { Person } from './person.mjs';
import { Server } from './server.mjs';

const list = (value, all) => (value ? value.split(',').filter((item) => all.includes(item)) : all);

/** The browsers and databases of this run (E2E_BROWSERS, E2E_DATABASES). */
export const BROWSERS = list(process.env.E2E_BROWSERS, ['chromium', 'firefox']);
export const DATABASES = list(process.env.E2E_DATABASES, ['postgres', 'sqlite']);
export const PAIRINGS = BROWSERS.flatMap((a) => BROWSERS.map((b) => [a, b]));

const servers = new Map();
const retired = [];

/** After a failure the next scenario gets new servers: a call that was left behind is not its fault. */
function retire() {
  retired.push(...servers.values());
  servers.clear();
}

/**
 * The server on this database, with these options (and `open`: as it stands on the internet; `whose`: one that remembers nothing of
 * others); started at its first use and kept for the whole run.
 */
export function server(database, options = {}, how = {}) {
  const key = `${database} ${JSON.stringify([options, how.open, how.plain, how.host?.address, how.whose])}`;
  if (!servers.has(key)) {
    servers.set(key, Server.start({ database, options, name: `${database}-${servers.size + retired.length}`, ...how }));
  }
  return servers.get(key);
}

const scenarios = [];

/**
 * A test with people in it: they leave when it ends, and when it fails, what they saw is kept. `afterwards` takes what else is to
 * be done in the end, however it ends. `todo`: a known defect; its failure is shown and not counted. `long`: only in long runs
 * (make test-long), and when its topic is asked for.
 */
export function scenario(name, body, { timeout = 240_000, todo, long = false } = {}) {
  if (long && process.env.E2E_LONG !== '1' && !process.env.E2E_TOPICS) return;
  const done = test(name, { timeout, ...(todo && { todo }) }, async (t) => {
    const people = [];
    const last = [];
    const afterwards = (work) => last.push(work);
    const arrive = (browser, at, login, how) =>
      Person.arrive(browser, at, login, { ...how, opened: (person) => people.push(person) });
    try {
      await body({ t, arrive, people, afterwards });
      for (const person of people) {
        if (person.errors.length > 0) throw new Error(`uncaught in the page of ${person.login}: ${person.errors[0].stack}`);
      }
    } catch (error) {
      await keepEvidence(name, people);
      retire();
      throw error;
    } finally {
      for (const person of people) await person.leave().catch(() => {});
      for (const work of last) await work();
    }
  });
  scenarios.push(done);
}

/**
 * Waits for every scenario, then ends browsers and servers. Not a hook of the test runner: it takes the whole run for
 * finished when all tests of the first file are left out by their names.
 */
export async function finish() {
  await Promise.all(scenarios);
  await closeBrowsers();
  retire();
  for (const started of retired) await started.then((s) => s.stop()).catch(() => {});
}
