import { SUBPROTOCOL } from "./protocol/index.ts";

/** A WebSocket, as much of it as the connection uses; a test brings its own. */
export interface Socket {
  send(text: string): void;
  close(code?: number, reason?: string): void;
  onopen: (() => void) | null;
  onmessage: ((text: string) => void) | null;
  /** Once, also when it never opened. */
  onclose: ((code: number) => void) | null;
}

export type OpenSocket = () => Socket;

/** Opens browser WebSockets to `url` (ws: or wss:). */
export function browserSockets(url: string): OpenSocket {
  return () => {
    const ws = new WebSocket(url, SUBPROTOCOL);
    const socket: Socket = {
      send: (text) => ws.send(text),
      close: (code, reason) => ws.close(code, reason),
      onopen: null,
      onmessage: null,
      onclose: null,
    };
    ws.onopen = () => socket.onopen?.();
    ws.onmessage = (event) => typeof event.data === "string" && socket.onmessage?.(event.data);
    ws.onclose = (event) => socket.onclose?.(event.code);
    return socket;
  };
}
