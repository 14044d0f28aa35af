import { Icon } from "./Icon.tsx";

/** Calm hues that carry white text in both themes. */
const HUES = [168, 205, 258, 322, 14, 36, 96, 230];

interface Props {
  /** Keeps a person's colour the same everywhere. */
  id: string;
  name: string;
  url?: string | null | undefined;
  group?: boolean;
  online?: boolean | undefined;
  size?: "small" | "normal" | "large" | "huge";
}

export function Avatar({ id, name, url, group = false, online, size = "normal" }: Props) {
  const hue = HUES[[...id].reduce((sum, char) => (sum * 31 + char.charCodeAt(0)) >>> 0, 7) % HUES.length];
  return (
    <span class={`avatar avatar-${size}`} style={{ "--hue": String(hue) }} aria-hidden="true">
      {url ? <img src={url} alt="" /> : group ? <Icon name="group" /> : <span>{initials(name)}</span>}
      {online !== undefined && <i class={online ? "presence presence-on" : "presence"} />}
    </span>
  );
}

function initials(name: string): string {
  const words = name.trim().split(/\s+/).filter(Boolean);
  const letters = [words[0], words.length > 1 ? words.at(-1) : undefined].map((word) => [...(word ?? "")][0] ?? "");
  return letters.join("").toLocaleUpperCase();
}
