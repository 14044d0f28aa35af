// A person at a browser. Speaks the page's contract: the data-testid names and window.ringhall, nothing deeper.
import { browser, SCREEN_FOR_FIREFOX } from './browsers.mjs';
import { PASSWORD } from './server.mjs';
import { eventually } from './wait.mjs';

const id = (name, attributes = '') => `[data-testid="${name}"]${attributes}`;

/**
 * Every connection of the page uses relayed candidates only, and of the TURN server's URLs only those that match
 * `pattern`; with no URL left it uses none.
 */
const RELAY_ONLY = (pattern) => {
  const Native = RTCPeerConnection;
  // Those that are for such pages alone.
  let relays = [];
  const Socket = WebSocket;
  window.WebSocket = class extends Socket {
    constructor(...how) {
      super(...how);
      this.addEventListener('message', ({ data }) => {
        const frame = JSON.parse(data);
        if (frame.t === 'welcome') relays = frame.relays;
      });
    }
  };
  window.RTCPeerConnection = class extends Native {
    constructor(configuration) {
      const iceServers = [...(configuration?.iceServers ?? []), ...relays]
        .map((server) => ({ ...server, urls: [server.urls].flat().filter((url) => new RegExp(pattern).test(url)) }))
        .filter((server) => server.urls.length > 0);
      super({ ...configuration, iceServers, iceTransportPolicy: 'relay' });
    }
  };
};

/** No TURN server: what connects, connects directly. */
const DIRECT_ONLY = () => {
  const Native = RTCPeerConnection;
  window.RTCPeerConnection = class extends Native {
    constructor(configuration) {
      super({ ...configuration, iceServers: [] });
    }
  };
};

const VIEWPORT = { width: 1100, height: 760 };

