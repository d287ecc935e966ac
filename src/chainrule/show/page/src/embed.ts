// Inside another page, such as a notebook: what is chosen here is told there, and the other way round.
import type { App } from "./app";

interface Message { chainrule?: { selected?: number | null; step?: number | null } }

export function embed(app: App): () => void {
  if (parent === window) return () => undefined;
  let told = "";
  window.addEventListener("message", (event: MessageEvent<Message | null>) => {
    const asked = event.source === parent ? event.data?.chainrule : undefined;
    if (!asked || typeof asked !== "object") return;
    const { selected, step } = asked;
    if (selected === null) app.select(null);
    else if (isPlace(selected, app.graph.size) && selected !== app.state.selected) void app.jump(selected);
    if (step === null) app.goTo(null);
    else if (isPlace(step, app.steps.length) && step !== app.state.step) app.goTo(step);
  });
  return () => {
    const { selected, step } = app.state;
    const message: Message = { chainrule: { selected, step } };
    const text = JSON.stringify(message);
    if (text === told) return;
    told = text;
    parent.postMessage(message, "*");
  };
}

const isPlace = (x: unknown, most: number): x is number => typeof x === "number" && Number.isInteger(x) && x >= 0 && x < most;
