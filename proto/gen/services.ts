// Made by `deno task gen` from the .proto files; changes belong there.
import { type Init, type Method, method } from "../codec.ts";
import * as m from "./messages.ts";

/** The service brokkr.v1.Admin. */
export const Admin: {
  /** The grid in one look. */
  readonly getStatus: Method<m.GetStatusRequest, m.GetStatusResponse, Init<m.GetStatusRequest>, Init<m.GetStatusResponse>>;
  /** Every worker that is connected, or was within its lease time. */
  readonly listWorkers: Method<m.ListWorkersRequest, m.ListWorkersResponse, Init<m.ListWorkersRequest>, Init<m.ListWorkersResponse>>;
  /** What is remembered of an action: by action digest, or by the name of an operation. */
  readonly getAction: Method<m.GetActionRequest, m.GetActionResponse, Init<m.GetActionRequest>, Init<m.GetActionResponse>>;
  /**
   * Gives a worker no more leases; those it has, it finishes. Holds until ResumeWorker, whatever is started anew meanwhile.
   * NOT_FOUND for a worker that is not listed. Harmless when repeated.
   */
  readonly drainWorker: Method<m.DrainWorkerRequest, m.DrainWorkerResponse, Init<m.DrainWorkerRequest>, Init<m.DrainWorkerResponse>>;
  /** Gives a drained worker leases again. NOT_FOUND for a worker that is neither listed nor drained. */
  readonly resumeWorker: Method<m.ResumeWorkerRequest, m.ResumeWorkerResponse, Init<m.ResumeWorkerRequest>, Init<m.ResumeWorkerResponse>>;
  /** What the store holds, counted blob by blob. Calls at the same time share one count. */
  readonly getStoreUsage: Method<m.GetStoreUsageRequest, m.GetStoreUsageResponse, Init<m.GetStoreUsageRequest>, Init<m.GetStoreUsageResponse>>;
  /**
   * Reads all that is stored and compares it with its digests; ending the call ends the walk. RESOURCE_EXHAUSTED while
   * another walk is under way.
   */
  readonly verifyStore: Method<m.VerifyStoreRequest, m.VerifyStoreResponse, Init<m.VerifyStoreRequest>, Init<m.VerifyStoreResponse>>;
  /**
   * Frees garbage and, down to a target, what was not used for longest; never what is promised or pinned.
   * RESOURCE_EXHAUSTED while another collection is under way.
   */
  readonly collectStore: Method<m.CollectStoreRequest, m.CollectStoreResponse, Init<m.CollectStoreRequest>, Init<m.CollectStoreResponse>>;
  /**
   * Keeps an action's closure, or single blobs, from eviction. RESOURCE_EXHAUSTED when explicit pins would take more than
   * their share of the store.
   */
  readonly pinBlobs: Method<m.PinBlobsRequest, m.PinBlobsResponse, Init<m.PinBlobsRequest>, Init<m.PinBlobsResponse>>;
  /** Ends a pin. NOT_FOUND when there is none of that name. */
  readonly unpinBlobs: Method<m.UnpinBlobsRequest, m.UnpinBlobsResponse, Init<m.UnpinBlobsRequest>, Init<m.UnpinBlobsResponse>>;
  /** Every pin that holds. */
  readonly listPins: Method<m.ListPinsRequest, m.ListPinsResponse, Init<m.ListPinsRequest>, Init<m.ListPinsResponse>>;
  /** When and why a blob went, as far as the log remembers. */
  readonly whyGone: Method<m.WhyGoneRequest, m.WhyGoneResponse, Init<m.WhyGoneRequest>, Init<m.WhyGoneResponse>>;
  /**
   * Everything that belongs to an action: its messages, its inputs, its result and what that names. Works on stores in
   * memory, too.
   */
  readonly getClosure: Method<m.GetClosureRequest, m.GetClosureResponse, Init<m.GetClosureRequest>, Init<m.GetClosureResponse>>;
} = {
  getStatus: method("brokkr.v1.Admin", "GetStatus", "unary", m.GetStatusRequestCodec, m.GetStatusResponseCodec),
  listWorkers: method("brokkr.v1.Admin", "ListWorkers", "unary", m.ListWorkersRequestCodec, m.ListWorkersResponseCodec),
  getAction: method("brokkr.v1.Admin", "GetAction", "unary", m.GetActionRequestCodec, m.GetActionResponseCodec),
  drainWorker: method("brokkr.v1.Admin", "DrainWorker", "unary", m.DrainWorkerRequestCodec, m.DrainWorkerResponseCodec),
  resumeWorker: method("brokkr.v1.Admin", "ResumeWorker", "unary", m.ResumeWorkerRequestCodec, m.ResumeWorkerResponseCodec),
  getStoreUsage: method("brokkr.v1.Admin", "GetStoreUsage", "unary", m.GetStoreUsageRequestCodec, m.GetStoreUsageResponseCodec),
  verifyStore: method("brokkr.v1.Admin", "VerifyStore", "serverStream", m.VerifyStoreRequestCodec, m.VerifyStoreResponseCodec),
  collectStore: method("brokkr.v1.Admin", "CollectStore", "unary", m.CollectStoreRequestCodec, m.CollectStoreResponseCodec),
  pinBlobs: method("brokkr.v1.Admin", "PinBlobs", "unary", m.PinBlobsRequestCodec, m.PinBlobsResponseCodec),
  unpinBlobs: method("brokkr.v1.Admin", "UnpinBlobs", "unary", m.UnpinBlobsRequestCodec, m.UnpinBlobsResponseCodec),
  listPins: method("brokkr.v1.Admin", "ListPins", "unary", m.ListPinsRequestCodec, m.ListPinsResponseCodec),
  whyGone: method("brokkr.v1.Admin", "WhyGone", "unary", m.WhyGoneRequestCodec, m.WhyGoneResponseCodec),
  getClosure: method("brokkr.v1.Admin", "GetClosure", "serverStream", m.GetClosureRequestCodec, m.GetClosureResponseCodec),
};

