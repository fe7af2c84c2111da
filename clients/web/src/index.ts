export {
  type Client,
  type ClientEvents,
  type ClientOptions,
  createClient,
  type SendOptions,
} from "./client.ts";
export type { Clock } from "./clock.ts";
export type {
  Commands,
  ContentOptions,
  GroupOptions,
  HistoryFrom,
  ReceiptCounts,
} from "./commands.ts";
export type { ConnectionState } from "./connection.ts";
export { type ErrorCode, MartletError } from "./errors.ts";
export type * from "./model.ts";
export type { Outgoing } from "./outbox.ts";
export type { GetToken } from "./token.ts";
export type { Transport, TransportFactory, TransportHandlers } from "./transports/transport.ts";
export { webSocket } from "./transports/websocket.ts";
