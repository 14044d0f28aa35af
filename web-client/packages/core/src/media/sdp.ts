/** ICE credentials of one side. */
export interface IceCredentials {
  ufrag: string;
  pwd: string;
}

/** The first ICE credentials of a session description; everything is bundled, so they are the only ones. */
export function iceCredentials(sdp: string): IceCredentials | null {
  const ufrag = /^a=ice-ufrag:(.+?)\r?$/m.exec(sdp)?.[1];
  const pwd = /^a=ice-pwd:(.+?)\r?$/m.exec(sdp)?.[1];
  return ufrag && pwd ? { ufrag, pwd } : null;
}

/** The same description with other ICE credentials: what the server means by answering a restart with them alone. */
export function withIceCredentials(sdp: string, { ufrag, pwd }: IceCredentials): string {
  return sdp
    .replace(/^a=ice-ufrag:.*?(\r?)$/gm, `a=ice-ufrag:${ufrag}$1`)
    .replace(/^a=ice-pwd:.*?(\r?)$/gm, `a=ice-pwd:${pwd}$1`);
}
