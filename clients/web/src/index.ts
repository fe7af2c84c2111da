export {
  type Client,
  type ClientEvents,
  type ClientOptions,
  createClient,
  type SendOptions,
} from "./client.ts";
export type { Clock, ConnectionState } from "./connection.ts";
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
export type { Transport, TransportFactory, TransportHandlers } from "./transports/transport.ts";
export { webSocket } from "./transports/websocket.ts";
