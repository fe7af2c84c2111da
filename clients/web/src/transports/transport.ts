/** A way to the server: whole messages up and down. Nothing is told before the factory has returned. */
export interface TransportHandlers {
  /** It can be written to. It is not known yet whether the other side is Martlet. */
  opened(): void;
  frame(bytes: Uint8Array): void;
  /** Once, and nothing after it; also after close(). */
  closed(code: number, reason: string): void;
}

export interface Transport {
  send(bytes: Uint8Array): void;
  close(): void;
}

export type TransportFactory = (url: string, handlers: TransportHandlers) => Transport;