/** The service brokkr.v1.Workers. */
export const Workers: {
  /**
   * The life of a worker. Closing the stream does not give up its leases: a worker that reconnects in time, and names
   * them in Hello, keeps them.
   */
  readonly connect: Method<m.WorkerMessage, m.ControlMessage, Init<m.WorkerMessage>, Init<m.ControlMessage>>;
} = {
  connect: method("brokkr.v1.Workers", "Connect", "bidi", m.WorkerMessageCodec, m.ControlMessageCodec),
};

/** Results of actions that ran before, by action digest. */
export const ActionCache: {
  /** NOT_FOUND when there is none, or when a blob that it names is gone. */
  readonly getActionResult: Method<m.GetActionResultRequest, m.ActionResult, Init<m.GetActionResultRequest>, Init<m.ActionResult>>;
  /** Put a result in by hand; all blobs it names must be in the store. Answers what was stored. */
  readonly updateActionResult: Method<m.UpdateActionResultRequest, m.ActionResult, Init<m.UpdateActionResultRequest>, Init<m.ActionResult>>;
} = {
  getActionResult: method("build.bazel.remote.execution.v2.ActionCache", "GetActionResult", "unary", m.GetActionResultRequestCodec, m.ActionResultCodec),
  updateActionResult: method("build.bazel.remote.execution.v2.ActionCache", "UpdateActionResult", "unary", m.UpdateActionResultRequestCodec, m.ActionResultCodec),
};

/** What a server can do. */
export const Capabilities: {
  /** Asked once by a client, before all else. */
  readonly getCapabilities: Method<m.GetCapabilitiesRequest, m.ServerCapabilities, Init<m.GetCapabilitiesRequest>, Init<m.ServerCapabilities>>;
} = {
  getCapabilities: method("build.bazel.remote.execution.v2.Capabilities", "GetCapabilities", "unary", m.GetCapabilitiesRequestCodec, m.ServerCapabilitiesCodec),
};

