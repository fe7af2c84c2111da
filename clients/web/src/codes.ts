/** Whether to come back after the server, or the network, closed the connection (docs/protocol.md). */
export type Advice = "reconnect" | "reconnect-with-fresh-token" | "stop";

const advice: ReadonlyMap<number, Advice> = new Map([
  [4000, "stop"],
  [4002, "reconnect-with-fresh-token"],
  [4003, "reconnect-with-fresh-token"],
  [4004, "stop"],
  [4005, "stop"],
  [4006, "stop"],
]);

/** Every other code says nothing about us, 1006 least of all. */
export function adviceFor(code: number): Advice {
  return advice.get(code) ?? "reconnect";
}
