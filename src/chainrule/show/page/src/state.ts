// What the page is showing. One object; whoever changes it calls `changed`, and the views follow.
import type { Path } from "./paths";

export interface State {
  /** Position among the steps; null before and after stepping, when everything is filled in. */
  step: number | null;
  selected: number | null;
  path: Path | null;
  tab: string;
  playing: boolean;
  /** Steps a second. */
  speed: number;
  /** Predict first: the numbers of a step stay covered until asked for. */
  predict: boolean;
  revealed: boolean;
  /** The module view's present frame: a module, or -1 for all of it. */
  module: number;
  frame: number | null;
}

export const initial = (): State => ({
  step: null, selected: null, path: null, tab: "graph", playing: false, speed: 1, predict: false, revealed: false,
  module: -1, frame: null,
});