/** Blobs by digest. Small ones travel in these calls, large ones through ByteStream. */
export const ContentAddressableStorage: {
  /** Which of the digests the store lacks. The others stay long enough for a build to use them. */
  readonly findMissingBlobs: Method<m.FindMissingBlobsRequest, m.FindMissingBlobsResponse, Init<m.FindMissingBlobsRequest>, Init<m.FindMissingBlobsResponse>>;
  /** Store several small blobs. Each has its own status. */
  readonly batchUpdateBlobs: Method<m.BatchUpdateBlobsRequest, m.BatchUpdateBlobsResponse, Init<m.BatchUpdateBlobsRequest>, Init<m.BatchUpdateBlobsResponse>>;
  /** Read several small blobs. Each has its own status. */
  readonly batchReadBlobs: Method<m.BatchReadBlobsRequest, m.BatchReadBlobsResponse, Init<m.BatchReadBlobsRequest>, Init<m.BatchReadBlobsResponse>>;
  /** Every Directory reachable from a root, in pages. Subtrees that are missing are left out. */
  readonly getTree: Method<m.GetTreeRequest, m.GetTreeResponse, Init<m.GetTreeRequest>, Init<m.GetTreeResponse>>;
  /** Digests of the chunks that make up a blob, all of them present. */
  readonly splitBlob: Method<m.SplitBlobRequest, m.SplitBlobResponse, Init<m.SplitBlobRequest>, Init<m.SplitBlobResponse>>;
  /** Say which chunks make up a blob. The server checks that they do. */
  readonly spliceBlob: Method<m.SpliceBlobRequest, m.SpliceBlobResponse, Init<m.SpliceBlobRequest>, Init<m.SpliceBlobResponse>>;
} = {
  findMissingBlobs: method("build.bazel.remote.execution.v2.ContentAddressableStorage", "FindMissingBlobs", "unary", m.FindMissingBlobsRequestCodec, m.FindMissingBlobsResponseCodec),
  batchUpdateBlobs: method("build.bazel.remote.execution.v2.ContentAddressableStorage", "BatchUpdateBlobs", "unary", m.BatchUpdateBlobsRequestCodec, m.BatchUpdateBlobsResponseCodec),
  batchReadBlobs: method("build.bazel.remote.execution.v2.ContentAddressableStorage", "BatchReadBlobs", "unary", m.BatchReadBlobsRequestCodec, m.BatchReadBlobsResponseCodec),
  getTree: method("build.bazel.remote.execution.v2.ContentAddressableStorage", "GetTree", "serverStream", m.GetTreeRequestCodec, m.GetTreeResponseCodec),
  splitBlob: method("build.bazel.remote.execution.v2.ContentAddressableStorage", "SplitBlob", "unary", m.SplitBlobRequestCodec, m.SplitBlobResponseCodec),
  spliceBlob: method("build.bazel.remote.execution.v2.ContentAddressableStorage", "SpliceBlob", "unary", m.SpliceBlobRequestCodec, m.SpliceBlobResponseCodec),
};

/** Runs actions. */
export const Execution: {
  /**
   * Run an action, or answer from the cache. The stream tells each stage; its last operation is done and
   * holds an ExecuteResponse. Ending the stream does not stop the action.
   */
  readonly execute: Method<m.ExecuteRequest, m.Operation, Init<m.ExecuteRequest>, Init<m.Operation>>;
  /**
   * Join an operation that Execute began. NOT_FOUND when it is not known any more: the client then calls
   * Execute again.
   */
  readonly waitExecution: Method<m.WaitExecutionRequest, m.Operation, Init<m.WaitExecutionRequest>, Init<m.Operation>>;
} = {
  execute: method("build.bazel.remote.execution.v2.Execution", "Execute", "serverStream", m.ExecuteRequestCodec, m.OperationCodec),
  waitExecution: method("build.bazel.remote.execution.v2.Execution", "WaitExecution", "serverStream", m.WaitExecutionRequestCodec, m.OperationCodec),
};

