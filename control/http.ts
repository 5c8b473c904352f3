/**
 * The HTTP port of control.
 *
 * @module
 */

export { type HttpOptions, type HttpServer, serveHttp } from "@brokkr/common/http";
