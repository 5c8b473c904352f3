/**
 * How a method gets its handler. Access is an argument without a default: what names none cannot be served.
 *
 * @module
 */

import { type Access, invalidArgument } from "@brokkr/common";
import type { Method, MethodKind } from "../codec.ts";
import type {
  BidiHandler,
  CallContext,
  ClientStreamHandler,
  Route,
  RouteOptions,
  ServerStreamHandler,
  UnaryHandler,
} from "./types.ts";

function route(
  kind: MethodKind,
  method: Method<unknown, unknown>,
  access: Access,
  handler: (request: never, context: CallContext) => unknown,
  options: RouteOptions | undefined,
): Route {
  if (method.kind !== kind) {
    throw invalidArgument(
      "method",
      `Method ${method.path} is ${method.kind}; it cannot be served as ${kind}`,
    );
  }
  return { method, access, handler, options };
}

/** Serves a method of one request and one response. */
export function unary<Req, Res, ReqInit, ResInit>(
  method: Method<Req, Res, ReqInit, ResInit>,
  access: Access,
  handler: UnaryHandler<NoInfer<Req>, NoInfer<ResInit>>,
  options?: RouteOptions,
): Route {
  return route("unary", method, access, handler, options);
}

/** Serves a method of one request and many responses. */
export function serverStream<Req, Res, ReqInit, ResInit>(
  method: Method<Req, Res, ReqInit, ResInit>,
  access: Access,
  handler: ServerStreamHandler<NoInfer<Req>, NoInfer<ResInit>>,
  options?: RouteOptions,
): Route {
  return route("serverStream", method, access, handler, options);
}

/** Serves a method of many requests and one response. */
export function clientStream<Req, Res, ReqInit, ResInit>(
  method: Method<Req, Res, ReqInit, ResInit>,
  access: Access,
  handler: ClientStreamHandler<NoInfer<Req>, NoInfer<ResInit>>,
  options?: RouteOptions,
): Route {
  return route("clientStream", method, access, handler, options);
}

/** Serves a method of many requests and many responses. The peer may be silent for as long as it likes by default. */
export function bidi<Req, Res, ReqInit, ResInit>(
  method: Method<Req, Res, ReqInit, ResInit>,
  access: Access,
  handler: BidiHandler<NoInfer<Req>, NoInfer<ResInit>>,
  options?: RouteOptions,
): Route {
  return route("bidi", method, access, handler, { receiveStallMs: Infinity, ...options });
}
