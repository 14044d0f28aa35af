import { useSignal } from "@preact/signals";
import type { PauseReason, RosterEntry, StreamQuality } from "@ringhall/core";
import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { t } from "../i18n/index.ts";
import { reactions } from "../state/reactions.ts";
import { Avatar } from "./Avatar.tsx";
import { Icon } from "./Icon.tsx";
import { StreamBars } from "./Quality.tsx";

const SHOW_RECONNECTING_MS = 5_000;
/** Media needs a moment after a camera is switched on. */
const SHOW_NO_MEDIA_MS = 3_000;

interface Props {
  entry: RosterEntry;
  source: "camera" | "screen";
  self: boolean;
  stream: MediaStream | null;
  /** The person has it on. */
  live: boolean;
  paused: PauseReason | null;
  /** What is wrong with this picture, or with the voice under it; null when nothing is. */
  quality: StreamQuality | null;
  muted: boolean;
  speaking: boolean;
}

export function Tile({ entry, source, self, stream, live, paused, quality, muted, speaking }: Props) {
  const { id, name, avatar, status } = entry;
  const picture = live && stream !== null;
  const screen = source === "screen";
  const ringing = status === "invited" || status === "ringing";
  return (
    <figure
      class={`tile tile-${source} ${speaking && !screen ? "tile-speaking" : ""} ${self && !screen ? "tile-mirror" : ""} ${ringing ? "tile-ringing" : ""} ${picture && paused ? "tile-paused" : ""}`}
      data-testid="tile"
      data-user-id={id}
      data-source={source}
      data-muted={String(muted)}
      data-self={String(self)}
    >
      {picture && <Video stream={stream} />}
      {!picture && (
        <div class="tile-empty">
          <Avatar id={id} name={name} url={avatar} size="large" />
        </div>
      )}
      {picture && paused === "bandwidth" && <Note id="tile-paused">{t("tile.slow")}</Note>}
      {picture && paused === "noMedia" && status !== "reconnecting" && (
        <Late ms={SHOW_NO_MEDIA_MS}>
          <Note id="tile-paused">{t("tile.noMedia", { name })}</Note>
        </Late>
      )}
      {status === "reconnecting" && !self && (
        <Late ms={SHOW_RECONNECTING_MS}>
          <Note id="tile-reconnecting">{t("tile.reconnecting")}</Note>
        </Late>
      )}
      {ringing && <p class="tile-note">{t("tile.invited")}</p>}
      {!screen && entry.hand !== null && (
        <p class="tile-hand" data-testid="tile-hand">
          <span class="visually-hidden">{t("tile.hand", { name })} </span>
          <Icon name="hand" /> {entry.hand}
        </p>
      )}
      {!screen && <Reacted userId={id} name={name} />}
      <figcaption class="tile-name">
        {!screen && !ringing && muted && (
          <span class="tile-muted" title={t("tile.muted", { name })}>
            <Icon name="micOff" />
            <span class="visually-hidden">{t("tile.muted", { name })}</span>
          </span>
        )}
        {quality && !(picture && paused) && <StreamBars quality={quality} name={name} self={self} />}
        <span>{caption(name, screen, self)}</span>
      </figcaption>
    </figure>
  );
}

/** Shown only when it lasts: most breaks are over within a moment, and nobody needs to hear of those. */
function Late({ ms, children }: { ms: number; children: ComponentChildren }) {
  const late = useSignal(false);
  useEffect(() => {
    const timer = setTimeout(() => {
      late.value = true;
    }, ms);
    return () => clearTimeout(timer);
  }, []);
  return late.value ? children : null;
}

function Note({ id, children }: { id: string; children: ComponentChildren }) {
  return (
    <p class="tile-note" data-testid={id}>
      {children}
    </p>
  );
}

function Reacted({ userId, name }: { userId: string; name: string }) {
  const mine = reactions.value.filter((shown) => shown.userId === userId);
  return (
    <>
      {mine.map(({ id, emoji }) => (
        <span key={id} class="tile-reaction" role="img" aria-label={`${name}: ${emoji}`} data-testid="tile-reaction">
          {emoji}
        </span>
      ))}
    </>
  );
}

function caption(name: string, screen: boolean, self: boolean): string {
  if (screen) return self ? t("tile.yourScreen") : t("tile.screenOf", { name });
  return self ? t("common.youSuffix", { name }) : name;
}

function Video({ stream }: { stream: MediaStream }) {
  const element = useRef<HTMLVideoElement>(null);
  useEffect(() => {
    const video = element.current;
    if (!video) return undefined;
    video.srcObject = stream;
    void video.play().catch(() => {
      // A muted video may always play; what is left is a removal while it starts.
    });
    return () => {
      video.srcObject = null;
    };
  }, [stream]);
  return <video ref={element} autoplay playsInline muted />;
}
