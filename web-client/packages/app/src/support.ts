import type { Signal } from "@preact/signals";
import { type Binding, type CallSession, type CallView, PeerLink, type RinghallClient } from "@ringhall/core";

/** What support staff and end-to-end tests may look at; the page itself does not use it. */
export interface Support {
  readonly client: RinghallClient | null;
  readonly call: CallSession | null;
  audioState(): AudioContextState;
  /** This tab is audibly ringing. */
  ringing(): boolean;
  pc(): RTCPeerConnection | null;
  bindings(): Binding[];
}

declare global {
  interface Window {
    ringhall: Support;
  }
}

interface Sources {
  client: Signal<RinghallClient | null>;
  call: Signal<CallSession | null>;
  callView: Signal<CallView | null>;
  audioState: () => AudioContextState;
  ringing: Signal<boolean>;
}

export function publishSupport({ client, call, callView, audioState, ringing }: Sources): void {
  window.ringhall = {
    get client() {
      return client.value;
    },
    get call() {
      return call.value;
    },
    audioState,
    ringing: () => ringing.value && audioState() === "running",
    pc() {
      const link = call.value?.media.link;
      return link instanceof PeerLink ? link.pc : null;
    },
    bindings: () => [...(callView.value?.bindings ?? [])],
  };
}
