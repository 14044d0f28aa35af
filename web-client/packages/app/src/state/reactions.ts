import { signal } from "@preact/signals";
import { onClient } from "./app.ts";

export interface Shown {
  id: number;
  userId: string;
  emoji: string;
}

const SHOWN_MS = 4_000;
/** A room that claps does not fill the memory. */
const MOST = 40;

export const EMOJI = ["👍", "👏", "❤️", "😂", "😮", "🎉"] as const;
/** Reactions on the tiles now. */
export const reactions = signal<readonly Shown[]>([]);
let next = 1;

onClient((client) => {
  client.on("call", (session) => {
    reactions.value = [];
    session?.on("reaction", ({ userId, emoji }) => {
      const id = next++;
      reactions.value = [...reactions.value.slice(1 - MOST), { id, userId, emoji }];
      setTimeout(() => {
        reactions.value = reactions.value.filter((shown) => shown.id !== id);
      }, SHOWN_MS);
    });
  });
});
