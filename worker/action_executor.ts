/**
 * One lease from beginning to end: fetch, lay out, run, collect, upload, report.
 *
 * @module
 */

import {
  asBrokkrError,
  BrokkrError,
  type Clock,
  Code,
  type Logger,
  parseTraceparent,
  type Span,
  type TraceContext,
  type Tracer,
} from "@brokkr/common";
import { type Digest, type DigestFunction, parseDigest, resolveDigestFunction } from "@brokkr/cas/client";
import {
  ActionCodec,
  type ActionResult,
  ActionResultCodec,
  CommandCodec,
  type Init,
  type Lease,
  type LeaseResult,
  LeaseResult_Outcome as Outcome,
  type ResourceUsage,
  StageUpdate_Stage as Stage,
} from "@brokkr/proto";
import { actionFields, leaseClient, resultFields } from "./_action_log.ts";
import { type CapturedOutput, captureOutput, STDERR_NAME, STDOUT_NAME } from "./_captured_output.ts";
import { clientAttributes } from "@brokkr/proto/rpc/metadata";
import { statusOf } from "@brokkr/proto/rpc/status";
import type { CollectedOutputs, Collector, OutputFields } from "./collector.ts";
import { type CommandPlan, planCommand, planDirectories } from "./command_plan.ts";
import type { InputResolver } from "./input_tree.ts";
import { refuseFullDisk } from "./machine.ts";
import type { MaterializedRoot, Materializer } from "./materializer.ts";
import { ActionTimes, durationMs, executedActionMetadata, type Phase, resourceUsage } from "./metadata.ts";
import { StoreFullError, uploadPatiently } from "./patient_upload.ts";
import type { PreparedCommand, RunCommand, Runner, RunOutcome } from "./runner.ts";
import { type ActionStore, isSmallUpload } from "./store.ts";

/** What an {@linkcode ActionExecutor} works with. */
export interface ActionExecutorOptions {
  /** Name of the worker, for the result. */
  readonly workerId: string;
  /** Finds out what an input root needs. */
  readonly resolver: InputResolver;
  /** Lays it out. */
  readonly materializer: Materializer;
  /** Runs the command. */
  readonly runner: Runner;
  /** Collects what it left. */
  readonly collector: Collector;
  /** The store of an instance, for digests of one function; its calls name the span `trace` as what causes them. */
  readonly store: (instance: string, fn: DigestFunction, trace: TraceContext) => ActionStore;
  /** Most bytes kept of standard output and standard error each. */
  readonly outputLimitBytes: number;
  /** Time. */
  readonly clock: Clock;
  /** Spans. */
  readonly tracer: Tracer;
  /** Log. */
  readonly log: Logger;
  /** Told how long each step took, in milliseconds. */
  readonly onPhase?: (phase: Phase | "materialize" | "collect", ms: number) => void;
  /** Told how many distinct blobs an action needed, and how many of them, with how many bytes, had to be fetched. */
  readonly onFetched?: (wanted: number, blobs: number, bytes: number) => void;
  /** Told how each command ended. */
  readonly onRan?: (outcome: RunOutcome) => void;
}

/** How a lease ended. */
export interface ExecutedLease {
  /** What control is told. */
  readonly result: Init<LeaseResult>;
  /** Ends when the action's directory is gone. Never fails. */
  readonly cleanup: Promise<void>;
}

/** What is known of an action so far; a timeout or a refused output reports what there is. */
interface Progress {
  readonly times: ActionTimes;
  /** What the result is of, when it may be cached. */
  action: Init<LeaseResult>["action"];
  fn: DigestFunction | undefined;
  store: ActionStore | undefined;
  root: MaterializedRoot | undefined;
  outcome: RunOutcome | undefined;
  captured: CapturedOutput | undefined;
  fetchedBlobs: number;
  fetchedBytes: number;
}

/** Largest result that fits a message with room for what control adds. */
const MAX_RESULT_BYTES = 3_500_000;

/** Executes leases; any number at once. */
export class ActionExecutor {
  readonly #options: ActionExecutorOptions;

  /** See {@linkcode ActionExecutorOptions}. */
  constructor(options: ActionExecutorOptions) {
    this.#options = options;
  }

