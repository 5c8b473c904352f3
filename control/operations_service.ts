/**
 * google.longrunning.Operations: look at operations, wait for them, cancel them.
 *
 * What an operation came to is always in its ExecuteResponse, also that it was cancelled; `Operation.error` is never set.
 * Beside what Execute tells, an operation's metadata carry what its client said of itself: a RequestMetadata among
 * `partial_execution_metadata.auxiliary_metadata`.
 *
 * @module
 */

import { BrokkrError, type Clock, Code, invalidArgument, scopeKey, Slices } from "@brokkr/common";
import {
  BytesCodec,
  type CancelOperationRequest,
  type Empty,
  type GetOperationRequest,
  type Init,
  type ListOperationsRequest,
  type ListOperationsResponse,
  type Method,
  type Operation,
  Operations as OperationsMethods,
  type WaitOperationRequest,
  WireWriter,
} from "@brokkr/proto";
import { type CallContext, type Route, unary } from "@brokkr/proto/rpc/server";
import { unknownOperation } from "./execution_service.ts";
import { parseFilter } from "./operation_filter.ts";
import type { OperationRecord } from "./operation_record.ts";
import type { Operations } from "./operations.ts";
import { durationMs } from "./_times.ts";

/** What the Operations service is made of. */
export interface OperationsOptions {
  readonly operations: Operations;
  /** Boot epoch, part of page tokens. */
  readonly epoch: number;
  readonly clock: Clock;
}

const DEFAULT_PAGE_SIZE = 100;
const MAX_PAGE_SIZE = 1000;
/** A page ends after this many bytes; the last operation in it may go beyond. */
const PAGE_BYTES = 100_000;
/** Longest wait of one WaitOperation; the client may ask again. */
const MAX_WAIT_MS = 600_000;
/** How much earlier than its deadline a wait ends, so that the answer arrives: this share, and this much at most. */
const MARGIN_SHARE = 0.1;
const MAX_MARGIN_MS = 1000;

type Raw<Req, Res> = Method<Req, Uint8Array, Init<Req>, Uint8Array> & { readonly decoded?: Res };

const getOperation: Raw<GetOperationRequest, Operation> = {
  ...OperationsMethods.getOperation,
  response: BytesCodec,
};
const waitOperation: Raw<WaitOperationRequest, Operation> = {
  ...OperationsMethods.waitOperation,
  response: BytesCodec,
};
const listOperations: Raw<ListOperationsRequest, ListOperationsResponse> = {
  ...OperationsMethods.listOperations,
  response: BytesCodec,
};

/** Answers those who ask about operations by name. */
export class OperationsService {
  readonly #options: OperationsOptions;

  constructor(options: OperationsOptions) {
    this.#options = options;
  }

  /** Its routes. */
  routes(): Route[] {
    return [
      unary(getOperation, "read", (request, context) => this.#get(request, context)),
      unary(listOperations, "read", (request, context) => this.#list(request, context)),
      unary(waitOperation, "read", (request, context) => this.#wait(request, context), {
        maxDurationMs: Infinity,
      }),
      unary(
        OperationsMethods.cancelOperation,
        "execute",
        (request, context) => this.#cancel(request, context),
      ),
      unary(OperationsMethods.deleteOperation, "execute", () => {
        throw new BrokkrError(
          Code.UNIMPLEMENTED,
          "Operations are not deleted by hand; finished ones are forgotten after a while",
        );
      }),
    ];
  }

  #find(name: string, context: CallContext): OperationRecord {
    if (name === "") throw invalidArgument("name", "The name of an operation is missing");
    const record = this.#options.operations.find(name, (instance) => context.scope(instance));
    if (record === undefined) throw unknownOperation(name);
    return record;
  }

