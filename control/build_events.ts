/**
 * Build events (`google.devtools.build.v1.PublishBuildEvent`): a grid takes none, and says so where clients give up.
 *
 * Bazel sends them to whatever `--bes_backend` names. A method that is not served is UNIMPLEMENTED, which Bazel tries
 * again for some fifteen seconds at the end of every build (BuildEventServiceUploader.shouldRetryStatus).
 * FAILED_PRECONDITION it takes for an answer, and prints its message.
 *
 * @module
 */

import { BrokkrError, Code } from "@brokkr/common";
import { BytesCodec, method } from "@brokkr/proto";
import { bidi, type Route, unary } from "@brokkr/proto/rpc/server";

const SERVICE = "google.devtools.build.v1.PublishBuildEvent";

function refusal(): BrokkrError {
  return new BrokkrError(
    Code.FAILED_PRECONDITION,
    "This grid takes no build events: leave out --bes_backend, or point it at a build event service",
  );
}

/** Routes that refuse build events. */
export function buildEventRoutes(): Route[] {
  const lifecycle = method(SERVICE, "PublishLifecycleEvent", "unary", BytesCodec, BytesCodec);
  const stream = method(SERVICE, "PublishBuildToolEventStream", "bidi", BytesCodec, BytesCodec);
  return [
    unary(lifecycle, "public", () => {
      throw refusal();
    }),
    bidi(stream, "public", () => {
      throw refusal();
    }),
  ];
}