  /**
   * Executes a lease. Never fails: what goes wrong is in the result. `signal` stops it, and the result is CANCELLED.
   * `onStage` is told when a stage begins that lasts; those that are over at once are not worth a message. `onRan` is
   * told when the command has ended by itself: what is left is to collect and upload.
   */
  async execute(
    lease: Lease,
    signal: AbortSignal,
    onStage: (stage: Stage) => void,
    onRan: () => void = () => {},
  ): Promise<ExecutedLease> {
    const { clock, tracer } = this.#options;
    const progress: Progress = {
      times: new ActionTimes(clock, durationMs(lease.queuedFor)),
      action: undefined,
      fn: undefined,
      store: undefined,
      root: undefined,
      outcome: undefined,
      captured: undefined,
      fetchedBlobs: 0,
      fetchedBytes: 0,
    };
    const client = leaseClient(lease);
    using span = tracer.start("worker", parseTraceparent(lease.traceparent), {
      "brokkr.worker": this.#options.workerId,
      "brokkr.lease": lease.leaseId,
      "brokkr.attempt": lease.attempt,
      "brokkr.operation": lease.operation,
      ...clientAttributes(client),
    });
    const log = this.#options.log.with(actionFields(lease, span.context, client));
    log.debug("Action begun");
    let result: Init<LeaseResult>;
    try {
      const fields = await this.#run(lease, progress, signal, onStage, onRan, span);
      result = this.#completed(lease, progress, fields);
    } catch (thrown) {
      const error = signal.aborted ? asBrokkrError(signal.reason, Code.CANCELLED) : asBrokkrError(thrown);
      result = await this.#failed(lease, progress, error, signal);
      log.debug("An action did not complete", { code: error.codeName, error });
    }
    if (result.status !== undefined) span.fail(result.status.message || "The action did not complete");
    log.info("Action done", resultFields(result, summary(progress)));
    return { result, cleanup: this.#cleanup(progress, log) };
  }

  async #run(
    lease: Lease,
    progress: Progress,
    signal: AbortSignal,
    onStage: (stage: Stage) => void,
    onRan: () => void,
    span: Span,
  ): Promise<OutputFields> {
    const { inputRoot, plan, platform, fn, cacheable } = readLease(lease);
    const storeFor = (trace: TraceContext) => this.#options.store(lease.instanceName, fn, trace);
    progress.fn = fn;
    if (cacheable) {
      const { instanceName, actionDigest } = lease;
      progress.action = { instanceName, digestFunction: fn.value, ...(actionDigest && { actionDigest }) };
    }
    progress.store = storeFor(span.context);

    const command = this.#options.runner.prepare({ ...plan, platform });
    if (inputRoot.sizeBytes > 0) onStage(Stage.FETCHING_INPUTS);
    const root = await this.#phase(
      progress,
      "inputFetch",
      span,
      (trace) => this.#layOut(inputRoot, plan, progress, trace, storeFor(trace), signal),
    );
    progress.root = root;

