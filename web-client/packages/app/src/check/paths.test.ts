import { expect, test } from "vitest";
import { byWay, judgeWays, type Seen, wayOf } from "./paths.ts";
import { asText, verdict } from "./result.ts";

const seen = (relayed: boolean, code = 0): Seen => ({ urls: ["turn:x"], relayed, code, reason: "", ms: 5 });

test("a URL says which way it goes", () => {
  expect(wayOf("turn:a:1?transport=udp")).toBe("udp");
  expect(wayOf("turn:a:1")).toBe("udp");
  expect(wayOf("turn:a:1?transport=tcp")).toBe("tcp");
  expect(wayOf("turns:a:443?transport=tcp")).toBe("tls");
  expect(wayOf("stun:a:1")).toBe(null);
  const servers = [{ urls: ["turn:a", "turns:a"], username: "u", credential: "c" }, { urls: ["stun:b"] }];
  expect(byWay(servers, "tls")).toEqual([{ urls: ["turns:a"], username: "u", credential: "c" }]);
});

test("blocked UDP is a warning while another way is there, and a fault when none is", () => {
  const blocked = judgeWays({ udp: seen(false, 701), tcp: seen(true), tls: seen(true) });
  expect([blocked.udp?.level, blocked.udp?.key]).toEqual(["warning", "check.udp.blocked"]);
  expect(blocked.turnTcp?.level).toBe("ok");
  expect(verdict(blocked)).toBe("warning");
  const none = judgeWays({ udp: seen(false, 701), tcp: seen(false, 701), tls: null });
  expect([none.udp?.level, none.tcp?.level, none.turnUdp?.level]).toEqual(["fault", "fault", "fault"]);
});

test("a refused credential is not a blocked network", () => {
  const refused = judgeWays({ udp: seen(false, 401), tcp: null, tls: null });
  expect(refused.udp?.level).toBe("ok");
  expect(refused.turnUdp?.key).toBe("check.turn.refused");
  expect(refused.tcp?.level).toBe("skipped");
});

test("the text for an administrator has every step with its detail", () => {
  const text = asText(
    judgeWays({ udp: seen(false, 701), tcp: seen(true), tls: null }),
    { when: new Date(0), address: "https://calls.example/check", browser: "B", version: "1" },
    ({ key }) => key,
  );
  expect(text).toContain("warning  udp        check.udp.blocked");
  expect(text).toContain("turn:x; 5 ms; code 701");
});
