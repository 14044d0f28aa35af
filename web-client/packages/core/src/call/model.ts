import type { CallStatus, EndReason, User } from "../protocol/index.ts";

/** What a person sees of their call. */
export type CallPhase = "calling" | "ringing" | "connecting" | "connected" | "reconnecting" | "ended";

/** Why this tab is no longer in the call. */
export interface CallEnd {
  /** `over`: for everybody; `left`: by this person; `kicked`; `moved`: to another tab; `refused`: never got in. */
  how: "over" | "left" | "kicked" | "moved" | "refused";
  /** Final status of the call, when it is over. */
  status?: CallStatus;
  reason?: EndReason;
  /** Whole seconds of talk, by the server. */
  duration?: number;
  /** Who did it, if somebody did. */
  by?: Pick<User, "id" | "name">;
}

/** Everything the phase depends on. */
export interface CallModel {
  /** Started here: waits for an answer. */
  outgoing: boolean;
  /** A device of somebody rings. */
  rung: boolean;
  /** Somebody other than the starter is in. */
  answered: boolean;
  /** `never` connected so far, `up`, or `lost` after having been up. */
  media: "never" | "up" | "lost";
  end: CallEnd | null;
}

export type CallInput =
  | { type: "rung" }
  | { type: "answered" }
  | { type: "media"; up: boolean }
  | { type: "ended"; end: CallEnd };

export function newCall(outgoing: boolean): CallModel {
  return { outgoing, rung: false, answered: !outgoing, media: "never", end: null };
}

/** The next model; the same object when nothing changed. Final is final: nothing follows an end. */
export function step(model: CallModel, input: CallInput): CallModel {
  if (model.end) return model;
  switch (input.type) {
    case "rung":
      return model.rung ? model : { ...model, rung: true };
    case "answered":
      return model.answered ? model : { ...model, answered: true };
    case "media": {
      const media = input.up ? "up" : model.media === "never" ? "never" : "lost";
      return media === model.media ? model : { ...model, media };
    }
    case "ended":
      return { ...model, end: input.end };
  }
}

export function phaseOf(model: CallModel): CallPhase {
  if (model.end) return "ended";
  if (!model.answered) return model.rung ? "ringing" : "calling";
  if (model.media === "never") return "connecting";
  return model.media === "up" ? "connected" : "reconnecting";
}