    onStage(Stage.EXECUTING);
    const outcome = await this.#phase(
      progress,
      "execution",
      span,
      (_trace, step) => this.#command(command, root, lease, signal, step),
    );
    progress.outcome = outcome;
    this.#options.onRan?.(outcome);
    // A command that failed tells why itself, and its result is not kept.
    if (outcome.exitCode === 0) await refuseFullDisk(root.scratchPath);
    onRan();

    return await this.#phase(progress, "outputUpload", span, async (trace) => {
      const { outputLimitBytes } = this.#options;
      const captured = await captureOutput(root.scratchPath, fn, outcome, outputLimitBytes, signal);
      progress.captured = captured;
      if (outcome.exitCode === 0 && outcome.cutOff !== undefined) throw outcome.cutOff;
      using collected = await this.#collect({ rootPath: outcome.rootPath, plan, fn, signal }, trace);
      const blobs = [...captured.blobs, ...collected.blobs];
      if (!isSmallUpload(blobs)) onStage(Stage.UPLOADING_OUTPUTS);
      await uploadPatiently(storeFor(trace), blobs, signal, this.#options);
      return collected.fields;
    });
  }

  /** Lays the inputs out. What fetching takes of the time is no part of the step's figure. */
  async #layOut(
    inputRoot: Digest,
    plan: CommandPlan,
    progress: Progress,
    trace: TraceContext,
    store: ActionStore,
    signal: AbortSignal,
  ): Promise<MaterializedRoot> {
    const { resolver, materializer, onFetched, onPhase, clock, tracer } = this.#options;
    using span = tracer.start("materialize", trace);
    const startedMs = clock.monotonicMs();
    let fetchMs = 0;
    try {
      return await materializer.materialize({
        root: inputRoot,
        resolve: async () => {
          const inputs = await resolver.resolve(inputRoot, store, signal);
          fetchMs = clock.monotonicMs() - startedMs;
          progress.fetchedBlobs = inputs.fetchedBlobs;
          progress.fetchedBytes = inputs.fetchedBytes;
          onFetched?.(inputs.wantedBlobs, inputs.fetchedBlobs, inputs.fetchedBytes);
          return inputs;
        },
        extraDirectories: (nodes) => planDirectories(plan, nodes, signal),
        signal,
      });
    } catch (error) {
      span.fail(error);
      throw error;
    } finally {
      onPhase?.("materialize", clock.monotonicMs() - startedMs - fetchMs);
    }
  }

  async #command(
    command: PreparedCommand,
    root: MaterializedRoot,
    { operation, timeout }: Lease,
    signal: AbortSignal,
    step: Span,
  ): Promise<RunOutcome> {
    const outcome = await command.run({
      name: operation.slice(operation.lastIndexOf("/") + 1),
      root,
      stdoutPath: `${root.scratchPath}/${STDOUT_NAME}`,
      stderrPath: `${root.scratchPath}/${STDERR_NAME}`,
      outputLimitBytes: this.#options.outputLimitBytes,
      timeoutMs: durationMs(timeout),
      signal,
    });
    step.set("process.exit.code", outcome.exitCode);
    if (outcome.timedOut) step.fail("The command was killed after its timeout");
    return outcome;
  }

  async #phase<T>(
    progress: Progress,
    phase: Phase,
    parent: Span,
    run: (trace: TraceContext, span: Span) => Promise<T>,
  ): Promise<T> {
    using span = this.#options.tracer.start(PHASE_NAMES[phase], parent.context);
    progress.times.begin(phase);
    try {
      return await run(span.context, span);
    } catch (error) {
      span.fail(error);
      throw error;
    } finally {
      this.#options.onPhase?.(phase, progress.times.end(phase));
    }
  }

  async #collect(
    request: Parameters<Collector["collect"]>[0],
    parent: TraceContext,
  ): Promise<CollectedOutputs> {
    const { clock, collector, tracer, onPhase } = this.#options;
    using span = tracer.start("collect", parent);
    const startedMs = clock.monotonicMs();
    try {
      return await collector.collect(request);
    } catch (error) {
      span.fail(error);
      throw error;
    } finally {
      onPhase?.("collect", clock.monotonicMs() - startedMs);
    }
  }

  #completed(lease: Lease, progress: Progress, fields: OutputFields): Init<LeaseResult> {
    const { outcome } = progress;
    const actionResult = ActionResultCodec.encode({ ...this.#partial(progress), ...fields });
    const fits = actionResult.length <= MAX_RESULT_BYTES;
    const { leaseId } = lease;
    if (outcome?.timedOut) {
      return {
        leaseId,
        outcome: Outcome.FAILED,
        status: statusOf(timeoutError(lease)),
        actionResult: fits ? actionResult : ActionResultCodec.encode(this.#partial(progress)),
      };
    }
    if (!fits) {
      const error = new BrokkrError(
        Code.FAILED_PRECONDITION,
        `The result names so many outputs that it has ${actionResult.length} bytes; at most ${MAX_RESULT_BYTES} fit a message`,
      );
      return { leaseId, outcome: Outcome.FAILED, status: statusOf(error) };
    }
    const message = outcome?.note ??
      (outcome?.outputOverflow
        ? `Killed: it kept writing far beyond the ${this.#options.outputLimitBytes} bytes of output that are kept`
        : "");
    const { action } = progress;
    return { leaseId, outcome: Outcome.COMPLETED, actionResult, message, ...(action && { action }) };
  }

  /** What can be told of an action whose command has ended: everything but its outputs. */
  #partial(progress: Progress): Init<ActionResult> {
    const { outcome, captured, times } = progress;
    return {
      exitCode: outcome?.exitCode ?? 0,
      ...(captured?.stdout === undefined ? {} : { stdoutDigest: captured.stdout }),
      ...(captured?.stderr === undefined ? {} : { stderrDigest: captured.stderr }),
      executionMetadata: executedActionMetadata(
        this.#options.workerId,
        times,
        outcome?.durationMs,
        this.#usage(progress),
      ),
    };
  }

  #usage({ outcome, fetchedBlobs, fetchedBytes }: Progress): Init<ResourceUsage> {
    return {
      ...(outcome === undefined ? {} : resourceUsage(outcome)),
      inputFetchedBlobs: fetchedBlobs,
      inputFetchedBytes: fetchedBytes,
      isolation: this.#options.runner.isolation,
    };
  }

  async #failed(
    lease: Lease,
    progress: Progress,
    error: BrokkrError,
    signal: AbortSignal,
  ): Promise<Init<LeaseResult>> {
    const { leaseId } = lease;
    if (signal.aborted) return stopped(leaseId, error);
    if (!isClientsFault(error)) return { leaseId, outcome: Outcome.WORKER_FAULT, status: statusOf(error) };
    const status = statusOf(progress.outcome?.timedOut ? timeoutError(lease) : error);
    const { captured, store } = progress;
    if (error instanceof StoreFullError) return { leaseId, outcome: Outcome.FAILED, status };
    if (captured === undefined || store === undefined) return { leaseId, outcome: Outcome.FAILED, status };
    try {
      // Its outputs could not be taken, but what it printed may well say why.
      if (captured.blobs.length > 0) await store.upload(captured.blobs, signal);
    } catch (thrown) {
      const fault = asBrokkrError(thrown);
      if (signal.aborted) return stopped(leaseId, asBrokkrError(signal.reason, Code.CANCELLED));
      return { leaseId, outcome: Outcome.WORKER_FAULT, status: statusOf(fault) };
    }
    const actionResult = ActionResultCodec.encode(this.#partial(progress));
    return { leaseId, outcome: Outcome.FAILED, status, actionResult };
  }

  async #cleanup(progress: Progress, log: Logger): Promise<void> {
    progress.captured?.[Symbol.dispose]();
    try {
      progress.outcome?.[Symbol.dispose]();
      await progress.root?.[Symbol.asyncDispose]();
    } catch (error) {
      log.error("Cannot remove an action's directory; it stays until the worker starts again", { error });
    }
  }
}