  #get({ name }: GetOperationRequest, context: CallContext): Uint8Array {
    const record = this.#find(name, context);
    this.#options.operations.renew(record);
    return record.encode(true);
  }

  #cancel({ name }: CancelOperationRequest, context: CallContext): Init<Empty> {
    const record = this.#find(name, context);
    if (record.end === undefined) {
      this.#options.operations.cancel(record, `The operation was cancelled by ${callerOf(context)}`);
    }
    return {};
  }

  async #wait({ name, timeout }: WaitOperationRequest, context: CallContext): Promise<Uint8Array> {
    const { operations, clock } = this.#options;
    const record = this.#find(name, context);
    const asked = timeout === undefined ? Infinity : durationMs(timeout);
    if (!(asked >= 0)) throw invalidArgument("timeout", "A timeout cannot be negative");
    const left = context.remainingMs();
    const waitMs = Math.min(asked, MAX_WAIT_MS, left - Math.min(MAX_MARGIN_MS, left * MARGIN_SHARE));
    const timer = new AbortController();
    operations.watch(record);
    try {
      using _timer = clock.setTimer(Math.max(0, waitMs), () => timer.abort());
      await record.ended(AbortSignal.any([context.signal, timer.signal]));
    } catch (error) {
      if (!timer.signal.aborted || context.signal.aborted) throw error;
    } finally {
      operations.unwatch(record);
    }
    if (record.refused !== undefined) throw record.refused;
    return record.encode(true);
  }

  async #list(request: ListOperationsRequest, context: CallContext): Promise<Uint8Array> {
    const { operations, epoch } = this.#options;
    const instance = collectionInstance(request.name);
    if (instance !== undefined) context.scope(instance);
    const matches = parseFilter(request.filter);
    const pageSize = pageSizeOf(request.pageSize);
    const before = parseToken(request.pageToken, epoch);
    const writer = new WireWriter();
    const slices = new Slices(context.signal);
    let count = 0;
    let last: OperationRecord | undefined;
    for (const record of operations.newestFirst(before)) {
      if (slices.spent) await slices.next();
      if (instance !== undefined && record.init.scope.instance !== instance) continue;
      if (!matches(record) || !mayUse(context, record)) continue;
      if (last !== undefined && (count >= pageSize || writer.pos >= PAGE_BYTES)) {
        writer.stringField(2, `${epoch}-${last.init.sequence}`);
        break;
      }
      const bytes = record.encode(true);
      // What a single large response would make too long for a message is left for a page of its own.
      if (last !== undefined && writer.pos + bytes.length > PAGE_BYTES && bytes.length > PAGE_BYTES) {
        writer.stringField(2, `${epoch}-${last.init.sequence}`);
        break;
      }
      writer.bytesField(1, bytes);
      count++;
      last = record;
    }
    return writer.finish();
  }
}

/**
 * The instance whose operations are meant: `operations` and `""` are all that the caller may see,
 * `INSTANCE` and `INSTANCE/operations` those of one instance.
 */
function collectionInstance(name: string): string | undefined {
  if (name === "" || name === "operations") return undefined;
  return name.endsWith("/operations") ? name.slice(0, -"/operations".length) : name;
}

/** Instances that the caller may not use are as if they were not there. */
function mayUse(context: CallContext, record: OperationRecord): boolean {
  const { scope } = record.init;
  try {
    return scopeKey(context.scope(scope.instance)) === scopeKey(scope);
  } catch (error) {
    if (error instanceof BrokkrError && error.code === Code.PERMISSION_DENIED) return false;
    throw error;
  }
}

function pageSizeOf(asked: number): number {
  if (asked < 0) throw invalidArgument("page_size", `A page cannot have ${asked} operations`);
  return asked === 0 ? DEFAULT_PAGE_SIZE : Math.min(asked, MAX_PAGE_SIZE);
}

/** Operations of a page were begun before this one. */
function parseToken(token: string, epoch: number): number {
  if (token === "") return Infinity;
  const match = /^(\d{1,16})-(\d{1,16})$/.exec(token);
  if (match !== null && Number(match[1]) === epoch) return Number(match[2]);
  throw invalidArgument(
    "page_token",
    match === null
      ? `${JSON.stringify(token.slice(0, 100))} is no page token of this service`
      : "The page token is of an earlier run of control; begin with the first page",
  );
}

function callerOf({ principal, clientMetadata }: CallContext): string {
  const tool = clientMetadata?.toolName ?? "";
  return tool === "" ? principal.name : `${principal.name} with ${tool.slice(0, 100)}`;
}
