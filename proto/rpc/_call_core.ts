/**
 * What calls of one method, and all calls of one server, share.
 *
 * @module
 */

import type { ServerInterceptingCallInterface } from "@grpc/grpc-js";
import type { Access, BrokkrError, ByteBudget, Clock, Logger, Principal, Tracer } from "@brokkr/common";
import type { Method } from "../codec.ts";
import type { Authorize } from "./auth.ts";
import type { CallMeter } from "./_call_meter.ts";
import type { Departures } from "./_departures.ts";
import type { IntakeRoom } from "./_intake.ts";
import type { ReceiveWindows } from "./_receive_windows.ts";
import type { SendShares } from "./_send_shares.ts";
import type { Route } from "./types.ts";

/** What the server does with its calls from outside. */
export interface SweptCall {
  /** Whether it must end as soon as the server drains. */
  readonly endOnDrain: boolean;
  /** The session of its connection. */
  readonly session: object | undefined;
  /** Ends the call with an error, unless it has ended. */
  end(thrown: unknown): void;
  /** Looks for what has taken too long. */
  sweep(nowMs: number): void;
  /** Cuts off a client that still sends after its call has ended; true when there is nothing left to do. */
  sweepLingering(nowMs: number): boolean;
}

/** What the two sides of a call ask of it. */
export interface CallOwner {
  /** `/package.Service/Method`. */
  readonly path: string;
  /** Whether the call has its outcome. */
  readonly finished: boolean;
  /** What ended the call before its handler did. */
  readonly aborted: BrokkrError | undefined;
  /** Aborts with that. */
  readonly signal: AbortSignal;
  /** Has the handler answer a request, or the stream of all. */
  run(request: unknown): void;
  /** Ends the call with an error, unless it has ended. */
  end(thrown: unknown): void;
}

/** A route made ready: limits filled in, instruments looked up. */
export interface RouteEntry {
  /** The method. */
  readonly method: Method<unknown, unknown>;
  /** What the caller needs. */
  readonly access: Access;
  /** Answers it. */
  readonly handler: Route["handler"];
  /** Whether the client streams. */
  readonly requestStream: boolean;
  /** Whether the server streams. */
  readonly responseStream: boolean;
  /** See RouteOptions. */
  readonly receiveStallMs: number;
  /** See RouteOptions. */
  readonly sendStallMs: number;
  /** See RouteOptions. */
  readonly maxDurationMs: number;
  /** See RouteOptions. */
  readonly endOnDrain: boolean;
  /** Its metrics, undefined when none are collected. */
  readonly meter: CallMeter | undefined;
}

/** What all calls of a server share. */
export interface CallCore {
  /** Time. */
  readonly clock: Clock;
  /** Where calls are logged. */
  readonly log: Logger;
  /** Records spans; without one only ids are made. */
  readonly tracer: Tracer | undefined;
  /** Where the bytes of messages are charged. */
  readonly budget: ByteBudget | undefined;
  /** Where messages that arrive take room; undefined without a budget. */
  readonly room: IntakeRoom | undefined;
  /** Largest message that is taken, in bytes. */
  readonly maxReceiveMessageBytes: number;
  /** The windows of uploads; undefined without a budget. */
  readonly windows: ReceiveWindows | undefined;
  /** The way out of a call's connection; undefined when it is gone. */
  readonly departuresOf: (call: ServerInterceptingCallInterface) => Departures | undefined;
  /** When a message was last refused for want of memory, in monotonic milliseconds. */
  refusedMs: number;
  /** Whether somebody waits for memory, or was refused it lately. */
  readonly pressed: () => boolean;
  /** What of that each stream may have while there are many. */
  readonly shares: SendShares;
  /** Bytes that may be under way to a slow reader. */
  readonly sendAheadBytes: number;
  /** How long a streamed message waits for the budget. */
  readonly budgetWaitMs: number;
  /** Who is at the other end. */
  readonly principalOf: (call: ServerInterceptingCallInterface) => Principal;
  /** What they may do. */
  readonly authorize: Authorize;
  /** Calls that are not over, which the sweep looks at. */
  readonly calls: Set<SweptCall>;
  /** Calls that are over although the client still sends. */
  readonly lingering: Set<SweptCall>;
  /** Whether new calls are refused. */
  draining: boolean;
}
