import type { TransportFactory } from "./transport.ts";

/** The subprotocol of version 1. */
const subprotocol = "martlet.v1";

/**
 * WebSocket, the browser's or, in a Node without one, whatever constructor is given. Closing tells the
 * handlers at once, with 1000: a browser may take a minute to give up a dead connection by itself.
 */
export function webSocket(Socket: typeof WebSocket = globalThis.WebSocket): TransportFactory {
  return (url, handlers) => {
    const socket = new Socket(url, [subprotocol]);
    let ended = false;
    const end = (code: number, reason: string) => {
      if (ended) return;
      ended = true;
      handlers.closed(code, reason);
    };
    socket.binaryType = "arraybuffer";
    socket.onopen = () => ended || handlers.opened();
    socket.onmessage = (event: MessageEvent) => {
      if (!ended && event.data instanceof ArrayBuffer) handlers.frame(new Uint8Array(event.data));
    };
    socket.onclose = (event: CloseEvent) => end(event.code, event.reason);
    return {
      send: (bytes) => socket.send(bytes as Uint8Array<ArrayBuffer>),
      close() {
        socket.close();
        end(1000, "");
      },
    };
  };
}