export class Person {
  /**
   * Opens a window and signs in. `dark`: what the system prefers; `relayOnly`: the network lets only TURN pass, by URLs
   * that match this pattern; `directOnly`: it is used without TURN; `script` runs before the page's own, with
   * `scriptArguments`, and so does each of `scripts`; `opened` gets the person before that can fail. `guestLink`: instead of
   * signing in they follow this link.
   */
  static async arrive(
    browserName,
    server,
    login,
    {
      dark = false,
      relayOnly,
      directOnly = false,
      viewport = VIEWPORT,
      script,
      scriptArguments = [],
      scripts = [],
      guestLink,
      opened = () => {},
    } = {},
  ) {
    const context = await (await browser(browserName)).createBrowserContext();
    const page = await context.newPage({ type: 'window' });
    const person = new Person(browserName, context, page, login);
    opened(person);
    await page.setViewport(viewport);
    if (script) await page.evaluateOnNewDocument(script, ...scriptArguments);
    for (const further of scripts) await page.evaluateOnNewDocument(further);
    if (relayOnly) await page.evaluateOnNewDocument(RELAY_ONLY, relayOnly);
    if (directOnly) await page.evaluateOnNewDocument(DIRECT_ONLY);
    if (browserName === 'firefox') await page.evaluateOnNewDocument(SCREEN_FOR_FIREFOX);
    else await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: dark ? 'dark' : 'light' }]);
    await person.opens(guestLink ?? server.url);
    if (!guestLink) await person.signIn();
    return person;
  }

  /** Opens the page. A network that has just changed (another scenario's end) may break a first attempt. */
  async opens(url) {
    await eventually(`${this.login} opens ${url}`, async () => {
      const said = this.console.length;
      await this.page.goto(url, { waitUntil: 'load' });
      return !this.console.slice(said).some((line) => line.includes('ERR_NETWORK_CHANGED'));
    });
  }

  console = [];
  errors = [];

  constructor(browserName, context, page, login) {
    this.browser = browserName;
    this.context = context;
    this.page = page;
    this.login = login;
    this.#listen();
  }

  #listen() {
    this.page.on('console', (message) => this.console.push(`${message.type()}: ${message.text()}`));
    this.page.on('pageerror', (error) => {
      // Firefox reports an attempt to connect that has failed as if it were an exception.
      // So it does with every connection that has died with its network.
      const reported = ['establish a connection to the server', 'WebRTC: ICE failed'];
      if (!reported.some((words) => String(error).includes(words))) this.errors.push(error);
      this.console.push(`uncaught: ${error.stack ?? error}`);
    });
  }

  async leave() {
    await this.context.close();
  }

  /** Opens a link in the same tab; who is signed in there stays so. */
  async visit(url) {
    await this.page.goto(url, { waitUntil: 'load' });
  }

  /** A further tab of the same browser, signed in as the same person. `people`: who is looked after when a test ends. */
  async anotherTab(server, people) {
    const tab = new Person(this.browser, this.context, await this.context.newPage({ type: 'window' }), this.login);
    people.push(tab);
    await tab.page.setViewport(VIEWPORT);
    if (this.browser === 'firefox') await tab.page.evaluateOnNewDocument(SCREEN_FOR_FIREFOX);
    await tab.page.goto(server.url, { waitUntil: 'load' });
    await tab.signIn();
    return tab;
  }

  /** What the server tells this person's next page. */
  async welcome() {
    return this.page.evaluate(async () => {
      const kept = Object.values(sessionStorage).find((text) => text.startsWith('{') && text.includes('"token"'));
      const { token } = JSON.parse(kept);
      const socket = new WebSocket(`${location.origin.replace(/^http/, 'ws')}/v1/ws`, 'ringhall.v1');
      const welcome = await new Promise((resolve, reject) => {
        socket.onopen = () => socket.send(JSON.stringify({ t: 'hello', token, device: crypto.randomUUID() }));
        socket.onmessage = ({ data }) => resolve(JSON.parse(data));
        socket.onclose = ({ code }) => reject(new Error(`closed with ${code}`));
      });
      socket.close();
      return welcome;
    });
  }

  // What a person does.

  async signIn() {
    await this.sees('login-name');
    await this.page.type(id('login-name'), this.login);
    await this.page.type(id('login-password'), PASSWORD);
    await this.click('login-submit');
    await this.sees('chat-item');
  }

  async openChat(chat) {
    await this.click('chat-item', `[data-chat-id="${chat}"]`);
    await this.sees('chat-header');
  }

  /** Rings the open chat, once the page knows that somebody in it is there to hear it; else it would ask first. */
  async call(kind) {
    await this.sees('chat-item', '[aria-current="true"][data-online="true"]');
    await this.click(kind === 'audio' ? 'call-audio' : 'call-video');
  }

  async accept() {
    await this.click('incoming-accept');
  }

  /** A real click: the element must be there, be enabled and take pointer events. */
  async click(name, attributes = '') {
    const selector = id(name, attributes);
    await eventually(
      `${this.login} can click ${name}`,
      () => this.page.$eval(selector, (e) => !e.disabled && e.getAttribute('aria-disabled') !== 'true'),
    );
    await this.page.locator(selector).setTimeout(20_000).click();
  }

  /** Clicks what is inside something else; with no name the thing itself. */
  async clickIn(outer, attributes, name) {
    const selector = name ? `${id(outer, attributes)} ${id(name)}` : id(outer, attributes);
    await this.page.locator(selector).setTimeout(20_000).click();
  }

  /** A client that asks for a call although its page would not offer it; the answer of the server. */
  async startCallAnyway(chat) {
    return this.page.evaluate((chatId) => window.ringhall.client.request('start_call', { chatId, type: 'audio' }), chat);
  }

  /**
   * The same person in a window that nobody has touched, signed in by what the tab had stored: a restored tab. The old
   * window closes.
   */
  async restoreWithoutGesture(server) {
    const stored = await this.page.evaluate(() => Object.entries(sessionStorage));
    const old = this.page;
    this.page = await this.context.newPage({ type: 'window' });
    this.#listen();
    await this.page.evaluateOnNewDocument((entries) => {
      for (const [key, value] of entries) sessionStorage.setItem(key, value);
    }, stored);
    await old.close();
    await this.page.goto(server.url, { waitUntil: 'load' });
    await this.sees('chat-item');
  }

  /** Sends a message into the open chat. */
  async write(text) {
    await this.page.type(id('message-input'), text);
    await this.click('message-send');
  }

  // What a person sees.

  /** Waits until it is on the page, and gives its attributes. */
  async sees(name, attributes = '', ms = 20_000) {
    const selector = id(name, attributes);
    return eventually(
      `${this.login} (${this.browser}) sees ${name}${attributes}`,
      () =>
        this.page.evaluate((s) => {
          const element = document.querySelector(s);
          if (!element) return null;
          return { ...element.dataset, text: element.textContent, pressed: element.getAttribute('aria-pressed') };
        }, selector),
      ms,
    );
  }

  async seesNo(name, attributes = '', ms = 20_000) {
    const selector = id(name, attributes);
    await eventually(
      `${this.login} (${this.browser}) no longer sees ${name}${attributes}`,
      async () => (await this.page.$(selector)) === null,
      ms,
    );
  }

  /** A sentence that matches is shown for a while. */
  async isTold(pattern) {
    await eventually(`${this.login} (${this.browser}) is told ${pattern}`, async () => {
      const said = await this.page.$$eval(id('toast', ' p'), (all) => all.map((e) => e.textContent));
      if (said.some((text) => pattern.test(text))) return true;
      throw new Error(JSON.stringify(said));
    });
  }

  async count(name, attributes = '') {
    return (await this.page.$$(id(name, attributes))).length;
  }

  /** The call view in this status. */
  async inCall(status = 'connected', ms = 40_000) {
    return this.sees('call-view', `[data-status="${status}"]`, ms);
  }

  /** The ring is heard: the page rings and its audio clock runs. */
  async hearsRing() {
    await eventually(`${this.login} (${this.browser}) hears the ring`, () =>
      this.page.evaluate(() => window.ringhall.ringing() && window.ringhall.audioState() === 'running'),
    );
  }

  async hearsNoRing() {
    await eventually(`the ringtone of ${this.login} stops`, () => this.page.evaluate(() => !window.ringhall.ringing()));
  }

  async debugState() {
    return this.page.evaluate(async () => {
      const pc = window.ringhall?.pc?.();
      return {
        url: location.href,
        visible: document.visibilityState,
        audio: window.ringhall?.audioState?.(),
        bindings: window.ringhall?.bindings?.(),
        ice: pc?.iceConnectionState,
        connection: pc?.connectionState,
        signaling: pc?.signalingState,
        stats: pc ? [...(await pc.getStats()).values()] : null,
        local: pc?.localDescription?.sdp,
        remote: pc?.remoteDescription?.sdp,
      };
    });
  }
}
