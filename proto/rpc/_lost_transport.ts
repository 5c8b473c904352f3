/**
 * Mends a channel of grpc-js 1.14.7 that never recovers: a connection that ends (or announces it by GOAWAY) in the moment
 * it was made tells nobody, because its owner begins to listen only a few microtasks later. The owner takes it for ready
 * from then on, and every call of the channel fails with "The session has been destroyed". A server that is just shutting
 * down does that to whoever connects.
 *
 * Who begins to listen to a connection that has ended already is told in the next turn of the event loop.
 *
 * @module
 */

import * as transport from "@grpc/grpc-js/transport";
import { BrokkrError, Code } from "@brokkr/common";

type Listener = (tooManyPings: boolean) => void;

interface Transport {
  readonly disconnectHandled: boolean;
  addDisconnectListener(listener: Listener): void;
}

const MENDED = Symbol.for("brokkr.lost_transport");

function changed(): BrokkrError {
  return new BrokkrError(
    Code.INTERNAL,
    "This version of grpc-js makes connections in another way; proto/rpc/_lost_transport.ts was written for 1.14.7",
  );
}

function listenLate(made: unknown): unknown {
  if (typeof made !== "object" || made === null || !("disconnectHandled" in made)) throw changed();
  const connection = made as Transport;
  const add = connection.addDisconnectListener;
  connection.addDisconnectListener = (listener) => {
    Reflect.apply(add, connection, [listener]);
    // After the owner has set itself up with the connection, and the calls that wait for it have begun on it, and failed:
    // told before, the channel goes idle with calls that nobody begins any more, and they wait for ever.
    if (connection.disconnectHandled) setImmediate(() => listener(false));
  };
  return made;
}

function mend(): void {
  const prototype = transport.Http2SubchannelConnector?.prototype as object | undefined;
  if (prototype === undefined || typeof Reflect.get(prototype, "connect") !== "function") throw changed();
  if (Reflect.has(prototype, MENDED)) return;
  Reflect.defineProperty(prototype, MENDED, { value: true });
  const connect: unknown = Reflect.get(prototype, "connect");
  Reflect.set(prototype, "connect", function (this: unknown, ...args: unknown[]): Promise<unknown> {
    return (Reflect.apply(connect as () => Promise<unknown>, this, args)).then(listenLate);
  });
}

mend();
