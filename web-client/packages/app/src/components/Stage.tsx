import { useSignal } from "@preact/signals";
import { type CallSession, type CallView, isSeated, type RosterEntry, type WantedTile } from "@ringhall/core";
import { useEffect, useLayoutEffect, useRef } from "preact/hooks";
import { t } from "../i18n/index.ts";
import { type Grid, gridLayout } from "../layout/grid.ts";
import { me } from "../state/app.ts";
import { Tile } from "./Tile.tsx";

const GAP = 10;
const MOST_TILES = 9;
/** Thumbnails beside a shared screen, CSS pixels. */
const STRIP_HEIGHT = 120;

interface Props {
  session: CallSession;
  view: CallView;
  alone: boolean;
}

/** Tiles: a person full screen with a self view, a grid of equals, or a shared screen with thumbnails. */
export function Stage({ session, view, alone }: Props) {
  const stage = useRef<HTMLDivElement>(null);
  const size = useSize(stage);
  const myId = me.value?.id ?? "";
  const self = selfEntry(view, myId);
  const seated = view.participants.filter(isSeated);
  const others = seated.filter(({ id }) => id !== myId);
  const invited = view.participants.filter((entry) => !isSeated(entry) && entry.id !== myId);
  const screens = screensOf(view, others, self);
  const two = others.length === 0 || (others.length === 1 && invited.length === 0);
  const mode = screens.length > 0 ? "screen" : two ? "solo" : "grid";
  const shown = mode === "solo" ? others : [self, ...others, ...(alone ? [] : invited)].slice(0, MOST_TILES);
  const grid = gridLayout(shown.length, size.width, size.height, GAP);

  useEffect(() => {
    const visible = others.filter((entry) => shown.includes(entry));
    session.want(wantedTiles(visible, screens, myId, heightOf(mode, size, grid)));
  });

  const tile = (entry: RosterEntry, source: "camera" | "screen") => (
    <Tile
      key={`${entry.id} ${source}`}
      entry={entry}
      source={source}
      self={entry.id === myId}
      stream={session.stream(entry.id, source)}
      live={entry.id === myId ? view[source] : entry.sources[source]}
      paused={view.bindings.find((slot) => slot.userId === entry.id && slot.source === source)?.reason ?? null}
      muted={entry.id === myId ? !view.mic : !entry.sources.mic}
      speaking={view.speakers.includes(entry.id)}
    />
  );
  const style = {
    "--tile-width": `${Math.floor(grid.tileWidth)}px`,
    "--tile-height": `${Math.floor(grid.tileHeight)}px`,
  };
  return (
    <div class={`stage stage-${mode} ${alone ? "stage-alone" : ""}`} ref={stage} style={style}>
      {mode === "screen" && <div class="stage-main">{screens.map((entry) => tile(entry, "screen"))}</div>}
      <div class="stage-tiles">{shown.map((entry) => tile(entry, "camera"))}</div>
      {mode === "solo" && <div class="stage-self">{tile(self, "camera")}</div>}
      {view.participants.length > 0 && seated.length > MOST_TILES && (
        <p class="stage-more">{t("tile.more", { n: seated.length - MOST_TILES })}</p>
      )}
    </div>
  );
}

/** The own place in the roster; before it has come, one made of what this page knows. */
function selfEntry(view: CallView, myId: string): RosterEntry {
  const known = view.participants.find(({ id }) => id === myId);
  if (known) return known;
  const sources = { mic: view.mic, camera: view.camera, screen: view.screen, screenAudio: false, mutedBy: null };
  const name = me.value?.name ?? "";
  return { id: myId, name, avatar: me.value?.avatar ?? null, status: "joined", moderator: false, sources, hand: null };
}

function screensOf(view: CallView, others: readonly RosterEntry[], self: RosterEntry): RosterEntry[] {
  const sharing = others.filter(({ sources }) => sources.screen);
  // One's own screen takes the stage only when nobody else's does: one sees it anyway.
  return sharing.length === 0 && view.screen ? [self] : sharing.slice(0, 2);
}

function heightOf(mode: string, size: { height: number }, grid: Grid): { camera: number; screen: number } {
  if (mode === "screen") return { camera: STRIP_HEIGHT, screen: size.height - STRIP_HEIGHT };
  return { camera: mode === "solo" ? size.height : grid.tileHeight, screen: 0 };
}

/** What to ask the server for, in device pixels. Cameras are asked for before they are on, so that they appear at once. */
function wantedTiles(
  visible: readonly RosterEntry[],
  screens: readonly RosterEntry[],
  myId: string,
  height: { camera: number; screen: number },
): WantedTile[] {
  const ratio = Math.min(devicePixelRatio, 2);
  return [
    ...screens
      .filter(({ id }) => id !== myId)
      .map(({ id }) => ({ userId: id, source: "screen" as const, height: height.screen * ratio, priority: 1 })),
    ...visible.map(({ id }) => ({ userId: id, source: "camera" as const, height: height.camera * ratio })),
  ];
}

function useSize(element: { current: HTMLElement | null }): { width: number; height: number } {
  const size = useSignal({ width: 0, height: 0 });
  useLayoutEffect(() => {
    const target = element.current;
    if (!target) return undefined;
    const observer = new ResizeObserver(([entry]) => {
      if (entry) size.value = { width: entry.contentRect.width, height: entry.contentRect.height };
    });
    observer.observe(target);
    return () => observer.disconnect();
  }, []);
  return size.value;
}