/** Names are those of the Remote Execution API: blobs of the store. */
export const ByteStream: {
  /** The bytes of a resource, from an offset on. */
  readonly read: Method<m.ReadRequest, m.ReadResponse, Init<m.ReadRequest>, Init<m.ReadResponse>>;
  /** Write a resource. The answer tells how many bytes it has; one that is already there ends the call early. */
  readonly write: Method<m.WriteRequest, m.WriteResponse, Init<m.WriteRequest>, Init<m.WriteResponse>>;
  /** How far an interrupted write came. */
  readonly queryWriteStatus: Method<m.QueryWriteStatusRequest, m.QueryWriteStatusResponse, Init<m.QueryWriteStatusRequest>, Init<m.QueryWriteStatusResponse>>;
} = {
  read: method("google.bytestream.ByteStream", "Read", "serverStream", m.ReadRequestCodec, m.ReadResponseCodec),
  write: method("google.bytestream.ByteStream", "Write", "clientStream", m.WriteRequestCodec, m.WriteResponseCodec),
  queryWriteStatus: method("google.bytestream.ByteStream", "QueryWriteStatus", "unary", m.QueryWriteStatusRequestCodec, m.QueryWriteStatusResponseCodec),
};

/** Looks after operations. */
export const Operations: {
  /** Those the server knows. */
  readonly listOperations: Method<m.ListOperationsRequest, m.ListOperationsResponse, Init<m.ListOperationsRequest>, Init<m.ListOperationsResponse>>;
  /** How one is now. */
  readonly getOperation: Method<m.GetOperationRequest, m.Operation, Init<m.GetOperationRequest>, Init<m.Operation>>;
  /** Forget the result; the work goes on. */
  readonly deleteOperation: Method<m.DeleteOperationRequest, m.Empty, Init<m.DeleteOperationRequest>, Init<m.Empty>>;
  /** Ask it to stop. It may end well before it does. */
  readonly cancelOperation: Method<m.CancelOperationRequest, m.Empty, Init<m.CancelOperationRequest>, Init<m.Empty>>;
  /** As it is when it ends, or when the timeout passes. */
  readonly waitOperation: Method<m.WaitOperationRequest, m.Operation, Init<m.WaitOperationRequest>, Init<m.Operation>>;
} = {
  listOperations: method("google.longrunning.Operations", "ListOperations", "unary", m.ListOperationsRequestCodec, m.ListOperationsResponseCodec),
  getOperation: method("google.longrunning.Operations", "GetOperation", "unary", m.GetOperationRequestCodec, m.OperationCodec),
  deleteOperation: method("google.longrunning.Operations", "DeleteOperation", "unary", m.DeleteOperationRequestCodec, m.EmptyCodec),
  cancelOperation: method("google.longrunning.Operations", "CancelOperation", "unary", m.CancelOperationRequestCodec, m.EmptyCodec),
  waitOperation: method("google.longrunning.Operations", "WaitOperation", "unary", m.WaitOperationRequestCodec, m.OperationCodec),
};

/** Tells the health of each service by name; "" stands for the server as a whole. */
export const HealthService: {
  /** As it is now. NOT_FOUND for a name that the server does not know. */
  readonly check: Method<m.HealthCheckRequest, m.HealthCheckResponse, Init<m.HealthCheckRequest>, Init<m.HealthCheckResponse>>;
  /** As it is now, and again each time it changes. SERVICE_UNKNOWN for a name that the server does not know yet. */
  readonly watch: Method<m.HealthCheckRequest, m.HealthCheckResponse, Init<m.HealthCheckRequest>, Init<m.HealthCheckResponse>>;
} = {
  check: method("grpc.health.v1.Health", "Check", "unary", m.HealthCheckRequestCodec, m.HealthCheckResponseCodec),
  watch: method("grpc.health.v1.Health", "Watch", "serverStream", m.HealthCheckRequestCodec, m.HealthCheckResponseCodec),
};
