import { computed, effect, signal } from "@preact/signals";
import { ringPlan } from "@ringhall/core";
import { t } from "../i18n/index.ts";
import { call, callView, incoming } from "../state/app.ts";
import { titleAlert } from "../state/title.ts";
import { soundUnlocked } from "./context.ts";
import { startRingback, startRingtone } from "./tones.ts";

/** One of a browser's tabs holds it and sounds; when that tab stops, the next one that still rings gets it. */
const LOCK = "ringhall.ringtone";
const FLASH_MS = 1_000;
const VIBRATION = [800, 400, 800, 1_000];

const hidden = signal(document.hidden);
/** This tab is audibly ringing. */
export const ringing = signal(false);

const plan = computed(() =>
  ringPlan(incoming.value, { inCall: call.value !== null, soundUnlocked: soundUnlocked.value, hidden: hidden.value }),
);

/** Makes rings heard and seen for as long as the page lives. */
export function startRinger(): void {
  document.addEventListener("visibilitychange", () => {
    hidden.value = document.hidden;
  });
  const audible = computed(() => plan.value.audible);
  effect(() => (audible.value ? soundTheRing() : undefined));
  const alerting = computed(() => plan.value.alert);
  const caller = computed(() => plan.value.show[0]?.initiator.name ?? "");
  effect(() => (alerting.value ? attractAttention(caller.value) : undefined));
  const waiting = computed(() => {
    const phase = callView.value?.phase;
    return soundUnlocked.value && (phase === "calling" || phase === "ringing");
  });
  effect(() => (waiting.value ? startRingback() : undefined));
}

/** Rings as soon as this tab is the one to sound; the returned function stops at once. */
function soundTheRing(): () => void {
  const abort = new AbortController();
  let release = () => {};
  const play = () => {
    const silence = startRingtone();
    ringing.value = true;
    release = () => {
      silence();
      ringing.value = false;
    };
  };
  if (navigator.locks) {
    navigator.locks
      .request(LOCK, { signal: abort.signal }, () => {
        if (abort.signal.aborted) return undefined;
        play();
        const silence = release;
        return new Promise<void>((resolve) => {
          release = () => {
            silence();
            resolve();
          };
        });
      })
      .catch(() => {
        // Aborted while waiting: another tab sounded until the ring was over.
      });
  } else play();
  return () => {
    abort.abort();
    release();
  };
}

/** For who cannot hear it: a notification, a flashing title, a vibration. */
function attractAttention(name: string): () => void {
  const text = t("incoming.announce", { name });
  titleAlert.value = text;
  const flash = setInterval(() => {
    titleAlert.value = titleAlert.peek() === null ? text : null;
  }, FLASH_MS);
  navigator.vibrate?.(VIBRATION);
  let notification: Notification | null = null;
  if ("Notification" in window && Notification.permission === "granted") {
    notification = new Notification(text, { tag: "ringhall-ring", icon: "/icon.svg", requireInteraction: true });
    notification.onclick = () => {
      window.focus();
      notification?.close();
    };
  }
  return () => {
    clearInterval(flash);
    titleAlert.value = null;
    navigator.vibrate?.(0);
    notification?.close();
  };
}
