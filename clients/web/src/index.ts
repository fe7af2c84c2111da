export {
  type Client,
  type ClientEvents,
  type ClientOptions,
  createClient,
  type SendOptions,
} from "./client.ts";
export type { Clock } from "./clock.ts";
export type { ConnectionState } from "./connection.ts";
export { type ErrorCode, MartletError } from "./errors.ts";
export type {
  Conversation,
  ConversationEvent,
  Created,
  HistoryPage,
  Message,
  Sent,
  Unknown,
  Welcome,
} from "./model.ts";
export type { GetToken } from "./token.ts";
export type { Transport, TransportFactory, TransportHandlers } from "./transports/transport.ts";
export { webSocket } from "./transports/websocket.ts";
