import { expect, test } from "vitest";
import { iceCredentials, withIceCredentials } from "./sdp.ts";

const sdp =
  "v=0\r\na=ice-lite\r\na=ice-ufrag:old\r\na=ice-pwd:secret\r\nm=audio 9 X 1\r\na=ice-ufrag:old\r\na=ice-pwd:secret\r\n";

test("the credentials of a description are read without its line ends", () => {
  expect(iceCredentials(sdp)).toEqual({ ufrag: "old", pwd: "secret" });
  expect(iceCredentials("v=0\r\n")).toBeNull();
});

test("new credentials replace the old ones in every section and nothing else", () => {
  const next = withIceCredentials(sdp, { ufrag: "new", pwd: "other" });
  expect(next).toBe(sdp.replaceAll("old", "new").replaceAll("secret", "other"));
});
