import { computed, signal } from "@preact/signals";

const path = signal(location.pathname);
/** What is behind `#` when the page opens: a secret of the link, which no server or log sees. */
export const fragment = signal(decodeURIComponent(location.hash.slice(1)));

addEventListener("popstate", () => {
  path.value = location.pathname;
});

/** The page that looks at the way to the server; it is left by loading another one. */
export const onCheckPage = /^\/check\/?$/.test(location.pathname);

/** The room that the address names, `/r/{name}`. */
export const roomName = computed(() => {
  const match = /^\/r\/([^/]+)\/?$/.exec(path.value);
  return match?.[1] ? decodeURIComponent(match[1]) : null;
});

export function goTo(next: string): void {
  history.pushState(null, "", next);
  path.value = location.pathname;
}

export function roomLink(name: string): string {
  return `${location.origin}/r/${encodeURIComponent(name)}`;
}
