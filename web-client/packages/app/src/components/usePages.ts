import { useSignal } from "@preact/signals";
import { useRef } from "preact/hooks";
import { keepOrder, placeSpeaker, type Room, tilesPerPage } from "../layout/pages.ts";

export interface Pages {
  /** The ids on this page, and on the next one. */
  shown: readonly string[];
  next: readonly string[];
  page: number;
  pages: number;
  go: (page: number) => void;
}

/** Divides people into pages in an order that is kept; the loudest comes to the page that is looked at. */
export function usePages(present: readonly string[], speakers: readonly string[], self: string, room: Room): Pages {
  const order = useRef<readonly string[]>([]);
  const spokeAt = useRef(new Map<string, number>());
  const chosen = useSignal(0);
  const perPage = tilesPerPage(present.length, room);
  const pages = Math.max(1, Math.ceil(present.length / perPage));
  const page = Math.min(chosen.value, pages - 1);
  const [from, to] = [page * perPage, (page + 1) * perPage];
  for (const id of speakers) spokeAt.current.set(id, performance.now());
  let next = keepOrder(order.current, present, pages > 1) as readonly string[];
  const loudest = speakers.find((id) => id !== self);
  if (pages > 1 && loudest) next = placeSpeaker(next, { from, to }, loudest, spokeAt.current, self);
  order.current = next;
  return {
    shown: next.slice(from, to),
    next: next.slice(to, to + perPage),
    page,
    pages,
    go: (wanted) => {
      chosen.value = Math.max(0, Math.min(pages - 1, wanted));
    },
  };
}