/** The steps' names in spans, as clients see them, too. */
const PHASE_NAMES: Readonly<Record<Phase, string>> = {
  inputFetch: "fetch inputs",
  execution: "execute",
  outputUpload: "upload outputs",
};

/** What the log says of an action that has ended. */
function summary(
  { times, outcome, fetchedBlobs, fetchedBytes }: Progress,
): Parameters<typeof resultFields>[1] {
  const spentMs = {
    fetchMs: times.spentMs("inputFetch"),
    executeMs: times.spentMs("execution"),
    uploadMs: times.spentMs("outputUpload"),
    totalMs: times.elapsedMs(),
  };
  return { exitCode: outcome?.exitCode, fetchedBlobs, fetchedBytes, spentMs };
}

/** What a lease asks for, checked. */
function readLease(
  lease: Lease,
): {
  inputRoot: Digest;
  plan: CommandPlan;
  platform: RunCommand["platform"];
  fn: DigestFunction;
  cacheable: boolean;
} {
  const hashLength = lease.actionDigest?.hash.length ?? 0;
  const fn = resolveDigestFunction(lease.digestFunction, hashLength);
  const action = ActionCodec.decode(lease.action);
  const inputRoot = parseDigest(action.inputRootDigest, fn.value, "action.input_root_digest");
  const command = CommandCodec.decode(lease.command);
  // Clients older than the field in Action fill the one in Command; where both are there, Action's holds.
  const platform = (action.platform ?? command.platform)?.properties ?? [];
  return { inputRoot, plan: planCommand(command), platform, fn, cacheable: !action.doNotCache };
}

function timeoutError(lease: Lease): BrokkrError {
  return new BrokkrError(
    Code.DEADLINE_EXCEEDED,
    `The command was killed after its timeout of ${durationMs(lease.timeout) / 1000} s`,
  );
}

/** The result of an action that was stopped: cancelled by control, or given back because the worker ends. */
function stopped(leaseId: string, why: BrokkrError): Init<LeaseResult> {
  const outcome = why.code === Code.CANCELLED ? Outcome.CANCELLED : Outcome.WORKER_FAULT;
  return { leaseId, outcome, status: statusOf(why) };
}

/** Whether an action that failed so would fail again wherever it runs. Everything else is for another try. */
function isClientsFault(error: BrokkrError): boolean {
  const { code } = error;
  return error instanceof StoreFullError || code === Code.INVALID_ARGUMENT ||
    code === Code.FAILED_PRECONDITION;
}
