import { useSignal } from "@preact/signals";
import {
  type CallSession,
  type CallView,
  isSeated,
  type RosterEntry,
  type StreamQuality,
  type WantedTile,
} from "@ringhall/core";
import { useEffect, useLayoutEffect, useRef } from "preact/hooks";
import { t } from "../i18n/index.ts";
import { type Grid, gridLayout } from "../layout/grid.ts";
import { me } from "../state/app.ts";
import { Icon } from "./Icon.tsx";
import { Tile } from "./Tile.tsx";
import { type Pages, usePages } from "./usePages.ts";

const GAP = 10;
/** As many pictures as the largest pool of slots brings, oneself aside. */
const MOST_TILES = 49;
const MIN_TILE = 200;
const MIN_TILE_PHONE = 150;
const PHONE_WIDTH = 720;
/** Thumbnails beside a shared screen, CSS pixels. */
const STRIP_HEIGHT = 120;
const MOST_THUMBNAILS = 12;
/** What the next page is asked for, so that turning to it shows pictures at once. */
const WARM_HEIGHT = 90;

interface Props {
  session: CallSession;
  view: CallView;
  alone: boolean;
}

/** Tiles: a person full screen with a self view, pages of equals, or a shared screen with thumbnails. */
export function Stage({ session, view, alone }: Props) {
  const stage = useRef<HTMLDivElement>(null);
  const size = useSize(stage);
  const myId = me.value?.id ?? "";
  const self = selfEntry(view, myId);
  const others = view.participants.filter((entry) => isSeated(entry) && entry.id !== myId);
  const invited = view.participants.filter((entry) => !isSeated(entry) && entry.id !== myId);
  const screens = screensOf(view, others, self);
  const two = others.length === 0 || (others.length === 1 && invited.length === 0);
  const mode = screens.length > 0 ? "screen" : two ? "solo" : "grid";
  const people = new Map([self, ...others, ...(alone ? [] : invited)].map((entry) => [entry.id, entry]));
  const phone = innerWidth < PHONE_WIDTH;
  const pages = usePages([...people.keys()], view.speakers, myId, {
    width: mode === "screen" ? Number.POSITIVE_INFINITY : size.width,
    height: size.height,
    gap: GAP,
    minTile: size.width === 0 ? 0 : phone ? MIN_TILE_PHONE : MIN_TILE,
    most: mode === "screen" ? MOST_THUMBNAILS : MOST_TILES,
  });
  const entries = (ids: readonly string[]) => ids.flatMap((id) => people.get(id) ?? []);
  const shown = mode === "solo" ? others : entries(pages.shown);
  const grid = gridLayout(shown.length, size.width, size.height, GAP);

  useEffect(() => {
    // Nothing is wanted of a stage that has not been measured yet: a height of 0 would mean "paused".
    if (size.width === 0) return;
    const warm = mode === "solo" ? [] : entries(pages.next);
    const visible = (list: readonly RosterEntry[]) => list.filter((entry) => others.includes(entry));
    session.want(wantedTiles(visible(shown), visible(warm), screens, myId, heightOf(mode, size, grid)));
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
      quality={streamQuality(view, entry.id, source, myId)}
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
      {mode !== "solo" && pages.pages > 1 && <Pager pages={pages} />}
    </div>
  );
}

function Pager({ pages: { page, pages, go } }: { pages: Pages }) {
  return (
    <nav class="pager" aria-label={t("pages.label")}>
      <button
        type="button"
        class="pager-button"
        data-testid="page-before"
        aria-label={t("pages.before")}
        disabled={page === 0}
        onClick={() => go(page - 1)}
      >
        <Icon name="back" />
      </button>
      <span data-testid="page-number" aria-live="polite">
        {t("pages.of", { page: page + 1, pages })}
      </span>
      <button
        type="button"
        class="pager-button pager-next"
        data-testid="page-next"
        aria-label={t("pages.next")}
        disabled={page === pages - 1}
        onClick={() => go(page + 1)}
      >
        <Icon name="back" />
      </button>
    </nav>
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

/** What is wrong with a picture, or with the voice that belongs to it: as the server says; for the own one, this device. */
function streamQuality(view: CallView, id: string, source: "camera" | "screen", myId: string): StreamQuality | null {
  if (id !== myId) {
    const of = (wanted: string) =>
      view.quality.streams.find((stream) => stream.userId === id && stream.source === wanted) ?? null;
    return of(source) ?? (source === "camera" ? of("mic") : null);
  }
  return view.limited.includes(source) ? { mid: "", userId: id, source, score: 3, reason: "cpu" } : null;
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
  warm: readonly RosterEntry[],
  screens: readonly RosterEntry[],
  myId: string,
  height: { camera: number; screen: number },
): WantedTile[] {
  const ratio = Math.min(devicePixelRatio, 2);
  const camera = (list: readonly RosterEntry[], pixels: number, priority: number) =>
    list.map(({ id }) => ({ userId: id, source: "camera" as const, height: pixels * ratio, priority }));
  return [
    ...screens
      .filter(({ id }) => id !== myId)
      .map(({ id }) => ({ userId: id, source: "screen" as const, height: height.screen * ratio, priority: 2 })),
    ...camera(visible, height.camera, 1),
    ...camera(warm, WARM_HEIGHT, 0),
  ];
}

function useSize(element: { current: HTMLElement | null }): { width: number; height: number } {
  const size = useSignal({ width: 0, height: 0 });
  useLayoutEffect(() => {
    const target = element.current;
    if (!target) return undefined;
    const box = target.getBoundingClientRect();
    size.value = { width: box.width, height: box.height };
    const observer = new ResizeObserver(([entry]) => {
      if (entry) size.value = { width: entry.contentRect.width, height: entry.contentRect.height };
    });
    observer.observe(target);
    return () => observer.disconnect();
  }, []);
  return size.value;
}
