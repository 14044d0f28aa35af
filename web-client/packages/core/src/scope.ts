/** Owns timers, listeners and tracks, and ends them together, newest first. */
export class Scope {
  #enders: Array<() => void> = [];
  #ended = false;

  get ended(): boolean {
    return this.#ended;
  }

  /** Hands over something to end; at once if the scope has ended already. */
  own(end: () => void): void {
    if (this.#ended) end();
    else this.#enders.push(end);
  }

  /** Listens to a DOM event for as long as the scope lives. */
  listen(target: EventTarget, type: string, listener: (event: Event) => void): void {
    target.addEventListener(type, listener);
    this.own(() => target.removeEventListener(type, listener));
  }

  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    for (const end of this.#enders.reverse()) end();
    this.#enders = [];
  }
}
