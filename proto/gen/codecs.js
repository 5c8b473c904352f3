// Made by `deno task gen` from the .proto files; changes belong there.
// @ts-self-types="./codecs.d.ts"

const $depthLimit = 100;
const $none = Object.freeze([]);
const $emptyMap = Object.freeze({});
const $noBytes = new Uint8Array(0);
function $own(object, key) {
 Object.defineProperty(object, key, { value: undefined, writable: true, enumerable: true, configurable: true });
}
export const ActionRecord = (() => {
 const ActionRecord = {};
 ActionRecord.encode = function (message, writer, _depth) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  if (message.operationName != null && message.operationName !== "")
   writer.uint32(10).string(message.operationName);
  if (message.instanceName != null && message.instanceName !== "")
   writer.uint32(18).string(message.instanceName);
  if (message.actionDigest != null)
   Digest.encode(message.actionDigest, writer.uint32(26).fork(), _depth + 1).ldelim();
  if (message.digestFunction != null && message.digestFunction !== 0)
   writer.uint32(32).int32(message.digestFunction);
  if (message.stage != null && message.stage !== 0)
   writer.uint32(40).int32(message.stage);
  if (message.cached != null && message.cached !== false)
   writer.uint32(48).bool(message.cached);
  if (message.status != null)
   Status.encode(message.status, writer.uint32(58).fork(), _depth + 1).ldelim();
  if (message.exitCode != null && message.exitCode !== 0)
   writer.uint32(64).int32(message.exitCode);
  if (message.workerId != null && message.workerId !== "")
   writer.uint32(74).string(message.workerId);
  if (message.attempts != null && message.attempts !== 0)
   writer.uint32(80).uint32(message.attempts);
  if (message.created != null)
   Timestamp.encode(message.created, writer.uint32(90).fork(), _depth + 1).ldelim();
  if (message.phases != null && message.phases.length)
   for (let i = 0; i < message.phases.length; ++i)
    Phase.encode(message.phases[i], writer.uint32(98).fork(), _depth + 1).ldelim();
  if (message.requestMetadata != null)
   RequestMetadata.encode(message.requestMetadata, writer.uint32(106).fork(), _depth + 1).ldelim();
  if (message.traceId != null && message.traceId !== "")
   writer.uint32(114).string(message.traceId);
  if (message["arguments"] != null && message["arguments"].length)
   for (let i = 0; i < message["arguments"].length; ++i)
    writer.uint32(122).string(message["arguments"][i]);
  if (message.usage != null)
   ResourceUsage.encode(message.usage, writer.uint32(130).fork(), _depth + 1).ldelim();
  return writer;
 };
 ActionRecord.decode = function (reader, length, _end, _depth, _target) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  let end, message, value;
  if (length === undefined)
   end = reader.end;
  else {
   end = reader.pos + length;
   if (end > reader.end)
    throw RangeError("index out of range");
   length = reader.end;
   reader.end = end;
  }
  message = _target || ActionRecord.make();
  while (reader.pos < end) {
   let tag = reader.tag();
   if (tag === _end) {
    _end = undefined;
    break;
   }
   let wireType = tag & 7;
   switch (tag >>>= 3) {
   case 1: {
     if (wireType !== 2)
      break;
     message.operationName = reader.string();
     continue;
    }
   case 2: {
     if (wireType !== 2)
      break;
     message.instanceName = reader.string();
     continue;
    }
   case 3: {
     if (wireType !== 2)
      break;
     message.actionDigest = Digest.decode(reader, reader.length(), undefined, _depth + 1, message.actionDigest);
     continue;
    }
   case 4: {
     if (wireType !== 0)
      break;
     message.digestFunction = reader.int32();
     continue;
    }
   case 5: {
     if (wireType !== 0)
      break;
     message.stage = reader.int32();
     continue;
    }
   case 6: {
     if (wireType !== 0)
      break;
     message.cached = reader.bool();
     continue;
    }
   case 7: {
     if (wireType !== 2)
      break;
     message.status = Status.decode(reader, reader.length(), undefined, _depth + 1, message.status);
     continue;
    }
   case 8: {
     if (wireType !== 0)
      break;
     message.exitCode = reader.int32();
     continue;
    }
   case 9: {
     if (wireType !== 2)
      break;
     message.workerId = reader.string();
     continue;
    }
   case 10: {
     if (wireType !== 0)
      break;
     message.attempts = reader.uint32();
     continue;
    }
   case 11: {
     if (wireType !== 2)
      break;
     message.created = Timestamp.decode(reader, reader.length(), undefined, _depth + 1, message.created);
     continue;
    }
   case 12: {
     if (wireType !== 2)
      break;
     if (!(message.phases && message.phases.length))
      message.phases = [];
     message.phases.push(Phase.decode(reader, reader.length(), undefined, _depth + 1));
     continue;
    }
   case 13: {
     if (wireType !== 2)
      break;
     message.requestMetadata = RequestMetadata.decode(reader, reader.length(), undefined, _depth + 1, message.requestMetadata);
     continue;
    }
   case 14: {
     if (wireType !== 2)
      break;
     message.traceId = reader.string();
     continue;
    }
   case 15: {
     if (wireType !== 2)
      break;
     if (!(message["arguments"] && message["arguments"].length))
      message["arguments"] = [];
     message["arguments"].push(reader.string());
     continue;
    }
   case 16: {
     if (wireType !== 2)
      break;
     message.usage = ResourceUsage.decode(reader, reader.length(), undefined, _depth + 1, message.usage);
     continue;
    }
   }
   reader.skip((tag << 3 | wireType) >>> 0, _depth);
  }
  if (length !== undefined) {
   if (reader.pos !== end)
    throw RangeError("index out of range");
   reader.end = length;
  }
  if (_end !== undefined)
   throw Error("missing end group");
  return message;
 };
 ActionRecord.make = () => ({ operationName: "", instanceName: "", digestFunction: 0, stage: 0, cached: false, exitCode: 0, workerId: "", attempts: 0, phases: $none, traceId: "", arguments: $none });
 return ActionRecord;
})();
export const ActionReference = (() => {
 const ActionReference = {};
 ActionReference.encode = function (message, writer, _depth) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  if (message.instanceName != null && message.instanceName !== "")
   writer.uint32(10).string(message.instanceName);
  if (message.digestFunction != null && message.digestFunction !== 0)
   writer.uint32(16).int32(message.digestFunction);
  if (message.actionDigest != null)
   Digest.encode(message.actionDigest, writer.uint32(26).fork(), _depth + 1).ldelim();
  return writer;
 };
 ActionReference.decode = function (reader, length, _end, _depth, _target) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  let end, message, value;
  if (length === undefined)
   end = reader.end;
  else {
   end = reader.pos + length;
   if (end > reader.end)
    throw RangeError("index out of range");
   length = reader.end;
   reader.end = end;
  }
  message = _target || ActionReference.make();
  while (reader.pos < end) {
   let tag = reader.tag();
   if (tag === _end) {
    _end = undefined;
    break;
   }
   let wireType = tag & 7;
   switch (tag >>>= 3) {
   case 1: {
     if (wireType !== 2)
      break;
     message.instanceName = reader.string();
     continue;
    }
   case 2: {
     if (wireType !== 0)
      break;
     message.digestFunction = reader.int32();
     continue;
    }
   case 3: {
     if (wireType !== 2)
      break;
     message.actionDigest = Digest.decode(reader, reader.length(), undefined, _depth + 1, message.actionDigest);
     continue;
    }
   }
   reader.skip((tag << 3 | wireType) >>> 0, _depth);
  }
  if (length !== undefined) {
   if (reader.pos !== end)
    throw RangeError("index out of range");
   reader.end = length;
  }
  if (_end !== undefined)
   throw Error("missing end group");
  return message;
 };
 ActionReference.make = () => ({ instanceName: "", digestFunction: 0 });
 return ActionReference;
})();
export const AgeClass = (() => {
 const AgeClass = {};
 AgeClass.encode = function (message, writer, _depth) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  if (message.upTo != null)
   Duration.encode(message.upTo, writer.uint32(10).fork(), _depth + 1).ldelim();
  if (message.count != null)
   BlobCount.encode(message.count, writer.uint32(18).fork(), _depth + 1).ldelim();
  return writer;
 };
 AgeClass.decode = function (reader, length, _end, _depth, _target) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  let end, message, value;
  if (length === undefined)
   end = reader.end;
  else {
   end = reader.pos + length;
   if (end > reader.end)
    throw RangeError("index out of range");
   length = reader.end;
   reader.end = end;
  }
  message = _target || AgeClass.make();
  while (reader.pos < end) {
   let tag = reader.tag();
   if (tag === _end) {
    _end = undefined;
    break;
   }
   let wireType = tag & 7;
   switch (tag >>>= 3) {
   case 1: {
     if (wireType !== 2)
      break;
     message.upTo = Duration.decode(reader, reader.length(), undefined, _depth + 1, message.upTo);
     continue;
    }
   case 2: {
     if (wireType !== 2)
      break;
     message.count = BlobCount.decode(reader, reader.length(), undefined, _depth + 1, message.count);
     continue;
    }
   }
   reader.skip((tag << 3 | wireType) >>> 0, _depth);
  }
  if (length !== undefined) {
   if (reader.pos !== end)
    throw RangeError("index out of range");
   reader.end = length;
  }
  if (_end !== undefined)
   throw Error("missing end group");
  return message;
 };
 AgeClass.make = () => ({});
 return AgeClass;
})();
export const BlobCount = (() => {
 const BlobCount = {};
 BlobCount.encode = function (message, writer, _depth) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  if (message.blobs != null && (typeof message.blobs === "object" ? message.blobs.low || message.blobs.high : message.blobs !== 0))
   writer.uint32(8).int64(message.blobs);
  if (message.bytes != null && (typeof message.bytes === "object" ? message.bytes.low || message.bytes.high : message.bytes !== 0))
   writer.uint32(16).int64(message.bytes);
  return writer;
 };
 BlobCount.decode = function (reader, length, _end, _depth, _target) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  let end, message, value;
  if (length === undefined)
   end = reader.end;
  else {
   end = reader.pos + length;
   if (end > reader.end)
    throw RangeError("index out of range");
   length = reader.end;
   reader.end = end;
  }
  message = _target || BlobCount.make();
  while (reader.pos < end) {
   let tag = reader.tag();
   if (tag === _end) {
    _end = undefined;
    break;
   }
   let wireType = tag & 7;
   switch (tag >>>= 3) {
   case 1: {
     if (wireType !== 0)
      break;
     message.blobs = reader.int64();
     continue;
    }
   case 2: {
     if (wireType !== 0)
      break;
     message.bytes = reader.int64();
     continue;
    }
   }
   reader.skip((tag << 3 | wireType) >>> 0, _depth);
  }
  if (length !== undefined) {
   if (reader.pos !== end)
    throw RangeError("index out of range");
   reader.end = length;
  }
  if (_end !== undefined)
   throw Error("missing end group");
  return message;
 };
 BlobCount.make = () => ({ blobs: 0, bytes: 0 });
 return BlobCount;
})();
export const Cancel = (() => {
 const Cancel = {};
 Cancel.encode = function (message, writer, _depth) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  if (message.leaseId != null && message.leaseId !== "")
   writer.uint32(10).string(message.leaseId);
  if (message.reason != null && message.reason !== "")
   writer.uint32(18).string(message.reason);
  return writer;
 };
 Cancel.decode = function (reader, length, _end, _depth, _target) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  let end, message, value;
  if (length === undefined)
   end = reader.end;
  else {
   end = reader.pos + length;
   if (end > reader.end)
    throw RangeError("index out of range");
   length = reader.end;
   reader.end = end;
  }
  message = _target || Cancel.make();
  while (reader.pos < end) {
   let tag = reader.tag();
   if (tag === _end) {
    _end = undefined;
    break;
   }
   let wireType = tag & 7;
   switch (tag >>>= 3) {
   case 1: {
     if (wireType !== 2)
      break;
     message.leaseId = reader.string();
     continue;
    }
   case 2: {
     if (wireType !== 2)
      break;
     message.reason = reader.string();
     continue;
    }
   }
   reader.skip((tag << 3 | wireType) >>> 0, _depth);
  }
  if (length !== undefined) {
   if (reader.pos !== end)
    throw RangeError("index out of range");
   reader.end = length;
  }
  if (_end !== undefined)
   throw Error("missing end group");
  return message;
 };
 Cancel.make = () => ({ leaseId: "", reason: "" });
 return Cancel;
})();
export const ClosureBlob = (() => {
 const ClosureBlob = {};
 ClosureBlob.encode = function (message, writer, _depth) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  if (message.digest != null)
   Digest.encode(message.digest, writer.uint32(10).fork(), _depth + 1).ldelim();
  if (message.role != null && message.role !== 0)
   writer.uint32(16).int32(message.role);
  return writer;
 };
 ClosureBlob.decode = function (reader, length, _end, _depth, _target) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  let end, message, value;
  if (length === undefined)
   end = reader.end;
  else {
   end = reader.pos + length;
   if (end > reader.end)
    throw RangeError("index out of range");
   length = reader.end;
   reader.end = end;
  }
  message = _target || ClosureBlob.make();
  while (reader.pos < end) {
   let tag = reader.tag();
   if (tag === _end) {
    _end = undefined;
    break;
   }
   let wireType = tag & 7;
   switch (tag >>>= 3) {
   case 1: {
     if (wireType !== 2)
      break;
     message.digest = Digest.decode(reader, reader.length(), undefined, _depth + 1, message.digest);
     continue;
    }
   case 2: {
     if (wireType !== 0)
      break;
     message.role = reader.int32();
     continue;
    }
   }
   reader.skip((tag << 3 | wireType) >>> 0, _depth);
  }
  if (length !== undefined) {
   if (reader.pos !== end)
    throw RangeError("index out of range");
   reader.end = length;
  }
  if (_end !== undefined)
   throw Error("missing end group");
  return message;
 };
 ClosureBlob.make = () => ({ role: 0 });
 return ClosureBlob;
})();
export const CollectStoreRequest = (() => {
 const CollectStoreRequest = {};
 // Virtual OneOf for proto3 optional field
 CollectStoreRequest.encode = function (message, writer, _depth) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  if (message.targetBytes != null)
   writer.uint32(8).int64(message.targetBytes);
  if (message.dryRun != null && message.dryRun !== false)
   writer.uint32(16).bool(message.dryRun);
  return writer;
 };
 CollectStoreRequest.decode = function (reader, length, _end, _depth, _target) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  let end, message, value;
  if (length === undefined)
   end = reader.end;
  else {
   end = reader.pos + length;
   if (end > reader.end)
    throw RangeError("index out of range");
   length = reader.end;
   reader.end = end;
  }
  message = _target || CollectStoreRequest.make();
  while (reader.pos < end) {
   let tag = reader.tag();
   if (tag === _end) {
    _end = undefined;
    break;
   }
   let wireType = tag & 7;
   switch (tag >>>= 3) {
   case 1: {
     if (wireType !== 0)
      break;
     message.targetBytes = reader.int64();
     message._targetBytes = "targetBytes";
     continue;
    }
   case 2: {
     if (wireType !== 0)
      break;
     message.dryRun = reader.bool();
     continue;
    }
   }
   reader.skip((tag << 3 | wireType) >>> 0, _depth);
  }
  if (length !== undefined) {
   if (reader.pos !== end)
    throw RangeError("index out of range");
   reader.end = length;
  }
  if (_end !== undefined)
   throw Error("missing end group");
  return message;
 };
 CollectStoreRequest.make = () => ({ dryRun: false });
 return CollectStoreRequest;
})();
export const CollectStoreResponse = (() => {
 const CollectStoreResponse = {};
 CollectStoreResponse.encode = function (message, writer, _depth) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  if (message.gone != null)
   BlobCount.encode(message.gone, writer.uint32(10).fork(), _depth + 1).ldelim();
  if (message.freedBytes != null && (typeof message.freedBytes === "object" ? message.freedBytes.low || message.freedBytes.high : message.freedBytes !== 0))
   writer.uint32(16).int64(message.freedBytes);
  if (message.copiedBytes != null && (typeof message.copiedBytes === "object" ? message.copiedBytes.low || message.copiedBytes.high : message.copiedBytes !== 0))
   writer.uint32(24).int64(message.copiedBytes);
  if (message.diskBytes != null && (typeof message.diskBytes === "object" ? message.diskBytes.low || message.diskBytes.high : message.diskBytes !== 0))
   writer.uint32(32).int64(message.diskBytes);
  if (message.shortfall != null && message.shortfall !== "")
   writer.uint32(42).string(message.shortfall);
  if (message.ages != null && message.ages.length)
   for (let i = 0; i < message.ages.length; ++i)
    AgeClass.encode(message.ages[i], writer.uint32(50).fork(), _depth + 1).ldelim();
  return writer;
 };
 CollectStoreResponse.decode = function (reader, length, _end, _depth, _target) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  let end, message, value;
  if (length === undefined)
   end = reader.end;
  else {
   end = reader.pos + length;
   if (end > reader.end)
    throw RangeError("index out of range");
   length = reader.end;
   reader.end = end;
  }
  message = _target || CollectStoreResponse.make();
  while (reader.pos < end) {
   let tag = reader.tag();
   if (tag === _end) {
    _end = undefined;
    break;
   }
   let wireType = tag & 7;
   switch (tag >>>= 3) {
   case 1: {
     if (wireType !== 2)
      break;
     message.gone = BlobCount.decode(reader, reader.length(), undefined, _depth + 1, message.gone);
     continue;
    }
   case 2: {
     if (wireType !== 0)
      break;
     message.freedBytes = reader.int64();
     continue;
    }
   case 3: {
     if (wireType !== 0)
      break;
     message.copiedBytes = reader.int64();
     continue;
    }
   case 4: {
     if (wireType !== 0)
      break;
     message.diskBytes = reader.int64();
     continue;
    }
   case 5: {
     if (wireType !== 2)
      break;
     message.shortfall = reader.string();
     continue;
    }
   case 6: {
     if (wireType !== 2)
      break;
     if (!(message.ages && message.ages.length))
      message.ages = [];
     message.ages.push(AgeClass.decode(reader, reader.length(), undefined, _depth + 1));
     continue;
    }
   }
   reader.skip((tag << 3 | wireType) >>> 0, _depth);
  }
  if (length !== undefined) {
   if (reader.pos !== end)
    throw RangeError("index out of range");
   reader.end = length;
  }
  if (_end !== undefined)
   throw Error("missing end group");
  return message;
 };
 CollectStoreResponse.make = () => ({ freedBytes: 0, copiedBytes: 0, diskBytes: 0, shortfall: "", ages: $none });
 return CollectStoreResponse;
})();
export const ControlMessage = (() => {
 const ControlMessage = {};
 ControlMessage.encode = function (message, writer, _depth) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  if (message.welcome != null)
   Welcome.encode(message.welcome, writer.uint32(10).fork(), _depth + 1).ldelim();
  if (message.lease != null)
   Lease.encode(message.lease, writer.uint32(18).fork(), _depth + 1).ldelim();
  if (message.cancel != null)
   Cancel.encode(message.cancel, writer.uint32(26).fork(), _depth + 1).ldelim();
  if (message.drain != null)
   Drain.encode(message.drain, writer.uint32(34).fork(), _depth + 1).ldelim();
  if (message.resultAck != null)
   ResultAck.encode(message.resultAck, writer.uint32(42).fork(), _depth + 1).ldelim();
  return writer;
 };
 ControlMessage.decode = function (reader, length, _end, _depth, _target) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  let end, message;
  if (length === undefined)
   end = reader.end;
  else {
   end = reader.pos + length;
   if (end > reader.end)
    throw RangeError("index out of range");
   length = reader.end;
   reader.end = end;
  }
  message = _target || ControlMessage.make();
  while (reader.pos < end) {
   let tag = reader.tag();
   if (tag === _end) {
    _end = undefined;
    break;
   }
   let wireType = tag & 7;
   switch (tag >>>= 3) {
   case 1: {
     if (wireType !== 2)
      break;
     message.welcome = Welcome.decode(reader, reader.length(), undefined, _depth + 1, message.welcome);
     if (message.message) { delete message.lease; delete message.cancel; delete message.drain; delete message.resultAck; }
     message.message = "welcome";
     continue;
    }
   case 2: {
     if (wireType !== 2)
      break;
     message.lease = Lease.decode(reader, reader.length(), undefined, _depth + 1, message.lease);
     if (message.message) { delete message.welcome; delete message.cancel; delete message.drain; delete message.resultAck; }
     message.message = "lease";
     continue;
    }
   case 3: {
     if (wireType !== 2)
      break;
     message.cancel = Cancel.decode(reader, reader.length(), undefined, _depth + 1, message.cancel);
     if (message.message) { delete message.welcome; delete message.lease; delete message.drain; delete message.resultAck; }
     message.message = "cancel";
     continue;
    }
   case 4: {
     if (wireType !== 2)
      break;
     message.drain = Drain.decode(reader, reader.length(), undefined, _depth + 1, message.drain);
     if (message.message) { delete message.welcome; delete message.lease; delete message.cancel; delete message.resultAck; }
     message.message = "drain";
     continue;
    }
   case 5: {
     if (wireType !== 2)
      break;
     message.resultAck = ResultAck.decode(reader, reader.length(), undefined, _depth + 1, message.resultAck);
     if (message.message) { delete message.welcome; delete message.lease; delete message.cancel; delete message.drain; }
     message.message = "resultAck";
     continue;
    }
   }
   reader.skip((tag << 3 | wireType) >>> 0, _depth);
  }
  if (length !== undefined) {
   if (reader.pos !== end)
    throw RangeError("index out of range");
   reader.end = length;
  }
  if (_end !== undefined)
   throw Error("missing end group");
  return message;
 };
 ControlMessage.make = () => ({});
 return ControlMessage;
})();
export const DamagedBlob = (() => {
 const DamagedBlob = {};
 DamagedBlob.encode = function (message, writer, _depth) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  if (message.digest != null)
   Digest.encode(message.digest, writer.uint32(10).fork(), _depth + 1).ldelim();
  if (message.digestFunction != null && message.digestFunction !== 0)
   writer.uint32(16).int32(message.digestFunction);
  if (message.where != null && message.where !== "")
   writer.uint32(26).string(message.where);
  if (message.problem != null && message.problem !== "")
   writer.uint32(34).string(message.problem);
  if (message.outcome != null && message.outcome !== 0)
   writer.uint32(40).int32(message.outcome);
  return writer;
 };
 DamagedBlob.decode = function (reader, length, _end, _depth, _target) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  let end, message, value;
  if (length === undefined)
   end = reader.end;
  else {
   end = reader.pos + length;
   if (end > reader.end)
    throw RangeError("index out of range");
   length = reader.end;
   reader.end = end;
  }
  message = _target || DamagedBlob.make();
  while (reader.pos < end) {
   let tag = reader.tag();
   if (tag === _end) {
    _end = undefined;
    break;
   }
   let wireType = tag & 7;
   switch (tag >>>= 3) {
   case 1: {
     if (wireType !== 2)
      break;
     message.digest = Digest.decode(reader, reader.length(), undefined, _depth + 1, message.digest);
     continue;
    }
   case 2: {
     if (wireType !== 0)
      break;
     message.digestFunction = reader.int32();
     continue;
    }
   case 3: {
     if (wireType !== 2)
      break;
     message.where = reader.string();
     continue;
    }
   case 4: {
     if (wireType !== 2)
      break;
     message.problem = reader.string();
     continue;
    }
   case 5: {
     if (wireType !== 0)
      break;
     message.outcome = reader.int32();
     continue;
    }
   }
   reader.skip((tag << 3 | wireType) >>> 0, _depth);
  }
  if (length !== undefined) {
   if (reader.pos !== end)
    throw RangeError("index out of range");
   reader.end = length;
  }
  if (_end !== undefined)
   throw Error("missing end group");
  return message;
 };
 DamagedBlob.make = () => ({ digestFunction: 0, where: "", problem: "", outcome: 0 });
 return DamagedBlob;
})();
export const DigestFilterUpdate = (() => {
 const DigestFilterUpdate = {};
 DigestFilterUpdate.encode = function (message, writer, _depth) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  if (message.filterBits != null && message.filterBits !== 0)
   writer.uint32(8).uint32(message.filterBits);
  if (message.hashCount != null && message.hashCount !== 0)
   writer.uint32(16).uint32(message.hashCount);
  if (message.setBits != null && message.setBits.length)
   writer.uint32(26).uint32s(message.setBits);
  return writer;
 };
 DigestFilterUpdate.decode = function (reader, length, _end, _depth, _target) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  let end, message, value;
  if (length === undefined)
   end = reader.end;
  else {
   end = reader.pos + length;
   if (end > reader.end)
    throw RangeError("index out of range");
   length = reader.end;
   reader.end = end;
  }
  message = _target || DigestFilterUpdate.make();
  while (reader.pos < end) {
   let tag = reader.tag();
   if (tag === _end) {
    _end = undefined;
    break;
   }
   let wireType = tag & 7;
   switch (tag >>>= 3) {
   case 1: {
     if (wireType !== 0)
      break;
     message.filterBits = reader.uint32();
     continue;
    }
   case 2: {
     if (wireType !== 0)
      break;
     message.hashCount = reader.uint32();
     continue;
    }
   case 3: {
     if (wireType === 2) {
      if (!(message.setBits && message.setBits.length))
       message.setBits = [];
      reader.uint32s(message.setBits);
      continue;
     }
     if (wireType !== 0)
      break;
     if (!(message.setBits && message.setBits.length))
      message.setBits = [];
     message.setBits.push(reader.uint32());
     continue;
    }
   }
   reader.skip((tag << 3 | wireType) >>> 0, _depth);
  }
  if (length !== undefined) {
   if (reader.pos !== end)
    throw RangeError("index out of range");
   reader.end = length;
  }
  if (_end !== undefined)
   throw Error("missing end group");
  return message;
 };
 DigestFilterUpdate.make = () => ({ filterBits: 0, hashCount: 0, setBits: $none });
 return DigestFilterUpdate;
})();
export const Drain = (() => {
 const Drain = {};
 Drain.encode = function (message, writer, _depth) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  if (message.reason != null && message.reason !== "")
   writer.uint32(10).string(message.reason);
  if (message.stay != null && message.stay !== false)
   writer.uint32(16).bool(message.stay);
  if (message.over != null && message.over !== false)
   writer.uint32(24).bool(message.over);
  return writer;
 };
 Drain.decode = function (reader, length, _end, _depth, _target) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  let end, message, value;
  if (length === undefined)
   end = reader.end;
  else {
   end = reader.pos + length;
   if (end > reader.end)
    throw RangeError("index out of range");
   length = reader.end;
   reader.end = end;
  }
  message = _target || Drain.make();
  while (reader.pos < end) {
   let tag = reader.tag();
   if (tag === _end) {
    _end = undefined;
    break;
   }
   let wireType = tag & 7;
   switch (tag >>>= 3) {
   case 1: {
     if (wireType !== 2)
      break;
     message.reason = reader.string();
     continue;
    }
   case 2: {
     if (wireType !== 0)
      break;
     message.stay = reader.bool();
     continue;
    }
   case 3: {
     if (wireType !== 0)
      break;
     message.over = reader.bool();
     continue;
    }
   }
   reader.skip((tag << 3 | wireType) >>> 0, _depth);
  }
  if (length !== undefined) {
   if (reader.pos !== end)
    throw RangeError("index out of range");
   reader.end = length;
  }
  if (_end !== undefined)
   throw Error("missing end group");
  return message;
 };
 Drain.make = () => ({ reason: "", stay: false, over: false });
 return Drain;
})();
export const DrainWorkerRequest = (() => {
 const DrainWorkerRequest = {};
 DrainWorkerRequest.encode = function (message, writer, _depth) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  if (message.workerId != null && message.workerId !== "")
   writer.uint32(10).string(message.workerId);
  if (message.reason != null && message.reason !== "")
   writer.uint32(18).string(message.reason);
  if (message.end != null && message.end !== false)
   writer.uint32(24).bool(message.end);
  return writer;
 };
 DrainWorkerRequest.decode = function (reader, length, _end, _depth, _target) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  let end, message, value;
  if (length === undefined)
   end = reader.end;
  else {
   end = reader.pos + length;
   if (end > reader.end)
    throw RangeError("index out of range");
   length = reader.end;
   reader.end = end;
  }
  message = _target || DrainWorkerRequest.make();
  while (reader.pos < end) {
   let tag = reader.tag();
   if (tag === _end) {
    _end = undefined;
    break;
   }
   let wireType = tag & 7;
   switch (tag >>>= 3) {
   case 1: {
     if (wireType !== 2)
      break;
     message.workerId = reader.string();
     continue;
    }
   case 2: {
     if (wireType !== 2)
      break;
     message.reason = reader.string();
     continue;
    }
   case 3: {
     if (wireType !== 0)
      break;
     message.end = reader.bool();
     continue;
    }
   }
   reader.skip((tag << 3 | wireType) >>> 0, _depth);
  }
  if (length !== undefined) {
   if (reader.pos !== end)
    throw RangeError("index out of range");
   reader.end = length;
  }
  if (_end !== undefined)
   throw Error("missing end group");
  return message;
 };
 DrainWorkerRequest.make = () => ({ workerId: "", reason: "", end: false });
 return DrainWorkerRequest;
})();
export const DrainWorkerResponse = (() => {
 const DrainWorkerResponse = {};
 DrainWorkerResponse.encode = function (message, writer, _depth) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  if (message.leases != null && message.leases !== 0)
   writer.uint32(8).uint32(message.leases);
  return writer;
 };
 DrainWorkerResponse.decode = function (reader, length, _end, _depth, _target) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  let end, message, value;
  if (length === undefined)
   end = reader.end;
  else {
   end = reader.pos + length;
   if (end > reader.end)
    throw RangeError("index out of range");
   length = reader.end;
   reader.end = end;
  }
  message = _target || DrainWorkerResponse.make();
  while (reader.pos < end) {
   let tag = reader.tag();
   if (tag === _end) {
    _end = undefined;
    break;
   }
   let wireType = tag & 7;
   switch (tag >>>= 3) {
   case 1: {
     if (wireType !== 0)
      break;
     message.leases = reader.uint32();
     continue;
    }
   }
   reader.skip((tag << 3 | wireType) >>> 0, _depth);
  }
  if (length !== undefined) {
   if (reader.pos !== end)
    throw RangeError("index out of range");
   reader.end = length;
  }
  if (_end !== undefined)
   throw Error("missing end group");
  return message;
 };
 DrainWorkerResponse.make = () => ({ leases: 0 });
 return DrainWorkerResponse;
})();
export const FunctionUsage = (() => {
 const FunctionUsage = {};
 FunctionUsage.encode = function (message, writer, _depth) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  if (message.digestFunction != null && message.digestFunction !== 0)
   writer.uint32(8).int32(message.digestFunction);
  if (message.count != null)
   BlobCount.encode(message.count, writer.uint32(18).fork(), _depth + 1).ldelim();
  return writer;
 };
 FunctionUsage.decode = function (reader, length, _end, _depth, _target) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  let end, message, value;
  if (length === undefined)
   end = reader.end;
  else {
   end = reader.pos + length;
   if (end > reader.end)
    throw RangeError("index out of range");
   length = reader.end;
   reader.end = end;
  }
  message = _target || FunctionUsage.make();
  while (reader.pos < end) {
   let tag = reader.tag();
   if (tag === _end) {
    _end = undefined;
    break;
   }
   let wireType = tag & 7;
   switch (tag >>>= 3) {
   case 1: {
     if (wireType !== 0)
      break;
     message.digestFunction = reader.int32();
     continue;
    }
   case 2: {
     if (wireType !== 2)
      break;
     message.count = BlobCount.decode(reader, reader.length(), undefined, _depth + 1, message.count);
     continue;
    }
   }
   reader.skip((tag << 3 | wireType) >>> 0, _depth);
  }
  if (length !== undefined) {
   if (reader.pos !== end)
    throw RangeError("index out of range");
   reader.end = length;
  }
  if (_end !== undefined)
   throw Error("missing end group");
  return message;
 };
 FunctionUsage.make = () => ({ digestFunction: 0 });
 return FunctionUsage;
})();
export const GetActionRequest = (() => {
 const GetActionRequest = {};
 GetActionRequest.encode = function (message, writer, _depth) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  if (message.instanceName != null && message.instanceName !== "")
   writer.uint32(10).string(message.instanceName);
  if (message.actionDigest != null)
   Digest.encode(message.actionDigest, writer.uint32(18).fork(), _depth + 1).ldelim();
  if (message.digestFunction != null && message.digestFunction !== 0)
   writer.uint32(24).int32(message.digestFunction);
  if (message.operationName != null && message.operationName !== "")
   writer.uint32(34).string(message.operationName);
  return writer;
 };
 GetActionRequest.decode = function (reader, length, _end, _depth, _target) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  let end, message, value;
  if (length === undefined)
   end = reader.end;
  else {
   end = reader.pos + length;
   if (end > reader.end)
    throw RangeError("index out of range");
   length = reader.end;
   reader.end = end;
  }
  message = _target || GetActionRequest.make();
  while (reader.pos < end) {
   let tag = reader.tag();
   if (tag === _end) {
    _end = undefined;
    break;
   }
   let wireType = tag & 7;
   switch (tag >>>= 3) {
   case 1: {
     if (wireType !== 2)
      break;
     message.instanceName = reader.string();
     continue;
    }
   case 2: {
     if (wireType !== 2)
      break;
     message.actionDigest = Digest.decode(reader, reader.length(), undefined, _depth + 1, message.actionDigest);
     continue;
    }
   case 3: {
     if (wireType !== 0)
      break;
     message.digestFunction = reader.int32();
     continue;
    }
   case 4: {
     if (wireType !== 2)
      break;
     message.operationName = reader.string();
     continue;
    }
   }
   reader.skip((tag << 3 | wireType) >>> 0, _depth);
  }
  if (length !== undefined) {
   if (reader.pos !== end)
    throw RangeError("index out of range");
   reader.end = length;
  }
  if (_end !== undefined)
   throw Error("missing end group");
  return message;
 };
 GetActionRequest.make = () => ({ instanceName: "", digestFunction: 0, operationName: "" });
 return GetActionRequest;
})();
export const GetActionResponse = (() => {
 const GetActionResponse = {};
 GetActionResponse.encode = function (message, writer, _depth) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  if (message.records != null && message.records.length)
   for (let i = 0; i < message.records.length; ++i)
    ActionRecord.encode(message.records[i], writer.uint32(10).fork(), _depth + 1).ldelim();
  if (message.cachedResult != null)
   ActionResult.encode(message.cachedResult, writer.uint32(18).fork(), _depth + 1).ldelim();
  return writer;
 };
 GetActionResponse.decode = function (reader, length, _end, _depth, _target) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  let end, message, value;
  if (length === undefined)
   end = reader.end;
  else {
   end = reader.pos + length;
   if (end > reader.end)
    throw RangeError("index out of range");
   length = reader.end;
   reader.end = end;
  }
  message = _target || GetActionResponse.make();
  while (reader.pos < end) {
   let tag = reader.tag();
   if (tag === _end) {
    _end = undefined;
    break;
   }
   let wireType = tag & 7;
   switch (tag >>>= 3) {
   case 1: {
     if (wireType !== 2)
      break;
     if (!(message.records && message.records.length))
      message.records = [];
     message.records.push(ActionRecord.decode(reader, reader.length(), undefined, _depth + 1));
     continue;
    }
   case 2: {
     if (wireType !== 2)
      break;
     message.cachedResult = ActionResult.decode(reader, reader.length(), undefined, _depth + 1, message.cachedResult);
     continue;
    }
   }
   reader.skip((tag << 3 | wireType) >>> 0, _depth);
  }
  if (length !== undefined) {
   if (reader.pos !== end)
    throw RangeError("index out of range");
   reader.end = length;
  }
  if (_end !== undefined)
   throw Error("missing end group");
  return message;
 };
 GetActionResponse.make = () => ({ records: $none });
 return GetActionResponse;
})();
export const GetClosureRequest = (() => {
 const GetClosureRequest = {};
 GetClosureRequest.encode = function (message, writer, _depth) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  if (message.instanceName != null && message.instanceName !== "")
   writer.uint32(10).string(message.instanceName);
  if (message.actionDigest != null)
   Digest.encode(message.actionDigest, writer.uint32(18).fork(), _depth + 1).ldelim();
  if (message.digestFunction != null && message.digestFunction !== 0)
   writer.uint32(24).int32(message.digestFunction);
  if (message.withoutInputs != null && message.withoutInputs !== false)
   writer.uint32(32).bool(message.withoutInputs);
  return writer;
 };
 GetClosureRequest.decode = function (reader, length, _end, _depth, _target) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  let end, message, value;
  if (length === undefined)
   end = reader.end;
  else {
   end = reader.pos + length;
   if (end > reader.end)
    throw RangeError("index out of range");
   length = reader.end;
   reader.end = end;
  }
  message = _target || GetClosureRequest.make();
  while (reader.pos < end) {
   let tag = reader.tag();
   if (tag === _end) {
    _end = undefined;
    break;
   }
   let wireType = tag & 7;
   switch (tag >>>= 3) {
   case 1: {
     if (wireType !== 2)
      break;
     message.instanceName = reader.string();
     continue;
    }
   case 2: {
     if (wireType !== 2)
      break;
     message.actionDigest = Digest.decode(reader, reader.length(), undefined, _depth + 1, message.actionDigest);
     continue;
    }
   case 3: {
     if (wireType !== 0)
      break;
     message.digestFunction = reader.int32();
     continue;
    }
   case 4: {
     if (wireType !== 0)
      break;
     message.withoutInputs = reader.bool();
     continue;
    }
   }
   reader.skip((tag << 3 | wireType) >>> 0, _depth);
  }
  if (length !== undefined) {
   if (reader.pos !== end)
    throw RangeError("index out of range");
   reader.end = length;
  }
  if (_end !== undefined)
   throw Error("missing end group");
  return message;
 };
 GetClosureRequest.make = () => ({ instanceName: "", digestFunction: 0, withoutInputs: false });
 return GetClosureRequest;
})();
export const GetClosureResponse = (() => {
 const GetClosureResponse = {};
 // Virtual OneOf for proto3 optional field
 GetClosureResponse.encode = function (message, writer, _depth) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  if (message.blobs != null && message.blobs.length)
   for (let i = 0; i < message.blobs.length; ++i)
    ClosureBlob.encode(message.blobs[i], writer.uint32(10).fork(), _depth + 1).ldelim();
  if (message.missing != null && message.missing.length)
   for (let i = 0; i < message.missing.length; ++i)
    Digest.encode(message.missing[i], writer.uint32(18).fork(), _depth + 1).ldelim();
  if (message.missingCount != null && (typeof message.missingCount === "object" ? message.missingCount.low || message.missingCount.high : message.missingCount !== 0))
   writer.uint32(24).int64(message.missingCount);
  if (message.actionResult != null)
   writer.uint32(34).blob(message.actionResult);
  if (message.notes != null && message.notes.length)
   for (let i = 0; i < message.notes.length; ++i)
    writer.uint32(42).string(message.notes[i]);
  if (message.count != null)
   BlobCount.encode(message.count, writer.uint32(50).fork(), _depth + 1).ldelim();
  return writer;
 };
 GetClosureResponse.decode = function (reader, length, _end, _depth, _target) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  let end, message, value;
  if (length === undefined)
   end = reader.end;
  else {
   end = reader.pos + length;
   if (end > reader.end)
    throw RangeError("index out of range");
   length = reader.end;
   reader.end = end;
  }
  message = _target || GetClosureResponse.make();
  while (reader.pos < end) {
   let tag = reader.tag();
   if (tag === _end) {
    _end = undefined;
    break;
   }
   let wireType = tag & 7;
   switch (tag >>>= 3) {
   case 1: {
     if (wireType !== 2)
      break;
     if (!(message.blobs && message.blobs.length))
      message.blobs = [];
     message.blobs.push(ClosureBlob.decode(reader, reader.length(), undefined, _depth + 1));
     continue;
    }
   case 2: {
     if (wireType !== 2)
      break;
     if (!(message.missing && message.missing.length))
      message.missing = [];
     message.missing.push(Digest.decode(reader, reader.length(), undefined, _depth + 1));
     continue;
    }
   case 3: {
     if (wireType !== 0)
      break;
     message.missingCount = reader.int64();
     continue;
    }
   case 4: {
     if (wireType !== 2)
      break;
     message.actionResult = reader.view();
     message._actionResult = "actionResult";
     continue;
    }
   case 5: {
     if (wireType !== 2)
      break;
     if (!(message.notes && message.notes.length))
      message.notes = [];
     message.notes.push(reader.string());
     continue;
    }
   case 6: {
     if (wireType !== 2)
      break;
     message.count = BlobCount.decode(reader, reader.length(), undefined, _depth + 1, message.count);
     continue;
    }
   }
   reader.skip((tag << 3 | wireType) >>> 0, _depth);
  }
  if (length !== undefined) {
   if (reader.pos !== end)
    throw RangeError("index out of range");
   reader.end = length;
  }
  if (_end !== undefined)
   throw Error("missing end group");
  return message;
 };
 GetClosureResponse.make = () => ({ blobs: $none, missing: $none, missingCount: 0, notes: $none });
 return GetClosureResponse;
})();
export const GetStatusRequest = (() => {
 const GetStatusRequest = {};
 GetStatusRequest.encode = function (message, writer, _depth) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  return writer;
 };
 GetStatusRequest.decode = function (reader, length, _end, _depth, _target) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  let end, message;
  if (length === undefined)
   end = reader.end;
  else {
   end = reader.pos + length;
   if (end > reader.end)
    throw RangeError("index out of range");
   length = reader.end;
   reader.end = end;
  }
  message = _target || GetStatusRequest.make();
  while (reader.pos < end) {
   let tag = reader.tag();
   if (tag === _end) {
    _end = undefined;
    break;
   }
   reader.skip(tag, _depth);
  }
  if (length !== undefined) {
   if (reader.pos !== end)
    throw RangeError("index out of range");
   reader.end = length;
  }
  if (_end !== undefined)
   throw Error("missing end group");
  return message;
 };
 GetStatusRequest.make = () => ({});
 return GetStatusRequest;
})();
export const GetStatusResponse = (() => {
 const GetStatusResponse = {};
 GetStatusResponse.encode = function (message, writer, _depth) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  if (message.softwareVersion != null && message.softwareVersion !== "")
   writer.uint32(10).string(message.softwareVersion);
  if (message.bootEpoch != null && (typeof message.bootEpoch === "object" ? message.bootEpoch.low || message.bootEpoch.high : message.bootEpoch !== 0))
   writer.uint32(16).uint64(message.bootEpoch);
  if (message.uptime != null)
   Duration.encode(message.uptime, writer.uint32(26).fork(), _depth + 1).ldelim();
  if (message.ready != null && message.ready !== false)
   writer.uint32(32).bool(message.ready);
  if (message.waitingFor != null)
   for (let keys = Object.keys(message.waitingFor), i = 0; i < keys.length; ++i)
    writer.uint32(42).fork().uint32(10).string(keys[i]).uint32(18).string(message.waitingFor[keys[i]]).ldelim();
  if (message.queued != null && message.queued !== 0)
   writer.uint32(48).uint32(message.queued);
  if (message.running != null && message.running !== 0)
   writer.uint32(56).uint32(message.running);
  if (message.workers != null && message.workers !== 0)
   writer.uint32(64).uint32(message.workers);
  if (message.slots != null && message.slots !== 0)
   writer.uint32(72).uint32(message.slots);
  if (message.store != null)
   StoreStat.encode(message.store, writer.uint32(82).fork(), _depth + 1).ldelim();
  if (message.residentBytes != null && (typeof message.residentBytes === "object" ? message.residentBytes.low || message.residentBytes.high : message.residentBytes !== 0))
   writer.uint32(88).int64(message.residentBytes);
  if (message.actionsExecuted != null && (typeof message.actionsExecuted === "object" ? message.actionsExecuted.low || message.actionsExecuted.high : message.actionsExecuted !== 0))
   writer.uint32(96).uint64(message.actionsExecuted);
  if (message.actionsCached != null && (typeof message.actionsCached === "object" ? message.actionsCached.low || message.actionsCached.high : message.actionsCached !== 0))
   writer.uint32(104).uint64(message.actionsCached);
  if (message.warnings != null && message.warnings.length)
   for (let i = 0; i < message.warnings.length; ++i)
    writer.uint32(114).string(message.warnings[i]);
  if (message.httpCache != null && message.httpCache !== "")
   writer.uint32(122).string(message.httpCache);
  return writer;
 };
 GetStatusResponse.decode = function (reader, length, _end, _depth, _target) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  let end, message, key, value;
  if (length === undefined)
   end = reader.end;
  else {
   end = reader.pos + length;
   if (end > reader.end)
    throw RangeError("index out of range");
   length = reader.end;
   reader.end = end;
  }
  message = _target || GetStatusResponse.make();
  while (reader.pos < end) {
   let tag = reader.tag();
   if (tag === _end) {
    _end = undefined;
    break;
   }
   let wireType = tag & 7;
   switch (tag >>>= 3) {
   case 1: {
     if (wireType !== 2)
      break;
     message.softwareVersion = reader.string();
     continue;
    }
   case 2: {
     if (wireType !== 0)
      break;
     message.bootEpoch = reader.uint64();
     continue;
    }
   case 3: {
     if (wireType !== 2)
      break;
     message.uptime = Duration.decode(reader, reader.length(), undefined, _depth + 1, message.uptime);
     continue;
    }
   case 4: {
     if (wireType !== 0)
      break;
     message.ready = reader.bool();
     continue;
    }
   case 5: {
     if (wireType !== 2)
      break;
     if (message.waitingFor === $emptyMap)
      message.waitingFor = {};
     let end2 = reader.length() + reader.pos;
     if (end2 > reader.end)
      throw RangeError("index out of range");
     reader.end = end2;
     key = "";
     value = "";
     while (reader.pos < end2) {
      let tag2 = reader.tag();
      wireType = tag2 & 7;
      switch (tag2 >>>= 3) {
      case 1:
       if (wireType !== 2)
        break;
       key = reader.string();
       continue;
      case 2:
       if (wireType !== 2)
        break;
       value = reader.string();
       continue;
      }
      reader.skip((tag2 << 3 | wireType) >>> 0, _depth);
     }
     if (reader.pos !== end2)
      throw RangeError("index out of range");
     reader.end = end;
     if (key === "__proto__") $own(message.waitingFor, key);
     message.waitingFor[key] = value;
     continue;
    }
   case 6: {
     if (wireType !== 0)
      break;
     message.queued = reader.uint32();
     continue;
    }
   case 7: {
     if (wireType !== 0)
      break;
     message.running = reader.uint32();
     continue;
    }
   case 8: {
     if (wireType !== 0)
      break;
     message.workers = reader.uint32();
     continue;
    }
   case 9: {
     if (wireType !== 0)
      break;
     message.slots = reader.uint32();
     continue;
    }
   case 10: {
     if (wireType !== 2)
      break;
     message.store = StoreStat.decode(reader, reader.length(), undefined, _depth + 1, message.store);
     continue;
    }
   case 11: {
     if (wireType !== 0)
      break;
     message.residentBytes = reader.int64();
     continue;
    }
   case 12: {
     if (wireType !== 0)
      break;
     message.actionsExecuted = reader.uint64();
     continue;
    }
   case 13: {
     if (wireType !== 0)
      break;
     message.actionsCached = reader.uint64();
     continue;
    }
   case 14: {
     if (wireType !== 2)
      break;
     if (!(message.warnings && message.warnings.length))
      message.warnings = [];
     message.warnings.push(reader.string());
     continue;
    }
   case 15: {
     if (wireType !== 2)
      break;
     message.httpCache = reader.string();
     continue;
    }
   }
   reader.skip((tag << 3 | wireType) >>> 0, _depth);
  }
  if (length !== undefined) {
   if (reader.pos !== end)
    throw RangeError("index out of range");
   reader.end = length;
  }
  if (_end !== undefined)
   throw Error("missing end group");
  return message;
 };
 GetStatusResponse.make = () => ({ softwareVersion: "", bootEpoch: 0, ready: false, waitingFor: $emptyMap, queued: 0, running: 0, workers: 0, slots: 0, residentBytes: 0, actionsExecuted: 0, actionsCached: 0, warnings: $none, httpCache: "" });
 return GetStatusResponse;
})();
export const GetStoreUsageRequest = (() => {
 const GetStoreUsageRequest = {};
 GetStoreUsageRequest.encode = function (message, writer, _depth) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  return writer;
 };
 GetStoreUsageRequest.decode = function (reader, length, _end, _depth, _target) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  let end, message;
  if (length === undefined)
   end = reader.end;
  else {
   end = reader.pos + length;
   if (end > reader.end)
    throw RangeError("index out of range");
   length = reader.end;
   reader.end = end;
  }
  message = _target || GetStoreUsageRequest.make();
  while (reader.pos < end) {
   let tag = reader.tag();
   if (tag === _end) {
    _end = undefined;
    break;
   }
   reader.skip(tag, _depth);
  }
  if (length !== undefined) {
   if (reader.pos !== end)
    throw RangeError("index out of range");
   reader.end = length;
  }
  if (_end !== undefined)
   throw Error("missing end group");
  return message;
 };
 GetStoreUsageRequest.make = () => ({});
 return GetStoreUsageRequest;
})();
export const GetStoreUsageResponse = (() => {
 const GetStoreUsageResponse = {};
 // Virtual OneOf for proto3 optional field
 // Virtual OneOf for proto3 optional field
 GetStoreUsageResponse.encode = function (message, writer, _depth) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  if (message.blobs != null)
   BlobCount.encode(message.blobs, writer.uint32(10).fork(), _depth + 1).ldelim();
  if (message.diskBytes != null && (typeof message.diskBytes === "object" ? message.diskBytes.low || message.diskBytes.high : message.diskBytes !== 0))
   writer.uint32(16).int64(message.diskBytes);
  if (message.maxBytes != null)
   writer.uint32(24).int64(message.maxBytes);
  if (message.maxBlobs != null)
   writer.uint32(32).int64(message.maxBlobs);
  if (message.freeBytes != null && (typeof message.freeBytes === "object" ? message.freeBytes.low || message.freeBytes.high : message.freeBytes !== 0))
   writer.uint32(40).int64(message.freeBytes);
  if (message.garbageBytes != null && (typeof message.garbageBytes === "object" ? message.garbageBytes.low || message.garbageBytes.high : message.garbageBytes !== 0))
   writer.uint32(48).int64(message.garbageBytes);
  if (message.sizes != null && message.sizes.length)
   for (let i = 0; i < message.sizes.length; ++i)
    SizeClass.encode(message.sizes[i], writer.uint32(58).fork(), _depth + 1).ldelim();
  if (message.ages != null && message.ages.length)
   for (let i = 0; i < message.ages.length; ++i)
    AgeClass.encode(message.ages[i], writer.uint32(66).fork(), _depth + 1).ldelim();
  if (message.functions != null && message.functions.length)
   for (let i = 0; i < message.functions.length; ++i)
    FunctionUsage.encode(message.functions[i], writer.uint32(74).fork(), _depth + 1).ldelim();
  if (message.instances != null && message.instances.length)
   for (let i = 0; i < message.instances.length; ++i)
    InstanceUsage.encode(message.instances[i], writer.uint32(82).fork(), _depth + 1).ldelim();
  if (message.promised != null)
   BlobCount.encode(message.promised, writer.uint32(90).fork(), _depth + 1).ldelim();
  if (message.pinned != null)
   BlobCount.encode(message.pinned, writer.uint32(98).fork(), _depth + 1).ldelim();
  if (message.evicted != null)
   BlobCount.encode(message.evicted, writer.uint32(106).fork(), _depth + 1).ldelim();
  if (message.brokenPromises != null)
   BlobCount.encode(message.brokenPromises, writer.uint32(114).fork(), _depth + 1).ldelim();
  if (message.retention != null)
   Duration.encode(message.retention, writer.uint32(122).fork(), _depth + 1).ldelim();
  if (message.warning != null && message.warning !== "")
   writer.uint32(130).string(message.warning);
  if (message.storedBytes != null && (typeof message.storedBytes === "object" ? message.storedBytes.low || message.storedBytes.high : message.storedBytes !== 0))
   writer.uint32(136).int64(message.storedBytes);
  if (message.savedBytes != null && (typeof message.savedBytes === "object" ? message.savedBytes.low || message.savedBytes.high : message.savedBytes !== 0))
   writer.uint32(144).int64(message.savedBytes);
  return writer;
 };
 GetStoreUsageResponse.decode = function (reader, length, _end, _depth, _target) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  let end, message, value;
  if (length === undefined)
   end = reader.end;
  else {
   end = reader.pos + length;
   if (end > reader.end)
    throw RangeError("index out of range");
   length = reader.end;
   reader.end = end;
  }
  message = _target || GetStoreUsageResponse.make();
  while (reader.pos < end) {
   let tag = reader.tag();
   if (tag === _end) {
    _end = undefined;
    break;
   }
   let wireType = tag & 7;
   switch (tag >>>= 3) {
   case 1: {
     if (wireType !== 2)
      break;
     message.blobs = BlobCount.decode(reader, reader.length(), undefined, _depth + 1, message.blobs);
     continue;
    }
   case 2: {
     if (wireType !== 0)
      break;
     message.diskBytes = reader.int64();
     continue;
    }
   case 3: {
     if (wireType !== 0)
      break;
     message.maxBytes = reader.int64();
     message._maxBytes = "maxBytes";
     continue;
    }
   case 4: {
     if (wireType !== 0)
      break;
     message.maxBlobs = reader.int64();
     message._maxBlobs = "maxBlobs";
     continue;
    }
   case 5: {
     if (wireType !== 0)
      break;
     message.freeBytes = reader.int64();
     continue;
    }
   case 6: {
     if (wireType !== 0)
      break;
     message.garbageBytes = reader.int64();
     continue;
    }
   case 7: {
     if (wireType !== 2)
      break;
     if (!(message.sizes && message.sizes.length))
      message.sizes = [];
     message.sizes.push(SizeClass.decode(reader, reader.length(), undefined, _depth + 1));
     continue;
    }
   case 8: {
     if (wireType !== 2)
      break;
     if (!(message.ages && message.ages.length))
      message.ages = [];
     message.ages.push(AgeClass.decode(reader, reader.length(), undefined, _depth + 1));
     continue;
    }
   case 9: {
     if (wireType !== 2)
      break;
     if (!(message.functions && message.functions.length))
      message.functions = [];
     message.functions.push(FunctionUsage.decode(reader, reader.length(), undefined, _depth + 1));
     continue;
    }
   case 10: {
     if (wireType !== 2)
      break;
     if (!(message.instances && message.instances.length))
      message.instances = [];
     message.instances.push(InstanceUsage.decode(reader, reader.length(), undefined, _depth + 1));
     continue;
    }
   case 11: {
     if (wireType !== 2)
      break;
     message.promised = BlobCount.decode(reader, reader.length(), undefined, _depth + 1, message.promised);
     continue;
    }
   case 12: {
     if (wireType !== 2)
      break;
     message.pinned = BlobCount.decode(reader, reader.length(), undefined, _depth + 1, message.pinned);
     continue;
    }
   case 13: {
     if (wireType !== 2)
      break;
     message.evicted = BlobCount.decode(reader, reader.length(), undefined, _depth + 1, message.evicted);
     continue;
    }
   case 14: {
     if (wireType !== 2)
      break;
     message.brokenPromises = BlobCount.decode(reader, reader.length(), undefined, _depth + 1, message.brokenPromises);
     continue;
    }
   case 15: {
     if (wireType !== 2)
      break;
     message.retention = Duration.decode(reader, reader.length(), undefined, _depth + 1, message.retention);
     continue;
    }
   case 16: {
     if (wireType !== 2)
      break;
     message.warning = reader.string();
     continue;
    }
   case 17: {
     if (wireType !== 0)
      break;
     message.storedBytes = reader.int64();
     continue;
    }
   case 18: {
     if (wireType !== 0)
      break;
     message.savedBytes = reader.int64();
     continue;
    }
   }
   reader.skip((tag << 3 | wireType) >>> 0, _depth);
  }
  if (length !== undefined) {
   if (reader.pos !== end)
    throw RangeError("index out of range");
   reader.end = length;
  }
  if (_end !== undefined)
   throw Error("missing end group");
  return message;
 };
 GetStoreUsageResponse.make = () => ({ diskBytes: 0, freeBytes: 0, garbageBytes: 0, sizes: $none, ages: $none, functions: $none, instances: $none, warning: "", storedBytes: 0, savedBytes: 0 });
 return GetStoreUsageResponse;
})();
export const Goodbye = (() => {
 const Goodbye = {};
 Goodbye.encode = function (message, writer, _depth) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  if (message.reason != null && message.reason !== "")
   writer.uint32(10).string(message.reason);
  return writer;
 };
 Goodbye.decode = function (reader, length, _end, _depth, _target) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  let end, message, value;
  if (length === undefined)
   end = reader.end;
  else {
   end = reader.pos + length;
   if (end > reader.end)
    throw RangeError("index out of range");
   length = reader.end;
   reader.end = end;
  }
  message = _target || Goodbye.make();
  while (reader.pos < end) {
   let tag = reader.tag();
   if (tag === _end) {
    _end = undefined;
    break;
   }
   let wireType = tag & 7;
   switch (tag >>>= 3) {
   case 1: {
     if (wireType !== 2)
      break;
     message.reason = reader.string();
     continue;
    }
   }
   reader.skip((tag << 3 | wireType) >>> 0, _depth);
  }
  if (length !== undefined) {
   if (reader.pos !== end)
    throw RangeError("index out of range");
   reader.end = length;
  }
  if (_end !== undefined)
   throw Error("missing end group");
  return message;
 };
 Goodbye.make = () => ({ reason: "" });
 return Goodbye;
})();
export const Heartbeat = (() => {
 const Heartbeat = {};
 Heartbeat.encode = function (message, writer, _depth) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  if (message.sequence != null && (typeof message.sequence === "object" ? message.sequence.low || message.sequence.high : message.sequence !== 0))
   writer.uint32(8).uint64(message.sequence);
  if (message.leases != null && message.leases.length)
   for (let i = 0; i < message.leases.length; ++i)
    writer.uint32(18).string(message.leases[i]);
  if (message.load != null)
   Load.encode(message.load, writer.uint32(26).fork(), _depth + 1).ldelim();
  if (message.digestFilter != null)
   DigestFilterUpdate.encode(message.digestFilter, writer.uint32(34).fork(), _depth + 1).ldelim();
  return writer;
 };
 Heartbeat.decode = function (reader, length, _end, _depth, _target) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  let end, message, value;
  if (length === undefined)
   end = reader.end;
  else {
   end = reader.pos + length;
   if (end > reader.end)
    throw RangeError("index out of range");
   length = reader.end;
   reader.end = end;
  }
  message = _target || Heartbeat.make();
  while (reader.pos < end) {
   let tag = reader.tag();
   if (tag === _end) {
    _end = undefined;
    break;
   }
   let wireType = tag & 7;
   switch (tag >>>= 3) {
   case 1: {
     if (wireType !== 0)
      break;
     message.sequence = reader.uint64();
     continue;
    }
   case 2: {
     if (wireType !== 2)
      break;
     if (!(message.leases && message.leases.length))
      message.leases = [];
     message.leases.push(reader.string());
     continue;
    }
   case 3: {
     if (wireType !== 2)
      break;
     message.load = Load.decode(reader, reader.length(), undefined, _depth + 1, message.load);
     continue;
    }
   case 4: {
     if (wireType !== 2)
      break;
     message.digestFilter = DigestFilterUpdate.decode(reader, reader.length(), undefined, _depth + 1, message.digestFilter);
     continue;
    }
   }
   reader.skip((tag << 3 | wireType) >>> 0, _depth);
  }
  if (length !== undefined) {
   if (reader.pos !== end)
    throw RangeError("index out of range");
   reader.end = length;
  }
  if (_end !== undefined)
   throw Error("missing end group");
  return message;
 };
 Heartbeat.make = () => ({ sequence: 0, leases: $none });
 return Heartbeat;
})();
export const Hello = (() => {
 const Hello = {};
 Hello.encode = function (message, writer, _depth) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  if (message.protocolVersion != null && message.protocolVersion !== 0)
   writer.uint32(8).uint32(message.protocolVersion);
  if (message.minProtocolVersion != null && message.minProtocolVersion !== 0)
   writer.uint32(16).uint32(message.minProtocolVersion);
  if (message.features != null && message.features.length)
   for (let i = 0; i < message.features.length; ++i)
    writer.uint32(26).string(message.features[i]);
  if (message.workerId != null && message.workerId !== "")
   writer.uint32(34).string(message.workerId);
  if (message.platform != null)
   Platform.encode(message.platform, writer.uint32(42).fork(), _depth + 1).ldelim();
  if (message.slots != null && message.slots !== 0)
   writer.uint32(48).uint32(message.slots);
  if (message.resources != null)
   Resources.encode(message.resources, writer.uint32(58).fork(), _depth + 1).ldelim();
  if (message.environment != null && message.environment !== "")
   writer.uint32(66).string(message.environment);
  if (message.liveLeases != null && message.liveLeases.length)
   for (let i = 0; i < message.liveLeases.length; ++i)
    writer.uint32(74).string(message.liveLeases[i]);
  if (message.softwareVersion != null && message.softwareVersion !== "")
   writer.uint32(82).string(message.softwareVersion);
  if (message.leaving != null && message.leaving !== false)
   writer.uint32(88).bool(message.leaving);
  if (message.sandboxGrants != null && message.sandboxGrants.length)
   for (let i = 0; i < message.sandboxGrants.length; ++i)
    SandboxGrant.encode(message.sandboxGrants[i], writer.uint32(98).fork(), _depth + 1).ldelim();
  return writer;
 };
 Hello.decode = function (reader, length, _end, _depth, _target) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  let end, message, value;
  if (length === undefined)
   end = reader.end;
  else {
   end = reader.pos + length;
   if (end > reader.end)
    throw RangeError("index out of range");
   length = reader.end;
   reader.end = end;
  }
  message = _target || Hello.make();
  while (reader.pos < end) {
   let tag = reader.tag();
   if (tag === _end) {
    _end = undefined;
    break;
   }
   let wireType = tag & 7;
   switch (tag >>>= 3) {
   case 1: {
     if (wireType !== 0)
      break;
     message.protocolVersion = reader.uint32();
     continue;
    }
   case 2: {
     if (wireType !== 0)
      break;
     message.minProtocolVersion = reader.uint32();
     continue;
    }
   case 3: {
     if (wireType !== 2)
      break;
     if (!(message.features && message.features.length))
      message.features = [];
     message.features.push(reader.string());
     continue;
    }
   case 4: {
     if (wireType !== 2)
      break;
     message.workerId = reader.string();
     continue;
    }
   case 5: {
     if (wireType !== 2)
      break;
     message.platform = Platform.decode(reader, reader.length(), undefined, _depth + 1, message.platform);
     continue;
    }
   case 6: {
     if (wireType !== 0)
      break;
     message.slots = reader.uint32();
     continue;
    }
   case 7: {
     if (wireType !== 2)
      break;
     message.resources = Resources.decode(reader, reader.length(), undefined, _depth + 1, message.resources);
     continue;
    }
   case 8: {
     if (wireType !== 2)
      break;
     message.environment = reader.string();
     continue;
    }
   case 9: {
     if (wireType !== 2)
      break;
     if (!(message.liveLeases && message.liveLeases.length))
      message.liveLeases = [];
     message.liveLeases.push(reader.string());
     continue;
    }
   case 10: {
     if (wireType !== 2)
      break;
     message.softwareVersion = reader.string();
     continue;
    }
   case 11: {
     if (wireType !== 0)
      break;
     message.leaving = reader.bool();
     continue;
    }
   case 12: {
     if (wireType !== 2)
      break;
     if (!(message.sandboxGrants && message.sandboxGrants.length))
      message.sandboxGrants = [];
     message.sandboxGrants.push(SandboxGrant.decode(reader, reader.length(), undefined, _depth + 1));
     continue;
    }
   }
   reader.skip((tag << 3 | wireType) >>> 0, _depth);
  }
  if (length !== undefined) {
   if (reader.pos !== end)
    throw RangeError("index out of range");
   reader.end = length;
  }
  if (_end !== undefined)
   throw Error("missing end group");
  return message;
 };
 Hello.make = () => ({ protocolVersion: 0, minProtocolVersion: 0, features: $none, workerId: "", slots: 0, environment: "", liveLeases: $none, softwareVersion: "", leaving: false, sandboxGrants: $none });
 return Hello;
})();
export const InstanceUsage = (() => {
 const InstanceUsage = {};
 InstanceUsage.encode = function (message, writer, _depth) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  if (message.instanceName != null && message.instanceName !== "")
   writer.uint32(10).string(message.instanceName);
  if (message.results != null && (typeof message.results === "object" ? message.results.low || message.results.high : message.results !== 0))
   writer.uint32(16).int64(message.results);
  if (message.bytes != null && (typeof message.bytes === "object" ? message.bytes.low || message.bytes.high : message.bytes !== 0))
   writer.uint32(24).int64(message.bytes);
  if (message.unknown != null && message.unknown !== false)
   writer.uint32(32).bool(message.unknown);
  return writer;
 };
 InstanceUsage.decode = function (reader, length, _end, _depth, _target) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  let end, message, value;
  if (length === undefined)
   end = reader.end;
  else {
   end = reader.pos + length;
   if (end > reader.end)
    throw RangeError("index out of range");
   length = reader.end;
   reader.end = end;
  }
  message = _target || InstanceUsage.make();
  while (reader.pos < end) {
   let tag = reader.tag();
   if (tag === _end) {
    _end = undefined;
    break;
   }
   let wireType = tag & 7;
   switch (tag >>>= 3) {
   case 1: {
     if (wireType !== 2)
      break;
     message.instanceName = reader.string();
     continue;
    }
   case 2: {
     if (wireType !== 0)
      break;
     message.results = reader.int64();
     continue;
    }
   case 3: {
     if (wireType !== 0)
      break;
     message.bytes = reader.int64();
     continue;
    }
   case 4: {
     if (wireType !== 0)
      break;
     message.unknown = reader.bool();
     continue;
    }
   }
   reader.skip((tag << 3 | wireType) >>> 0, _depth);
  }
  if (length !== undefined) {
   if (reader.pos !== end)
    throw RangeError("index out of range");
   reader.end = length;
  }
  if (_end !== undefined)
   throw Error("missing end group");
  return message;
 };
 InstanceUsage.make = () => ({ instanceName: "", results: 0, bytes: 0, unknown: false });
 return InstanceUsage;
})();
export const Lease = (() => {
 const Lease = {};
 Lease.encode = function (message, writer, _depth) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  if (message.leaseId != null && message.leaseId !== "")
   writer.uint32(10).string(message.leaseId);
  if (message.instanceName != null && message.instanceName !== "")
   writer.uint32(18).string(message.instanceName);
  if (message.digestFunction != null && message.digestFunction !== 0)
   writer.uint32(24).int32(message.digestFunction);
  if (message.actionDigest != null)
   Digest.encode(message.actionDigest, writer.uint32(34).fork(), _depth + 1).ldelim();
  if (message.action != null && message.action.length)
   writer.uint32(42).blob(message.action);
  if (message.command != null && message.command.length)
   writer.uint32(50).blob(message.command);
  if (message.timeout != null)
   Duration.encode(message.timeout, writer.uint32(58).fork(), _depth + 1).ldelim();
  if (message.attempt != null && message.attempt !== 0)
   writer.uint32(64).uint32(message.attempt);
  if (message.traceparent != null && message.traceparent !== "")
   writer.uint32(74).string(message.traceparent);
  if (message.queuedFor != null)
   Duration.encode(message.queuedFor, writer.uint32(82).fork(), _depth + 1).ldelim();
  if (message.operation != null && message.operation !== "")
   writer.uint32(90).string(message.operation);
  if (message.requestMetadata != null && message.requestMetadata.length)
   writer.uint32(98).blob(message.requestMetadata);
  return writer;
 };
 Lease.decode = function (reader, length, _end, _depth, _target) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  let end, message, value;
  if (length === undefined)
   end = reader.end;
  else {
   end = reader.pos + length;
   if (end > reader.end)
    throw RangeError("index out of range");
   length = reader.end;
   reader.end = end;
  }
  message = _target || Lease.make();
  while (reader.pos < end) {
   let tag = reader.tag();
   if (tag === _end) {
    _end = undefined;
    break;
   }
   let wireType = tag & 7;
   switch (tag >>>= 3) {
   case 1: {
     if (wireType !== 2)
      break;
     message.leaseId = reader.string();
     continue;
    }
   case 2: {
     if (wireType !== 2)
      break;
     message.instanceName = reader.string();
     continue;
    }
   case 3: {
     if (wireType !== 0)
      break;
     message.digestFunction = reader.int32();
     continue;
    }
   case 4: {
     if (wireType !== 2)
      break;
     message.actionDigest = Digest.decode(reader, reader.length(), undefined, _depth + 1, message.actionDigest);
     continue;
    }
   case 5: {
     if (wireType !== 2)
      break;
     message.action = reader.view();
     continue;
    }
   case 6: {
     if (wireType !== 2)
      break;
     message.command = reader.view();
     continue;
    }
   case 7: {
     if (wireType !== 2)
      break;
     message.timeout = Duration.decode(reader, reader.length(), undefined, _depth + 1, message.timeout);
     continue;
    }
   case 8: {
     if (wireType !== 0)
      break;
     message.attempt = reader.uint32();
     continue;
    }
   case 9: {
     if (wireType !== 2)
      break;
     message.traceparent = reader.string();
     continue;
    }
   case 10: {
     if (wireType !== 2)
      break;
     message.queuedFor = Duration.decode(reader, reader.length(), undefined, _depth + 1, message.queuedFor);
     continue;
    }
   case 11: {
     if (wireType !== 2)
      break;
     message.operation = reader.string();
     continue;
    }
   case 12: {
     if (wireType !== 2)
      break;
     message.requestMetadata = reader.view();
     continue;
    }
   }
   reader.skip((tag << 3 | wireType) >>> 0, _depth);
  }
  if (length !== undefined) {
   if (reader.pos !== end)
    throw RangeError("index out of range");
   reader.end = length;
  }
  if (_end !== undefined)
   throw Error("missing end group");
  return message;
 };
 Lease.make = () => ({ leaseId: "", instanceName: "", digestFunction: 0, action: $noBytes, command: $noBytes, attempt: 0, traceparent: "", operation: "", requestMetadata: $noBytes });
 return Lease;
})();
export const LeaseResult = (() => {
 const LeaseResult = {};
 LeaseResult.encode = function (message, writer, _depth) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  if (message.leaseId != null && message.leaseId !== "")
   writer.uint32(10).string(message.leaseId);
  if (message.outcome != null && message.outcome !== 0)
   writer.uint32(16).int32(message.outcome);
  if (message.status != null)
   Status.encode(message.status, writer.uint32(26).fork(), _depth + 1).ldelim();
  if (message.actionResult != null && message.actionResult.length)
   writer.uint32(34).blob(message.actionResult);
  if (message.message != null && message.message !== "")
   writer.uint32(42).string(message.message);
  if (message.action != null)
   ActionReference.encode(message.action, writer.uint32(50).fork(), _depth + 1).ldelim();
  return writer;
 };
 LeaseResult.decode = function (reader, length, _end, _depth, _target) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  let end, message, value;
  if (length === undefined)
   end = reader.end;
  else {
   end = reader.pos + length;
   if (end > reader.end)
    throw RangeError("index out of range");
   length = reader.end;
   reader.end = end;
  }
  message = _target || LeaseResult.make();
  while (reader.pos < end) {
   let tag = reader.tag();
   if (tag === _end) {
    _end = undefined;
    break;
   }
   let wireType = tag & 7;
   switch (tag >>>= 3) {
   case 1: {
     if (wireType !== 2)
      break;
     message.leaseId = reader.string();
     continue;
    }
   case 2: {
     if (wireType !== 0)
      break;
     message.outcome = reader.int32();
     continue;
    }
   case 3: {
     if (wireType !== 2)
      break;
     message.status = Status.decode(reader, reader.length(), undefined, _depth + 1, message.status);
     continue;
    }
   case 4: {
     if (wireType !== 2)
      break;
     message.actionResult = reader.view();
     continue;
    }
   case 5: {
     if (wireType !== 2)
      break;
     message.message = reader.string();
     continue;
    }
   case 6: {
     if (wireType !== 2)
      break;
     message.action = ActionReference.decode(reader, reader.length(), undefined, _depth + 1, message.action);
     continue;
    }
   }
   reader.skip((tag << 3 | wireType) >>> 0, _depth);
  }
  if (length !== undefined) {
   if (reader.pos !== end)
    throw RangeError("index out of range");
   reader.end = length;
  }
  if (_end !== undefined)
   throw Error("missing end group");
  return message;
 };
 LeaseResult.make = () => ({ leaseId: "", outcome: 0, actionResult: $noBytes, message: "" });
 return LeaseResult;
})();
export const ListPinsRequest = (() => {
 const ListPinsRequest = {};
 ListPinsRequest.encode = function (message, writer, _depth) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  return writer;
 };
 ListPinsRequest.decode = function (reader, length, _end, _depth, _target) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  let end, message;
  if (length === undefined)
   end = reader.end;
  else {
   end = reader.pos + length;
   if (end > reader.end)
    throw RangeError("index out of range");
   length = reader.end;
   reader.end = end;
  }
  message = _target || ListPinsRequest.make();
  while (reader.pos < end) {
   let tag = reader.tag();
   if (tag === _end) {
    _end = undefined;
    break;
   }
   reader.skip(tag, _depth);
  }
  if (length !== undefined) {
   if (reader.pos !== end)
    throw RangeError("index out of range");
   reader.end = length;
  }
  if (_end !== undefined)
   throw Error("missing end group");
  return message;
 };
 ListPinsRequest.make = () => ({});
 return ListPinsRequest;
})();
export const ListPinsResponse = (() => {
 const ListPinsResponse = {};
 ListPinsResponse.encode = function (message, writer, _depth) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  if (message.pins != null && message.pins.length)
   for (let i = 0; i < message.pins.length; ++i)
    Pin.encode(message.pins[i], writer.uint32(10).fork(), _depth + 1).ldelim();
  return writer;
 };
 ListPinsResponse.decode = function (reader, length, _end, _depth, _target) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  let end, message;
  if (length === undefined)
   end = reader.end;
  else {
   end = reader.pos + length;
   if (end > reader.end)
    throw RangeError("index out of range");
   length = reader.end;
   reader.end = end;
  }
  message = _target || ListPinsResponse.make();
  while (reader.pos < end) {
   let tag = reader.tag();
   if (tag === _end) {
    _end = undefined;
    break;
   }
   let wireType = tag & 7;
   switch (tag >>>= 3) {
   case 1: {
     if (wireType !== 2)
      break;
     if (!(message.pins && message.pins.length))
      message.pins = [];
     message.pins.push(Pin.decode(reader, reader.length(), undefined, _depth + 1));
     continue;
    }
   }
   reader.skip((tag << 3 | wireType) >>> 0, _depth);
  }
  if (length !== undefined) {
   if (reader.pos !== end)
    throw RangeError("index out of range");
   reader.end = length;
  }
  if (_end !== undefined)
   throw Error("missing end group");
  return message;
 };
 ListPinsResponse.make = () => ({ pins: $none });
 return ListPinsResponse;
})();
export const ListWorkersRequest = (() => {
 const ListWorkersRequest = {};
 ListWorkersRequest.encode = function (message, writer, _depth) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  return writer;
 };
 ListWorkersRequest.decode = function (reader, length, _end, _depth, _target) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  let end, message;
  if (length === undefined)
   end = reader.end;
  else {
   end = reader.pos + length;
   if (end > reader.end)
    throw RangeError("index out of range");
   length = reader.end;
   reader.end = end;
  }
  message = _target || ListWorkersRequest.make();
  while (reader.pos < end) {
   let tag = reader.tag();
   if (tag === _end) {
    _end = undefined;
    break;
   }
   reader.skip(tag, _depth);
  }
  if (length !== undefined) {
   if (reader.pos !== end)
    throw RangeError("index out of range");
   reader.end = length;
  }
  if (_end !== undefined)
   throw Error("missing end group");
  return message;
 };
 ListWorkersRequest.make = () => ({});
 return ListWorkersRequest;
})();
export const ListWorkersResponse = (() => {
 const ListWorkersResponse = {};
 ListWorkersResponse.encode = function (message, writer, _depth) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  if (message.workers != null && message.workers.length)
   for (let i = 0; i < message.workers.length; ++i)
    WorkerInfo.encode(message.workers[i], writer.uint32(10).fork(), _depth + 1).ldelim();
  return writer;
 };
 ListWorkersResponse.decode = function (reader, length, _end, _depth, _target) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  let end, message;
  if (length === undefined)
   end = reader.end;
  else {
   end = reader.pos + length;
   if (end > reader.end)
    throw RangeError("index out of range");
   length = reader.end;
   reader.end = end;
  }
  message = _target || ListWorkersResponse.make();
  while (reader.pos < end) {
   let tag = reader.tag();
   if (tag === _end) {
    _end = undefined;
    break;
   }
   let wireType = tag & 7;
   switch (tag >>>= 3) {
   case 1: {
     if (wireType !== 2)
      break;
     if (!(message.workers && message.workers.length))
      message.workers = [];
     message.workers.push(WorkerInfo.decode(reader, reader.length(), undefined, _depth + 1));
     continue;
    }
   }
   reader.skip((tag << 3 | wireType) >>> 0, _depth);
  }
  if (length !== undefined) {
   if (reader.pos !== end)
    throw RangeError("index out of range");
   reader.end = length;
  }
  if (_end !== undefined)
   throw Error("missing end group");
  return message;
 };
 ListWorkersResponse.make = () => ({ workers: $none });
 return ListWorkersResponse;
})();
export const Load = (() => {
 const Load = {};
 Load.encode = function (message, writer, _depth) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  if (message.slotsUsed != null && message.slotsUsed !== 0)
   writer.uint32(8).uint32(message.slotsUsed);
  if (message.loadMillis != null && message.loadMillis !== 0)
   writer.uint32(16).uint32(message.loadMillis);
  if (message.memoryFreeBytes != null && (typeof message.memoryFreeBytes === "object" ? message.memoryFreeBytes.low || message.memoryFreeBytes.high : message.memoryFreeBytes !== 0))
   writer.uint32(24).int64(message.memoryFreeBytes);
  if (message.diskFreeBytes != null && (typeof message.diskFreeBytes === "object" ? message.diskFreeBytes.low || message.diskFreeBytes.high : message.diskFreeBytes !== 0))
   writer.uint32(32).int64(message.diskFreeBytes);
  return writer;
 };
 Load.decode = function (reader, length, _end, _depth, _target) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  let end, message, value;
  if (length === undefined)
   end = reader.end;
  else {
   end = reader.pos + length;
   if (end > reader.end)
    throw RangeError("index out of range");
   length = reader.end;
   reader.end = end;
  }
  message = _target || Load.make();
  while (reader.pos < end) {
   let tag = reader.tag();
   if (tag === _end) {
    _end = undefined;
    break;
   }
   let wireType = tag & 7;
   switch (tag >>>= 3) {
   case 1: {
     if (wireType !== 0)
      break;
     message.slotsUsed = reader.uint32();
     continue;
    }
   case 2: {
     if (wireType !== 0)
      break;
     message.loadMillis = reader.uint32();
     continue;
    }
   case 3: {
     if (wireType !== 0)
      break;
     message.memoryFreeBytes = reader.int64();
     continue;
    }
   case 4: {
     if (wireType !== 0)
      break;
     message.diskFreeBytes = reader.int64();
     continue;
    }
   }
   reader.skip((tag << 3 | wireType) >>> 0, _depth);
  }
  if (length !== undefined) {
   if (reader.pos !== end)
    throw RangeError("index out of range");
   reader.end = length;
  }
  if (_end !== undefined)
   throw Error("missing end group");
  return message;
 };
 Load.make = () => ({ slotsUsed: 0, loadMillis: 0, memoryFreeBytes: 0, diskFreeBytes: 0 });
 return Load;
})();
export const Phase = (() => {
 const Phase = {};
 Phase.encode = function (message, writer, _depth) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  if (message.name != null && message.name !== "")
   writer.uint32(10).string(message.name);
  if (message.start != null)
   Duration.encode(message.start, writer.uint32(18).fork(), _depth + 1).ldelim();
  if (message.duration != null)
   Duration.encode(message.duration, writer.uint32(26).fork(), _depth + 1).ldelim();
  return writer;
 };
 Phase.decode = function (reader, length, _end, _depth, _target) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  let end, message, value;
  if (length === undefined)
   end = reader.end;
  else {
   end = reader.pos + length;
   if (end > reader.end)
    throw RangeError("index out of range");
   length = reader.end;
   reader.end = end;
  }
  message = _target || Phase.make();
  while (reader.pos < end) {
   let tag = reader.tag();
   if (tag === _end) {
    _end = undefined;
    break;
   }
   let wireType = tag & 7;
   switch (tag >>>= 3) {
   case 1: {
     if (wireType !== 2)
      break;
     message.name = reader.string();
     continue;
    }
   case 2: {
     if (wireType !== 2)
      break;
     message.start = Duration.decode(reader, reader.length(), undefined, _depth + 1, message.start);
     continue;
    }
   case 3: {
     if (wireType !== 2)
      break;
     message.duration = Duration.decode(reader, reader.length(), undefined, _depth + 1, message.duration);
     continue;
    }
   }
   reader.skip((tag << 3 | wireType) >>> 0, _depth);
  }
  if (length !== undefined) {
   if (reader.pos !== end)
    throw RangeError("index out of range");
   reader.end = length;
  }
  if (_end !== undefined)
   throw Error("missing end group");
  return message;
 };
 Phase.make = () => ({ name: "" });
 return Phase;
})();
export const Pin = (() => {
 const Pin = {};
 Pin.encode = function (message, writer, _depth) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  if (message.name != null && message.name !== "")
   writer.uint32(10).string(message.name);
  if (message.instanceName != null && message.instanceName !== "")
   writer.uint32(18).string(message.instanceName);
  if (message.digestFunction != null && message.digestFunction !== 0)
   writer.uint32(24).int32(message.digestFunction);
  if (message.actionDigest != null)
   Digest.encode(message.actionDigest, writer.uint32(34).fork(), _depth + 1).ldelim();
  if (message.count != null)
   BlobCount.encode(message.count, writer.uint32(42).fork(), _depth + 1).ldelim();
  if (message.created != null)
   Timestamp.encode(message.created, writer.uint32(50).fork(), _depth + 1).ldelim();
  if (message.until != null)
   Timestamp.encode(message.until, writer.uint32(58).fork(), _depth + 1).ldelim();
  if (message.problem != null && message.problem !== "")
   writer.uint32(66).string(message.problem);
  return writer;
 };
 Pin.decode = function (reader, length, _end, _depth, _target) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  let end, message, value;
  if (length === undefined)
   end = reader.end;
  else {
   end = reader.pos + length;
   if (end > reader.end)
    throw RangeError("index out of range");
   length = reader.end;
   reader.end = end;
  }
  message = _target || Pin.make();
  while (reader.pos < end) {
   let tag = reader.tag();
   if (tag === _end) {
    _end = undefined;
    break;
   }
   let wireType = tag & 7;
   switch (tag >>>= 3) {
   case 1: {
     if (wireType !== 2)
      break;
     message.name = reader.string();
     continue;
    }
   case 2: {
     if (wireType !== 2)
      break;
     message.instanceName = reader.string();
     continue;
    }
   case 3: {
     if (wireType !== 0)
      break;
     message.digestFunction = reader.int32();
     continue;
    }
   case 4: {
     if (wireType !== 2)
      break;
     message.actionDigest = Digest.decode(reader, reader.length(), undefined, _depth + 1, message.actionDigest);
     continue;
    }
   case 5: {
     if (wireType !== 2)
      break;
     message.count = BlobCount.decode(reader, reader.length(), undefined, _depth + 1, message.count);
     continue;
    }
   case 6: {
     if (wireType !== 2)
      break;
     message.created = Timestamp.decode(reader, reader.length(), undefined, _depth + 1, message.created);
     continue;
    }
   case 7: {
     if (wireType !== 2)
      break;
     message.until = Timestamp.decode(reader, reader.length(), undefined, _depth + 1, message.until);
     continue;
    }
   case 8: {
     if (wireType !== 2)
      break;
     message.problem = reader.string();
     continue;
    }
   }
   reader.skip((tag << 3 | wireType) >>> 0, _depth);
  }
  if (length !== undefined) {
   if (reader.pos !== end)
    throw RangeError("index out of range");
   reader.end = length;
  }
  if (_end !== undefined)
   throw Error("missing end group");
  return message;
 };
 Pin.make = () => ({ name: "", instanceName: "", digestFunction: 0, problem: "" });
 return Pin;
})();
export const PinBlobsRequest = (() => {
 const PinBlobsRequest = {};
 PinBlobsRequest.encode = function (message, writer, _depth) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  if (message.instanceName != null && message.instanceName !== "")
   writer.uint32(10).string(message.instanceName);
  if (message.digestFunction != null && message.digestFunction !== 0)
   writer.uint32(16).int32(message.digestFunction);
  if (message.actionDigest != null)
   Digest.encode(message.actionDigest, writer.uint32(26).fork(), _depth + 1).ldelim();
  if (message.blobDigests != null && message.blobDigests.length)
   for (let i = 0; i < message.blobDigests.length; ++i)
    Digest.encode(message.blobDigests[i], writer.uint32(34).fork(), _depth + 1).ldelim();
  if (message.duration != null)
   Duration.encode(message.duration, writer.uint32(42).fork(), _depth + 1).ldelim();
  if (message.name != null && message.name !== "")
   writer.uint32(50).string(message.name);
  if (message.withoutInputs != null && message.withoutInputs !== false)
   writer.uint32(56).bool(message.withoutInputs);
  return writer;
 };
 PinBlobsRequest.decode = function (reader, length, _end, _depth, _target) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  let end, message, value;
  if (length === undefined)
   end = reader.end;
  else {
   end = reader.pos + length;
   if (end > reader.end)
    throw RangeError("index out of range");
   length = reader.end;
   reader.end = end;
  }
  message = _target || PinBlobsRequest.make();
  while (reader.pos < end) {
   let tag = reader.tag();
   if (tag === _end) {
    _end = undefined;
    break;
   }
   let wireType = tag & 7;
   switch (tag >>>= 3) {
   case 1: {
     if (wireType !== 2)
      break;
     message.instanceName = reader.string();
     continue;
    }
   case 2: {
     if (wireType !== 0)
      break;
     message.digestFunction = reader.int32();
     continue;
    }
   case 3: {
     if (wireType !== 2)
      break;
     message.actionDigest = Digest.decode(reader, reader.length(), undefined, _depth + 1, message.actionDigest);
     continue;
    }
   case 4: {
     if (wireType !== 2)
      break;
     if (!(message.blobDigests && message.blobDigests.length))
      message.blobDigests = [];
     message.blobDigests.push(Digest.decode(reader, reader.length(), undefined, _depth + 1));
     continue;
    }
   case 5: {
     if (wireType !== 2)
      break;
     message.duration = Duration.decode(reader, reader.length(), undefined, _depth + 1, message.duration);
     continue;
    }
   case 6: {
     if (wireType !== 2)
      break;
     message.name = reader.string();
     continue;
    }
   case 7: {
     if (wireType !== 0)
      break;
     message.withoutInputs = reader.bool();
     continue;
    }
   }
   reader.skip((tag << 3 | wireType) >>> 0, _depth);
  }
  if (length !== undefined) {
   if (reader.pos !== end)
    throw RangeError("index out of range");
   reader.end = length;
  }
  if (_end !== undefined)
   throw Error("missing end group");
  return message;
 };
 PinBlobsRequest.make = () => ({ instanceName: "", digestFunction: 0, blobDigests: $none, name: "", withoutInputs: false });
 return PinBlobsRequest;
})();
export const PinBlobsResponse = (() => {
 const PinBlobsResponse = {};
 PinBlobsResponse.encode = function (message, writer, _depth) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  if (message.pin != null)
   Pin.encode(message.pin, writer.uint32(10).fork(), _depth + 1).ldelim();
  if (message.missing != null && message.missing.length)
   for (let i = 0; i < message.missing.length; ++i)
    Digest.encode(message.missing[i], writer.uint32(18).fork(), _depth + 1).ldelim();
  if (message.missingCount != null && (typeof message.missingCount === "object" ? message.missingCount.low || message.missingCount.high : message.missingCount !== 0))
   writer.uint32(24).int64(message.missingCount);
  if (message.notes != null && message.notes.length)
   for (let i = 0; i < message.notes.length; ++i)
    writer.uint32(34).string(message.notes[i]);
  return writer;
 };
 PinBlobsResponse.decode = function (reader, length, _end, _depth, _target) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  let end, message, value;
  if (length === undefined)
   end = reader.end;
  else {
   end = reader.pos + length;
   if (end > reader.end)
    throw RangeError("index out of range");
   length = reader.end;
   reader.end = end;
  }
  message = _target || PinBlobsResponse.make();
  while (reader.pos < end) {
   let tag = reader.tag();
   if (tag === _end) {
    _end = undefined;
    break;
   }
   let wireType = tag & 7;
   switch (tag >>>= 3) {
   case 1: {
     if (wireType !== 2)
      break;
     message.pin = Pin.decode(reader, reader.length(), undefined, _depth + 1, message.pin);
     continue;
    }
   case 2: {
     if (wireType !== 2)
      break;
     if (!(message.missing && message.missing.length))
      message.missing = [];
     message.missing.push(Digest.decode(reader, reader.length(), undefined, _depth + 1));
     continue;
    }
   case 3: {
     if (wireType !== 0)
      break;
     message.missingCount = reader.int64();
     continue;
    }
   case 4: {
     if (wireType !== 2)
      break;
     if (!(message.notes && message.notes.length))
      message.notes = [];
     message.notes.push(reader.string());
     continue;
    }
   }
   reader.skip((tag << 3 | wireType) >>> 0, _depth);
  }
  if (length !== undefined) {
   if (reader.pos !== end)
    throw RangeError("index out of range");
   reader.end = length;
  }
  if (_end !== undefined)
   throw Error("missing end group");
  return message;
 };
 PinBlobsResponse.make = () => ({ missing: $none, missingCount: 0, notes: $none });
 return PinBlobsResponse;
})();
export const ResourceUsage = (() => {
 const ResourceUsage = {};
 // Virtual OneOf for proto3 optional field
 // Virtual OneOf for proto3 optional field
 // Virtual OneOf for proto3 optional field
 // Virtual OneOf for proto3 optional field
 // Virtual OneOf for proto3 optional field
 ResourceUsage.encode = function (message, writer, _depth) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  if (message.cpuUser != null)
   Duration.encode(message.cpuUser, writer.uint32(10).fork(), _depth + 1).ldelim();
  if (message.cpuSystem != null)
   Duration.encode(message.cpuSystem, writer.uint32(18).fork(), _depth + 1).ldelim();
  if (message.maxRssBytes != null && (typeof message.maxRssBytes === "object" ? message.maxRssBytes.low || message.maxRssBytes.high : message.maxRssBytes !== 0))
   writer.uint32(24).int64(message.maxRssBytes);
  if (message.outOfMemory != null && message.outOfMemory !== false)
   writer.uint32(32).bool(message.outOfMemory);
  if (message.stdoutDroppedBytes != null && (typeof message.stdoutDroppedBytes === "object" ? message.stdoutDroppedBytes.low || message.stdoutDroppedBytes.high : message.stdoutDroppedBytes !== 0))
   writer.uint32(40).int64(message.stdoutDroppedBytes);
  if (message.stderrDroppedBytes != null && (typeof message.stderrDroppedBytes === "object" ? message.stderrDroppedBytes.low || message.stderrDroppedBytes.high : message.stderrDroppedBytes !== 0))
   writer.uint32(48).int64(message.stderrDroppedBytes);
  if (message.inputFetchedBytes != null && (typeof message.inputFetchedBytes === "object" ? message.inputFetchedBytes.low || message.inputFetchedBytes.high : message.inputFetchedBytes !== 0))
   writer.uint32(56).int64(message.inputFetchedBytes);
  if (message.inputFetchedBlobs != null && (typeof message.inputFetchedBlobs === "object" ? message.inputFetchedBlobs.low || message.inputFetchedBlobs.high : message.inputFetchedBlobs !== 0))
   writer.uint32(64).int64(message.inputFetchedBlobs);
  if (message.isolation != null && message.isolation !== "")
   writer.uint32(74).string(message.isolation);
  if (message.memoryPeakBytes != null)
   writer.uint32(80).int64(message.memoryPeakBytes);
  if (message.pidsPeak != null)
   writer.uint32(88).int64(message.pidsPeak);
  if (message.ioReadBytes != null)
   writer.uint32(96).int64(message.ioReadBytes);
  if (message.ioWriteBytes != null)
   writer.uint32(104).int64(message.ioWriteBytes);
  if (message.cpuThrottled != null)
   Duration.encode(message.cpuThrottled, writer.uint32(114).fork(), _depth + 1).ldelim();
  if (message.pidsRefused != null)
   writer.uint32(120).int64(message.pidsRefused);
  if (message.sandbox != null)
   SandboxTerms.encode(message.sandbox, writer.uint32(130).fork(), _depth + 1).ldelim();
  return writer;
 };
 ResourceUsage.decode = function (reader, length, _end, _depth, _target) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  let end, message, value;
  if (length === undefined)
   end = reader.end;
  else {
   end = reader.pos + length;
   if (end > reader.end)
    throw RangeError("index out of range");
   length = reader.end;
   reader.end = end;
  }
  message = _target || ResourceUsage.make();
  while (reader.pos < end) {
   let tag = reader.tag();
   if (tag === _end) {
    _end = undefined;
    break;
   }
   let wireType = tag & 7;
   switch (tag >>>= 3) {
   case 1: {
     if (wireType !== 2)
      break;
     message.cpuUser = Duration.decode(reader, reader.length(), undefined, _depth + 1, message.cpuUser);
     continue;
    }
   case 2: {
     if (wireType !== 2)
      break;
     message.cpuSystem = Duration.decode(reader, reader.length(), undefined, _depth + 1, message.cpuSystem);
     continue;
    }
   case 3: {
     if (wireType !== 0)
      break;
     message.maxRssBytes = reader.int64();
     continue;
    }
   case 4: {
     if (wireType !== 0)
      break;
     message.outOfMemory = reader.bool();
     continue;
    }
   case 5: {
     if (wireType !== 0)
      break;
     message.stdoutDroppedBytes = reader.int64();
     continue;
    }
   case 6: {
     if (wireType !== 0)
      break;
     message.stderrDroppedBytes = reader.int64();
     continue;
    }
   case 7: {
     if (wireType !== 0)
      break;
     message.inputFetchedBytes = reader.int64();
     continue;
    }
   case 8: {
     if (wireType !== 0)
      break;
     message.inputFetchedBlobs = reader.int64();
     continue;
    }
   case 9: {
     if (wireType !== 2)
      break;
     message.isolation = reader.string();
     continue;
    }
   case 10: {
     if (wireType !== 0)
      break;
     message.memoryPeakBytes = reader.int64();
     message._memoryPeakBytes = "memoryPeakBytes";
     continue;
    }
   case 11: {
     if (wireType !== 0)
      break;
     message.pidsPeak = reader.int64();
     message._pidsPeak = "pidsPeak";
     continue;
    }
   case 12: {
     if (wireType !== 0)
      break;
     message.ioReadBytes = reader.int64();
     message._ioReadBytes = "ioReadBytes";
     continue;
    }
   case 13: {
     if (wireType !== 0)
      break;
     message.ioWriteBytes = reader.int64();
     message._ioWriteBytes = "ioWriteBytes";
     continue;
    }
   case 14: {
     if (wireType !== 2)
      break;
     message.cpuThrottled = Duration.decode(reader, reader.length(), undefined, _depth + 1, message.cpuThrottled);
     continue;
    }
   case 15: {
     if (wireType !== 0)
      break;
     message.pidsRefused = reader.int64();
     message._pidsRefused = "pidsRefused";
     continue;
    }
   case 16: {
     if (wireType !== 2)
      break;
     message.sandbox = SandboxTerms.decode(reader, reader.length(), undefined, _depth + 1, message.sandbox);
     continue;
    }
   }
   reader.skip((tag << 3 | wireType) >>> 0, _depth);
  }
  if (length !== undefined) {
   if (reader.pos !== end)
    throw RangeError("index out of range");
   reader.end = length;
  }
  if (_end !== undefined)
   throw Error("missing end group");
  return message;
 };
 ResourceUsage.make = () => ({ maxRssBytes: 0, outOfMemory: false, stdoutDroppedBytes: 0, stderrDroppedBytes: 0, inputFetchedBytes: 0, inputFetchedBlobs: 0, isolation: "" });
 return ResourceUsage;
})();
export const Resources = (() => {
 const Resources = {};
 Resources.encode = function (message, writer, _depth) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  if (message.cpuMillis != null && message.cpuMillis !== 0)
   writer.uint32(8).uint32(message.cpuMillis);
  if (message.memoryBytes != null && (typeof message.memoryBytes === "object" ? message.memoryBytes.low || message.memoryBytes.high : message.memoryBytes !== 0))
   writer.uint32(16).int64(message.memoryBytes);
  if (message.diskBytes != null && (typeof message.diskBytes === "object" ? message.diskBytes.low || message.diskBytes.high : message.diskBytes !== 0))
   writer.uint32(24).int64(message.diskBytes);
  return writer;
 };
 Resources.decode = function (reader, length, _end, _depth, _target) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  let end, message, value;
  if (length === undefined)
   end = reader.end;
  else {
   end = reader.pos + length;
   if (end > reader.end)
    throw RangeError("index out of range");
   length = reader.end;
   reader.end = end;
  }
  message = _target || Resources.make();
  while (reader.pos < end) {
   let tag = reader.tag();
   if (tag === _end) {
    _end = undefined;
    break;
   }
   let wireType = tag & 7;
   switch (tag >>>= 3) {
   case 1: {
     if (wireType !== 0)
      break;
     message.cpuMillis = reader.uint32();
     continue;
    }
   case 2: {
     if (wireType !== 0)
      break;
     message.memoryBytes = reader.int64();
     continue;
    }
   case 3: {
     if (wireType !== 0)
      break;
     message.diskBytes = reader.int64();
     continue;
    }
   }
   reader.skip((tag << 3 | wireType) >>> 0, _depth);
  }
  if (length !== undefined) {
   if (reader.pos !== end)
    throw RangeError("index out of range");
   reader.end = length;
  }
  if (_end !== undefined)
   throw Error("missing end group");
  return message;
 };
 Resources.make = () => ({ cpuMillis: 0, memoryBytes: 0, diskBytes: 0 });
 return Resources;
})();
export const ResultAck = (() => {
 const ResultAck = {};
 ResultAck.encode = function (message, writer, _depth) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  if (message.leaseId != null && message.leaseId !== "")
   writer.uint32(10).string(message.leaseId);
  if (message.accepted != null && message.accepted !== false)
   writer.uint32(16).bool(message.accepted);
  return writer;
 };
 ResultAck.decode = function (reader, length, _end, _depth, _target) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  let end, message, value;
  if (length === undefined)
   end = reader.end;
  else {
   end = reader.pos + length;
   if (end > reader.end)
    throw RangeError("index out of range");
   length = reader.end;
   reader.end = end;
  }
  message = _target || ResultAck.make();
  while (reader.pos < end) {
   let tag = reader.tag();
   if (tag === _end) {
    _end = undefined;
    break;
   }
   let wireType = tag & 7;
   switch (tag >>>= 3) {
   case 1: {
     if (wireType !== 2)
      break;
     message.leaseId = reader.string();
     continue;
    }
   case 2: {
     if (wireType !== 0)
      break;
     message.accepted = reader.bool();
     continue;
    }
   }
   reader.skip((tag << 3 | wireType) >>> 0, _depth);
  }
  if (length !== undefined) {
   if (reader.pos !== end)
    throw RangeError("index out of range");
   reader.end = length;
  }
  if (_end !== undefined)
   throw Error("missing end group");
  return message;
 };
 ResultAck.make = () => ({ leaseId: "", accepted: false });
 return ResultAck;
})();
export const ResumeWorkerRequest = (() => {
 const ResumeWorkerRequest = {};
 ResumeWorkerRequest.encode = function (message, writer, _depth) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  if (message.workerId != null && message.workerId !== "")
   writer.uint32(10).string(message.workerId);
  return writer;
 };
 ResumeWorkerRequest.decode = function (reader, length, _end, _depth, _target) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  let end, message, value;
  if (length === undefined)
   end = reader.end;
  else {
   end = reader.pos + length;
   if (end > reader.end)
    throw RangeError("index out of range");
   length = reader.end;
   reader.end = end;
  }
  message = _target || ResumeWorkerRequest.make();
  while (reader.pos < end) {
   let tag = reader.tag();
   if (tag === _end) {
    _end = undefined;
    break;
   }
   let wireType = tag & 7;
   switch (tag >>>= 3) {
   case 1: {
     if (wireType !== 2)
      break;
     message.workerId = reader.string();
     continue;
    }
   }
   reader.skip((tag << 3 | wireType) >>> 0, _depth);
  }
  if (length !== undefined) {
   if (reader.pos !== end)
    throw RangeError("index out of range");
   reader.end = length;
  }
  if (_end !== undefined)
   throw Error("missing end group");
  return message;
 };
 ResumeWorkerRequest.make = () => ({ workerId: "" });
 return ResumeWorkerRequest;
})();
export const ResumeWorkerResponse = (() => {
 const ResumeWorkerResponse = {};
 ResumeWorkerResponse.encode = function (message, writer, _depth) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  return writer;
 };
 ResumeWorkerResponse.decode = function (reader, length, _end, _depth, _target) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  let end, message;
  if (length === undefined)
   end = reader.end;
  else {
   end = reader.pos + length;
   if (end > reader.end)
    throw RangeError("index out of range");
   length = reader.end;
   reader.end = end;
  }
  message = _target || ResumeWorkerResponse.make();
  while (reader.pos < end) {
   let tag = reader.tag();
   if (tag === _end) {
    _end = undefined;
    break;
   }
   reader.skip(tag, _depth);
  }
  if (length !== undefined) {
   if (reader.pos !== end)
    throw RangeError("index out of range");
   reader.end = length;
  }
  if (_end !== undefined)
   throw Error("missing end group");
  return message;
 };
 ResumeWorkerResponse.make = () => ({});
 return ResumeWorkerResponse;
})();
export const SandboxGrant = (() => {
 const SandboxGrant = {};
 SandboxGrant.encode = function (message, writer, _depth) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  if (message.name != null && message.name !== "")
   writer.uint32(10).string(message.name);
  if (message.words != null && message.words.length)
   for (let i = 0; i < message.words.length; ++i)
    writer.uint32(18).string(message.words[i]);
  if (message.most != null && (typeof message.most === "object" ? message.most.low || message.most.high : message.most !== 0))
   writer.uint32(24).int64(message.most);
  return writer;
 };
 SandboxGrant.decode = function (reader, length, _end, _depth, _target) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  let end, message, value;
  if (length === undefined)
   end = reader.end;
  else {
   end = reader.pos + length;
   if (end > reader.end)
    throw RangeError("index out of range");
   length = reader.end;
   reader.end = end;
  }
  message = _target || SandboxGrant.make();
  while (reader.pos < end) {
   let tag = reader.tag();
   if (tag === _end) {
    _end = undefined;
    break;
   }
   let wireType = tag & 7;
   switch (tag >>>= 3) {
   case 1: {
     if (wireType !== 2)
      break;
     message.name = reader.string();
     continue;
    }
   case 2: {
     if (wireType !== 2)
      break;
     if (!(message.words && message.words.length))
      message.words = [];
     message.words.push(reader.string());
     continue;
    }
   case 3: {
     if (wireType !== 0)
      break;
     message.most = reader.int64();
     continue;
    }
   }
   reader.skip((tag << 3 | wireType) >>> 0, _depth);
  }
  if (length !== undefined) {
   if (reader.pos !== end)
    throw RangeError("index out of range");
   reader.end = length;
  }
  if (_end !== undefined)
   throw Error("missing end group");
  return message;
 };
 SandboxGrant.make = () => ({ name: "", words: $none, most: 0 });
 return SandboxGrant;
})();
export const SandboxTerms = (() => {
 const SandboxTerms = {};
 // Virtual OneOf for proto3 optional field
 // Virtual OneOf for proto3 optional field
 // Virtual OneOf for proto3 optional field
 // Virtual OneOf for proto3 optional field
 // Virtual OneOf for proto3 optional field
 SandboxTerms.encode = function (message, writer, _depth) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  if (message.network != null && message.network !== "")
   writer.uint32(10).string(message.network);
  if (message.writableLayer != null && message.writableLayer !== "")
   writer.uint32(18).string(message.writableLayer);
  if (message.writableLayerBytes != null && (typeof message.writableLayerBytes === "object" ? message.writableLayerBytes.low || message.writableLayerBytes.high : message.writableLayerBytes !== 0))
   writer.uint32(24).int64(message.writableLayerBytes);
  if (message.writableLayerInodes != null && (typeof message.writableLayerInodes === "object" ? message.writableLayerInodes.low || message.writableLayerInodes.high : message.writableLayerInodes !== 0))
   writer.uint32(32).int64(message.writableLayerInodes);
  if (message.writableLayerExceeded != null && message.writableLayerExceeded !== false)
   writer.uint32(40).bool(message.writableLayerExceeded);
  if (message.memoryLimitBytes != null)
   writer.uint32(48).int64(message.memoryLimitBytes);
  if (message.pidsLimit != null)
   writer.uint32(56).int64(message.pidsLimit);
  if (message.cpuLimitMillis != null)
   writer.uint32(64).int64(message.cpuLimitMillis);
  if (message.ioReadLimitBytes != null)
   writer.uint32(72).int64(message.ioReadLimitBytes);
  if (message.ioWriteLimitBytes != null)
   writer.uint32(80).int64(message.ioWriteLimitBytes);
  if (message.aslrOff != null && message.aslrOff !== false)
   writer.uint32(88).bool(message.aslrOff);
  if (message.rdtscOff != null && message.rdtscOff !== false)
   writer.uint32(96).bool(message.rdtscOff);
  return writer;
 };
 SandboxTerms.decode = function (reader, length, _end, _depth, _target) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  let end, message, value;
  if (length === undefined)
   end = reader.end;
  else {
   end = reader.pos + length;
   if (end > reader.end)
    throw RangeError("index out of range");
   length = reader.end;
   reader.end = end;
  }
  message = _target || SandboxTerms.make();
  while (reader.pos < end) {
   let tag = reader.tag();
   if (tag === _end) {
    _end = undefined;
    break;
   }
   let wireType = tag & 7;
   switch (tag >>>= 3) {
   case 1: {
     if (wireType !== 2)
      break;
     message.network = reader.string();
     continue;
    }
   case 2: {
     if (wireType !== 2)
      break;
     message.writableLayer = reader.string();
     continue;
    }
   case 3: {
     if (wireType !== 0)
      break;
     message.writableLayerBytes = reader.int64();
     continue;
    }
   case 4: {
     if (wireType !== 0)
      break;
     message.writableLayerInodes = reader.int64();
     continue;
    }
   case 5: {
     if (wireType !== 0)
      break;
     message.writableLayerExceeded = reader.bool();
     continue;
    }
   case 6: {
     if (wireType !== 0)
      break;
     message.memoryLimitBytes = reader.int64();
     message._memoryLimitBytes = "memoryLimitBytes";
     continue;
    }
   case 7: {
     if (wireType !== 0)
      break;
     message.pidsLimit = reader.int64();
     message._pidsLimit = "pidsLimit";
     continue;
    }
   case 8: {
     if (wireType !== 0)
      break;
     message.cpuLimitMillis = reader.int64();
     message._cpuLimitMillis = "cpuLimitMillis";
     continue;
    }
   case 9: {
     if (wireType !== 0)
      break;
     message.ioReadLimitBytes = reader.int64();
     message._ioReadLimitBytes = "ioReadLimitBytes";
     continue;
    }
   case 10: {
     if (wireType !== 0)
      break;
     message.ioWriteLimitBytes = reader.int64();
     message._ioWriteLimitBytes = "ioWriteLimitBytes";
     continue;
    }
   case 11: {
     if (wireType !== 0)
      break;
     message.aslrOff = reader.bool();
     continue;
    }
   case 12: {
     if (wireType !== 0)
      break;
     message.rdtscOff = reader.bool();
     continue;
    }
   }
   reader.skip((tag << 3 | wireType) >>> 0, _depth);
  }
  if (length !== undefined) {
   if (reader.pos !== end)
    throw RangeError("index out of range");
   reader.end = length;
  }
  if (_end !== undefined)
   throw Error("missing end group");
  return message;
 };
 SandboxTerms.make = () => ({ network: "", writableLayer: "", writableLayerBytes: 0, writableLayerInodes: 0, writableLayerExceeded: false, aslrOff: false, rdtscOff: false });
 return SandboxTerms;
})();
export const SizeClass = (() => {
 const SizeClass = {};
 // Virtual OneOf for proto3 optional field
 SizeClass.encode = function (message, writer, _depth) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  if (message.upToBytes != null)
   writer.uint32(8).int64(message.upToBytes);
  if (message.count != null)
   BlobCount.encode(message.count, writer.uint32(18).fork(), _depth + 1).ldelim();
  return writer;
 };
 SizeClass.decode = function (reader, length, _end, _depth, _target) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  let end, message, value;
  if (length === undefined)
   end = reader.end;
  else {
   end = reader.pos + length;
   if (end > reader.end)
    throw RangeError("index out of range");
   length = reader.end;
   reader.end = end;
  }
  message = _target || SizeClass.make();
  while (reader.pos < end) {
   let tag = reader.tag();
   if (tag === _end) {
    _end = undefined;
    break;
   }
   let wireType = tag & 7;
   switch (tag >>>= 3) {
   case 1: {
     if (wireType !== 0)
      break;
     message.upToBytes = reader.int64();
     message._upToBytes = "upToBytes";
     continue;
    }
   case 2: {
     if (wireType !== 2)
      break;
     message.count = BlobCount.decode(reader, reader.length(), undefined, _depth + 1, message.count);
     continue;
    }
   }
   reader.skip((tag << 3 | wireType) >>> 0, _depth);
  }
  if (length !== undefined) {
   if (reader.pos !== end)
    throw RangeError("index out of range");
   reader.end = length;
  }
  if (_end !== undefined)
   throw Error("missing end group");
  return message;
 };
 SizeClass.make = () => ({});
 return SizeClass;
})();
export const StageUpdate = (() => {
 const StageUpdate = {};
 StageUpdate.encode = function (message, writer, _depth) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  if (message.leaseId != null && message.leaseId !== "")
   writer.uint32(10).string(message.leaseId);
  if (message.stage != null && message.stage !== 0)
   writer.uint32(16).int32(message.stage);
  return writer;
 };
 StageUpdate.decode = function (reader, length, _end, _depth, _target) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  let end, message, value;
  if (length === undefined)
   end = reader.end;
  else {
   end = reader.pos + length;
   if (end > reader.end)
    throw RangeError("index out of range");
   length = reader.end;
   reader.end = end;
  }
  message = _target || StageUpdate.make();
  while (reader.pos < end) {
   let tag = reader.tag();
   if (tag === _end) {
    _end = undefined;
    break;
   }
   let wireType = tag & 7;
   switch (tag >>>= 3) {
   case 1: {
     if (wireType !== 2)
      break;
     message.leaseId = reader.string();
     continue;
    }
   case 2: {
     if (wireType !== 0)
      break;
     message.stage = reader.int32();
     continue;
    }
   }
   reader.skip((tag << 3 | wireType) >>> 0, _depth);
  }
  if (length !== undefined) {
   if (reader.pos !== end)
    throw RangeError("index out of range");
   reader.end = length;
  }
  if (_end !== undefined)
   throw Error("missing end group");
  return message;
 };
 StageUpdate.make = () => ({ leaseId: "", stage: 0 });
 return StageUpdate;
})();
export const StoreStat = (() => {
 const StoreStat = {};
 StoreStat.encode = function (message, writer, _depth) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  if (message.blobs != null && (typeof message.blobs === "object" ? message.blobs.low || message.blobs.high : message.blobs !== 0))
   writer.uint32(8).int64(message.blobs);
  if (message.bytes != null && (typeof message.bytes === "object" ? message.bytes.low || message.bytes.high : message.bytes !== 0))
   writer.uint32(16).int64(message.bytes);
  if (message.diskBytes != null && (typeof message.diskBytes === "object" ? message.diskBytes.low || message.diskBytes.high : message.diskBytes !== 0))
   writer.uint32(24).int64(message.diskBytes);
  if (message.segments != null && (typeof message.segments === "object" ? message.segments.low || message.segments.high : message.segments !== 0))
   writer.uint32(32).int64(message.segments);
  if (message.files != null && (typeof message.files === "object" ? message.files.low || message.files.high : message.files !== 0))
   writer.uint32(40).int64(message.files);
  if (message.actionResults != null && (typeof message.actionResults === "object" ? message.actionResults.low || message.actionResults.high : message.actionResults !== 0))
   writer.uint32(48).int64(message.actionResults);
  if (message.freeBytes != null && (typeof message.freeBytes === "object" ? message.freeBytes.low || message.freeBytes.high : message.freeBytes !== 0))
   writer.uint32(56).int64(message.freeBytes);
  if (message.maxBytes != null && (typeof message.maxBytes === "object" ? message.maxBytes.low || message.maxBytes.high : message.maxBytes !== 0))
   writer.uint32(64).int64(message.maxBytes);
  if (message.maxBlobs != null && (typeof message.maxBlobs === "object" ? message.maxBlobs.low || message.maxBlobs.high : message.maxBlobs !== 0))
   writer.uint32(72).int64(message.maxBlobs);
  if (message.warning != null && message.warning !== "")
   writer.uint32(82).string(message.warning);
  return writer;
 };
 StoreStat.decode = function (reader, length, _end, _depth, _target) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  let end, message, value;
  if (length === undefined)
   end = reader.end;
  else {
   end = reader.pos + length;
   if (end > reader.end)
    throw RangeError("index out of range");
   length = reader.end;
   reader.end = end;
  }
  message = _target || StoreStat.make();
  while (reader.pos < end) {
   let tag = reader.tag();
   if (tag === _end) {
    _end = undefined;
    break;
   }
   let wireType = tag & 7;
   switch (tag >>>= 3) {
   case 1: {
     if (wireType !== 0)
      break;
     message.blobs = reader.int64();
     continue;
    }
   case 2: {
     if (wireType !== 0)
      break;
     message.bytes = reader.int64();
     continue;
    }
   case 3: {
     if (wireType !== 0)
      break;
     message.diskBytes = reader.int64();
     continue;
    }
   case 4: {
     if (wireType !== 0)
      break;
     message.segments = reader.int64();
     continue;
    }
   case 5: {
     if (wireType !== 0)
      break;
     message.files = reader.int64();
     continue;
    }
   case 6: {
     if (wireType !== 0)
      break;
     message.actionResults = reader.int64();
     continue;
    }
   case 7: {
     if (wireType !== 0)
      break;
     message.freeBytes = reader.int64();
     continue;
    }
   case 8: {
     if (wireType !== 0)
      break;
     message.maxBytes = reader.int64();
     continue;
    }
   case 9: {
     if (wireType !== 0)
      break;
     message.maxBlobs = reader.int64();
     continue;
    }
   case 10: {
     if (wireType !== 2)
      break;
     message.warning = reader.string();
     continue;
    }
   }
   reader.skip((tag << 3 | wireType) >>> 0, _depth);
  }
  if (length !== undefined) {
   if (reader.pos !== end)
    throw RangeError("index out of range");
   reader.end = length;
  }
  if (_end !== undefined)
   throw Error("missing end group");
  return message;
 };
 StoreStat.make = () => ({ blobs: 0, bytes: 0, diskBytes: 0, segments: 0, files: 0, actionResults: 0, freeBytes: 0, maxBytes: 0, maxBlobs: 0, warning: "" });
 return StoreStat;
})();
export const UnpinBlobsRequest = (() => {
 const UnpinBlobsRequest = {};
 UnpinBlobsRequest.encode = function (message, writer, _depth) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  if (message.instanceName != null && message.instanceName !== "")
   writer.uint32(10).string(message.instanceName);
  if (message.name != null && message.name !== "")
   writer.uint32(18).string(message.name);
  return writer;
 };
 UnpinBlobsRequest.decode = function (reader, length, _end, _depth, _target) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  let end, message, value;
  if (length === undefined)
   end = reader.end;
  else {
   end = reader.pos + length;
   if (end > reader.end)
    throw RangeError("index out of range");
   length = reader.end;
   reader.end = end;
  }
  message = _target || UnpinBlobsRequest.make();
  while (reader.pos < end) {
   let tag = reader.tag();
   if (tag === _end) {
    _end = undefined;
    break;
   }
   let wireType = tag & 7;
   switch (tag >>>= 3) {
   case 1: {
     if (wireType !== 2)
      break;
     message.instanceName = reader.string();
     continue;
    }
   case 2: {
     if (wireType !== 2)
      break;
     message.name = reader.string();
     continue;
    }
   }
   reader.skip((tag << 3 | wireType) >>> 0, _depth);
  }
  if (length !== undefined) {
   if (reader.pos !== end)
    throw RangeError("index out of range");
   reader.end = length;
  }
  if (_end !== undefined)
   throw Error("missing end group");
  return message;
 };
 UnpinBlobsRequest.make = () => ({ instanceName: "", name: "" });
 return UnpinBlobsRequest;
})();
export const UnpinBlobsResponse = (() => {
 const UnpinBlobsResponse = {};
 UnpinBlobsResponse.encode = function (message, writer, _depth) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  if (message.pin != null)
   Pin.encode(message.pin, writer.uint32(10).fork(), _depth + 1).ldelim();
  if (message.keptFor != null)
   Duration.encode(message.keptFor, writer.uint32(18).fork(), _depth + 1).ldelim();
  return writer;
 };
 UnpinBlobsResponse.decode = function (reader, length, _end, _depth, _target) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  let end, message, value;
  if (length === undefined)
   end = reader.end;
  else {
   end = reader.pos + length;
   if (end > reader.end)
    throw RangeError("index out of range");
   length = reader.end;
   reader.end = end;
  }
  message = _target || UnpinBlobsResponse.make();
  while (reader.pos < end) {
   let tag = reader.tag();
   if (tag === _end) {
    _end = undefined;
    break;
   }
   let wireType = tag & 7;
   switch (tag >>>= 3) {
   case 1: {
     if (wireType !== 2)
      break;
     message.pin = Pin.decode(reader, reader.length(), undefined, _depth + 1, message.pin);
     continue;
    }
   case 2: {
     if (wireType !== 2)
      break;
     message.keptFor = Duration.decode(reader, reader.length(), undefined, _depth + 1, message.keptFor);
     continue;
    }
   }
   reader.skip((tag << 3 | wireType) >>> 0, _depth);
  }
  if (length !== undefined) {
   if (reader.pos !== end)
    throw RangeError("index out of range");
   reader.end = length;
  }
  if (_end !== undefined)
   throw Error("missing end group");
  return message;
 };
 UnpinBlobsResponse.make = () => ({});
 return UnpinBlobsResponse;
})();
export const VerifyStoreRequest = (() => {
 const VerifyStoreRequest = {};
 VerifyStoreRequest.encode = function (message, writer, _depth) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  if (message.bytesPerSecond != null && (typeof message.bytesPerSecond === "object" ? message.bytesPerSecond.low || message.bytesPerSecond.high : message.bytesPerSecond !== 0))
   writer.uint32(8).int64(message.bytesPerSecond);
  return writer;
 };
 VerifyStoreRequest.decode = function (reader, length, _end, _depth, _target) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  let end, message, value;
  if (length === undefined)
   end = reader.end;
  else {
   end = reader.pos + length;
   if (end > reader.end)
    throw RangeError("index out of range");
   length = reader.end;
   reader.end = end;
  }
  message = _target || VerifyStoreRequest.make();
  while (reader.pos < end) {
   let tag = reader.tag();
   if (tag === _end) {
    _end = undefined;
    break;
   }
   let wireType = tag & 7;
   switch (tag >>>= 3) {
   case 1: {
     if (wireType !== 0)
      break;
     message.bytesPerSecond = reader.int64();
     continue;
    }
   }
   reader.skip((tag << 3 | wireType) >>> 0, _depth);
  }
  if (length !== undefined) {
   if (reader.pos !== end)
    throw RangeError("index out of range");
   reader.end = length;
  }
  if (_end !== undefined)
   throw Error("missing end group");
  return message;
 };
 VerifyStoreRequest.make = () => ({ bytesPerSecond: 0 });
 return VerifyStoreRequest;
})();
export const VerifyStoreResponse = (() => {
 const VerifyStoreResponse = {};
 VerifyStoreResponse.encode = function (message, writer, _depth) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  if (message.read != null)
   BlobCount.encode(message.read, writer.uint32(10).fork(), _depth + 1).ldelim();
  if (message.totalBytes != null && (typeof message.totalBytes === "object" ? message.totalBytes.low || message.totalBytes.high : message.totalBytes !== 0))
   writer.uint32(16).int64(message.totalBytes);
  if (message.damaged != null && message.damaged.length)
   for (let i = 0; i < message.damaged.length; ++i)
    DamagedBlob.encode(message.damaged[i], writer.uint32(26).fork(), _depth + 1).ldelim();
  if (message.done != null && message.done !== false)
   writer.uint32(32).bool(message.done);
  return writer;
 };
 VerifyStoreResponse.decode = function (reader, length, _end, _depth, _target) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  let end, message, value;
  if (length === undefined)
   end = reader.end;
  else {
   end = reader.pos + length;
   if (end > reader.end)
    throw RangeError("index out of range");
   length = reader.end;
   reader.end = end;
  }
  message = _target || VerifyStoreResponse.make();
  while (reader.pos < end) {
   let tag = reader.tag();
   if (tag === _end) {
    _end = undefined;
    break;
   }
   let wireType = tag & 7;
   switch (tag >>>= 3) {
   case 1: {
     if (wireType !== 2)
      break;
     message.read = BlobCount.decode(reader, reader.length(), undefined, _depth + 1, message.read);
     continue;
    }
   case 2: {
     if (wireType !== 0)
      break;
     message.totalBytes = reader.int64();
     continue;
    }
   case 3: {
     if (wireType !== 2)
      break;
     if (!(message.damaged && message.damaged.length))
      message.damaged = [];
     message.damaged.push(DamagedBlob.decode(reader, reader.length(), undefined, _depth + 1));
     continue;
    }
   case 4: {
     if (wireType !== 0)
      break;
     message.done = reader.bool();
     continue;
    }
   }
   reader.skip((tag << 3 | wireType) >>> 0, _depth);
  }
  if (length !== undefined) {
   if (reader.pos !== end)
    throw RangeError("index out of range");
   reader.end = length;
  }
  if (_end !== undefined)
   throw Error("missing end group");
  return message;
 };
 VerifyStoreResponse.make = () => ({ totalBytes: 0, damaged: $none, done: false });
 return VerifyStoreResponse;
})();
export const Welcome = (() => {
 const Welcome = {};
 Welcome.encode = function (message, writer, _depth) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  if (message.protocolVersion != null && message.protocolVersion !== 0)
   writer.uint32(8).uint32(message.protocolVersion);
  if (message.features != null && message.features.length)
   for (let i = 0; i < message.features.length; ++i)
    writer.uint32(18).string(message.features[i]);
  if (message.heartbeatInterval != null)
   Duration.encode(message.heartbeatInterval, writer.uint32(26).fork(), _depth + 1).ldelim();
  if (message.leaseTtl != null)
   Duration.encode(message.leaseTtl, writer.uint32(34).fork(), _depth + 1).ldelim();
  if (message.bootEpoch != null && (typeof message.bootEpoch === "object" ? message.bootEpoch.low || message.bootEpoch.high : message.bootEpoch !== 0))
   writer.uint32(40).uint64(message.bootEpoch);
  return writer;
 };
 Welcome.decode = function (reader, length, _end, _depth, _target) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  let end, message, value;
  if (length === undefined)
   end = reader.end;
  else {
   end = reader.pos + length;
   if (end > reader.end)
    throw RangeError("index out of range");
   length = reader.end;
   reader.end = end;
  }
  message = _target || Welcome.make();
  while (reader.pos < end) {
   let tag = reader.tag();
   if (tag === _end) {
    _end = undefined;
    break;
   }
   let wireType = tag & 7;
   switch (tag >>>= 3) {
   case 1: {
     if (wireType !== 0)
      break;
     message.protocolVersion = reader.uint32();
     continue;
    }
   case 2: {
     if (wireType !== 2)
      break;
     if (!(message.features && message.features.length))
      message.features = [];
     message.features.push(reader.string());
     continue;
    }
   case 3: {
     if (wireType !== 2)
      break;
     message.heartbeatInterval = Duration.decode(reader, reader.length(), undefined, _depth + 1, message.heartbeatInterval);
     continue;
    }
   case 4: {
     if (wireType !== 2)
      break;
     message.leaseTtl = Duration.decode(reader, reader.length(), undefined, _depth + 1, message.leaseTtl);
     continue;
    }
   case 5: {
     if (wireType !== 0)
      break;
     message.bootEpoch = reader.uint64();
     continue;
    }
   }
   reader.skip((tag << 3 | wireType) >>> 0, _depth);
  }
  if (length !== undefined) {
   if (reader.pos !== end)
    throw RangeError("index out of range");
   reader.end = length;
  }
  if (_end !== undefined)
   throw Error("missing end group");
  return message;
 };
 Welcome.make = () => ({ protocolVersion: 0, features: $none, bootEpoch: 0 });
 return Welcome;
})();
export const WhyGoneRequest = (() => {
 const WhyGoneRequest = {};
 WhyGoneRequest.encode = function (message, writer, _depth) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  if (message.digest != null)
   Digest.encode(message.digest, writer.uint32(10).fork(), _depth + 1).ldelim();
  if (message.digestFunction != null && message.digestFunction !== 0)
   writer.uint32(16).int32(message.digestFunction);
  return writer;
 };
 WhyGoneRequest.decode = function (reader, length, _end, _depth, _target) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  let end, message, value;
  if (length === undefined)
   end = reader.end;
  else {
   end = reader.pos + length;
   if (end > reader.end)
    throw RangeError("index out of range");
   length = reader.end;
   reader.end = end;
  }
  message = _target || WhyGoneRequest.make();
  while (reader.pos < end) {
   let tag = reader.tag();
   if (tag === _end) {
    _end = undefined;
    break;
   }
   let wireType = tag & 7;
   switch (tag >>>= 3) {
   case 1: {
     if (wireType !== 2)
      break;
     message.digest = Digest.decode(reader, reader.length(), undefined, _depth + 1, message.digest);
     continue;
    }
   case 2: {
     if (wireType !== 0)
      break;
     message.digestFunction = reader.int32();
     continue;
    }
   }
   reader.skip((tag << 3 | wireType) >>> 0, _depth);
  }
  if (length !== undefined) {
   if (reader.pos !== end)
    throw RangeError("index out of range");
   reader.end = length;
  }
  if (_end !== undefined)
   throw Error("missing end group");
  return message;
 };
 WhyGoneRequest.make = () => ({ digestFunction: 0 });
 return WhyGoneRequest;
})();
export const WhyGoneResponse = (() => {
 const WhyGoneResponse = {};
 WhyGoneResponse.encode = function (message, writer, _depth) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  if (message.present != null && message.present !== false)
   writer.uint32(8).bool(message.present);
  if (message.gone != null)
   Timestamp.encode(message.gone, writer.uint32(18).fork(), _depth + 1).ldelim();
  if (message.used != null)
   Timestamp.encode(message.used, writer.uint32(26).fork(), _depth + 1).ldelim();
  if (message.reason != null && message.reason !== 0)
   writer.uint32(32).int32(message.reason);
  if (message.logSince != null)
   Timestamp.encode(message.logSince, writer.uint32(42).fork(), _depth + 1).ldelim();
  return writer;
 };
 WhyGoneResponse.decode = function (reader, length, _end, _depth, _target) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  let end, message, value;
  if (length === undefined)
   end = reader.end;
  else {
   end = reader.pos + length;
   if (end > reader.end)
    throw RangeError("index out of range");
   length = reader.end;
   reader.end = end;
  }
  message = _target || WhyGoneResponse.make();
  while (reader.pos < end) {
   let tag = reader.tag();
   if (tag === _end) {
    _end = undefined;
    break;
   }
   let wireType = tag & 7;
   switch (tag >>>= 3) {
   case 1: {
     if (wireType !== 0)
      break;
     message.present = reader.bool();
     continue;
    }
   case 2: {
     if (wireType !== 2)
      break;
     message.gone = Timestamp.decode(reader, reader.length(), undefined, _depth + 1, message.gone);
     continue;
    }
   case 3: {
     if (wireType !== 2)
      break;
     message.used = Timestamp.decode(reader, reader.length(), undefined, _depth + 1, message.used);
     continue;
    }
   case 4: {
     if (wireType !== 0)
      break;
     message.reason = reader.int32();
     continue;
    }
   case 5: {
     if (wireType !== 2)
      break;
     message.logSince = Timestamp.decode(reader, reader.length(), undefined, _depth + 1, message.logSince);
     continue;
    }
   }
   reader.skip((tag << 3 | wireType) >>> 0, _depth);
  }
  if (length !== undefined) {
   if (reader.pos !== end)
    throw RangeError("index out of range");
   reader.end = length;
  }
  if (_end !== undefined)
   throw Error("missing end group");
  return message;
 };
 WhyGoneResponse.make = () => ({ present: false, reason: 0 });
 return WhyGoneResponse;
})();
export const WorkerInfo = (() => {
 const WorkerInfo = {};
 WorkerInfo.encode = function (message, writer, _depth) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  if (message.workerId != null && message.workerId !== "")
   writer.uint32(10).string(message.workerId);
  if (message.connected != null && message.connected !== false)
   writer.uint32(16).bool(message.connected);
  if (message.draining != null && message.draining !== false)
   writer.uint32(24).bool(message.draining);
  if (message.slots != null && message.slots !== 0)
   writer.uint32(32).uint32(message.slots);
  if (message.slotsUsed != null && message.slotsUsed !== 0)
   writer.uint32(40).uint32(message.slotsUsed);
  if (message.platform != null)
   Platform.encode(message.platform, writer.uint32(50).fork(), _depth + 1).ldelim();
  if (message.resources != null)
   Resources.encode(message.resources, writer.uint32(58).fork(), _depth + 1).ldelim();
  if (message.load != null)
   Load.encode(message.load, writer.uint32(66).fork(), _depth + 1).ldelim();
  if (message.environment != null && message.environment !== "")
   writer.uint32(74).string(message.environment);
  if (message.softwareVersion != null && message.softwareVersion !== "")
   writer.uint32(82).string(message.softwareVersion);
  if (message.lastHeartbeatAgo != null)
   Duration.encode(message.lastHeartbeatAgo, writer.uint32(90).fork(), _depth + 1).ldelim();
  if (message.leases != null && message.leases.length)
   for (let i = 0; i < message.leases.length; ++i)
    writer.uint32(98).string(message.leases[i]);
  if (message.completed != null && (typeof message.completed === "object" ? message.completed.low || message.completed.high : message.completed !== 0))
   writer.uint32(104).uint64(message.completed);
  if (message.drainReason != null && message.drainReason !== "")
   writer.uint32(114).string(message.drainReason);
  if (message.leaving != null && message.leaving !== false)
   writer.uint32(120).bool(message.leaving);
  return writer;
 };
 WorkerInfo.decode = function (reader, length, _end, _depth, _target) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  let end, message, value;
  if (length === undefined)
   end = reader.end;
  else {
   end = reader.pos + length;
   if (end > reader.end)
    throw RangeError("index out of range");
   length = reader.end;
   reader.end = end;
  }
  message = _target || WorkerInfo.make();
  while (reader.pos < end) {
   let tag = reader.tag();
   if (tag === _end) {
    _end = undefined;
    break;
   }
   let wireType = tag & 7;
   switch (tag >>>= 3) {
   case 1: {
     if (wireType !== 2)
      break;
     message.workerId = reader.string();
     continue;
    }
   case 2: {
     if (wireType !== 0)
      break;
     message.connected = reader.bool();
     continue;
    }
   case 3: {
     if (wireType !== 0)
      break;
     message.draining = reader.bool();
     continue;
    }
   case 4: {
     if (wireType !== 0)
      break;
     message.slots = reader.uint32();
     continue;
    }
   case 5: {
     if (wireType !== 0)
      break;
     message.slotsUsed = reader.uint32();
     continue;
    }
   case 6: {
     if (wireType !== 2)
      break;
     message.platform = Platform.decode(reader, reader.length(), undefined, _depth + 1, message.platform);
     continue;
    }
   case 7: {
     if (wireType !== 2)
      break;
     message.resources = Resources.decode(reader, reader.length(), undefined, _depth + 1, message.resources);
     continue;
    }
   case 8: {
     if (wireType !== 2)
      break;
     message.load = Load.decode(reader, reader.length(), undefined, _depth + 1, message.load);
     continue;
    }
   case 9: {
     if (wireType !== 2)
      break;
     message.environment = reader.string();
     continue;
    }
   case 10: {
     if (wireType !== 2)
      break;
     message.softwareVersion = reader.string();
     continue;
    }
   case 11: {
     if (wireType !== 2)
      break;
     message.lastHeartbeatAgo = Duration.decode(reader, reader.length(), undefined, _depth + 1, message.lastHeartbeatAgo);
     continue;
    }
   case 12: {
     if (wireType !== 2)
      break;
     if (!(message.leases && message.leases.length))
      message.leases = [];
     message.leases.push(reader.string());
     continue;
    }
   case 13: {
     if (wireType !== 0)
      break;
     message.completed = reader.uint64();
     continue;
    }
   case 14: {
     if (wireType !== 2)
      break;
     message.drainReason = reader.string();
     continue;
    }
   case 15: {
     if (wireType !== 0)
      break;
     message.leaving = reader.bool();
     continue;
    }
   }
   reader.skip((tag << 3 | wireType) >>> 0, _depth);
  }
  if (length !== undefined) {
   if (reader.pos !== end)
    throw RangeError("index out of range");
   reader.end = length;
  }
  if (_end !== undefined)
   throw Error("missing end group");
  return message;
 };
 WorkerInfo.make = () => ({ workerId: "", connected: false, draining: false, slots: 0, slotsUsed: 0, environment: "", softwareVersion: "", leases: $none, completed: 0, drainReason: "", leaving: false });
 return WorkerInfo;
})();
export const WorkerMessage = (() => {
 const WorkerMessage = {};
 WorkerMessage.encode = function (message, writer, _depth) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  if (message.hello != null)
   Hello.encode(message.hello, writer.uint32(10).fork(), _depth + 1).ldelim();
  if (message.heartbeat != null)
   Heartbeat.encode(message.heartbeat, writer.uint32(18).fork(), _depth + 1).ldelim();
  if (message.stage != null)
   StageUpdate.encode(message.stage, writer.uint32(26).fork(), _depth + 1).ldelim();
  if (message.result != null)
   LeaseResult.encode(message.result, writer.uint32(34).fork(), _depth + 1).ldelim();
  if (message.goodbye != null)
   Goodbye.encode(message.goodbye, writer.uint32(42).fork(), _depth + 1).ldelim();
  return writer;
 };
 WorkerMessage.decode = function (reader, length, _end, _depth, _target) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  let end, message;
  if (length === undefined)
   end = reader.end;
  else {
   end = reader.pos + length;
   if (end > reader.end)
    throw RangeError("index out of range");
   length = reader.end;
   reader.end = end;
  }
  message = _target || WorkerMessage.make();
  while (reader.pos < end) {
   let tag = reader.tag();
   if (tag === _end) {
    _end = undefined;
    break;
   }
   let wireType = tag & 7;
   switch (tag >>>= 3) {
   case 1: {
     if (wireType !== 2)
      break;
     message.hello = Hello.decode(reader, reader.length(), undefined, _depth + 1, message.hello);
     if (message.message) { delete message.heartbeat; delete message.stage; delete message.result; delete message.goodbye; }
     message.message = "hello";
     continue;
    }
   case 2: {
     if (wireType !== 2)
      break;
     message.heartbeat = Heartbeat.decode(reader, reader.length(), undefined, _depth + 1, message.heartbeat);
     if (message.message) { delete message.hello; delete message.stage; delete message.result; delete message.goodbye; }
     message.message = "heartbeat";
     continue;
    }
   case 3: {
     if (wireType !== 2)
      break;
     message.stage = StageUpdate.decode(reader, reader.length(), undefined, _depth + 1, message.stage);
     if (message.message) { delete message.hello; delete message.heartbeat; delete message.result; delete message.goodbye; }
     message.message = "stage";
     continue;
    }
   case 4: {
     if (wireType !== 2)
      break;
     message.result = LeaseResult.decode(reader, reader.length(), undefined, _depth + 1, message.result);
     if (message.message) { delete message.hello; delete message.heartbeat; delete message.stage; delete message.goodbye; }
     message.message = "result";
     continue;
    }
   case 5: {
     if (wireType !== 2)
      break;
     message.goodbye = Goodbye.decode(reader, reader.length(), undefined, _depth + 1, message.goodbye);
     if (message.message) { delete message.hello; delete message.heartbeat; delete message.stage; delete message.result; }
     message.message = "goodbye";
     continue;
    }
   }
   reader.skip((tag << 3 | wireType) >>> 0, _depth);
  }
  if (length !== undefined) {
   if (reader.pos !== end)
    throw RangeError("index out of range");
   reader.end = length;
  }
  if (_end !== undefined)
   throw Error("missing end group");
  return message;
 };
 WorkerMessage.make = () => ({});
 return WorkerMessage;
})();
export const Action = (() => {
 const Action = {};
 Action.encode = function (message, writer, _depth) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  if (message.commandDigest != null)
   Digest.encode(message.commandDigest, writer.uint32(10).fork(), _depth + 1).ldelim();
  if (message.inputRootDigest != null)
   Digest.encode(message.inputRootDigest, writer.uint32(18).fork(), _depth + 1).ldelim();
  if (message.timeout != null)
   Duration.encode(message.timeout, writer.uint32(50).fork(), _depth + 1).ldelim();
  if (message.doNotCache != null && message.doNotCache !== false)
   writer.uint32(56).bool(message.doNotCache);
  if (message.salt != null && message.salt.length)
   writer.uint32(74).blob(message.salt);
  if (message.platform != null)
   Platform.encode(message.platform, writer.uint32(82).fork(), _depth + 1).ldelim();
  return writer;
 };
 Action.decode = function (reader, length, _end, _depth, _target) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  let end, message, value;
  if (length === undefined)
   end = reader.end;
  else {
   end = reader.pos + length;
   if (end > reader.end)
    throw RangeError("index out of range");
   length = reader.end;
   reader.end = end;
  }
  message = _target || Action.make();
  while (reader.pos < end) {
   let tag = reader.tag();
   if (tag === _end) {
    _end = undefined;
    break;
   }
   let wireType = tag & 7;
   switch (tag >>>= 3) {
   case 1: {
     if (wireType !== 2)
      break;
     message.commandDigest = Digest.decode(reader, reader.length(), undefined, _depth + 1, message.commandDigest);
     continue;
    }
   case 2: {
     if (wireType !== 2)
      break;
     message.inputRootDigest = Digest.decode(reader, reader.length(), undefined, _depth + 1, message.inputRootDigest);
     continue;
    }
   case 6: {
     if (wireType !== 2)
      break;
     message.timeout = Duration.decode(reader, reader.length(), undefined, _depth + 1, message.timeout);
     continue;
    }
   case 7: {
     if (wireType !== 0)
      break;
     message.doNotCache = reader.bool();
     continue;
    }
   case 9: {
     if (wireType !== 2)
      break;
     message.salt = reader.view();
     continue;
    }
   case 10: {
     if (wireType !== 2)
      break;
     message.platform = Platform.decode(reader, reader.length(), undefined, _depth + 1, message.platform);
     continue;
    }
   }
   reader.skip((tag << 3 | wireType) >>> 0, _depth);
  }
  if (length !== undefined) {
   if (reader.pos !== end)
    throw RangeError("index out of range");
   reader.end = length;
  }
  if (_end !== undefined)
   throw Error("missing end group");
  return message;
 };
 Action.make = () => ({ doNotCache: false, salt: $noBytes });
 return Action;
})();
export const ActionCacheUpdateCapabilities = (() => {
 const ActionCacheUpdateCapabilities = {};
 ActionCacheUpdateCapabilities.encode = function (message, writer, _depth) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  if (message.updateEnabled != null && message.updateEnabled !== false)
   writer.uint32(8).bool(message.updateEnabled);
  return writer;
 };
 ActionCacheUpdateCapabilities.decode = function (reader, length, _end, _depth, _target) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  let end, message, value;
  if (length === undefined)
   end = reader.end;
  else {
   end = reader.pos + length;
   if (end > reader.end)
    throw RangeError("index out of range");
   length = reader.end;
   reader.end = end;
  }
  message = _target || ActionCacheUpdateCapabilities.make();
  while (reader.pos < end) {
   let tag = reader.tag();
   if (tag === _end) {
    _end = undefined;
    break;
   }
   let wireType = tag & 7;
   switch (tag >>>= 3) {
   case 1: {
     if (wireType !== 0)
      break;
     message.updateEnabled = reader.bool();
     continue;
    }
   }
   reader.skip((tag << 3 | wireType) >>> 0, _depth);
  }
  if (length !== undefined) {
   if (reader.pos !== end)
    throw RangeError("index out of range");
   reader.end = length;
  }
  if (_end !== undefined)
   throw Error("missing end group");
  return message;
 };
 ActionCacheUpdateCapabilities.make = () => ({ updateEnabled: false });
 return ActionCacheUpdateCapabilities;
})();
export const ActionResult = (() => {
 const ActionResult = {};
 ActionResult.encode = function (message, writer, _depth) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  if (message.outputFiles != null && message.outputFiles.length)
   for (let i = 0; i < message.outputFiles.length; ++i)
    OutputFile.encode(message.outputFiles[i], writer.uint32(18).fork(), _depth + 1).ldelim();
  if (message.outputDirectories != null && message.outputDirectories.length)
   for (let i = 0; i < message.outputDirectories.length; ++i)
    OutputDirectory.encode(message.outputDirectories[i], writer.uint32(26).fork(), _depth + 1).ldelim();
  if (message.exitCode != null && message.exitCode !== 0)
   writer.uint32(32).int32(message.exitCode);
  if (message.stdoutRaw != null && message.stdoutRaw.length)
   writer.uint32(42).blob(message.stdoutRaw);
  if (message.stdoutDigest != null)
   Digest.encode(message.stdoutDigest, writer.uint32(50).fork(), _depth + 1).ldelim();
  if (message.stderrRaw != null && message.stderrRaw.length)
   writer.uint32(58).blob(message.stderrRaw);
  if (message.stderrDigest != null)
   Digest.encode(message.stderrDigest, writer.uint32(66).fork(), _depth + 1).ldelim();
  if (message.executionMetadata != null)
   ExecutedActionMetadata.encode(message.executionMetadata, writer.uint32(74).fork(), _depth + 1).ldelim();
  if (message.outputFileSymlinks != null && message.outputFileSymlinks.length)
   for (let i = 0; i < message.outputFileSymlinks.length; ++i)
    OutputSymlink.encode(message.outputFileSymlinks[i], writer.uint32(82).fork(), _depth + 1).ldelim();
  if (message.outputDirectorySymlinks != null && message.outputDirectorySymlinks.length)
   for (let i = 0; i < message.outputDirectorySymlinks.length; ++i)
    OutputSymlink.encode(message.outputDirectorySymlinks[i], writer.uint32(90).fork(), _depth + 1).ldelim();
  if (message.outputSymlinks != null && message.outputSymlinks.length)
   for (let i = 0; i < message.outputSymlinks.length; ++i)
    OutputSymlink.encode(message.outputSymlinks[i], writer.uint32(98).fork(), _depth + 1).ldelim();
  return writer;
 };
 ActionResult.decode = function (reader, length, _end, _depth, _target) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  let end, message, value;
  if (length === undefined)
   end = reader.end;
  else {
   end = reader.pos + length;
   if (end > reader.end)
    throw RangeError("index out of range");
   length = reader.end;
   reader.end = end;
  }
  message = _target || ActionResult.make();
  while (reader.pos < end) {
   let tag = reader.tag();
   if (tag === _end) {
    _end = undefined;
    break;
   }
   let wireType = tag & 7;
   switch (tag >>>= 3) {
   case 2: {
     if (wireType !== 2)
      break;
     if (!(message.outputFiles && message.outputFiles.length))
      message.outputFiles = [];
     message.outputFiles.push(OutputFile.decode(reader, reader.length(), undefined, _depth + 1));
     continue;
    }
   case 3: {
     if (wireType !== 2)
      break;
     if (!(message.outputDirectories && message.outputDirectories.length))
      message.outputDirectories = [];
     message.outputDirectories.push(OutputDirectory.decode(reader, reader.length(), undefined, _depth + 1));
     continue;
    }
   case 4: {
     if (wireType !== 0)
      break;
     message.exitCode = reader.int32();
     continue;
    }
   case 5: {
     if (wireType !== 2)
      break;
     message.stdoutRaw = reader.view();
     continue;
    }
   case 6: {
     if (wireType !== 2)
      break;
     message.stdoutDigest = Digest.decode(reader, reader.length(), undefined, _depth + 1, message.stdoutDigest);
     continue;
    }
   case 7: {
     if (wireType !== 2)
      break;
     message.stderrRaw = reader.view();
     continue;
    }
   case 8: {
     if (wireType !== 2)
      break;
     message.stderrDigest = Digest.decode(reader, reader.length(), undefined, _depth + 1, message.stderrDigest);
     continue;
    }
   case 9: {
     if (wireType !== 2)
      break;
     message.executionMetadata = ExecutedActionMetadata.decode(reader, reader.length(), undefined, _depth + 1, message.executionMetadata);
     continue;
    }
   case 10: {
     if (wireType !== 2)
      break;
     if (!(message.outputFileSymlinks && message.outputFileSymlinks.length))
      message.outputFileSymlinks = [];
     message.outputFileSymlinks.push(OutputSymlink.decode(reader, reader.length(), undefined, _depth + 1));
     continue;
    }
   case 11: {
     if (wireType !== 2)
      break;
     if (!(message.outputDirectorySymlinks && message.outputDirectorySymlinks.length))
      message.outputDirectorySymlinks = [];
     message.outputDirectorySymlinks.push(OutputSymlink.decode(reader, reader.length(), undefined, _depth + 1));
     continue;
    }
   case 12: {
     if (wireType !== 2)
      break;
     if (!(message.outputSymlinks && message.outputSymlinks.length))
      message.outputSymlinks = [];
     message.outputSymlinks.push(OutputSymlink.decode(reader, reader.length(), undefined, _depth + 1));
     continue;
    }
   }
   reader.skip((tag << 3 | wireType) >>> 0, _depth);
  }
  if (length !== undefined) {
   if (reader.pos !== end)
    throw RangeError("index out of range");
   reader.end = length;
  }
  if (_end !== undefined)
   throw Error("missing end group");
  return message;
 };
 ActionResult.make = () => ({ outputFiles: $none, outputDirectories: $none, exitCode: 0, stdoutRaw: $noBytes, stderrRaw: $noBytes, outputFileSymlinks: $none, outputDirectorySymlinks: $none, outputSymlinks: $none });
 return ActionResult;
})();
export const BatchReadBlobsRequest = (() => {
 const BatchReadBlobsRequest = {};
 BatchReadBlobsRequest.encode = function (message, writer, _depth) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  if (message.instanceName != null && message.instanceName !== "")
   writer.uint32(10).string(message.instanceName);
  if (message.digests != null && message.digests.length)
   for (let i = 0; i < message.digests.length; ++i)
    Digest.encode(message.digests[i], writer.uint32(18).fork(), _depth + 1).ldelim();
  if (message.acceptableCompressors != null && message.acceptableCompressors.length)
   writer.uint32(26).int32s(message.acceptableCompressors);
  if (message.digestFunction != null && message.digestFunction !== 0)
   writer.uint32(32).int32(message.digestFunction);
  return writer;
 };
 BatchReadBlobsRequest.decode = function (reader, length, _end, _depth, _target) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  let end, message, value;
  if (length === undefined)
   end = reader.end;
  else {
   end = reader.pos + length;
   if (end > reader.end)
    throw RangeError("index out of range");
   length = reader.end;
   reader.end = end;
  }
  message = _target || BatchReadBlobsRequest.make();
  while (reader.pos < end) {
   let tag = reader.tag();
   if (tag === _end) {
    _end = undefined;
    break;
   }
   let wireType = tag & 7;
   switch (tag >>>= 3) {
   case 1: {
     if (wireType !== 2)
      break;
     message.instanceName = reader.string();
     continue;
    }
   case 2: {
     if (wireType !== 2)
      break;
     if (!(message.digests && message.digests.length))
      message.digests = [];
     message.digests.push(Digest.decode(reader, reader.length(), undefined, _depth + 1));
     continue;
    }
   case 3: {
     if (wireType === 2) {
      if (!(message.acceptableCompressors && message.acceptableCompressors.length))
       message.acceptableCompressors = [];
      reader.int32s(message.acceptableCompressors);
      continue;
     }
     if (wireType !== 0)
      break;
     if (!(message.acceptableCompressors && message.acceptableCompressors.length))
      message.acceptableCompressors = [];
     message.acceptableCompressors.push(reader.int32());
     continue;
    }
   case 4: {
     if (wireType !== 0)
      break;
     message.digestFunction = reader.int32();
     continue;
    }
   }
   reader.skip((tag << 3 | wireType) >>> 0, _depth);
  }
  if (length !== undefined) {
   if (reader.pos !== end)
    throw RangeError("index out of range");
   reader.end = length;
  }
  if (_end !== undefined)
   throw Error("missing end group");
  return message;
 };
 BatchReadBlobsRequest.make = () => ({ instanceName: "", digests: $none, acceptableCompressors: $none, digestFunction: 0 });
 return BatchReadBlobsRequest;
})();
export const BatchReadBlobsResponse = (() => {
 const BatchReadBlobsResponse = {};
 BatchReadBlobsResponse.encode = function (message, writer, _depth) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  if (message.responses != null && message.responses.length)
   for (let i = 0; i < message.responses.length; ++i)
    BatchReadBlobsResponse_Response.encode(message.responses[i], writer.uint32(10).fork(), _depth + 1).ldelim();
  return writer;
 };
 BatchReadBlobsResponse.decode = function (reader, length, _end, _depth, _target) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  let end, message;
  if (length === undefined)
   end = reader.end;
  else {
   end = reader.pos + length;
   if (end > reader.end)
    throw RangeError("index out of range");
   length = reader.end;
   reader.end = end;
  }
  message = _target || BatchReadBlobsResponse.make();
  while (reader.pos < end) {
   let tag = reader.tag();
   if (tag === _end) {
    _end = undefined;
    break;
   }
   let wireType = tag & 7;
   switch (tag >>>= 3) {
   case 1: {
     if (wireType !== 2)
      break;
     if (!(message.responses && message.responses.length))
      message.responses = [];
     message.responses.push(BatchReadBlobsResponse_Response.decode(reader, reader.length(), undefined, _depth + 1));
     continue;
    }
   }
   reader.skip((tag << 3 | wireType) >>> 0, _depth);
  }
  if (length !== undefined) {
   if (reader.pos !== end)
    throw RangeError("index out of range");
   reader.end = length;
  }
  if (_end !== undefined)
   throw Error("missing end group");
  return message;
 };
 BatchReadBlobsResponse.make = () => ({ responses: $none });
 return BatchReadBlobsResponse;
})();
export const BatchReadBlobsResponse_Response = (() => {
 const BatchReadBlobsResponse_Response = {};
 BatchReadBlobsResponse_Response.encode = function (message, writer, _depth) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  if (message.digest != null)
   Digest.encode(message.digest, writer.uint32(10).fork(), _depth + 1).ldelim();
  if (message.data != null && message.data.length)
   writer.uint32(18).blob(message.data);
  if (message.status != null)
   Status.encode(message.status, writer.uint32(26).fork(), _depth + 1).ldelim();
  if (message.compressor != null && message.compressor !== 0)
   writer.uint32(32).int32(message.compressor);
  return writer;
 };
 BatchReadBlobsResponse_Response.decode = function (reader, length, _end, _depth, _target) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  let end, message, value;
  if (length === undefined)
   end = reader.end;
  else {
   end = reader.pos + length;
   if (end > reader.end)
    throw RangeError("index out of range");
   length = reader.end;
   reader.end = end;
  }
  message = _target || BatchReadBlobsResponse_Response.make();
  while (reader.pos < end) {
   let tag = reader.tag();
   if (tag === _end) {
    _end = undefined;
    break;
   }
   let wireType = tag & 7;
   switch (tag >>>= 3) {
   case 1: {
     if (wireType !== 2)
      break;
     message.digest = Digest.decode(reader, reader.length(), undefined, _depth + 1, message.digest);
     continue;
    }
   case 2: {
     if (wireType !== 2)
      break;
     message.data = reader.view();
     continue;
    }
   case 3: {
     if (wireType !== 2)
      break;
     message.status = Status.decode(reader, reader.length(), undefined, _depth + 1, message.status);
     continue;
    }
   case 4: {
     if (wireType !== 0)
      break;
     message.compressor = reader.int32();
     continue;
    }
   }
   reader.skip((tag << 3 | wireType) >>> 0, _depth);
  }
  if (length !== undefined) {
   if (reader.pos !== end)
    throw RangeError("index out of range");
   reader.end = length;
  }
  if (_end !== undefined)
   throw Error("missing end group");
  return message;
 };
 BatchReadBlobsResponse_Response.make = () => ({ data: $noBytes, compressor: 0 });
 return BatchReadBlobsResponse_Response;
})();
export const BatchUpdateBlobsRequest = (() => {
 const BatchUpdateBlobsRequest = {};
 BatchUpdateBlobsRequest.encode = function (message, writer, _depth) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  if (message.instanceName != null && message.instanceName !== "")
   writer.uint32(10).string(message.instanceName);
  if (message.requests != null && message.requests.length)
   for (let i = 0; i < message.requests.length; ++i)
    BatchUpdateBlobsRequest_Request.encode(message.requests[i], writer.uint32(18).fork(), _depth + 1).ldelim();
  if (message.digestFunction != null && message.digestFunction !== 0)
   writer.uint32(40).int32(message.digestFunction);
  return writer;
 };
 BatchUpdateBlobsRequest.decode = function (reader, length, _end, _depth, _target) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  let end, message, value;
  if (length === undefined)
   end = reader.end;
  else {
   end = reader.pos + length;
   if (end > reader.end)
    throw RangeError("index out of range");
   length = reader.end;
   reader.end = end;
  }
  message = _target || BatchUpdateBlobsRequest.make();
  while (reader.pos < end) {
   let tag = reader.tag();
   if (tag === _end) {
    _end = undefined;
    break;
   }
   let wireType = tag & 7;
   switch (tag >>>= 3) {
   case 1: {
     if (wireType !== 2)
      break;
     message.instanceName = reader.string();
     continue;
    }
   case 2: {
     if (wireType !== 2)
      break;
     if (!(message.requests && message.requests.length))
      message.requests = [];
     message.requests.push(BatchUpdateBlobsRequest_Request.decode(reader, reader.length(), undefined, _depth + 1));
     continue;
    }
   case 5: {
     if (wireType !== 0)
      break;
     message.digestFunction = reader.int32();
     continue;
    }
   }
   reader.skip((tag << 3 | wireType) >>> 0, _depth);
  }
  if (length !== undefined) {
   if (reader.pos !== end)
    throw RangeError("index out of range");
   reader.end = length;
  }
  if (_end !== undefined)
   throw Error("missing end group");
  return message;
 };
 BatchUpdateBlobsRequest.make = () => ({ instanceName: "", requests: $none, digestFunction: 0 });
 return BatchUpdateBlobsRequest;
})();
export const BatchUpdateBlobsRequest_Request = (() => {
 const BatchUpdateBlobsRequest_Request = {};
 BatchUpdateBlobsRequest_Request.encode = function (message, writer, _depth) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  if (message.digest != null)
   Digest.encode(message.digest, writer.uint32(10).fork(), _depth + 1).ldelim();
  if (message.data != null && message.data.length)
   writer.uint32(18).blob(message.data);
  if (message.compressor != null && message.compressor !== 0)
   writer.uint32(24).int32(message.compressor);
  return writer;
 };
 BatchUpdateBlobsRequest_Request.decode = function (reader, length, _end, _depth, _target) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  let end, message, value;
  if (length === undefined)
   end = reader.end;
  else {
   end = reader.pos + length;
   if (end > reader.end)
    throw RangeError("index out of range");
   length = reader.end;
   reader.end = end;
  }
  message = _target || BatchUpdateBlobsRequest_Request.make();
  while (reader.pos < end) {
   let tag = reader.tag();
   if (tag === _end) {
    _end = undefined;
    break;
   }
   let wireType = tag & 7;
   switch (tag >>>= 3) {
   case 1: {
     if (wireType !== 2)
      break;
     message.digest = Digest.decode(reader, reader.length(), undefined, _depth + 1, message.digest);
     continue;
    }
   case 2: {
     if (wireType !== 2)
      break;
     message.data = reader.view();
     continue;
    }
   case 3: {
     if (wireType !== 0)
      break;
     message.compressor = reader.int32();
     continue;
    }
   }
   reader.skip((tag << 3 | wireType) >>> 0, _depth);
  }
  if (length !== undefined) {
   if (reader.pos !== end)
    throw RangeError("index out of range");
   reader.end = length;
  }
  if (_end !== undefined)
   throw Error("missing end group");
  return message;
 };
 BatchUpdateBlobsRequest_Request.make = () => ({ data: $noBytes, compressor: 0 });
 return BatchUpdateBlobsRequest_Request;
})();
export const BatchUpdateBlobsResponse = (() => {
 const BatchUpdateBlobsResponse = {};
 BatchUpdateBlobsResponse.encode = function (message, writer, _depth) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  if (message.responses != null && message.responses.length)
   for (let i = 0; i < message.responses.length; ++i)
    BatchUpdateBlobsResponse_Response.encode(message.responses[i], writer.uint32(10).fork(), _depth + 1).ldelim();
  return writer;
 };
 BatchUpdateBlobsResponse.decode = function (reader, length, _end, _depth, _target) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  let end, message;
  if (length === undefined)
   end = reader.end;
  else {
   end = reader.pos + length;
   if (end > reader.end)
    throw RangeError("index out of range");
   length = reader.end;
   reader.end = end;
  }
  message = _target || BatchUpdateBlobsResponse.make();
  while (reader.pos < end) {
   let tag = reader.tag();
   if (tag === _end) {
    _end = undefined;
    break;
   }
   let wireType = tag & 7;
   switch (tag >>>= 3) {
   case 1: {
     if (wireType !== 2)
      break;
     if (!(message.responses && message.responses.length))
      message.responses = [];
     message.responses.push(BatchUpdateBlobsResponse_Response.decode(reader, reader.length(), undefined, _depth + 1));
     continue;
    }
   }
   reader.skip((tag << 3 | wireType) >>> 0, _depth);
  }
  if (length !== undefined) {
   if (reader.pos !== end)
    throw RangeError("index out of range");
   reader.end = length;
  }
  if (_end !== undefined)
   throw Error("missing end group");
  return message;
 };
 BatchUpdateBlobsResponse.make = () => ({ responses: $none });
 return BatchUpdateBlobsResponse;
})();
export const BatchUpdateBlobsResponse_Response = (() => {
 const BatchUpdateBlobsResponse_Response = {};
 BatchUpdateBlobsResponse_Response.encode = function (message, writer, _depth) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  if (message.digest != null)
   Digest.encode(message.digest, writer.uint32(10).fork(), _depth + 1).ldelim();
  if (message.status != null)
   Status.encode(message.status, writer.uint32(18).fork(), _depth + 1).ldelim();
  return writer;
 };
 BatchUpdateBlobsResponse_Response.decode = function (reader, length, _end, _depth, _target) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  let end, message, value;
  if (length === undefined)
   end = reader.end;
  else {
   end = reader.pos + length;
   if (end > reader.end)
    throw RangeError("index out of range");
   length = reader.end;
   reader.end = end;
  }
  message = _target || BatchUpdateBlobsResponse_Response.make();
  while (reader.pos < end) {
   let tag = reader.tag();
   if (tag === _end) {
    _end = undefined;
    break;
   }
   let wireType = tag & 7;
   switch (tag >>>= 3) {
   case 1: {
     if (wireType !== 2)
      break;
     message.digest = Digest.decode(reader, reader.length(), undefined, _depth + 1, message.digest);
     continue;
    }
   case 2: {
     if (wireType !== 2)
      break;
     message.status = Status.decode(reader, reader.length(), undefined, _depth + 1, message.status);
     continue;
    }
   }
   reader.skip((tag << 3 | wireType) >>> 0, _depth);
  }
  if (length !== undefined) {
   if (reader.pos !== end)
    throw RangeError("index out of range");
   reader.end = length;
  }
  if (_end !== undefined)
   throw Error("missing end group");
  return message;
 };
 BatchUpdateBlobsResponse_Response.make = () => ({});
 return BatchUpdateBlobsResponse_Response;
})();
export const CacheCapabilities = (() => {
 const CacheCapabilities = {};
 CacheCapabilities.encode = function (message, writer, _depth) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  if (message.digestFunctions != null && message.digestFunctions.length)
   writer.uint32(10).int32s(message.digestFunctions);
  if (message.actionCacheUpdateCapabilities != null)
   ActionCacheUpdateCapabilities.encode(message.actionCacheUpdateCapabilities, writer.uint32(18).fork(), _depth + 1).ldelim();
  if (message.cachePriorityCapabilities != null)
   PriorityCapabilities.encode(message.cachePriorityCapabilities, writer.uint32(26).fork(), _depth + 1).ldelim();
  if (message.maxBatchTotalSizeBytes != null && (typeof message.maxBatchTotalSizeBytes === "object" ? message.maxBatchTotalSizeBytes.low || message.maxBatchTotalSizeBytes.high : message.maxBatchTotalSizeBytes !== 0))
   writer.uint32(32).int64(message.maxBatchTotalSizeBytes);
  if (message.symlinkAbsolutePathStrategy != null && message.symlinkAbsolutePathStrategy !== 0)
   writer.uint32(40).int32(message.symlinkAbsolutePathStrategy);
  if (message.supportedCompressors != null && message.supportedCompressors.length)
   writer.uint32(50).int32s(message.supportedCompressors);
  if (message.supportedBatchUpdateCompressors != null && message.supportedBatchUpdateCompressors.length)
   writer.uint32(58).int32s(message.supportedBatchUpdateCompressors);
  if (message.maxCasBlobSizeBytes != null && (typeof message.maxCasBlobSizeBytes === "object" ? message.maxCasBlobSizeBytes.low || message.maxCasBlobSizeBytes.high : message.maxCasBlobSizeBytes !== 0))
   writer.uint32(64).int64(message.maxCasBlobSizeBytes);
  if (message.splitBlobSupport != null && message.splitBlobSupport !== false)
   writer.uint32(72).bool(message.splitBlobSupport);
  if (message.spliceBlobSupport != null && message.spliceBlobSupport !== false)
   writer.uint32(80).bool(message.spliceBlobSupport);
  if (message.fastCdc2020Params != null)
   FastCdc2020Params.encode(message.fastCdc2020Params, writer.uint32(90).fork(), _depth + 1).ldelim();
  if (message.repMaxCdcParams != null)
   RepMaxCdcParams.encode(message.repMaxCdcParams, writer.uint32(98).fork(), _depth + 1).ldelim();
  return writer;
 };
 CacheCapabilities.decode = function (reader, length, _end, _depth, _target) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  let end, message, value;
  if (length === undefined)
   end = reader.end;
  else {
   end = reader.pos + length;
   if (end > reader.end)
    throw RangeError("index out of range");
   length = reader.end;
   reader.end = end;
  }
  message = _target || CacheCapabilities.make();
  while (reader.pos < end) {
   let tag = reader.tag();
   if (tag === _end) {
    _end = undefined;
    break;
   }
   let wireType = tag & 7;
   switch (tag >>>= 3) {
   case 1: {
     if (wireType === 2) {
      if (!(message.digestFunctions && message.digestFunctions.length))
       message.digestFunctions = [];
      reader.int32s(message.digestFunctions);
      continue;
     }
     if (wireType !== 0)
      break;
     if (!(message.digestFunctions && message.digestFunctions.length))
      message.digestFunctions = [];
     message.digestFunctions.push(reader.int32());
     continue;
    }
   case 2: {
     if (wireType !== 2)
      break;
     message.actionCacheUpdateCapabilities = ActionCacheUpdateCapabilities.decode(reader, reader.length(), undefined, _depth + 1, message.actionCacheUpdateCapabilities);
     continue;
    }
   case 3: {
     if (wireType !== 2)
      break;
     message.cachePriorityCapabilities = PriorityCapabilities.decode(reader, reader.length(), undefined, _depth + 1, message.cachePriorityCapabilities);
     continue;
    }
   case 4: {
     if (wireType !== 0)
      break;
     message.maxBatchTotalSizeBytes = reader.int64();
     continue;
    }
   case 5: {
     if (wireType !== 0)
      break;
     message.symlinkAbsolutePathStrategy = reader.int32();
     continue;
    }
   case 6: {
     if (wireType === 2) {
      if (!(message.supportedCompressors && message.supportedCompressors.length))
       message.supportedCompressors = [];
      reader.int32s(message.supportedCompressors);
      continue;
     }
     if (wireType !== 0)
      break;
     if (!(message.supportedCompressors && message.supportedCompressors.length))
      message.supportedCompressors = [];
     message.supportedCompressors.push(reader.int32());
     continue;
    }
   case 7: {
     if (wireType === 2) {
      if (!(message.supportedBatchUpdateCompressors && message.supportedBatchUpdateCompressors.length))
       message.supportedBatchUpdateCompressors = [];
      reader.int32s(message.supportedBatchUpdateCompressors);
      continue;
     }
     if (wireType !== 0)
      break;
     if (!(message.supportedBatchUpdateCompressors && message.supportedBatchUpdateCompressors.length))
      message.supportedBatchUpdateCompressors = [];
     message.supportedBatchUpdateCompressors.push(reader.int32());
     continue;
    }
   case 8: {
     if (wireType !== 0)
      break;
     message.maxCasBlobSizeBytes = reader.int64();
     continue;
    }
   case 9: {
     if (wireType !== 0)
      break;
     message.splitBlobSupport = reader.bool();
     continue;
    }
   case 10: {
     if (wireType !== 0)
      break;
     message.spliceBlobSupport = reader.bool();
     continue;
    }
   case 11: {
     if (wireType !== 2)
      break;
     message.fastCdc2020Params = FastCdc2020Params.decode(reader, reader.length(), undefined, _depth + 1, message.fastCdc2020Params);
     continue;
    }
   case 12: {
     if (wireType !== 2)
      break;
     message.repMaxCdcParams = RepMaxCdcParams.decode(reader, reader.length(), undefined, _depth + 1, message.repMaxCdcParams);
     continue;
    }
   }
   reader.skip((tag << 3 | wireType) >>> 0, _depth);
  }
  if (length !== undefined) {
   if (reader.pos !== end)
    throw RangeError("index out of range");
   reader.end = length;
  }
  if (_end !== undefined)
   throw Error("missing end group");
  return message;
 };
 CacheCapabilities.make = () => ({ digestFunctions: $none, maxBatchTotalSizeBytes: 0, symlinkAbsolutePathStrategy: 0, supportedCompressors: $none, supportedBatchUpdateCompressors: $none, maxCasBlobSizeBytes: 0, splitBlobSupport: false, spliceBlobSupport: false });
 return CacheCapabilities;
})();
export const Command = (() => {
 const Command = {};
 Command.encode = function (message, writer, _depth) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  if (message["arguments"] != null && message["arguments"].length)
   for (let i = 0; i < message["arguments"].length; ++i)
    writer.uint32(10).string(message["arguments"][i]);
  if (message.environmentVariables != null && message.environmentVariables.length)
   for (let i = 0; i < message.environmentVariables.length; ++i)
    Command_EnvironmentVariable.encode(message.environmentVariables[i], writer.uint32(18).fork(), _depth + 1).ldelim();
  if (message.outputFiles != null && message.outputFiles.length)
   for (let i = 0; i < message.outputFiles.length; ++i)
    writer.uint32(26).string(message.outputFiles[i]);
  if (message.outputDirectories != null && message.outputDirectories.length)
   for (let i = 0; i < message.outputDirectories.length; ++i)
    writer.uint32(34).string(message.outputDirectories[i]);
  if (message.platform != null)
   Platform.encode(message.platform, writer.uint32(42).fork(), _depth + 1).ldelim();
  if (message.workingDirectory != null && message.workingDirectory !== "")
   writer.uint32(50).string(message.workingDirectory);
  if (message.outputPaths != null && message.outputPaths.length)
   for (let i = 0; i < message.outputPaths.length; ++i)
    writer.uint32(58).string(message.outputPaths[i]);
  if (message.outputNodeProperties != null && message.outputNodeProperties.length)
   for (let i = 0; i < message.outputNodeProperties.length; ++i)
    writer.uint32(66).string(message.outputNodeProperties[i]);
  if (message.outputDirectoryFormat != null && message.outputDirectoryFormat !== 0)
   writer.uint32(72).int32(message.outputDirectoryFormat);
  return writer;
 };
 Command.decode = function (reader, length, _end, _depth, _target) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  let end, message, value;
  if (length === undefined)
   end = reader.end;
  else {
   end = reader.pos + length;
   if (end > reader.end)
    throw RangeError("index out of range");
   length = reader.end;
   reader.end = end;
  }
  message = _target || Command.make();
  while (reader.pos < end) {
   let tag = reader.tag();
   if (tag === _end) {
    _end = undefined;
    break;
   }
   let wireType = tag & 7;
   switch (tag >>>= 3) {
   case 1: {
     if (wireType !== 2)
      break;
     if (!(message["arguments"] && message["arguments"].length))
      message["arguments"] = [];
     message["arguments"].push(reader.string());
     continue;
    }
   case 2: {
     if (wireType !== 2)
      break;
     if (!(message.environmentVariables && message.environmentVariables.length))
      message.environmentVariables = [];
     message.environmentVariables.push(Command_EnvironmentVariable.decode(reader, reader.length(), undefined, _depth + 1));
     continue;
    }
   case 3: {
     if (wireType !== 2)
      break;
     if (!(message.outputFiles && message.outputFiles.length))
      message.outputFiles = [];
     message.outputFiles.push(reader.string());
     continue;
    }
   case 4: {
     if (wireType !== 2)
      break;
     if (!(message.outputDirectories && message.outputDirectories.length))
      message.outputDirectories = [];
     message.outputDirectories.push(reader.string());
     continue;
    }
   case 5: {
     if (wireType !== 2)
      break;
     message.platform = Platform.decode(reader, reader.length(), undefined, _depth + 1, message.platform);
     continue;
    }
   case 6: {
     if (wireType !== 2)
      break;
     message.workingDirectory = reader.string();
     continue;
    }
   case 7: {
     if (wireType !== 2)
      break;
     if (!(message.outputPaths && message.outputPaths.length))
      message.outputPaths = [];
     message.outputPaths.push(reader.string());
     continue;
    }
   case 8: {
     if (wireType !== 2)
      break;
     if (!(message.outputNodeProperties && message.outputNodeProperties.length))
      message.outputNodeProperties = [];
     message.outputNodeProperties.push(reader.string());
     continue;
    }
   case 9: {
     if (wireType !== 0)
      break;
     message.outputDirectoryFormat = reader.int32();
     continue;
    }
   }
   reader.skip((tag << 3 | wireType) >>> 0, _depth);
  }
  if (length !== undefined) {
   if (reader.pos !== end)
    throw RangeError("index out of range");
   reader.end = length;
  }
  if (_end !== undefined)
   throw Error("missing end group");
  return message;
 };
 Command.make = () => ({ arguments: $none, environmentVariables: $none, outputFiles: $none, outputDirectories: $none, workingDirectory: "", outputPaths: $none, outputNodeProperties: $none, outputDirectoryFormat: 0 });
 return Command;
})();
export const Command_EnvironmentVariable = (() => {
 const Command_EnvironmentVariable = {};
 Command_EnvironmentVariable.encode = function (message, writer, _depth) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  if (message.name != null && message.name !== "")
   writer.uint32(10).string(message.name);
  if (message.value != null && message.value !== "")
   writer.uint32(18).string(message.value);
  return writer;
 };
 Command_EnvironmentVariable.decode = function (reader, length, _end, _depth, _target) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  let end, message, value;
  if (length === undefined)
   end = reader.end;
  else {
   end = reader.pos + length;
   if (end > reader.end)
    throw RangeError("index out of range");
   length = reader.end;
   reader.end = end;
  }
  message = _target || Command_EnvironmentVariable.make();
  while (reader.pos < end) {
   let tag = reader.tag();
   if (tag === _end) {
    _end = undefined;
    break;
   }
   let wireType = tag & 7;
   switch (tag >>>= 3) {
   case 1: {
     if (wireType !== 2)
      break;
     message.name = reader.string();
     continue;
    }
   case 2: {
     if (wireType !== 2)
      break;
     message.value = reader.string();
     continue;
    }
   }
   reader.skip((tag << 3 | wireType) >>> 0, _depth);
  }
  if (length !== undefined) {
   if (reader.pos !== end)
    throw RangeError("index out of range");
   reader.end = length;
  }
  if (_end !== undefined)
   throw Error("missing end group");
  return message;
 };
 Command_EnvironmentVariable.make = () => ({ name: "", value: "" });
 return Command_EnvironmentVariable;
})();
export const Digest = (() => {
 const Digest = {};
 Digest.encode = function (message, writer, _depth) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  if (message.hash != null && message.hash !== "")
   writer.uint32(10).string(message.hash);
  if (message.sizeBytes != null && (typeof message.sizeBytes === "object" ? message.sizeBytes.low || message.sizeBytes.high : message.sizeBytes !== 0))
   writer.uint32(16).int64(message.sizeBytes);
  return writer;
 };
 Digest.decode = function (reader, length, _end, _depth, _target) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  let end, message, value;
  if (length === undefined)
   end = reader.end;
  else {
   end = reader.pos + length;
   if (end > reader.end)
    throw RangeError("index out of range");
   length = reader.end;
   reader.end = end;
  }
  message = _target || Digest.make();
  while (reader.pos < end) {
   let tag = reader.tag();
   if (tag === _end) {
    _end = undefined;
    break;
   }
   let wireType = tag & 7;
   switch (tag >>>= 3) {
   case 1: {
     if (wireType !== 2)
      break;
     message.hash = reader.string();
     continue;
    }
   case 2: {
     if (wireType !== 0)
      break;
     message.sizeBytes = reader.int64();
     continue;
    }
   }
   reader.skip((tag << 3 | wireType) >>> 0, _depth);
  }
  if (length !== undefined) {
   if (reader.pos !== end)
    throw RangeError("index out of range");
   reader.end = length;
  }
  if (_end !== undefined)
   throw Error("missing end group");
  return message;
 };
 Digest.make = () => ({ hash: "", sizeBytes: 0 });
 return Digest;
})();
export const Directory = (() => {
 const Directory = {};
 Directory.encode = function (message, writer, _depth) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  if (message.files != null && message.files.length)
   for (let i = 0; i < message.files.length; ++i)
    FileNode.encode(message.files[i], writer.uint32(10).fork(), _depth + 1).ldelim();
  if (message.directories != null && message.directories.length)
   for (let i = 0; i < message.directories.length; ++i)
    DirectoryNode.encode(message.directories[i], writer.uint32(18).fork(), _depth + 1).ldelim();
  if (message.symlinks != null && message.symlinks.length)
   for (let i = 0; i < message.symlinks.length; ++i)
    SymlinkNode.encode(message.symlinks[i], writer.uint32(26).fork(), _depth + 1).ldelim();
  if (message.nodeProperties != null)
   NodeProperties.encode(message.nodeProperties, writer.uint32(42).fork(), _depth + 1).ldelim();
  return writer;
 };
 Directory.decode = function (reader, length, _end, _depth, _target) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  let end, message, value;
  if (length === undefined)
   end = reader.end;
  else {
   end = reader.pos + length;
   if (end > reader.end)
    throw RangeError("index out of range");
   length = reader.end;
   reader.end = end;
  }
  message = _target || Directory.make();
  while (reader.pos < end) {
   let tag = reader.tag();
   if (tag === _end) {
    _end = undefined;
    break;
   }
   let wireType = tag & 7;
   switch (tag >>>= 3) {
   case 1: {
     if (wireType !== 2)
      break;
     if (!(message.files && message.files.length))
      message.files = [];
     message.files.push(FileNode.decode(reader, reader.length(), undefined, _depth + 1));
     continue;
    }
   case 2: {
     if (wireType !== 2)
      break;
     if (!(message.directories && message.directories.length))
      message.directories = [];
     message.directories.push(DirectoryNode.decode(reader, reader.length(), undefined, _depth + 1));
     continue;
    }
   case 3: {
     if (wireType !== 2)
      break;
     if (!(message.symlinks && message.symlinks.length))
      message.symlinks = [];
     message.symlinks.push(SymlinkNode.decode(reader, reader.length(), undefined, _depth + 1));
     continue;
    }
   case 5: {
     if (wireType !== 2)
      break;
     message.nodeProperties = NodeProperties.decode(reader, reader.length(), undefined, _depth + 1, message.nodeProperties);
     continue;
    }
   }
   reader.skip((tag << 3 | wireType) >>> 0, _depth);
  }
  if (length !== undefined) {
   if (reader.pos !== end)
    throw RangeError("index out of range");
   reader.end = length;
  }
  if (_end !== undefined)
   throw Error("missing end group");
  return message;
 };
 Directory.make = () => ({ files: $none, directories: $none, symlinks: $none });
 return Directory;
})();
export const DirectoryNode = (() => {
 const DirectoryNode = {};
 DirectoryNode.encode = function (message, writer, _depth) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  if (message.name != null && message.name !== "")
   writer.uint32(10).string(message.name);
  if (message.digest != null)
   Digest.encode(message.digest, writer.uint32(18).fork(), _depth + 1).ldelim();
  return writer;
 };
 DirectoryNode.decode = function (reader, length, _end, _depth, _target) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  let end, message, value;
  if (length === undefined)
   end = reader.end;
  else {
   end = reader.pos + length;
   if (end > reader.end)
    throw RangeError("index out of range");
   length = reader.end;
   reader.end = end;
  }
  message = _target || DirectoryNode.make();
  while (reader.pos < end) {
   let tag = reader.tag();
   if (tag === _end) {
    _end = undefined;
    break;
   }
   let wireType = tag & 7;
   switch (tag >>>= 3) {
   case 1: {
     if (wireType !== 2)
      break;
     message.name = reader.string();
     continue;
    }
   case 2: {
     if (wireType !== 2)
      break;
     message.digest = Digest.decode(reader, reader.length(), undefined, _depth + 1, message.digest);
     continue;
    }
   }
   reader.skip((tag << 3 | wireType) >>> 0, _depth);
  }
  if (length !== undefined) {
   if (reader.pos !== end)
    throw RangeError("index out of range");
   reader.end = length;
  }
  if (_end !== undefined)
   throw Error("missing end group");
  return message;
 };
 DirectoryNode.make = () => ({ name: "" });
 return DirectoryNode;
})();
export const ExecuteOperationMetadata = (() => {
 const ExecuteOperationMetadata = {};
 ExecuteOperationMetadata.encode = function (message, writer, _depth) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  if (message.stage != null && message.stage !== 0)
   writer.uint32(8).int32(message.stage);
  if (message.actionDigest != null)
   Digest.encode(message.actionDigest, writer.uint32(18).fork(), _depth + 1).ldelim();
  if (message.stdoutStreamName != null && message.stdoutStreamName !== "")
   writer.uint32(26).string(message.stdoutStreamName);
  if (message.stderrStreamName != null && message.stderrStreamName !== "")
   writer.uint32(34).string(message.stderrStreamName);
  if (message.partialExecutionMetadata != null)
   ExecutedActionMetadata.encode(message.partialExecutionMetadata, writer.uint32(42).fork(), _depth + 1).ldelim();
  if (message.digestFunction != null && message.digestFunction !== 0)
   writer.uint32(48).int32(message.digestFunction);
  return writer;
 };
 ExecuteOperationMetadata.decode = function (reader, length, _end, _depth, _target) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  let end, message, value;
  if (length === undefined)
   end = reader.end;
  else {
   end = reader.pos + length;
   if (end > reader.end)
    throw RangeError("index out of range");
   length = reader.end;
   reader.end = end;
  }
  message = _target || ExecuteOperationMetadata.make();
  while (reader.pos < end) {
   let tag = reader.tag();
   if (tag === _end) {
    _end = undefined;
    break;
   }
   let wireType = tag & 7;
   switch (tag >>>= 3) {
   case 1: {
     if (wireType !== 0)
      break;
     message.stage = reader.int32();
     continue;
    }
   case 2: {
     if (wireType !== 2)
      break;
     message.actionDigest = Digest.decode(reader, reader.length(), undefined, _depth + 1, message.actionDigest);
     continue;
    }
   case 3: {
     if (wireType !== 2)
      break;
     message.stdoutStreamName = reader.string();
     continue;
    }
   case 4: {
     if (wireType !== 2)
      break;
     message.stderrStreamName = reader.string();
     continue;
    }
   case 5: {
     if (wireType !== 2)
      break;
     message.partialExecutionMetadata = ExecutedActionMetadata.decode(reader, reader.length(), undefined, _depth + 1, message.partialExecutionMetadata);
     continue;
    }
   case 6: {
     if (wireType !== 0)
      break;
     message.digestFunction = reader.int32();
     continue;
    }
   }
   reader.skip((tag << 3 | wireType) >>> 0, _depth);
  }
  if (length !== undefined) {
   if (reader.pos !== end)
    throw RangeError("index out of range");
   reader.end = length;
  }
  if (_end !== undefined)
   throw Error("missing end group");
  return message;
 };
 ExecuteOperationMetadata.make = () => ({ stage: 0, stdoutStreamName: "", stderrStreamName: "", digestFunction: 0 });
 return ExecuteOperationMetadata;
})();
export const ExecuteRequest = (() => {
 const ExecuteRequest = {};
 ExecuteRequest.encode = function (message, writer, _depth) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  if (message.instanceName != null && message.instanceName !== "")
   writer.uint32(10).string(message.instanceName);
  if (message.skipCacheLookup != null && message.skipCacheLookup !== false)
   writer.uint32(24).bool(message.skipCacheLookup);
  if (message.actionDigest != null)
   Digest.encode(message.actionDigest, writer.uint32(50).fork(), _depth + 1).ldelim();
  if (message.executionPolicy != null)
   ExecutionPolicy.encode(message.executionPolicy, writer.uint32(58).fork(), _depth + 1).ldelim();
  if (message.resultsCachePolicy != null)
   ResultsCachePolicy.encode(message.resultsCachePolicy, writer.uint32(66).fork(), _depth + 1).ldelim();
  if (message.digestFunction != null && message.digestFunction !== 0)
   writer.uint32(72).int32(message.digestFunction);
  if (message.inlineStdout != null && message.inlineStdout !== false)
   writer.uint32(80).bool(message.inlineStdout);
  if (message.inlineStderr != null && message.inlineStderr !== false)
   writer.uint32(88).bool(message.inlineStderr);
  if (message.inlineOutputFiles != null && message.inlineOutputFiles.length)
   for (let i = 0; i < message.inlineOutputFiles.length; ++i)
    writer.uint32(98).string(message.inlineOutputFiles[i]);
  return writer;
 };
 ExecuteRequest.decode = function (reader, length, _end, _depth, _target) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  let end, message, value;
  if (length === undefined)
   end = reader.end;
  else {
   end = reader.pos + length;
   if (end > reader.end)
    throw RangeError("index out of range");
   length = reader.end;
   reader.end = end;
  }
  message = _target || ExecuteRequest.make();
  while (reader.pos < end) {
   let tag = reader.tag();
   if (tag === _end) {
    _end = undefined;
    break;
   }
   let wireType = tag & 7;
   switch (tag >>>= 3) {
   case 1: {
     if (wireType !== 2)
      break;
     message.instanceName = reader.string();
     continue;
    }
   case 3: {
     if (wireType !== 0)
      break;
     message.skipCacheLookup = reader.bool();
     continue;
    }
   case 6: {
     if (wireType !== 2)
      break;
     message.actionDigest = Digest.decode(reader, reader.length(), undefined, _depth + 1, message.actionDigest);
     continue;
    }
   case 7: {
     if (wireType !== 2)
      break;
     message.executionPolicy = ExecutionPolicy.decode(reader, reader.length(), undefined, _depth + 1, message.executionPolicy);
     continue;
    }
   case 8: {
     if (wireType !== 2)
      break;
     message.resultsCachePolicy = ResultsCachePolicy.decode(reader, reader.length(), undefined, _depth + 1, message.resultsCachePolicy);
     continue;
    }
   case 9: {
     if (wireType !== 0)
      break;
     message.digestFunction = reader.int32();
     continue;
    }
   case 10: {
     if (wireType !== 0)
      break;
     message.inlineStdout = reader.bool();
     continue;
    }
   case 11: {
     if (wireType !== 0)
      break;
     message.inlineStderr = reader.bool();
     continue;
    }
   case 12: {
     if (wireType !== 2)
      break;
     if (!(message.inlineOutputFiles && message.inlineOutputFiles.length))
      message.inlineOutputFiles = [];
     message.inlineOutputFiles.push(reader.string());
     continue;
    }
   }
   reader.skip((tag << 3 | wireType) >>> 0, _depth);
  }
  if (length !== undefined) {
   if (reader.pos !== end)
    throw RangeError("index out of range");
   reader.end = length;
  }
  if (_end !== undefined)
   throw Error("missing end group");
  return message;
 };
 ExecuteRequest.make = () => ({ instanceName: "", skipCacheLookup: false, digestFunction: 0, inlineStdout: false, inlineStderr: false, inlineOutputFiles: $none });
 return ExecuteRequest;
})();
export const ExecuteResponse = (() => {
 const ExecuteResponse = {};
 ExecuteResponse.encode = function (message, writer, _depth) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  if (message.result != null)
   ActionResult.encode(message.result, writer.uint32(10).fork(), _depth + 1).ldelim();
  if (message.cachedResult != null && message.cachedResult !== false)
   writer.uint32(16).bool(message.cachedResult);
  if (message.status != null)
   Status.encode(message.status, writer.uint32(26).fork(), _depth + 1).ldelim();
  if (message.serverLogs != null)
   for (let keys = Object.keys(message.serverLogs), i = 0; i < keys.length; ++i) {
    writer.uint32(34).fork().uint32(10).string(keys[i]);
    LogFile.encode(message.serverLogs[keys[i]], writer.uint32(18).fork(), _depth + 1).ldelim().ldelim();
   }
  if (message.message != null && message.message !== "")
   writer.uint32(42).string(message.message);
  return writer;
 };
 ExecuteResponse.decode = function (reader, length, _end, _depth, _target) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  let end, message, key, value;
  if (length === undefined)
   end = reader.end;
  else {
   end = reader.pos + length;
   if (end > reader.end)
    throw RangeError("index out of range");
   length = reader.end;
   reader.end = end;
  }
  message = _target || ExecuteResponse.make();
  while (reader.pos < end) {
   let tag = reader.tag();
   if (tag === _end) {
    _end = undefined;
    break;
   }
   let wireType = tag & 7;
   switch (tag >>>= 3) {
   case 1: {
     if (wireType !== 2)
      break;
     message.result = ActionResult.decode(reader, reader.length(), undefined, _depth + 1, message.result);
     continue;
    }
   case 2: {
     if (wireType !== 0)
      break;
     message.cachedResult = reader.bool();
     continue;
    }
   case 3: {
     if (wireType !== 2)
      break;
     message.status = Status.decode(reader, reader.length(), undefined, _depth + 1, message.status);
     continue;
    }
   case 4: {
     if (wireType !== 2)
      break;
     if (message.serverLogs === $emptyMap)
      message.serverLogs = {};
     let end2 = reader.length() + reader.pos;
     if (end2 > reader.end)
      throw RangeError("index out of range");
     reader.end = end2;
     key = "";
     value = null;
     while (reader.pos < end2) {
      let tag2 = reader.tag();
      wireType = tag2 & 7;
      switch (tag2 >>>= 3) {
      case 1:
       if (wireType !== 2)
        break;
       key = reader.string();
       continue;
      case 2:
       if (wireType !== 2)
        break;
       value = LogFile.decode(reader, reader.length(), undefined, _depth + 1, value);
       continue;
      }
      reader.skip((tag2 << 3 | wireType) >>> 0, _depth);
     }
     if (reader.pos !== end2)
      throw RangeError("index out of range");
     reader.end = end;
     if (key === "__proto__") $own(message.serverLogs, key);
     message.serverLogs[key] = value || LogFile.make();
     continue;
    }
   case 5: {
     if (wireType !== 2)
      break;
     message.message = reader.string();
     continue;
    }
   }
   reader.skip((tag << 3 | wireType) >>> 0, _depth);
  }
  if (length !== undefined) {
   if (reader.pos !== end)
    throw RangeError("index out of range");
   reader.end = length;
  }
  if (_end !== undefined)
   throw Error("missing end group");
  return message;
 };
 ExecuteResponse.make = () => ({ cachedResult: false, serverLogs: $emptyMap, message: "" });
 return ExecuteResponse;
})();
export const ExecutedActionMetadata = (() => {
 const ExecutedActionMetadata = {};
 ExecutedActionMetadata.encode = function (message, writer, _depth) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  if (message.worker != null && message.worker !== "")
   writer.uint32(10).string(message.worker);
  if (message.queuedTimestamp != null)
   Timestamp.encode(message.queuedTimestamp, writer.uint32(18).fork(), _depth + 1).ldelim();
  if (message.workerStartTimestamp != null)
   Timestamp.encode(message.workerStartTimestamp, writer.uint32(26).fork(), _depth + 1).ldelim();
  if (message.workerCompletedTimestamp != null)
   Timestamp.encode(message.workerCompletedTimestamp, writer.uint32(34).fork(), _depth + 1).ldelim();
  if (message.inputFetchStartTimestamp != null)
   Timestamp.encode(message.inputFetchStartTimestamp, writer.uint32(42).fork(), _depth + 1).ldelim();
  if (message.inputFetchCompletedTimestamp != null)
   Timestamp.encode(message.inputFetchCompletedTimestamp, writer.uint32(50).fork(), _depth + 1).ldelim();
  if (message.executionStartTimestamp != null)
   Timestamp.encode(message.executionStartTimestamp, writer.uint32(58).fork(), _depth + 1).ldelim();
  if (message.executionCompletedTimestamp != null)
   Timestamp.encode(message.executionCompletedTimestamp, writer.uint32(66).fork(), _depth + 1).ldelim();
  if (message.outputUploadStartTimestamp != null)
   Timestamp.encode(message.outputUploadStartTimestamp, writer.uint32(74).fork(), _depth + 1).ldelim();
  if (message.outputUploadCompletedTimestamp != null)
   Timestamp.encode(message.outputUploadCompletedTimestamp, writer.uint32(82).fork(), _depth + 1).ldelim();
  if (message.auxiliaryMetadata != null && message.auxiliaryMetadata.length)
   for (let i = 0; i < message.auxiliaryMetadata.length; ++i)
    Any.encode(message.auxiliaryMetadata[i], writer.uint32(90).fork(), _depth + 1).ldelim();
  if (message.virtualExecutionDuration != null)
   Duration.encode(message.virtualExecutionDuration, writer.uint32(98).fork(), _depth + 1).ldelim();
  return writer;
 };
 ExecutedActionMetadata.decode = function (reader, length, _end, _depth, _target) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  let end, message, value;
  if (length === undefined)
   end = reader.end;
  else {
   end = reader.pos + length;
   if (end > reader.end)
    throw RangeError("index out of range");
   length = reader.end;
   reader.end = end;
  }
  message = _target || ExecutedActionMetadata.make();
  while (reader.pos < end) {
   let tag = reader.tag();
   if (tag === _end) {
    _end = undefined;
    break;
   }
   let wireType = tag & 7;
   switch (tag >>>= 3) {
   case 1: {
     if (wireType !== 2)
      break;
     message.worker = reader.string();
     continue;
    }
   case 2: {
     if (wireType !== 2)
      break;
     message.queuedTimestamp = Timestamp.decode(reader, reader.length(), undefined, _depth + 1, message.queuedTimestamp);
     continue;
    }
   case 3: {
     if (wireType !== 2)
      break;
     message.workerStartTimestamp = Timestamp.decode(reader, reader.length(), undefined, _depth + 1, message.workerStartTimestamp);
     continue;
    }
   case 4: {
     if (wireType !== 2)
      break;
     message.workerCompletedTimestamp = Timestamp.decode(reader, reader.length(), undefined, _depth + 1, message.workerCompletedTimestamp);
     continue;
    }
   case 5: {
     if (wireType !== 2)
      break;
     message.inputFetchStartTimestamp = Timestamp.decode(reader, reader.length(), undefined, _depth + 1, message.inputFetchStartTimestamp);
     continue;
    }
   case 6: {
     if (wireType !== 2)
      break;
     message.inputFetchCompletedTimestamp = Timestamp.decode(reader, reader.length(), undefined, _depth + 1, message.inputFetchCompletedTimestamp);
     continue;
    }
   case 7: {
     if (wireType !== 2)
      break;
     message.executionStartTimestamp = Timestamp.decode(reader, reader.length(), undefined, _depth + 1, message.executionStartTimestamp);
     continue;
    }
   case 8: {
     if (wireType !== 2)
      break;
     message.executionCompletedTimestamp = Timestamp.decode(reader, reader.length(), undefined, _depth + 1, message.executionCompletedTimestamp);
     continue;
    }
   case 9: {
     if (wireType !== 2)
      break;
     message.outputUploadStartTimestamp = Timestamp.decode(reader, reader.length(), undefined, _depth + 1, message.outputUploadStartTimestamp);
     continue;
    }
   case 10: {
     if (wireType !== 2)
      break;
     message.outputUploadCompletedTimestamp = Timestamp.decode(reader, reader.length(), undefined, _depth + 1, message.outputUploadCompletedTimestamp);
     continue;
    }
   case 11: {
     if (wireType !== 2)
      break;
     if (!(message.auxiliaryMetadata && message.auxiliaryMetadata.length))
      message.auxiliaryMetadata = [];
     message.auxiliaryMetadata.push(Any.decode(reader, reader.length(), undefined, _depth + 1));
     continue;
    }
   case 12: {
     if (wireType !== 2)
      break;
     message.virtualExecutionDuration = Duration.decode(reader, reader.length(), undefined, _depth + 1, message.virtualExecutionDuration);
     continue;
    }
   }
   reader.skip((tag << 3 | wireType) >>> 0, _depth);
  }
  if (length !== undefined) {
   if (reader.pos !== end)
    throw RangeError("index out of range");
   reader.end = length;
  }
  if (_end !== undefined)
   throw Error("missing end group");
  return message;
 };
 ExecutedActionMetadata.make = () => ({ worker: "", auxiliaryMetadata: $none });
 return ExecutedActionMetadata;
})();
export const ExecutionCapabilities = (() => {
 const ExecutionCapabilities = {};
 ExecutionCapabilities.encode = function (message, writer, _depth) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  if (message.digestFunction != null && message.digestFunction !== 0)
   writer.uint32(8).int32(message.digestFunction);
  if (message.execEnabled != null && message.execEnabled !== false)
   writer.uint32(16).bool(message.execEnabled);
  if (message.executionPriorityCapabilities != null)
   PriorityCapabilities.encode(message.executionPriorityCapabilities, writer.uint32(26).fork(), _depth + 1).ldelim();
  if (message.supportedNodeProperties != null && message.supportedNodeProperties.length)
   for (let i = 0; i < message.supportedNodeProperties.length; ++i)
    writer.uint32(34).string(message.supportedNodeProperties[i]);
  if (message.digestFunctions != null && message.digestFunctions.length)
   writer.uint32(42).int32s(message.digestFunctions);
  return writer;
 };
 ExecutionCapabilities.decode = function (reader, length, _end, _depth, _target) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  let end, message, value;
  if (length === undefined)
   end = reader.end;
  else {
   end = reader.pos + length;
   if (end > reader.end)
    throw RangeError("index out of range");
   length = reader.end;
   reader.end = end;
  }
  message = _target || ExecutionCapabilities.make();
  while (reader.pos < end) {
   let tag = reader.tag();
   if (tag === _end) {
    _end = undefined;
    break;
   }
   let wireType = tag & 7;
   switch (tag >>>= 3) {
   case 1: {
     if (wireType !== 0)
      break;
     message.digestFunction = reader.int32();
     continue;
    }
   case 2: {
     if (wireType !== 0)
      break;
     message.execEnabled = reader.bool();
     continue;
    }
   case 3: {
     if (wireType !== 2)
      break;
     message.executionPriorityCapabilities = PriorityCapabilities.decode(reader, reader.length(), undefined, _depth + 1, message.executionPriorityCapabilities);
     continue;
    }
   case 4: {
     if (wireType !== 2)
      break;
     if (!(message.supportedNodeProperties && message.supportedNodeProperties.length))
      message.supportedNodeProperties = [];
     message.supportedNodeProperties.push(reader.string());
     continue;
    }
   case 5: {
     if (wireType === 2) {
      if (!(message.digestFunctions && message.digestFunctions.length))
       message.digestFunctions = [];
      reader.int32s(message.digestFunctions);
      continue;
     }
     if (wireType !== 0)
      break;
     if (!(message.digestFunctions && message.digestFunctions.length))
      message.digestFunctions = [];
     message.digestFunctions.push(reader.int32());
     continue;
    }
   }
   reader.skip((tag << 3 | wireType) >>> 0, _depth);
  }
  if (length !== undefined) {
   if (reader.pos !== end)
    throw RangeError("index out of range");
   reader.end = length;
  }
  if (_end !== undefined)
   throw Error("missing end group");
  return message;
 };
 ExecutionCapabilities.make = () => ({ digestFunction: 0, execEnabled: false, supportedNodeProperties: $none, digestFunctions: $none });
 return ExecutionCapabilities;
})();
export const ExecutionPolicy = (() => {
 const ExecutionPolicy = {};
 ExecutionPolicy.encode = function (message, writer, _depth) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  if (message.priority != null && message.priority !== 0)
   writer.uint32(8).int32(message.priority);
  return writer;
 };
 ExecutionPolicy.decode = function (reader, length, _end, _depth, _target) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  let end, message, value;
  if (length === undefined)
   end = reader.end;
  else {
   end = reader.pos + length;
   if (end > reader.end)
    throw RangeError("index out of range");
   length = reader.end;
   reader.end = end;
  }
  message = _target || ExecutionPolicy.make();
  while (reader.pos < end) {
   let tag = reader.tag();
   if (tag === _end) {
    _end = undefined;
    break;
   }
   let wireType = tag & 7;
   switch (tag >>>= 3) {
   case 1: {
     if (wireType !== 0)
      break;
     message.priority = reader.int32();
     continue;
    }
   }
   reader.skip((tag << 3 | wireType) >>> 0, _depth);
  }
  if (length !== undefined) {
   if (reader.pos !== end)
    throw RangeError("index out of range");
   reader.end = length;
  }
  if (_end !== undefined)
   throw Error("missing end group");
  return message;
 };
 ExecutionPolicy.make = () => ({ priority: 0 });
 return ExecutionPolicy;
})();
export const FastCdc2020Params = (() => {
 const FastCdc2020Params = {};
 FastCdc2020Params.encode = function (message, writer, _depth) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  if (message.avgChunkSizeBytes != null && (typeof message.avgChunkSizeBytes === "object" ? message.avgChunkSizeBytes.low || message.avgChunkSizeBytes.high : message.avgChunkSizeBytes !== 0))
   writer.uint32(8).uint64(message.avgChunkSizeBytes);
  if (message.seed != null && message.seed !== 0)
   writer.uint32(16).uint32(message.seed);
  return writer;
 };
 FastCdc2020Params.decode = function (reader, length, _end, _depth, _target) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  let end, message, value;
  if (length === undefined)
   end = reader.end;
  else {
   end = reader.pos + length;
   if (end > reader.end)
    throw RangeError("index out of range");
   length = reader.end;
   reader.end = end;
  }
  message = _target || FastCdc2020Params.make();
  while (reader.pos < end) {
   let tag = reader.tag();
   if (tag === _end) {
    _end = undefined;
    break;
   }
   let wireType = tag & 7;
   switch (tag >>>= 3) {
   case 1: {
     if (wireType !== 0)
      break;
     message.avgChunkSizeBytes = reader.uint64();
     continue;
    }
   case 2: {
     if (wireType !== 0)
      break;
     message.seed = reader.uint32();
     continue;
    }
   }
   reader.skip((tag << 3 | wireType) >>> 0, _depth);
  }
  if (length !== undefined) {
   if (reader.pos !== end)
    throw RangeError("index out of range");
   reader.end = length;
  }
  if (_end !== undefined)
   throw Error("missing end group");
  return message;
 };
 FastCdc2020Params.make = () => ({ avgChunkSizeBytes: 0, seed: 0 });
 return FastCdc2020Params;
})();
export const FileNode = (() => {
 const FileNode = {};
 FileNode.encode = function (message, writer, _depth) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  if (message.name != null && message.name !== "")
   writer.uint32(10).string(message.name);
  if (message.digest != null)
   Digest.encode(message.digest, writer.uint32(18).fork(), _depth + 1).ldelim();
  if (message.isExecutable != null && message.isExecutable !== false)
   writer.uint32(32).bool(message.isExecutable);
  if (message.nodeProperties != null)
   NodeProperties.encode(message.nodeProperties, writer.uint32(50).fork(), _depth + 1).ldelim();
  return writer;
 };
 FileNode.decode = function (reader, length, _end, _depth, _target) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  let end, message, value;
  if (length === undefined)
   end = reader.end;
  else {
   end = reader.pos + length;
   if (end > reader.end)
    throw RangeError("index out of range");
   length = reader.end;
   reader.end = end;
  }
  message = _target || FileNode.make();
  while (reader.pos < end) {
   let tag = reader.tag();
   if (tag === _end) {
    _end = undefined;
    break;
   }
   let wireType = tag & 7;
   switch (tag >>>= 3) {
   case 1: {
     if (wireType !== 2)
      break;
     message.name = reader.string();
     continue;
    }
   case 2: {
     if (wireType !== 2)
      break;
     message.digest = Digest.decode(reader, reader.length(), undefined, _depth + 1, message.digest);
     continue;
    }
   case 4: {
     if (wireType !== 0)
      break;
     message.isExecutable = reader.bool();
     continue;
    }
   case 6: {
     if (wireType !== 2)
      break;
     message.nodeProperties = NodeProperties.decode(reader, reader.length(), undefined, _depth + 1, message.nodeProperties);
     continue;
    }
   }
   reader.skip((tag << 3 | wireType) >>> 0, _depth);
  }
  if (length !== undefined) {
   if (reader.pos !== end)
    throw RangeError("index out of range");
   reader.end = length;
  }
  if (_end !== undefined)
   throw Error("missing end group");
  return message;
 };
 FileNode.make = () => ({ name: "", isExecutable: false });
 return FileNode;
})();
export const FindMissingBlobsRequest = (() => {
 const FindMissingBlobsRequest = {};
 FindMissingBlobsRequest.encode = function (message, writer, _depth) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  if (message.instanceName != null && message.instanceName !== "")
   writer.uint32(10).string(message.instanceName);
  if (message.blobDigests != null && message.blobDigests.length)
   for (let i = 0; i < message.blobDigests.length; ++i)
    Digest.encode(message.blobDigests[i], writer.uint32(18).fork(), _depth + 1).ldelim();
  if (message.digestFunction != null && message.digestFunction !== 0)
   writer.uint32(24).int32(message.digestFunction);
  return writer;
 };
 FindMissingBlobsRequest.decode = function (reader, length, _end, _depth, _target) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  let end, message, value;
  if (length === undefined)
   end = reader.end;
  else {
   end = reader.pos + length;
   if (end > reader.end)
    throw RangeError("index out of range");
   length = reader.end;
   reader.end = end;
  }
  message = _target || FindMissingBlobsRequest.make();
  while (reader.pos < end) {
   let tag = reader.tag();
   if (tag === _end) {
    _end = undefined;
    break;
   }
   let wireType = tag & 7;
   switch (tag >>>= 3) {
   case 1: {
     if (wireType !== 2)
      break;
     message.instanceName = reader.string();
     continue;
    }
   case 2: {
     if (wireType !== 2)
      break;
     if (!(message.blobDigests && message.blobDigests.length))
      message.blobDigests = [];
     message.blobDigests.push(Digest.decode(reader, reader.length(), undefined, _depth + 1));
     continue;
    }
   case 3: {
     if (wireType !== 0)
      break;
     message.digestFunction = reader.int32();
     continue;
    }
   }
   reader.skip((tag << 3 | wireType) >>> 0, _depth);
  }
  if (length !== undefined) {
   if (reader.pos !== end)
    throw RangeError("index out of range");
   reader.end = length;
  }
  if (_end !== undefined)
   throw Error("missing end group");
  return message;
 };
 FindMissingBlobsRequest.make = () => ({ instanceName: "", blobDigests: $none, digestFunction: 0 });
 return FindMissingBlobsRequest;
})();
export const FindMissingBlobsResponse = (() => {
 const FindMissingBlobsResponse = {};
 FindMissingBlobsResponse.encode = function (message, writer, _depth) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  if (message.missingBlobDigests != null && message.missingBlobDigests.length)
   for (let i = 0; i < message.missingBlobDigests.length; ++i)
    Digest.encode(message.missingBlobDigests[i], writer.uint32(18).fork(), _depth + 1).ldelim();
  return writer;
 };
 FindMissingBlobsResponse.decode = function (reader, length, _end, _depth, _target) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  let end, message;
  if (length === undefined)
   end = reader.end;
  else {
   end = reader.pos + length;
   if (end > reader.end)
    throw RangeError("index out of range");
   length = reader.end;
   reader.end = end;
  }
  message = _target || FindMissingBlobsResponse.make();
  while (reader.pos < end) {
   let tag = reader.tag();
   if (tag === _end) {
    _end = undefined;
    break;
   }
   let wireType = tag & 7;
   switch (tag >>>= 3) {
   case 2: {
     if (wireType !== 2)
      break;
     if (!(message.missingBlobDigests && message.missingBlobDigests.length))
      message.missingBlobDigests = [];
     message.missingBlobDigests.push(Digest.decode(reader, reader.length(), undefined, _depth + 1));
     continue;
    }
   }
   reader.skip((tag << 3 | wireType) >>> 0, _depth);
  }
  if (length !== undefined) {
   if (reader.pos !== end)
    throw RangeError("index out of range");
   reader.end = length;
  }
  if (_end !== undefined)
   throw Error("missing end group");
  return message;
 };
 FindMissingBlobsResponse.make = () => ({ missingBlobDigests: $none });
 return FindMissingBlobsResponse;
})();
export const GetActionResultRequest = (() => {
 const GetActionResultRequest = {};
 GetActionResultRequest.encode = function (message, writer, _depth) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  if (message.instanceName != null && message.instanceName !== "")
   writer.uint32(10).string(message.instanceName);
  if (message.actionDigest != null)
   Digest.encode(message.actionDigest, writer.uint32(18).fork(), _depth + 1).ldelim();
  if (message.inlineStdout != null && message.inlineStdout !== false)
   writer.uint32(24).bool(message.inlineStdout);
  if (message.inlineStderr != null && message.inlineStderr !== false)
   writer.uint32(32).bool(message.inlineStderr);
  if (message.inlineOutputFiles != null && message.inlineOutputFiles.length)
   for (let i = 0; i < message.inlineOutputFiles.length; ++i)
    writer.uint32(42).string(message.inlineOutputFiles[i]);
  if (message.digestFunction != null && message.digestFunction !== 0)
   writer.uint32(48).int32(message.digestFunction);
  return writer;
 };
 GetActionResultRequest.decode = function (reader, length, _end, _depth, _target) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  let end, message, value;
  if (length === undefined)
   end = reader.end;
  else {
   end = reader.pos + length;
   if (end > reader.end)
    throw RangeError("index out of range");
   length = reader.end;
   reader.end = end;
  }
  message = _target || GetActionResultRequest.make();
  while (reader.pos < end) {
   let tag = reader.tag();
   if (tag === _end) {
    _end = undefined;
    break;
   }
   let wireType = tag & 7;
   switch (tag >>>= 3) {
   case 1: {
     if (wireType !== 2)
      break;
     message.instanceName = reader.string();
     continue;
    }
   case 2: {
     if (wireType !== 2)
      break;
     message.actionDigest = Digest.decode(reader, reader.length(), undefined, _depth + 1, message.actionDigest);
     continue;
    }
   case 3: {
     if (wireType !== 0)
      break;
     message.inlineStdout = reader.bool();
     continue;
    }
   case 4: {
     if (wireType !== 0)
      break;
     message.inlineStderr = reader.bool();
     continue;
    }
   case 5: {
     if (wireType !== 2)
      break;
     if (!(message.inlineOutputFiles && message.inlineOutputFiles.length))
      message.inlineOutputFiles = [];
     message.inlineOutputFiles.push(reader.string());
     continue;
    }
   case 6: {
     if (wireType !== 0)
      break;
     message.digestFunction = reader.int32();
     continue;
    }
   }
   reader.skip((tag << 3 | wireType) >>> 0, _depth);
  }
  if (length !== undefined) {
   if (reader.pos !== end)
    throw RangeError("index out of range");
   reader.end = length;
  }
  if (_end !== undefined)
   throw Error("missing end group");
  return message;
 };
 GetActionResultRequest.make = () => ({ instanceName: "", inlineStdout: false, inlineStderr: false, inlineOutputFiles: $none, digestFunction: 0 });
 return GetActionResultRequest;
})();
export const GetCapabilitiesRequest = (() => {
 const GetCapabilitiesRequest = {};
 GetCapabilitiesRequest.encode = function (message, writer, _depth) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  if (message.instanceName != null && message.instanceName !== "")
   writer.uint32(10).string(message.instanceName);
  return writer;
 };
 GetCapabilitiesRequest.decode = function (reader, length, _end, _depth, _target) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  let end, message, value;
  if (length === undefined)
   end = reader.end;
  else {
   end = reader.pos + length;
   if (end > reader.end)
    throw RangeError("index out of range");
   length = reader.end;
   reader.end = end;
  }
  message = _target || GetCapabilitiesRequest.make();
  while (reader.pos < end) {
   let tag = reader.tag();
   if (tag === _end) {
    _end = undefined;
    break;
   }
   let wireType = tag & 7;
   switch (tag >>>= 3) {
   case 1: {
     if (wireType !== 2)
      break;
     message.instanceName = reader.string();
     continue;
    }
   }
   reader.skip((tag << 3 | wireType) >>> 0, _depth);
  }
  if (length !== undefined) {
   if (reader.pos !== end)
    throw RangeError("index out of range");
   reader.end = length;
  }
  if (_end !== undefined)
   throw Error("missing end group");
  return message;
 };
 GetCapabilitiesRequest.make = () => ({ instanceName: "" });
 return GetCapabilitiesRequest;
})();
export const GetTreeRequest = (() => {
 const GetTreeRequest = {};
 GetTreeRequest.encode = function (message, writer, _depth) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  if (message.instanceName != null && message.instanceName !== "")
   writer.uint32(10).string(message.instanceName);
  if (message.rootDigest != null)
   Digest.encode(message.rootDigest, writer.uint32(18).fork(), _depth + 1).ldelim();
  if (message.pageSize != null && message.pageSize !== 0)
   writer.uint32(24).int32(message.pageSize);
  if (message.pageToken != null && message.pageToken !== "")
   writer.uint32(34).string(message.pageToken);
  if (message.digestFunction != null && message.digestFunction !== 0)
   writer.uint32(40).int32(message.digestFunction);
  return writer;
 };
 GetTreeRequest.decode = function (reader, length, _end, _depth, _target) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  let end, message, value;
  if (length === undefined)
   end = reader.end;
  else {
   end = reader.pos + length;
   if (end > reader.end)
    throw RangeError("index out of range");
   length = reader.end;
   reader.end = end;
  }
  message = _target || GetTreeRequest.make();
  while (reader.pos < end) {
   let tag = reader.tag();
   if (tag === _end) {
    _end = undefined;
    break;
   }
   let wireType = tag & 7;
   switch (tag >>>= 3) {
   case 1: {
     if (wireType !== 2)
      break;
     message.instanceName = reader.string();
     continue;
    }
   case 2: {
     if (wireType !== 2)
      break;
     message.rootDigest = Digest.decode(reader, reader.length(), undefined, _depth + 1, message.rootDigest);
     continue;
    }
   case 3: {
     if (wireType !== 0)
      break;
     message.pageSize = reader.int32();
     continue;
    }
   case 4: {
     if (wireType !== 2)
      break;
     message.pageToken = reader.string();
     continue;
    }
   case 5: {
     if (wireType !== 0)
      break;
     message.digestFunction = reader.int32();
     continue;
    }
   }
   reader.skip((tag << 3 | wireType) >>> 0, _depth);
  }
  if (length !== undefined) {
   if (reader.pos !== end)
    throw RangeError("index out of range");
   reader.end = length;
  }
  if (_end !== undefined)
   throw Error("missing end group");
  return message;
 };
 GetTreeRequest.make = () => ({ instanceName: "", pageSize: 0, pageToken: "", digestFunction: 0 });
 return GetTreeRequest;
})();
export const GetTreeResponse = (() => {
 const GetTreeResponse = {};
 GetTreeResponse.encode = function (message, writer, _depth) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  if (message.directories != null && message.directories.length)
   for (let i = 0; i < message.directories.length; ++i)
    Directory.encode(message.directories[i], writer.uint32(10).fork(), _depth + 1).ldelim();
  if (message.nextPageToken != null && message.nextPageToken !== "")
   writer.uint32(18).string(message.nextPageToken);
  return writer;
 };
 GetTreeResponse.decode = function (reader, length, _end, _depth, _target) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  let end, message, value;
  if (length === undefined)
   end = reader.end;
  else {
   end = reader.pos + length;
   if (end > reader.end)
    throw RangeError("index out of range");
   length = reader.end;
   reader.end = end;
  }
  message = _target || GetTreeResponse.make();
  while (reader.pos < end) {
   let tag = reader.tag();
   if (tag === _end) {
    _end = undefined;
    break;
   }
   let wireType = tag & 7;
   switch (tag >>>= 3) {
   case 1: {
     if (wireType !== 2)
      break;
     if (!(message.directories && message.directories.length))
      message.directories = [];
     message.directories.push(Directory.decode(reader, reader.length(), undefined, _depth + 1));
     continue;
    }
   case 2: {
     if (wireType !== 2)
      break;
     message.nextPageToken = reader.string();
     continue;
    }
   }
   reader.skip((tag << 3 | wireType) >>> 0, _depth);
  }
  if (length !== undefined) {
   if (reader.pos !== end)
    throw RangeError("index out of range");
   reader.end = length;
  }
  if (_end !== undefined)
   throw Error("missing end group");
  return message;
 };
 GetTreeResponse.make = () => ({ directories: $none, nextPageToken: "" });
 return GetTreeResponse;
})();
export const LogFile = (() => {
 const LogFile = {};
 LogFile.encode = function (message, writer, _depth) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  if (message.digest != null)
   Digest.encode(message.digest, writer.uint32(10).fork(), _depth + 1).ldelim();
  if (message.humanReadable != null && message.humanReadable !== false)
   writer.uint32(16).bool(message.humanReadable);
  return writer;
 };
 LogFile.decode = function (reader, length, _end, _depth, _target) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  let end, message, value;
  if (length === undefined)
   end = reader.end;
  else {
   end = reader.pos + length;
   if (end > reader.end)
    throw RangeError("index out of range");
   length = reader.end;
   reader.end = end;
  }
  message = _target || LogFile.make();
  while (reader.pos < end) {
   let tag = reader.tag();
   if (tag === _end) {
    _end = undefined;
    break;
   }
   let wireType = tag & 7;
   switch (tag >>>= 3) {
   case 1: {
     if (wireType !== 2)
      break;
     message.digest = Digest.decode(reader, reader.length(), undefined, _depth + 1, message.digest);
     continue;
    }
   case 2: {
     if (wireType !== 0)
      break;
     message.humanReadable = reader.bool();
     continue;
    }
   }
   reader.skip((tag << 3 | wireType) >>> 0, _depth);
  }
  if (length !== undefined) {
   if (reader.pos !== end)
    throw RangeError("index out of range");
   reader.end = length;
  }
  if (_end !== undefined)
   throw Error("missing end group");
  return message;
 };
 LogFile.make = () => ({ humanReadable: false });
 return LogFile;
})();
export const NodeProperties = (() => {
 const NodeProperties = {};
 NodeProperties.encode = function (message, writer, _depth) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  if (message.properties != null && message.properties.length)
   for (let i = 0; i < message.properties.length; ++i)
    NodeProperty.encode(message.properties[i], writer.uint32(10).fork(), _depth + 1).ldelim();
  if (message.mtime != null)
   Timestamp.encode(message.mtime, writer.uint32(18).fork(), _depth + 1).ldelim();
  if (message.unixMode != null)
   UInt32Value.encode(message.unixMode, writer.uint32(26).fork(), _depth + 1).ldelim();
  return writer;
 };
 NodeProperties.decode = function (reader, length, _end, _depth, _target) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  let end, message, value;
  if (length === undefined)
   end = reader.end;
  else {
   end = reader.pos + length;
   if (end > reader.end)
    throw RangeError("index out of range");
   length = reader.end;
   reader.end = end;
  }
  message = _target || NodeProperties.make();
  while (reader.pos < end) {
   let tag = reader.tag();
   if (tag === _end) {
    _end = undefined;
    break;
   }
   let wireType = tag & 7;
   switch (tag >>>= 3) {
   case 1: {
     if (wireType !== 2)
      break;
     if (!(message.properties && message.properties.length))
      message.properties = [];
     message.properties.push(NodeProperty.decode(reader, reader.length(), undefined, _depth + 1));
     continue;
    }
   case 2: {
     if (wireType !== 2)
      break;
     message.mtime = Timestamp.decode(reader, reader.length(), undefined, _depth + 1, message.mtime);
     continue;
    }
   case 3: {
     if (wireType !== 2)
      break;
     message.unixMode = UInt32Value.decode(reader, reader.length(), undefined, _depth + 1, message.unixMode);
     continue;
    }
   }
   reader.skip((tag << 3 | wireType) >>> 0, _depth);
  }
  if (length !== undefined) {
   if (reader.pos !== end)
    throw RangeError("index out of range");
   reader.end = length;
  }
  if (_end !== undefined)
   throw Error("missing end group");
  return message;
 };
 NodeProperties.make = () => ({ properties: $none });
 return NodeProperties;
})();
export const NodeProperty = (() => {
 const NodeProperty = {};
 NodeProperty.encode = function (message, writer, _depth) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  if (message.name != null && message.name !== "")
   writer.uint32(10).string(message.name);
  if (message.value != null && message.value !== "")
   writer.uint32(18).string(message.value);
  return writer;
 };
 NodeProperty.decode = function (reader, length, _end, _depth, _target) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  let end, message, value;
  if (length === undefined)
   end = reader.end;
  else {
   end = reader.pos + length;
   if (end > reader.end)
    throw RangeError("index out of range");
   length = reader.end;
   reader.end = end;
  }
  message = _target || NodeProperty.make();
  while (reader.pos < end) {
   let tag = reader.tag();
   if (tag === _end) {
    _end = undefined;
    break;
   }
   let wireType = tag & 7;
   switch (tag >>>= 3) {
   case 1: {
     if (wireType !== 2)
      break;
     message.name = reader.string();
     continue;
    }
   case 2: {
     if (wireType !== 2)
      break;
     message.value = reader.string();
     continue;
    }
   }
   reader.skip((tag << 3 | wireType) >>> 0, _depth);
  }
  if (length !== undefined) {
   if (reader.pos !== end)
    throw RangeError("index out of range");
   reader.end = length;
  }
  if (_end !== undefined)
   throw Error("missing end group");
  return message;
 };
 NodeProperty.make = () => ({ name: "", value: "" });
 return NodeProperty;
})();
export const OutputDirectory = (() => {
 const OutputDirectory = {};
 OutputDirectory.encode = function (message, writer, _depth) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  if (message.path != null && message.path !== "")
   writer.uint32(10).string(message.path);
  if (message.treeDigest != null)
   Digest.encode(message.treeDigest, writer.uint32(26).fork(), _depth + 1).ldelim();
  if (message.isTopologicallySorted != null && message.isTopologicallySorted !== false)
   writer.uint32(32).bool(message.isTopologicallySorted);
  if (message.rootDirectoryDigest != null)
   Digest.encode(message.rootDirectoryDigest, writer.uint32(42).fork(), _depth + 1).ldelim();
  return writer;
 };
 OutputDirectory.decode = function (reader, length, _end, _depth, _target) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  let end, message, value;
  if (length === undefined)
   end = reader.end;
  else {
   end = reader.pos + length;
   if (end > reader.end)
    throw RangeError("index out of range");
   length = reader.end;
   reader.end = end;
  }
  message = _target || OutputDirectory.make();
  while (reader.pos < end) {
   let tag = reader.tag();
   if (tag === _end) {
    _end = undefined;
    break;
   }
   let wireType = tag & 7;
   switch (tag >>>= 3) {
   case 1: {
     if (wireType !== 2)
      break;
     message.path = reader.string();
     continue;
    }
   case 3: {
     if (wireType !== 2)
      break;
     message.treeDigest = Digest.decode(reader, reader.length(), undefined, _depth + 1, message.treeDigest);
     continue;
    }
   case 4: {
     if (wireType !== 0)
      break;
     message.isTopologicallySorted = reader.bool();
     continue;
    }
   case 5: {
     if (wireType !== 2)
      break;
     message.rootDirectoryDigest = Digest.decode(reader, reader.length(), undefined, _depth + 1, message.rootDirectoryDigest);
     continue;
    }
   }
   reader.skip((tag << 3 | wireType) >>> 0, _depth);
  }
  if (length !== undefined) {
   if (reader.pos !== end)
    throw RangeError("index out of range");
   reader.end = length;
  }
  if (_end !== undefined)
   throw Error("missing end group");
  return message;
 };
 OutputDirectory.make = () => ({ path: "", isTopologicallySorted: false });
 return OutputDirectory;
})();
export const OutputFile = (() => {
 const OutputFile = {};
 OutputFile.encode = function (message, writer, _depth) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  if (message.path != null && message.path !== "")
   writer.uint32(10).string(message.path);
  if (message.digest != null)
   Digest.encode(message.digest, writer.uint32(18).fork(), _depth + 1).ldelim();
  if (message.isExecutable != null && message.isExecutable !== false)
   writer.uint32(32).bool(message.isExecutable);
  if (message.contents != null && message.contents.length)
   writer.uint32(42).blob(message.contents);
  if (message.nodeProperties != null)
   NodeProperties.encode(message.nodeProperties, writer.uint32(58).fork(), _depth + 1).ldelim();
  return writer;
 };
 OutputFile.decode = function (reader, length, _end, _depth, _target) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  let end, message, value;
  if (length === undefined)
   end = reader.end;
  else {
   end = reader.pos + length;
   if (end > reader.end)
    throw RangeError("index out of range");
   length = reader.end;
   reader.end = end;
  }
  message = _target || OutputFile.make();
  while (reader.pos < end) {
   let tag = reader.tag();
   if (tag === _end) {
    _end = undefined;
    break;
   }
   let wireType = tag & 7;
   switch (tag >>>= 3) {
   case 1: {
     if (wireType !== 2)
      break;
     message.path = reader.string();
     continue;
    }
   case 2: {
     if (wireType !== 2)
      break;
     message.digest = Digest.decode(reader, reader.length(), undefined, _depth + 1, message.digest);
     continue;
    }
   case 4: {
     if (wireType !== 0)
      break;
     message.isExecutable = reader.bool();
     continue;
    }
   case 5: {
     if (wireType !== 2)
      break;
     message.contents = reader.view();
     continue;
    }
   case 7: {
     if (wireType !== 2)
      break;
     message.nodeProperties = NodeProperties.decode(reader, reader.length(), undefined, _depth + 1, message.nodeProperties);
     continue;
    }
   }
   reader.skip((tag << 3 | wireType) >>> 0, _depth);
  }
  if (length !== undefined) {
   if (reader.pos !== end)
    throw RangeError("index out of range");
   reader.end = length;
  }
  if (_end !== undefined)
   throw Error("missing end group");
  return message;
 };
 OutputFile.make = () => ({ path: "", isExecutable: false, contents: $noBytes });
 return OutputFile;
})();
export const OutputSymlink = (() => {
 const OutputSymlink = {};
 OutputSymlink.encode = function (message, writer, _depth) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  if (message.path != null && message.path !== "")
   writer.uint32(10).string(message.path);
  if (message.target != null && message.target !== "")
   writer.uint32(18).string(message.target);
  if (message.nodeProperties != null)
   NodeProperties.encode(message.nodeProperties, writer.uint32(34).fork(), _depth + 1).ldelim();
  return writer;
 };
 OutputSymlink.decode = function (reader, length, _end, _depth, _target) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  let end, message, value;
  if (length === undefined)
   end = reader.end;
  else {
   end = reader.pos + length;
   if (end > reader.end)
    throw RangeError("index out of range");
   length = reader.end;
   reader.end = end;
  }
  message = _target || OutputSymlink.make();
  while (reader.pos < end) {
   let tag = reader.tag();
   if (tag === _end) {
    _end = undefined;
    break;
   }
   let wireType = tag & 7;
   switch (tag >>>= 3) {
   case 1: {
     if (wireType !== 2)
      break;
     message.path = reader.string();
     continue;
    }
   case 2: {
     if (wireType !== 2)
      break;
     message.target = reader.string();
     continue;
    }
   case 4: {
     if (wireType !== 2)
      break;
     message.nodeProperties = NodeProperties.decode(reader, reader.length(), undefined, _depth + 1, message.nodeProperties);
     continue;
    }
   }
   reader.skip((tag << 3 | wireType) >>> 0, _depth);
  }
  if (length !== undefined) {
   if (reader.pos !== end)
    throw RangeError("index out of range");
   reader.end = length;
  }
  if (_end !== undefined)
   throw Error("missing end group");
  return message;
 };
 OutputSymlink.make = () => ({ path: "", target: "" });
 return OutputSymlink;
})();
export const Platform = (() => {
 const Platform = {};
 Platform.encode = function (message, writer, _depth) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  if (message.properties != null && message.properties.length)
   for (let i = 0; i < message.properties.length; ++i)
    Platform_Property.encode(message.properties[i], writer.uint32(10).fork(), _depth + 1).ldelim();
  return writer;
 };
 Platform.decode = function (reader, length, _end, _depth, _target) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  let end, message;
  if (length === undefined)
   end = reader.end;
  else {
   end = reader.pos + length;
   if (end > reader.end)
    throw RangeError("index out of range");
   length = reader.end;
   reader.end = end;
  }
  message = _target || Platform.make();
  while (reader.pos < end) {
   let tag = reader.tag();
   if (tag === _end) {
    _end = undefined;
    break;
   }
   let wireType = tag & 7;
   switch (tag >>>= 3) {
   case 1: {
     if (wireType !== 2)
      break;
     if (!(message.properties && message.properties.length))
      message.properties = [];
     message.properties.push(Platform_Property.decode(reader, reader.length(), undefined, _depth + 1));
     continue;
    }
   }
   reader.skip((tag << 3 | wireType) >>> 0, _depth);
  }
  if (length !== undefined) {
   if (reader.pos !== end)
    throw RangeError("index out of range");
   reader.end = length;
  }
  if (_end !== undefined)
   throw Error("missing end group");
  return message;
 };
 Platform.make = () => ({ properties: $none });
 return Platform;
})();
export const Platform_Property = (() => {
 const Platform_Property = {};
 Platform_Property.encode = function (message, writer, _depth) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  if (message.name != null && message.name !== "")
   writer.uint32(10).string(message.name);
  if (message.value != null && message.value !== "")
   writer.uint32(18).string(message.value);
  return writer;
 };
 Platform_Property.decode = function (reader, length, _end, _depth, _target) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  let end, message, value;
  if (length === undefined)
   end = reader.end;
  else {
   end = reader.pos + length;
   if (end > reader.end)
    throw RangeError("index out of range");
   length = reader.end;
   reader.end = end;
  }
  message = _target || Platform_Property.make();
  while (reader.pos < end) {
   let tag = reader.tag();
   if (tag === _end) {
    _end = undefined;
    break;
   }
   let wireType = tag & 7;
   switch (tag >>>= 3) {
   case 1: {
     if (wireType !== 2)
      break;
     message.name = reader.string();
     continue;
    }
   case 2: {
     if (wireType !== 2)
      break;
     message.value = reader.string();
     continue;
    }
   }
   reader.skip((tag << 3 | wireType) >>> 0, _depth);
  }
  if (length !== undefined) {
   if (reader.pos !== end)
    throw RangeError("index out of range");
   reader.end = length;
  }
  if (_end !== undefined)
   throw Error("missing end group");
  return message;
 };
 Platform_Property.make = () => ({ name: "", value: "" });
 return Platform_Property;
})();
export const PriorityCapabilities = (() => {
 const PriorityCapabilities = {};
 PriorityCapabilities.encode = function (message, writer, _depth) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  if (message.priorities != null && message.priorities.length)
   for (let i = 0; i < message.priorities.length; ++i)
    PriorityCapabilities_PriorityRange.encode(message.priorities[i], writer.uint32(10).fork(), _depth + 1).ldelim();
  return writer;
 };
 PriorityCapabilities.decode = function (reader, length, _end, _depth, _target) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  let end, message;
  if (length === undefined)
   end = reader.end;
  else {
   end = reader.pos + length;
   if (end > reader.end)
    throw RangeError("index out of range");
   length = reader.end;
   reader.end = end;
  }
  message = _target || PriorityCapabilities.make();
  while (reader.pos < end) {
   let tag = reader.tag();
   if (tag === _end) {
    _end = undefined;
    break;
   }
   let wireType = tag & 7;
   switch (tag >>>= 3) {
   case 1: {
     if (wireType !== 2)
      break;
     if (!(message.priorities && message.priorities.length))
      message.priorities = [];
     message.priorities.push(PriorityCapabilities_PriorityRange.decode(reader, reader.length(), undefined, _depth + 1));
     continue;
    }
   }
   reader.skip((tag << 3 | wireType) >>> 0, _depth);
  }
  if (length !== undefined) {
   if (reader.pos !== end)
    throw RangeError("index out of range");
   reader.end = length;
  }
  if (_end !== undefined)
   throw Error("missing end group");
  return message;
 };
 PriorityCapabilities.make = () => ({ priorities: $none });
 return PriorityCapabilities;
})();
export const PriorityCapabilities_PriorityRange = (() => {
 const PriorityCapabilities_PriorityRange = {};
 PriorityCapabilities_PriorityRange.encode = function (message, writer, _depth) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  if (message.minPriority != null && message.minPriority !== 0)
   writer.uint32(8).int32(message.minPriority);
  if (message.maxPriority != null && message.maxPriority !== 0)
   writer.uint32(16).int32(message.maxPriority);
  return writer;
 };
 PriorityCapabilities_PriorityRange.decode = function (reader, length, _end, _depth, _target) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  let end, message, value;
  if (length === undefined)
   end = reader.end;
  else {
   end = reader.pos + length;
   if (end > reader.end)
    throw RangeError("index out of range");
   length = reader.end;
   reader.end = end;
  }
  message = _target || PriorityCapabilities_PriorityRange.make();
  while (reader.pos < end) {
   let tag = reader.tag();
   if (tag === _end) {
    _end = undefined;
    break;
   }
   let wireType = tag & 7;
   switch (tag >>>= 3) {
   case 1: {
     if (wireType !== 0)
      break;
     message.minPriority = reader.int32();
     continue;
    }
   case 2: {
     if (wireType !== 0)
      break;
     message.maxPriority = reader.int32();
     continue;
    }
   }
   reader.skip((tag << 3 | wireType) >>> 0, _depth);
  }
  if (length !== undefined) {
   if (reader.pos !== end)
    throw RangeError("index out of range");
   reader.end = length;
  }
  if (_end !== undefined)
   throw Error("missing end group");
  return message;
 };
 PriorityCapabilities_PriorityRange.make = () => ({ minPriority: 0, maxPriority: 0 });
 return PriorityCapabilities_PriorityRange;
})();
export const RepMaxCdcParams = (() => {
 const RepMaxCdcParams = {};
 RepMaxCdcParams.encode = function (message, writer, _depth) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  if (message.minChunkSizeBytes != null && (typeof message.minChunkSizeBytes === "object" ? message.minChunkSizeBytes.low || message.minChunkSizeBytes.high : message.minChunkSizeBytes !== 0))
   writer.uint32(8).uint64(message.minChunkSizeBytes);
  if (message.horizonSizeBytes != null && (typeof message.horizonSizeBytes === "object" ? message.horizonSizeBytes.low || message.horizonSizeBytes.high : message.horizonSizeBytes !== 0))
   writer.uint32(16).uint64(message.horizonSizeBytes);
  return writer;
 };
 RepMaxCdcParams.decode = function (reader, length, _end, _depth, _target) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  let end, message, value;
  if (length === undefined)
   end = reader.end;
  else {
   end = reader.pos + length;
   if (end > reader.end)
    throw RangeError("index out of range");
   length = reader.end;
   reader.end = end;
  }
  message = _target || RepMaxCdcParams.make();
  while (reader.pos < end) {
   let tag = reader.tag();
   if (tag === _end) {
    _end = undefined;
    break;
   }
   let wireType = tag & 7;
   switch (tag >>>= 3) {
   case 1: {
     if (wireType !== 0)
      break;
     message.minChunkSizeBytes = reader.uint64();
     continue;
    }
   case 2: {
     if (wireType !== 0)
      break;
     message.horizonSizeBytes = reader.uint64();
     continue;
    }
   }
   reader.skip((tag << 3 | wireType) >>> 0, _depth);
  }
  if (length !== undefined) {
   if (reader.pos !== end)
    throw RangeError("index out of range");
   reader.end = length;
  }
  if (_end !== undefined)
   throw Error("missing end group");
  return message;
 };
 RepMaxCdcParams.make = () => ({ minChunkSizeBytes: 0, horizonSizeBytes: 0 });
 return RepMaxCdcParams;
})();
export const RequestMetadata = (() => {
 const RequestMetadata = {};
 RequestMetadata.encode = function (message, writer, _depth) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  if (message.toolDetails != null)
   ToolDetails.encode(message.toolDetails, writer.uint32(10).fork(), _depth + 1).ldelim();
  if (message.actionId != null && message.actionId !== "")
   writer.uint32(18).string(message.actionId);
  if (message.toolInvocationId != null && message.toolInvocationId !== "")
   writer.uint32(26).string(message.toolInvocationId);
  if (message.correlatedInvocationsId != null && message.correlatedInvocationsId !== "")
   writer.uint32(34).string(message.correlatedInvocationsId);
  if (message.actionMnemonic != null && message.actionMnemonic !== "")
   writer.uint32(42).string(message.actionMnemonic);
  if (message.targetId != null && message.targetId !== "")
   writer.uint32(50).string(message.targetId);
  if (message.configurationId != null && message.configurationId !== "")
   writer.uint32(58).string(message.configurationId);
  return writer;
 };
 RequestMetadata.decode = function (reader, length, _end, _depth, _target) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  let end, message, value;
  if (length === undefined)
   end = reader.end;
  else {
   end = reader.pos + length;
   if (end > reader.end)
    throw RangeError("index out of range");
   length = reader.end;
   reader.end = end;
  }
  message = _target || RequestMetadata.make();
  while (reader.pos < end) {
   let tag = reader.tag();
   if (tag === _end) {
    _end = undefined;
    break;
   }
   let wireType = tag & 7;
   switch (tag >>>= 3) {
   case 1: {
     if (wireType !== 2)
      break;
     message.toolDetails = ToolDetails.decode(reader, reader.length(), undefined, _depth + 1, message.toolDetails);
     continue;
    }
   case 2: {
     if (wireType !== 2)
      break;
     message.actionId = reader.string();
     continue;
    }
   case 3: {
     if (wireType !== 2)
      break;
     message.toolInvocationId = reader.string();
     continue;
    }
   case 4: {
     if (wireType !== 2)
      break;
     message.correlatedInvocationsId = reader.string();
     continue;
    }
   case 5: {
     if (wireType !== 2)
      break;
     message.actionMnemonic = reader.string();
     continue;
    }
   case 6: {
     if (wireType !== 2)
      break;
     message.targetId = reader.string();
     continue;
    }
   case 7: {
     if (wireType !== 2)
      break;
     message.configurationId = reader.string();
     continue;
    }
   }
   reader.skip((tag << 3 | wireType) >>> 0, _depth);
  }
  if (length !== undefined) {
   if (reader.pos !== end)
    throw RangeError("index out of range");
   reader.end = length;
  }
  if (_end !== undefined)
   throw Error("missing end group");
  return message;
 };
 RequestMetadata.make = () => ({ actionId: "", toolInvocationId: "", correlatedInvocationsId: "", actionMnemonic: "", targetId: "", configurationId: "" });
 return RequestMetadata;
})();
export const ResultsCachePolicy = (() => {
 const ResultsCachePolicy = {};
 ResultsCachePolicy.encode = function (message, writer, _depth) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  if (message.priority != null && message.priority !== 0)
   writer.uint32(8).int32(message.priority);
  return writer;
 };
 ResultsCachePolicy.decode = function (reader, length, _end, _depth, _target) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  let end, message, value;
  if (length === undefined)
   end = reader.end;
  else {
   end = reader.pos + length;
   if (end > reader.end)
    throw RangeError("index out of range");
   length = reader.end;
   reader.end = end;
  }
  message = _target || ResultsCachePolicy.make();
  while (reader.pos < end) {
   let tag = reader.tag();
   if (tag === _end) {
    _end = undefined;
    break;
   }
   let wireType = tag & 7;
   switch (tag >>>= 3) {
   case 1: {
     if (wireType !== 0)
      break;
     message.priority = reader.int32();
     continue;
    }
   }
   reader.skip((tag << 3 | wireType) >>> 0, _depth);
  }
  if (length !== undefined) {
   if (reader.pos !== end)
    throw RangeError("index out of range");
   reader.end = length;
  }
  if (_end !== undefined)
   throw Error("missing end group");
  return message;
 };
 ResultsCachePolicy.make = () => ({ priority: 0 });
 return ResultsCachePolicy;
})();
export const ServerCapabilities = (() => {
 const ServerCapabilities = {};
 ServerCapabilities.encode = function (message, writer, _depth) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  if (message.cacheCapabilities != null)
   CacheCapabilities.encode(message.cacheCapabilities, writer.uint32(10).fork(), _depth + 1).ldelim();
  if (message.executionCapabilities != null)
   ExecutionCapabilities.encode(message.executionCapabilities, writer.uint32(18).fork(), _depth + 1).ldelim();
  if (message.deprecatedApiVersion != null)
   SemVer.encode(message.deprecatedApiVersion, writer.uint32(26).fork(), _depth + 1).ldelim();
  if (message.lowApiVersion != null)
   SemVer.encode(message.lowApiVersion, writer.uint32(34).fork(), _depth + 1).ldelim();
  if (message.highApiVersion != null)
   SemVer.encode(message.highApiVersion, writer.uint32(42).fork(), _depth + 1).ldelim();
  return writer;
 };
 ServerCapabilities.decode = function (reader, length, _end, _depth, _target) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  let end, message, value;
  if (length === undefined)
   end = reader.end;
  else {
   end = reader.pos + length;
   if (end > reader.end)
    throw RangeError("index out of range");
   length = reader.end;
   reader.end = end;
  }
  message = _target || ServerCapabilities.make();
  while (reader.pos < end) {
   let tag = reader.tag();
   if (tag === _end) {
    _end = undefined;
    break;
   }
   let wireType = tag & 7;
   switch (tag >>>= 3) {
   case 1: {
     if (wireType !== 2)
      break;
     message.cacheCapabilities = CacheCapabilities.decode(reader, reader.length(), undefined, _depth + 1, message.cacheCapabilities);
     continue;
    }
   case 2: {
     if (wireType !== 2)
      break;
     message.executionCapabilities = ExecutionCapabilities.decode(reader, reader.length(), undefined, _depth + 1, message.executionCapabilities);
     continue;
    }
   case 3: {
     if (wireType !== 2)
      break;
     message.deprecatedApiVersion = SemVer.decode(reader, reader.length(), undefined, _depth + 1, message.deprecatedApiVersion);
     continue;
    }
   case 4: {
     if (wireType !== 2)
      break;
     message.lowApiVersion = SemVer.decode(reader, reader.length(), undefined, _depth + 1, message.lowApiVersion);
     continue;
    }
   case 5: {
     if (wireType !== 2)
      break;
     message.highApiVersion = SemVer.decode(reader, reader.length(), undefined, _depth + 1, message.highApiVersion);
     continue;
    }
   }
   reader.skip((tag << 3 | wireType) >>> 0, _depth);
  }
  if (length !== undefined) {
   if (reader.pos !== end)
    throw RangeError("index out of range");
   reader.end = length;
  }
  if (_end !== undefined)
   throw Error("missing end group");
  return message;
 };
 ServerCapabilities.make = () => ({});
 return ServerCapabilities;
})();
export const SpliceBlobRequest = (() => {
 const SpliceBlobRequest = {};
 SpliceBlobRequest.encode = function (message, writer, _depth) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  if (message.instanceName != null && message.instanceName !== "")
   writer.uint32(10).string(message.instanceName);
  if (message.blobDigest != null)
   Digest.encode(message.blobDigest, writer.uint32(18).fork(), _depth + 1).ldelim();
  if (message.chunkDigests != null && message.chunkDigests.length)
   for (let i = 0; i < message.chunkDigests.length; ++i)
    Digest.encode(message.chunkDigests[i], writer.uint32(26).fork(), _depth + 1).ldelim();
  if (message.digestFunction != null && message.digestFunction !== 0)
   writer.uint32(32).int32(message.digestFunction);
  if (message.chunkingFunction != null && message.chunkingFunction !== 0)
   writer.uint32(40).int32(message.chunkingFunction);
  return writer;
 };
 SpliceBlobRequest.decode = function (reader, length, _end, _depth, _target) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  let end, message, value;
  if (length === undefined)
   end = reader.end;
  else {
   end = reader.pos + length;
   if (end > reader.end)
    throw RangeError("index out of range");
   length = reader.end;
   reader.end = end;
  }
  message = _target || SpliceBlobRequest.make();
  while (reader.pos < end) {
   let tag = reader.tag();
   if (tag === _end) {
    _end = undefined;
    break;
   }
   let wireType = tag & 7;
   switch (tag >>>= 3) {
   case 1: {
     if (wireType !== 2)
      break;
     message.instanceName = reader.string();
     continue;
    }
   case 2: {
     if (wireType !== 2)
      break;
     message.blobDigest = Digest.decode(reader, reader.length(), undefined, _depth + 1, message.blobDigest);
     continue;
    }
   case 3: {
     if (wireType !== 2)
      break;
     if (!(message.chunkDigests && message.chunkDigests.length))
      message.chunkDigests = [];
     message.chunkDigests.push(Digest.decode(reader, reader.length(), undefined, _depth + 1));
     continue;
    }
   case 4: {
     if (wireType !== 0)
      break;
     message.digestFunction = reader.int32();
     continue;
    }
   case 5: {
     if (wireType !== 0)
      break;
     message.chunkingFunction = reader.int32();
     continue;
    }
   }
   reader.skip((tag << 3 | wireType) >>> 0, _depth);
  }
  if (length !== undefined) {
   if (reader.pos !== end)
    throw RangeError("index out of range");
   reader.end = length;
  }
  if (_end !== undefined)
   throw Error("missing end group");
  return message;
 };
 SpliceBlobRequest.make = () => ({ instanceName: "", chunkDigests: $none, digestFunction: 0, chunkingFunction: 0 });
 return SpliceBlobRequest;
})();
export const SpliceBlobResponse = (() => {
 const SpliceBlobResponse = {};
 SpliceBlobResponse.encode = function (message, writer, _depth) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  if (message.blobDigest != null)
   Digest.encode(message.blobDigest, writer.uint32(10).fork(), _depth + 1).ldelim();
  return writer;
 };
 SpliceBlobResponse.decode = function (reader, length, _end, _depth, _target) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  let end, message, value;
  if (length === undefined)
   end = reader.end;
  else {
   end = reader.pos + length;
   if (end > reader.end)
    throw RangeError("index out of range");
   length = reader.end;
   reader.end = end;
  }
  message = _target || SpliceBlobResponse.make();
  while (reader.pos < end) {
   let tag = reader.tag();
   if (tag === _end) {
    _end = undefined;
    break;
   }
   let wireType = tag & 7;
   switch (tag >>>= 3) {
   case 1: {
     if (wireType !== 2)
      break;
     message.blobDigest = Digest.decode(reader, reader.length(), undefined, _depth + 1, message.blobDigest);
     continue;
    }
   }
   reader.skip((tag << 3 | wireType) >>> 0, _depth);
  }
  if (length !== undefined) {
   if (reader.pos !== end)
    throw RangeError("index out of range");
   reader.end = length;
  }
  if (_end !== undefined)
   throw Error("missing end group");
  return message;
 };
 SpliceBlobResponse.make = () => ({});
 return SpliceBlobResponse;
})();
export const SplitBlobRequest = (() => {
 const SplitBlobRequest = {};
 SplitBlobRequest.encode = function (message, writer, _depth) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  if (message.instanceName != null && message.instanceName !== "")
   writer.uint32(10).string(message.instanceName);
  if (message.blobDigest != null)
   Digest.encode(message.blobDigest, writer.uint32(18).fork(), _depth + 1).ldelim();
  if (message.digestFunction != null && message.digestFunction !== 0)
   writer.uint32(24).int32(message.digestFunction);
  if (message.chunkingFunction != null && message.chunkingFunction !== 0)
   writer.uint32(32).int32(message.chunkingFunction);
  return writer;
 };
 SplitBlobRequest.decode = function (reader, length, _end, _depth, _target) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  let end, message, value;
  if (length === undefined)
   end = reader.end;
  else {
   end = reader.pos + length;
   if (end > reader.end)
    throw RangeError("index out of range");
   length = reader.end;
   reader.end = end;
  }
  message = _target || SplitBlobRequest.make();
  while (reader.pos < end) {
   let tag = reader.tag();
   if (tag === _end) {
    _end = undefined;
    break;
   }
   let wireType = tag & 7;
   switch (tag >>>= 3) {
   case 1: {
     if (wireType !== 2)
      break;
     message.instanceName = reader.string();
     continue;
    }
   case 2: {
     if (wireType !== 2)
      break;
     message.blobDigest = Digest.decode(reader, reader.length(), undefined, _depth + 1, message.blobDigest);
     continue;
    }
   case 3: {
     if (wireType !== 0)
      break;
     message.digestFunction = reader.int32();
     continue;
    }
   case 4: {
     if (wireType !== 0)
      break;
     message.chunkingFunction = reader.int32();
     continue;
    }
   }
   reader.skip((tag << 3 | wireType) >>> 0, _depth);
  }
  if (length !== undefined) {
   if (reader.pos !== end)
    throw RangeError("index out of range");
   reader.end = length;
  }
  if (_end !== undefined)
   throw Error("missing end group");
  return message;
 };
 SplitBlobRequest.make = () => ({ instanceName: "", digestFunction: 0, chunkingFunction: 0 });
 return SplitBlobRequest;
})();
export const SplitBlobResponse = (() => {
 const SplitBlobResponse = {};
 SplitBlobResponse.encode = function (message, writer, _depth) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  if (message.chunkDigests != null && message.chunkDigests.length)
   for (let i = 0; i < message.chunkDigests.length; ++i)
    Digest.encode(message.chunkDigests[i], writer.uint32(10).fork(), _depth + 1).ldelim();
  if (message.chunkingFunction != null && message.chunkingFunction !== 0)
   writer.uint32(16).int32(message.chunkingFunction);
  return writer;
 };
 SplitBlobResponse.decode = function (reader, length, _end, _depth, _target) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  let end, message, value;
  if (length === undefined)
   end = reader.end;
  else {
   end = reader.pos + length;
   if (end > reader.end)
    throw RangeError("index out of range");
   length = reader.end;
   reader.end = end;
  }
  message = _target || SplitBlobResponse.make();
  while (reader.pos < end) {
   let tag = reader.tag();
   if (tag === _end) {
    _end = undefined;
    break;
   }
   let wireType = tag & 7;
   switch (tag >>>= 3) {
   case 1: {
     if (wireType !== 2)
      break;
     if (!(message.chunkDigests && message.chunkDigests.length))
      message.chunkDigests = [];
     message.chunkDigests.push(Digest.decode(reader, reader.length(), undefined, _depth + 1));
     continue;
    }
   case 2: {
     if (wireType !== 0)
      break;
     message.chunkingFunction = reader.int32();
     continue;
    }
   }
   reader.skip((tag << 3 | wireType) >>> 0, _depth);
  }
  if (length !== undefined) {
   if (reader.pos !== end)
    throw RangeError("index out of range");
   reader.end = length;
  }
  if (_end !== undefined)
   throw Error("missing end group");
  return message;
 };
 SplitBlobResponse.make = () => ({ chunkDigests: $none, chunkingFunction: 0 });
 return SplitBlobResponse;
})();
export const SymlinkNode = (() => {
 const SymlinkNode = {};
 SymlinkNode.encode = function (message, writer, _depth) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  if (message.name != null && message.name !== "")
   writer.uint32(10).string(message.name);
  if (message.target != null && message.target !== "")
   writer.uint32(18).string(message.target);
  if (message.nodeProperties != null)
   NodeProperties.encode(message.nodeProperties, writer.uint32(34).fork(), _depth + 1).ldelim();
  return writer;
 };
 SymlinkNode.decode = function (reader, length, _end, _depth, _target) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  let end, message, value;
  if (length === undefined)
   end = reader.end;
  else {
   end = reader.pos + length;
   if (end > reader.end)
    throw RangeError("index out of range");
   length = reader.end;
   reader.end = end;
  }
  message = _target || SymlinkNode.make();
  while (reader.pos < end) {
   let tag = reader.tag();
   if (tag === _end) {
    _end = undefined;
    break;
   }
   let wireType = tag & 7;
   switch (tag >>>= 3) {
   case 1: {
     if (wireType !== 2)
      break;
     message.name = reader.string();
     continue;
    }
   case 2: {
     if (wireType !== 2)
      break;
     message.target = reader.string();
     continue;
    }
   case 4: {
     if (wireType !== 2)
      break;
     message.nodeProperties = NodeProperties.decode(reader, reader.length(), undefined, _depth + 1, message.nodeProperties);
     continue;
    }
   }
   reader.skip((tag << 3 | wireType) >>> 0, _depth);
  }
  if (length !== undefined) {
   if (reader.pos !== end)
    throw RangeError("index out of range");
   reader.end = length;
  }
  if (_end !== undefined)
   throw Error("missing end group");
  return message;
 };
 SymlinkNode.make = () => ({ name: "", target: "" });
 return SymlinkNode;
})();
export const ToolDetails = (() => {
 const ToolDetails = {};
 ToolDetails.encode = function (message, writer, _depth) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  if (message.toolName != null && message.toolName !== "")
   writer.uint32(10).string(message.toolName);
  if (message.toolVersion != null && message.toolVersion !== "")
   writer.uint32(18).string(message.toolVersion);
  return writer;
 };
 ToolDetails.decode = function (reader, length, _end, _depth, _target) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  let end, message, value;
  if (length === undefined)
   end = reader.end;
  else {
   end = reader.pos + length;
   if (end > reader.end)
    throw RangeError("index out of range");
   length = reader.end;
   reader.end = end;
  }
  message = _target || ToolDetails.make();
  while (reader.pos < end) {
   let tag = reader.tag();
   if (tag === _end) {
    _end = undefined;
    break;
   }
   let wireType = tag & 7;
   switch (tag >>>= 3) {
   case 1: {
     if (wireType !== 2)
      break;
     message.toolName = reader.string();
     continue;
    }
   case 2: {
     if (wireType !== 2)
      break;
     message.toolVersion = reader.string();
     continue;
    }
   }
   reader.skip((tag << 3 | wireType) >>> 0, _depth);
  }
  if (length !== undefined) {
   if (reader.pos !== end)
    throw RangeError("index out of range");
   reader.end = length;
  }
  if (_end !== undefined)
   throw Error("missing end group");
  return message;
 };
 ToolDetails.make = () => ({ toolName: "", toolVersion: "" });
 return ToolDetails;
})();
export const Tree = (() => {
 const Tree = {};
 Tree.encode = function (message, writer, _depth) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  if (message.root != null)
   Directory.encode(message.root, writer.uint32(10).fork(), _depth + 1).ldelim();
  if (message.children != null && message.children.length)
   for (let i = 0; i < message.children.length; ++i)
    Directory.encode(message.children[i], writer.uint32(18).fork(), _depth + 1).ldelim();
  return writer;
 };
 Tree.decode = function (reader, length, _end, _depth, _target) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  let end, message, value;
  if (length === undefined)
   end = reader.end;
  else {
   end = reader.pos + length;
   if (end > reader.end)
    throw RangeError("index out of range");
   length = reader.end;
   reader.end = end;
  }
  message = _target || Tree.make();
  while (reader.pos < end) {
   let tag = reader.tag();
   if (tag === _end) {
    _end = undefined;
    break;
   }
   let wireType = tag & 7;
   switch (tag >>>= 3) {
   case 1: {
     if (wireType !== 2)
      break;
     message.root = Directory.decode(reader, reader.length(), undefined, _depth + 1, message.root);
     continue;
    }
   case 2: {
     if (wireType !== 2)
      break;
     if (!(message.children && message.children.length))
      message.children = [];
     message.children.push(Directory.decode(reader, reader.length(), undefined, _depth + 1));
     continue;
    }
   }
   reader.skip((tag << 3 | wireType) >>> 0, _depth);
  }
  if (length !== undefined) {
   if (reader.pos !== end)
    throw RangeError("index out of range");
   reader.end = length;
  }
  if (_end !== undefined)
   throw Error("missing end group");
  return message;
 };
 Tree.make = () => ({ children: $none });
 return Tree;
})();
export const UpdateActionResultRequest = (() => {
 const UpdateActionResultRequest = {};
 UpdateActionResultRequest.encode = function (message, writer, _depth) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  if (message.instanceName != null && message.instanceName !== "")
   writer.uint32(10).string(message.instanceName);
  if (message.actionDigest != null)
   Digest.encode(message.actionDigest, writer.uint32(18).fork(), _depth + 1).ldelim();
  if (message.actionResult != null)
   ActionResult.encode(message.actionResult, writer.uint32(26).fork(), _depth + 1).ldelim();
  if (message.resultsCachePolicy != null)
   ResultsCachePolicy.encode(message.resultsCachePolicy, writer.uint32(34).fork(), _depth + 1).ldelim();
  if (message.digestFunction != null && message.digestFunction !== 0)
   writer.uint32(40).int32(message.digestFunction);
  return writer;
 };
 UpdateActionResultRequest.decode = function (reader, length, _end, _depth, _target) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  let end, message, value;
  if (length === undefined)
   end = reader.end;
  else {
   end = reader.pos + length;
   if (end > reader.end)
    throw RangeError("index out of range");
   length = reader.end;
   reader.end = end;
  }
  message = _target || UpdateActionResultRequest.make();
  while (reader.pos < end) {
   let tag = reader.tag();
   if (tag === _end) {
    _end = undefined;
    break;
   }
   let wireType = tag & 7;
   switch (tag >>>= 3) {
   case 1: {
     if (wireType !== 2)
      break;
     message.instanceName = reader.string();
     continue;
    }
   case 2: {
     if (wireType !== 2)
      break;
     message.actionDigest = Digest.decode(reader, reader.length(), undefined, _depth + 1, message.actionDigest);
     continue;
    }
   case 3: {
     if (wireType !== 2)
      break;
     message.actionResult = ActionResult.decode(reader, reader.length(), undefined, _depth + 1, message.actionResult);
     continue;
    }
   case 4: {
     if (wireType !== 2)
      break;
     message.resultsCachePolicy = ResultsCachePolicy.decode(reader, reader.length(), undefined, _depth + 1, message.resultsCachePolicy);
     continue;
    }
   case 5: {
     if (wireType !== 0)
      break;
     message.digestFunction = reader.int32();
     continue;
    }
   }
   reader.skip((tag << 3 | wireType) >>> 0, _depth);
  }
  if (length !== undefined) {
   if (reader.pos !== end)
    throw RangeError("index out of range");
   reader.end = length;
  }
  if (_end !== undefined)
   throw Error("missing end group");
  return message;
 };
 UpdateActionResultRequest.make = () => ({ instanceName: "", digestFunction: 0 });
 return UpdateActionResultRequest;
})();
export const WaitExecutionRequest = (() => {
 const WaitExecutionRequest = {};
 WaitExecutionRequest.encode = function (message, writer, _depth) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  if (message.name != null && message.name !== "")
   writer.uint32(10).string(message.name);
  return writer;
 };
 WaitExecutionRequest.decode = function (reader, length, _end, _depth, _target) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  let end, message, value;
  if (length === undefined)
   end = reader.end;
  else {
   end = reader.pos + length;
   if (end > reader.end)
    throw RangeError("index out of range");
   length = reader.end;
   reader.end = end;
  }
  message = _target || WaitExecutionRequest.make();
  while (reader.pos < end) {
   let tag = reader.tag();
   if (tag === _end) {
    _end = undefined;
    break;
   }
   let wireType = tag & 7;
   switch (tag >>>= 3) {
   case 1: {
     if (wireType !== 2)
      break;
     message.name = reader.string();
     continue;
    }
   }
   reader.skip((tag << 3 | wireType) >>> 0, _depth);
  }
  if (length !== undefined) {
   if (reader.pos !== end)
    throw RangeError("index out of range");
   reader.end = length;
  }
  if (_end !== undefined)
   throw Error("missing end group");
  return message;
 };
 WaitExecutionRequest.make = () => ({ name: "" });
 return WaitExecutionRequest;
})();
export const SemVer = (() => {
 const SemVer = {};
 SemVer.encode = function (message, writer, _depth) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  if (message.major != null && message.major !== 0)
   writer.uint32(8).int32(message.major);
  if (message.minor != null && message.minor !== 0)
   writer.uint32(16).int32(message.minor);
  if (message.patch != null && message.patch !== 0)
   writer.uint32(24).int32(message.patch);
  if (message.prerelease != null && message.prerelease !== "")
   writer.uint32(34).string(message.prerelease);
  return writer;
 };
 SemVer.decode = function (reader, length, _end, _depth, _target) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  let end, message, value;
  if (length === undefined)
   end = reader.end;
  else {
   end = reader.pos + length;
   if (end > reader.end)
    throw RangeError("index out of range");
   length = reader.end;
   reader.end = end;
  }
  message = _target || SemVer.make();
  while (reader.pos < end) {
   let tag = reader.tag();
   if (tag === _end) {
    _end = undefined;
    break;
   }
   let wireType = tag & 7;
   switch (tag >>>= 3) {
   case 1: {
     if (wireType !== 0)
      break;
     message.major = reader.int32();
     continue;
    }
   case 2: {
     if (wireType !== 0)
      break;
     message.minor = reader.int32();
     continue;
    }
   case 3: {
     if (wireType !== 0)
      break;
     message.patch = reader.int32();
     continue;
    }
   case 4: {
     if (wireType !== 2)
      break;
     message.prerelease = reader.string();
     continue;
    }
   }
   reader.skip((tag << 3 | wireType) >>> 0, _depth);
  }
  if (length !== undefined) {
   if (reader.pos !== end)
    throw RangeError("index out of range");
   reader.end = length;
  }
  if (_end !== undefined)
   throw Error("missing end group");
  return message;
 };
 SemVer.make = () => ({ major: 0, minor: 0, patch: 0, prerelease: "" });
 return SemVer;
})();
export const QueryWriteStatusRequest = (() => {
 const QueryWriteStatusRequest = {};
 QueryWriteStatusRequest.encode = function (message, writer, _depth) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  if (message.resourceName != null && message.resourceName !== "")
   writer.uint32(10).string(message.resourceName);
  return writer;
 };
 QueryWriteStatusRequest.decode = function (reader, length, _end, _depth, _target) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  let end, message, value;
  if (length === undefined)
   end = reader.end;
  else {
   end = reader.pos + length;
   if (end > reader.end)
    throw RangeError("index out of range");
   length = reader.end;
   reader.end = end;
  }
  message = _target || QueryWriteStatusRequest.make();
  while (reader.pos < end) {
   let tag = reader.tag();
   if (tag === _end) {
    _end = undefined;
    break;
   }
   let wireType = tag & 7;
   switch (tag >>>= 3) {
   case 1: {
     if (wireType !== 2)
      break;
     message.resourceName = reader.string();
     continue;
    }
   }
   reader.skip((tag << 3 | wireType) >>> 0, _depth);
  }
  if (length !== undefined) {
   if (reader.pos !== end)
    throw RangeError("index out of range");
   reader.end = length;
  }
  if (_end !== undefined)
   throw Error("missing end group");
  return message;
 };
 QueryWriteStatusRequest.make = () => ({ resourceName: "" });
 return QueryWriteStatusRequest;
})();
export const QueryWriteStatusResponse = (() => {
 const QueryWriteStatusResponse = {};
 QueryWriteStatusResponse.encode = function (message, writer, _depth) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  if (message.committedSize != null && (typeof message.committedSize === "object" ? message.committedSize.low || message.committedSize.high : message.committedSize !== 0))
   writer.uint32(8).int64(message.committedSize);
  if (message.complete != null && message.complete !== false)
   writer.uint32(16).bool(message.complete);
  return writer;
 };
 QueryWriteStatusResponse.decode = function (reader, length, _end, _depth, _target) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  let end, message, value;
  if (length === undefined)
   end = reader.end;
  else {
   end = reader.pos + length;
   if (end > reader.end)
    throw RangeError("index out of range");
   length = reader.end;
   reader.end = end;
  }
  message = _target || QueryWriteStatusResponse.make();
  while (reader.pos < end) {
   let tag = reader.tag();
   if (tag === _end) {
    _end = undefined;
    break;
   }
   let wireType = tag & 7;
   switch (tag >>>= 3) {
   case 1: {
     if (wireType !== 0)
      break;
     message.committedSize = reader.int64();
     continue;
    }
   case 2: {
     if (wireType !== 0)
      break;
     message.complete = reader.bool();
     continue;
    }
   }
   reader.skip((tag << 3 | wireType) >>> 0, _depth);
  }
  if (length !== undefined) {
   if (reader.pos !== end)
    throw RangeError("index out of range");
   reader.end = length;
  }
  if (_end !== undefined)
   throw Error("missing end group");
  return message;
 };
 QueryWriteStatusResponse.make = () => ({ committedSize: 0, complete: false });
 return QueryWriteStatusResponse;
})();
export const ReadRequest = (() => {
 const ReadRequest = {};
 ReadRequest.encode = function (message, writer, _depth) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  if (message.resourceName != null && message.resourceName !== "")
   writer.uint32(10).string(message.resourceName);
  if (message.readOffset != null && (typeof message.readOffset === "object" ? message.readOffset.low || message.readOffset.high : message.readOffset !== 0))
   writer.uint32(16).int64(message.readOffset);
  if (message.readLimit != null && (typeof message.readLimit === "object" ? message.readLimit.low || message.readLimit.high : message.readLimit !== 0))
   writer.uint32(24).int64(message.readLimit);
  return writer;
 };
 ReadRequest.decode = function (reader, length, _end, _depth, _target) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  let end, message, value;
  if (length === undefined)
   end = reader.end;
  else {
   end = reader.pos + length;
   if (end > reader.end)
    throw RangeError("index out of range");
   length = reader.end;
   reader.end = end;
  }
  message = _target || ReadRequest.make();
  while (reader.pos < end) {
   let tag = reader.tag();
   if (tag === _end) {
    _end = undefined;
    break;
   }
   let wireType = tag & 7;
   switch (tag >>>= 3) {
   case 1: {
     if (wireType !== 2)
      break;
     message.resourceName = reader.string();
     continue;
    }
   case 2: {
     if (wireType !== 0)
      break;
     message.readOffset = reader.int64();
     continue;
    }
   case 3: {
     if (wireType !== 0)
      break;
     message.readLimit = reader.int64();
     continue;
    }
   }
   reader.skip((tag << 3 | wireType) >>> 0, _depth);
  }
  if (length !== undefined) {
   if (reader.pos !== end)
    throw RangeError("index out of range");
   reader.end = length;
  }
  if (_end !== undefined)
   throw Error("missing end group");
  return message;
 };
 ReadRequest.make = () => ({ resourceName: "", readOffset: 0, readLimit: 0 });
 return ReadRequest;
})();
export const ReadResponse = (() => {
 const ReadResponse = {};
 ReadResponse.encode = function (message, writer, _depth) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  if (message.data != null && message.data.length)
   writer.uint32(82).blob(message.data);
  return writer;
 };
 ReadResponse.decode = function (reader, length, _end, _depth, _target) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  let end, message, value;
  if (length === undefined)
   end = reader.end;
  else {
   end = reader.pos + length;
   if (end > reader.end)
    throw RangeError("index out of range");
   length = reader.end;
   reader.end = end;
  }
  message = _target || ReadResponse.make();
  while (reader.pos < end) {
   let tag = reader.tag();
   if (tag === _end) {
    _end = undefined;
    break;
   }
   let wireType = tag & 7;
   switch (tag >>>= 3) {
   case 10: {
     if (wireType !== 2)
      break;
     message.data = reader.view();
     continue;
    }
   }
   reader.skip((tag << 3 | wireType) >>> 0, _depth);
  }
  if (length !== undefined) {
   if (reader.pos !== end)
    throw RangeError("index out of range");
   reader.end = length;
  }
  if (_end !== undefined)
   throw Error("missing end group");
  return message;
 };
 ReadResponse.make = () => ({ data: $noBytes });
 return ReadResponse;
})();
export const WriteRequest = (() => {
 const WriteRequest = {};
 WriteRequest.encode = function (message, writer, _depth) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  if (message.resourceName != null && message.resourceName !== "")
   writer.uint32(10).string(message.resourceName);
  if (message.writeOffset != null && (typeof message.writeOffset === "object" ? message.writeOffset.low || message.writeOffset.high : message.writeOffset !== 0))
   writer.uint32(16).int64(message.writeOffset);
  if (message.finishWrite != null && message.finishWrite !== false)
   writer.uint32(24).bool(message.finishWrite);
  if (message.data != null && message.data.length)
   writer.uint32(82).blob(message.data);
  return writer;
 };
 WriteRequest.decode = function (reader, length, _end, _depth, _target) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  let end, message, value;
  if (length === undefined)
   end = reader.end;
  else {
   end = reader.pos + length;
   if (end > reader.end)
    throw RangeError("index out of range");
   length = reader.end;
   reader.end = end;
  }
  message = _target || WriteRequest.make();
  while (reader.pos < end) {
   let tag = reader.tag();
   if (tag === _end) {
    _end = undefined;
    break;
   }
   let wireType = tag & 7;
   switch (tag >>>= 3) {
   case 1: {
     if (wireType !== 2)
      break;
     message.resourceName = reader.string();
     continue;
    }
   case 2: {
     if (wireType !== 0)
      break;
     message.writeOffset = reader.int64();
     continue;
    }
   case 3: {
     if (wireType !== 0)
      break;
     message.finishWrite = reader.bool();
     continue;
    }
   case 10: {
     if (wireType !== 2)
      break;
     message.data = reader.view();
     continue;
    }
   }
   reader.skip((tag << 3 | wireType) >>> 0, _depth);
  }
  if (length !== undefined) {
   if (reader.pos !== end)
    throw RangeError("index out of range");
   reader.end = length;
  }
  if (_end !== undefined)
   throw Error("missing end group");
  return message;
 };
 WriteRequest.make = () => ({ resourceName: "", writeOffset: 0, finishWrite: false, data: $noBytes });
 return WriteRequest;
})();
export const WriteResponse = (() => {
 const WriteResponse = {};
 WriteResponse.encode = function (message, writer, _depth) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  if (message.committedSize != null && (typeof message.committedSize === "object" ? message.committedSize.low || message.committedSize.high : message.committedSize !== 0))
   writer.uint32(8).int64(message.committedSize);
  return writer;
 };
 WriteResponse.decode = function (reader, length, _end, _depth, _target) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  let end, message, value;
  if (length === undefined)
   end = reader.end;
  else {
   end = reader.pos + length;
   if (end > reader.end)
    throw RangeError("index out of range");
   length = reader.end;
   reader.end = end;
  }
  message = _target || WriteResponse.make();
  while (reader.pos < end) {
   let tag = reader.tag();
   if (tag === _end) {
    _end = undefined;
    break;
   }
   let wireType = tag & 7;
   switch (tag >>>= 3) {
   case 1: {
     if (wireType !== 0)
      break;
     message.committedSize = reader.int64();
     continue;
    }
   }
   reader.skip((tag << 3 | wireType) >>> 0, _depth);
  }
  if (length !== undefined) {
   if (reader.pos !== end)
    throw RangeError("index out of range");
   reader.end = length;
  }
  if (_end !== undefined)
   throw Error("missing end group");
  return message;
 };
 WriteResponse.make = () => ({ committedSize: 0 });
 return WriteResponse;
})();
export const CancelOperationRequest = (() => {
 const CancelOperationRequest = {};
 CancelOperationRequest.encode = function (message, writer, _depth) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  if (message.name != null && message.name !== "")
   writer.uint32(10).string(message.name);
  return writer;
 };
 CancelOperationRequest.decode = function (reader, length, _end, _depth, _target) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  let end, message, value;
  if (length === undefined)
   end = reader.end;
  else {
   end = reader.pos + length;
   if (end > reader.end)
    throw RangeError("index out of range");
   length = reader.end;
   reader.end = end;
  }
  message = _target || CancelOperationRequest.make();
  while (reader.pos < end) {
   let tag = reader.tag();
   if (tag === _end) {
    _end = undefined;
    break;
   }
   let wireType = tag & 7;
   switch (tag >>>= 3) {
   case 1: {
     if (wireType !== 2)
      break;
     message.name = reader.string();
     continue;
    }
   }
   reader.skip((tag << 3 | wireType) >>> 0, _depth);
  }
  if (length !== undefined) {
   if (reader.pos !== end)
    throw RangeError("index out of range");
   reader.end = length;
  }
  if (_end !== undefined)
   throw Error("missing end group");
  return message;
 };
 CancelOperationRequest.make = () => ({ name: "" });
 return CancelOperationRequest;
})();
export const DeleteOperationRequest = (() => {
 const DeleteOperationRequest = {};
 DeleteOperationRequest.encode = function (message, writer, _depth) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  if (message.name != null && message.name !== "")
   writer.uint32(10).string(message.name);
  return writer;
 };
 DeleteOperationRequest.decode = function (reader, length, _end, _depth, _target) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  let end, message, value;
  if (length === undefined)
   end = reader.end;
  else {
   end = reader.pos + length;
   if (end > reader.end)
    throw RangeError("index out of range");
   length = reader.end;
   reader.end = end;
  }
  message = _target || DeleteOperationRequest.make();
  while (reader.pos < end) {
   let tag = reader.tag();
   if (tag === _end) {
    _end = undefined;
    break;
   }
   let wireType = tag & 7;
   switch (tag >>>= 3) {
   case 1: {
     if (wireType !== 2)
      break;
     message.name = reader.string();
     continue;
    }
   }
   reader.skip((tag << 3 | wireType) >>> 0, _depth);
  }
  if (length !== undefined) {
   if (reader.pos !== end)
    throw RangeError("index out of range");
   reader.end = length;
  }
  if (_end !== undefined)
   throw Error("missing end group");
  return message;
 };
 DeleteOperationRequest.make = () => ({ name: "" });
 return DeleteOperationRequest;
})();
export const GetOperationRequest = (() => {
 const GetOperationRequest = {};
 GetOperationRequest.encode = function (message, writer, _depth) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  if (message.name != null && message.name !== "")
   writer.uint32(10).string(message.name);
  return writer;
 };
 GetOperationRequest.decode = function (reader, length, _end, _depth, _target) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  let end, message, value;
  if (length === undefined)
   end = reader.end;
  else {
   end = reader.pos + length;
   if (end > reader.end)
    throw RangeError("index out of range");
   length = reader.end;
   reader.end = end;
  }
  message = _target || GetOperationRequest.make();
  while (reader.pos < end) {
   let tag = reader.tag();
   if (tag === _end) {
    _end = undefined;
    break;
   }
   let wireType = tag & 7;
   switch (tag >>>= 3) {
   case 1: {
     if (wireType !== 2)
      break;
     message.name = reader.string();
     continue;
    }
   }
   reader.skip((tag << 3 | wireType) >>> 0, _depth);
  }
  if (length !== undefined) {
   if (reader.pos !== end)
    throw RangeError("index out of range");
   reader.end = length;
  }
  if (_end !== undefined)
   throw Error("missing end group");
  return message;
 };
 GetOperationRequest.make = () => ({ name: "" });
 return GetOperationRequest;
})();
export const ListOperationsRequest = (() => {
 const ListOperationsRequest = {};
 ListOperationsRequest.encode = function (message, writer, _depth) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  if (message.filter != null && message.filter !== "")
   writer.uint32(10).string(message.filter);
  if (message.pageSize != null && message.pageSize !== 0)
   writer.uint32(16).int32(message.pageSize);
  if (message.pageToken != null && message.pageToken !== "")
   writer.uint32(26).string(message.pageToken);
  if (message.name != null && message.name !== "")
   writer.uint32(34).string(message.name);
  if (message.returnPartialSuccess != null && message.returnPartialSuccess !== false)
   writer.uint32(40).bool(message.returnPartialSuccess);
  return writer;
 };
 ListOperationsRequest.decode = function (reader, length, _end, _depth, _target) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  let end, message, value;
  if (length === undefined)
   end = reader.end;
  else {
   end = reader.pos + length;
   if (end > reader.end)
    throw RangeError("index out of range");
   length = reader.end;
   reader.end = end;
  }
  message = _target || ListOperationsRequest.make();
  while (reader.pos < end) {
   let tag = reader.tag();
   if (tag === _end) {
    _end = undefined;
    break;
   }
   let wireType = tag & 7;
   switch (tag >>>= 3) {
   case 1: {
     if (wireType !== 2)
      break;
     message.filter = reader.string();
     continue;
    }
   case 2: {
     if (wireType !== 0)
      break;
     message.pageSize = reader.int32();
     continue;
    }
   case 3: {
     if (wireType !== 2)
      break;
     message.pageToken = reader.string();
     continue;
    }
   case 4: {
     if (wireType !== 2)
      break;
     message.name = reader.string();
     continue;
    }
   case 5: {
     if (wireType !== 0)
      break;
     message.returnPartialSuccess = reader.bool();
     continue;
    }
   }
   reader.skip((tag << 3 | wireType) >>> 0, _depth);
  }
  if (length !== undefined) {
   if (reader.pos !== end)
    throw RangeError("index out of range");
   reader.end = length;
  }
  if (_end !== undefined)
   throw Error("missing end group");
  return message;
 };
 ListOperationsRequest.make = () => ({ filter: "", pageSize: 0, pageToken: "", name: "", returnPartialSuccess: false });
 return ListOperationsRequest;
})();
export const ListOperationsResponse = (() => {
 const ListOperationsResponse = {};
 ListOperationsResponse.encode = function (message, writer, _depth) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  if (message.operations != null && message.operations.length)
   for (let i = 0; i < message.operations.length; ++i)
    Operation.encode(message.operations[i], writer.uint32(10).fork(), _depth + 1).ldelim();
  if (message.nextPageToken != null && message.nextPageToken !== "")
   writer.uint32(18).string(message.nextPageToken);
  if (message.unreachable != null && message.unreachable.length)
   for (let i = 0; i < message.unreachable.length; ++i)
    writer.uint32(26).string(message.unreachable[i]);
  return writer;
 };
 ListOperationsResponse.decode = function (reader, length, _end, _depth, _target) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  let end, message, value;
  if (length === undefined)
   end = reader.end;
  else {
   end = reader.pos + length;
   if (end > reader.end)
    throw RangeError("index out of range");
   length = reader.end;
   reader.end = end;
  }
  message = _target || ListOperationsResponse.make();
  while (reader.pos < end) {
   let tag = reader.tag();
   if (tag === _end) {
    _end = undefined;
    break;
   }
   let wireType = tag & 7;
   switch (tag >>>= 3) {
   case 1: {
     if (wireType !== 2)
      break;
     if (!(message.operations && message.operations.length))
      message.operations = [];
     message.operations.push(Operation.decode(reader, reader.length(), undefined, _depth + 1));
     continue;
    }
   case 2: {
     if (wireType !== 2)
      break;
     message.nextPageToken = reader.string();
     continue;
    }
   case 3: {
     if (wireType !== 2)
      break;
     if (!(message.unreachable && message.unreachable.length))
      message.unreachable = [];
     message.unreachable.push(reader.string());
     continue;
    }
   }
   reader.skip((tag << 3 | wireType) >>> 0, _depth);
  }
  if (length !== undefined) {
   if (reader.pos !== end)
    throw RangeError("index out of range");
   reader.end = length;
  }
  if (_end !== undefined)
   throw Error("missing end group");
  return message;
 };
 ListOperationsResponse.make = () => ({ operations: $none, nextPageToken: "", unreachable: $none });
 return ListOperationsResponse;
})();
export const Operation = (() => {
 const Operation = {};
 Operation.encode = function (message, writer, _depth) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  if (message.name != null && message.name !== "")
   writer.uint32(10).string(message.name);
  if (message.metadata != null)
   Any.encode(message.metadata, writer.uint32(18).fork(), _depth + 1).ldelim();
  if (message.done != null && message.done !== false)
   writer.uint32(24).bool(message.done);
  if (message.error != null)
   Status.encode(message.error, writer.uint32(34).fork(), _depth + 1).ldelim();
  if (message.response != null)
   Any.encode(message.response, writer.uint32(42).fork(), _depth + 1).ldelim();
  return writer;
 };
 Operation.decode = function (reader, length, _end, _depth, _target) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  let end, message, value;
  if (length === undefined)
   end = reader.end;
  else {
   end = reader.pos + length;
   if (end > reader.end)
    throw RangeError("index out of range");
   length = reader.end;
   reader.end = end;
  }
  message = _target || Operation.make();
  while (reader.pos < end) {
   let tag = reader.tag();
   if (tag === _end) {
    _end = undefined;
    break;
   }
   let wireType = tag & 7;
   switch (tag >>>= 3) {
   case 1: {
     if (wireType !== 2)
      break;
     message.name = reader.string();
     continue;
    }
   case 2: {
     if (wireType !== 2)
      break;
     message.metadata = Any.decode(reader, reader.length(), undefined, _depth + 1, message.metadata);
     continue;
    }
   case 3: {
     if (wireType !== 0)
      break;
     message.done = reader.bool();
     continue;
    }
   case 4: {
     if (wireType !== 2)
      break;
     message.error = Status.decode(reader, reader.length(), undefined, _depth + 1, message.error);
     if (message.result) { delete message.response; }
     message.result = "error";
     continue;
    }
   case 5: {
     if (wireType !== 2)
      break;
     message.response = Any.decode(reader, reader.length(), undefined, _depth + 1, message.response);
     if (message.result) { delete message.error; }
     message.result = "response";
     continue;
    }
   }
   reader.skip((tag << 3 | wireType) >>> 0, _depth);
  }
  if (length !== undefined) {
   if (reader.pos !== end)
    throw RangeError("index out of range");
   reader.end = length;
  }
  if (_end !== undefined)
   throw Error("missing end group");
  return message;
 };
 Operation.make = () => ({ name: "", done: false });
 return Operation;
})();
export const OperationInfo = (() => {
 const OperationInfo = {};
 OperationInfo.encode = function (message, writer, _depth) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  if (message.responseType != null && message.responseType !== "")
   writer.uint32(10).string(message.responseType);
  if (message.metadataType != null && message.metadataType !== "")
   writer.uint32(18).string(message.metadataType);
  return writer;
 };
 OperationInfo.decode = function (reader, length, _end, _depth, _target) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  let end, message, value;
  if (length === undefined)
   end = reader.end;
  else {
   end = reader.pos + length;
   if (end > reader.end)
    throw RangeError("index out of range");
   length = reader.end;
   reader.end = end;
  }
  message = _target || OperationInfo.make();
  while (reader.pos < end) {
   let tag = reader.tag();
   if (tag === _end) {
    _end = undefined;
    break;
   }
   let wireType = tag & 7;
   switch (tag >>>= 3) {
   case 1: {
     if (wireType !== 2)
      break;
     message.responseType = reader.string();
     continue;
    }
   case 2: {
     if (wireType !== 2)
      break;
     message.metadataType = reader.string();
     continue;
    }
   }
   reader.skip((tag << 3 | wireType) >>> 0, _depth);
  }
  if (length !== undefined) {
   if (reader.pos !== end)
    throw RangeError("index out of range");
   reader.end = length;
  }
  if (_end !== undefined)
   throw Error("missing end group");
  return message;
 };
 OperationInfo.make = () => ({ responseType: "", metadataType: "" });
 return OperationInfo;
})();
export const WaitOperationRequest = (() => {
 const WaitOperationRequest = {};
 WaitOperationRequest.encode = function (message, writer, _depth) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  if (message.name != null && message.name !== "")
   writer.uint32(10).string(message.name);
  if (message.timeout != null)
   Duration.encode(message.timeout, writer.uint32(18).fork(), _depth + 1).ldelim();
  return writer;
 };
 WaitOperationRequest.decode = function (reader, length, _end, _depth, _target) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  let end, message, value;
  if (length === undefined)
   end = reader.end;
  else {
   end = reader.pos + length;
   if (end > reader.end)
    throw RangeError("index out of range");
   length = reader.end;
   reader.end = end;
  }
  message = _target || WaitOperationRequest.make();
  while (reader.pos < end) {
   let tag = reader.tag();
   if (tag === _end) {
    _end = undefined;
    break;
   }
   let wireType = tag & 7;
   switch (tag >>>= 3) {
   case 1: {
     if (wireType !== 2)
      break;
     message.name = reader.string();
     continue;
    }
   case 2: {
     if (wireType !== 2)
      break;
     message.timeout = Duration.decode(reader, reader.length(), undefined, _depth + 1, message.timeout);
     continue;
    }
   }
   reader.skip((tag << 3 | wireType) >>> 0, _depth);
  }
  if (length !== undefined) {
   if (reader.pos !== end)
    throw RangeError("index out of range");
   reader.end = length;
  }
  if (_end !== undefined)
   throw Error("missing end group");
  return message;
 };
 WaitOperationRequest.make = () => ({ name: "" });
 return WaitOperationRequest;
})();
export const Any = (() => {
 const Any = {};
 Any.encode = function (message, writer, _depth) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  if (message.typeUrl != null && message.typeUrl !== "")
   writer.uint32(10).string(message.typeUrl);
  if (message.value != null && message.value.length)
   writer.uint32(18).blob(message.value);
  return writer;
 };
 Any.decode = function (reader, length, _end, _depth, _target) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  let end, message, value;
  if (length === undefined)
   end = reader.end;
  else {
   end = reader.pos + length;
   if (end > reader.end)
    throw RangeError("index out of range");
   length = reader.end;
   reader.end = end;
  }
  message = _target || Any.make();
  while (reader.pos < end) {
   let tag = reader.tag();
   if (tag === _end) {
    _end = undefined;
    break;
   }
   let wireType = tag & 7;
   switch (tag >>>= 3) {
   case 1: {
     if (wireType !== 2)
      break;
     message.typeUrl = reader.string();
     continue;
    }
   case 2: {
     if (wireType !== 2)
      break;
     message.value = reader.view();
     continue;
    }
   }
   reader.skip((tag << 3 | wireType) >>> 0, _depth);
  }
  if (length !== undefined) {
   if (reader.pos !== end)
    throw RangeError("index out of range");
   reader.end = length;
  }
  if (_end !== undefined)
   throw Error("missing end group");
  return message;
 };
 Any.make = () => ({ typeUrl: "", value: $noBytes });
 return Any;
})();
export const Duration = (() => {
 const Duration = {};
 Duration.encode = function (message, writer, _depth) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  if (message.seconds != null && (typeof message.seconds === "object" ? message.seconds.low || message.seconds.high : message.seconds !== 0))
   writer.uint32(8).int64(message.seconds);
  if (message.nanos != null && message.nanos !== 0)
   writer.uint32(16).int32(message.nanos);
  return writer;
 };
 Duration.decode = function (reader, length, _end, _depth, _target) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  let end, message, value;
  if (length === undefined)
   end = reader.end;
  else {
   end = reader.pos + length;
   if (end > reader.end)
    throw RangeError("index out of range");
   length = reader.end;
   reader.end = end;
  }
  message = _target || Duration.make();
  while (reader.pos < end) {
   let tag = reader.tag();
   if (tag === _end) {
    _end = undefined;
    break;
   }
   let wireType = tag & 7;
   switch (tag >>>= 3) {
   case 1: {
     if (wireType !== 0)
      break;
     message.seconds = reader.int64();
     continue;
    }
   case 2: {
     if (wireType !== 0)
      break;
     message.nanos = reader.int32();
     continue;
    }
   }
   reader.skip((tag << 3 | wireType) >>> 0, _depth);
  }
  if (length !== undefined) {
   if (reader.pos !== end)
    throw RangeError("index out of range");
   reader.end = length;
  }
  if (_end !== undefined)
   throw Error("missing end group");
  return message;
 };
 Duration.make = () => ({ seconds: 0, nanos: 0 });
 return Duration;
})();
export const Empty = (() => {
 const Empty = {};
 Empty.encode = function (message, writer, _depth) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  return writer;
 };
 Empty.decode = function (reader, length, _end, _depth, _target) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  let end, message;
  if (length === undefined)
   end = reader.end;
  else {
   end = reader.pos + length;
   if (end > reader.end)
    throw RangeError("index out of range");
   length = reader.end;
   reader.end = end;
  }
  message = _target || Empty.make();
  while (reader.pos < end) {
   let tag = reader.tag();
   if (tag === _end) {
    _end = undefined;
    break;
   }
   reader.skip(tag, _depth);
  }
  if (length !== undefined) {
   if (reader.pos !== end)
    throw RangeError("index out of range");
   reader.end = length;
  }
  if (_end !== undefined)
   throw Error("missing end group");
  return message;
 };
 Empty.make = () => ({});
 return Empty;
})();
export const Timestamp = (() => {
 const Timestamp = {};
 Timestamp.encode = function (message, writer, _depth) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  if (message.seconds != null && (typeof message.seconds === "object" ? message.seconds.low || message.seconds.high : message.seconds !== 0))
   writer.uint32(8).int64(message.seconds);
  if (message.nanos != null && message.nanos !== 0)
   writer.uint32(16).int32(message.nanos);
  return writer;
 };
 Timestamp.decode = function (reader, length, _end, _depth, _target) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  let end, message, value;
  if (length === undefined)
   end = reader.end;
  else {
   end = reader.pos + length;
   if (end > reader.end)
    throw RangeError("index out of range");
   length = reader.end;
   reader.end = end;
  }
  message = _target || Timestamp.make();
  while (reader.pos < end) {
   let tag = reader.tag();
   if (tag === _end) {
    _end = undefined;
    break;
   }
   let wireType = tag & 7;
   switch (tag >>>= 3) {
   case 1: {
     if (wireType !== 0)
      break;
     message.seconds = reader.int64();
     continue;
    }
   case 2: {
     if (wireType !== 0)
      break;
     message.nanos = reader.int32();
     continue;
    }
   }
   reader.skip((tag << 3 | wireType) >>> 0, _depth);
  }
  if (length !== undefined) {
   if (reader.pos !== end)
    throw RangeError("index out of range");
   reader.end = length;
  }
  if (_end !== undefined)
   throw Error("missing end group");
  return message;
 };
 Timestamp.make = () => ({ seconds: 0, nanos: 0 });
 return Timestamp;
})();
export const UInt32Value = (() => {
 const UInt32Value = {};
 UInt32Value.encode = function (message, writer, _depth) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  if (message.value != null && message.value !== 0)
   writer.uint32(8).uint32(message.value);
  return writer;
 };
 UInt32Value.decode = function (reader, length, _end, _depth, _target) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  let end, message, value;
  if (length === undefined)
   end = reader.end;
  else {
   end = reader.pos + length;
   if (end > reader.end)
    throw RangeError("index out of range");
   length = reader.end;
   reader.end = end;
  }
  message = _target || UInt32Value.make();
  while (reader.pos < end) {
   let tag = reader.tag();
   if (tag === _end) {
    _end = undefined;
    break;
   }
   let wireType = tag & 7;
   switch (tag >>>= 3) {
   case 1: {
     if (wireType !== 0)
      break;
     message.value = reader.uint32();
     continue;
    }
   }
   reader.skip((tag << 3 | wireType) >>> 0, _depth);
  }
  if (length !== undefined) {
   if (reader.pos !== end)
    throw RangeError("index out of range");
   reader.end = length;
  }
  if (_end !== undefined)
   throw Error("missing end group");
  return message;
 };
 UInt32Value.make = () => ({ value: 0 });
 return UInt32Value;
})();
export const BadRequest = (() => {
 const BadRequest = {};
 BadRequest.encode = function (message, writer, _depth) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  if (message.fieldViolations != null && message.fieldViolations.length)
   for (let i = 0; i < message.fieldViolations.length; ++i)
    BadRequest_FieldViolation.encode(message.fieldViolations[i], writer.uint32(10).fork(), _depth + 1).ldelim();
  return writer;
 };
 BadRequest.decode = function (reader, length, _end, _depth, _target) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  let end, message;
  if (length === undefined)
   end = reader.end;
  else {
   end = reader.pos + length;
   if (end > reader.end)
    throw RangeError("index out of range");
   length = reader.end;
   reader.end = end;
  }
  message = _target || BadRequest.make();
  while (reader.pos < end) {
   let tag = reader.tag();
   if (tag === _end) {
    _end = undefined;
    break;
   }
   let wireType = tag & 7;
   switch (tag >>>= 3) {
   case 1: {
     if (wireType !== 2)
      break;
     if (!(message.fieldViolations && message.fieldViolations.length))
      message.fieldViolations = [];
     message.fieldViolations.push(BadRequest_FieldViolation.decode(reader, reader.length(), undefined, _depth + 1));
     continue;
    }
   }
   reader.skip((tag << 3 | wireType) >>> 0, _depth);
  }
  if (length !== undefined) {
   if (reader.pos !== end)
    throw RangeError("index out of range");
   reader.end = length;
  }
  if (_end !== undefined)
   throw Error("missing end group");
  return message;
 };
 BadRequest.make = () => ({ fieldViolations: $none });
 return BadRequest;
})();
export const BadRequest_FieldViolation = (() => {
 const BadRequest_FieldViolation = {};
 BadRequest_FieldViolation.encode = function (message, writer, _depth) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  if (message.field != null && message.field !== "")
   writer.uint32(10).string(message.field);
  if (message.description != null && message.description !== "")
   writer.uint32(18).string(message.description);
  if (message.reason != null && message.reason !== "")
   writer.uint32(26).string(message.reason);
  if (message.localizedMessage != null)
   LocalizedMessage.encode(message.localizedMessage, writer.uint32(34).fork(), _depth + 1).ldelim();
  return writer;
 };
 BadRequest_FieldViolation.decode = function (reader, length, _end, _depth, _target) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  let end, message, value;
  if (length === undefined)
   end = reader.end;
  else {
   end = reader.pos + length;
   if (end > reader.end)
    throw RangeError("index out of range");
   length = reader.end;
   reader.end = end;
  }
  message = _target || BadRequest_FieldViolation.make();
  while (reader.pos < end) {
   let tag = reader.tag();
   if (tag === _end) {
    _end = undefined;
    break;
   }
   let wireType = tag & 7;
   switch (tag >>>= 3) {
   case 1: {
     if (wireType !== 2)
      break;
     message.field = reader.string();
     continue;
    }
   case 2: {
     if (wireType !== 2)
      break;
     message.description = reader.string();
     continue;
    }
   case 3: {
     if (wireType !== 2)
      break;
     message.reason = reader.string();
     continue;
    }
   case 4: {
     if (wireType !== 2)
      break;
     message.localizedMessage = LocalizedMessage.decode(reader, reader.length(), undefined, _depth + 1, message.localizedMessage);
     continue;
    }
   }
   reader.skip((tag << 3 | wireType) >>> 0, _depth);
  }
  if (length !== undefined) {
   if (reader.pos !== end)
    throw RangeError("index out of range");
   reader.end = length;
  }
  if (_end !== undefined)
   throw Error("missing end group");
  return message;
 };
 BadRequest_FieldViolation.make = () => ({ field: "", description: "", reason: "" });
 return BadRequest_FieldViolation;
})();
export const DebugInfo = (() => {
 const DebugInfo = {};
 DebugInfo.encode = function (message, writer, _depth) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  if (message.stackEntries != null && message.stackEntries.length)
   for (let i = 0; i < message.stackEntries.length; ++i)
    writer.uint32(10).string(message.stackEntries[i]);
  if (message.detail != null && message.detail !== "")
   writer.uint32(18).string(message.detail);
  return writer;
 };
 DebugInfo.decode = function (reader, length, _end, _depth, _target) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  let end, message, value;
  if (length === undefined)
   end = reader.end;
  else {
   end = reader.pos + length;
   if (end > reader.end)
    throw RangeError("index out of range");
   length = reader.end;
   reader.end = end;
  }
  message = _target || DebugInfo.make();
  while (reader.pos < end) {
   let tag = reader.tag();
   if (tag === _end) {
    _end = undefined;
    break;
   }
   let wireType = tag & 7;
   switch (tag >>>= 3) {
   case 1: {
     if (wireType !== 2)
      break;
     if (!(message.stackEntries && message.stackEntries.length))
      message.stackEntries = [];
     message.stackEntries.push(reader.string());
     continue;
    }
   case 2: {
     if (wireType !== 2)
      break;
     message.detail = reader.string();
     continue;
    }
   }
   reader.skip((tag << 3 | wireType) >>> 0, _depth);
  }
  if (length !== undefined) {
   if (reader.pos !== end)
    throw RangeError("index out of range");
   reader.end = length;
  }
  if (_end !== undefined)
   throw Error("missing end group");
  return message;
 };
 DebugInfo.make = () => ({ stackEntries: $none, detail: "" });
 return DebugInfo;
})();
export const ErrorInfo = (() => {
 const ErrorInfo = {};
 ErrorInfo.encode = function (message, writer, _depth) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  if (message.reason != null && message.reason !== "")
   writer.uint32(10).string(message.reason);
  if (message.domain != null && message.domain !== "")
   writer.uint32(18).string(message.domain);
  if (message.metadata != null)
   for (let keys = Object.keys(message.metadata), i = 0; i < keys.length; ++i)
    writer.uint32(26).fork().uint32(10).string(keys[i]).uint32(18).string(message.metadata[keys[i]]).ldelim();
  return writer;
 };
 ErrorInfo.decode = function (reader, length, _end, _depth, _target) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  let end, message, key, value;
  if (length === undefined)
   end = reader.end;
  else {
   end = reader.pos + length;
   if (end > reader.end)
    throw RangeError("index out of range");
   length = reader.end;
   reader.end = end;
  }
  message = _target || ErrorInfo.make();
  while (reader.pos < end) {
   let tag = reader.tag();
   if (tag === _end) {
    _end = undefined;
    break;
   }
   let wireType = tag & 7;
   switch (tag >>>= 3) {
   case 1: {
     if (wireType !== 2)
      break;
     message.reason = reader.string();
     continue;
    }
   case 2: {
     if (wireType !== 2)
      break;
     message.domain = reader.string();
     continue;
    }
   case 3: {
     if (wireType !== 2)
      break;
     if (message.metadata === $emptyMap)
      message.metadata = {};
     let end2 = reader.length() + reader.pos;
     if (end2 > reader.end)
      throw RangeError("index out of range");
     reader.end = end2;
     key = "";
     value = "";
     while (reader.pos < end2) {
      let tag2 = reader.tag();
      wireType = tag2 & 7;
      switch (tag2 >>>= 3) {
      case 1:
       if (wireType !== 2)
        break;
       key = reader.string();
       continue;
      case 2:
       if (wireType !== 2)
        break;
       value = reader.string();
       continue;
      }
      reader.skip((tag2 << 3 | wireType) >>> 0, _depth);
     }
     if (reader.pos !== end2)
      throw RangeError("index out of range");
     reader.end = end;
     if (key === "__proto__") $own(message.metadata, key);
     message.metadata[key] = value;
     continue;
    }
   }
   reader.skip((tag << 3 | wireType) >>> 0, _depth);
  }
  if (length !== undefined) {
   if (reader.pos !== end)
    throw RangeError("index out of range");
   reader.end = length;
  }
  if (_end !== undefined)
   throw Error("missing end group");
  return message;
 };
 ErrorInfo.make = () => ({ reason: "", domain: "", metadata: $emptyMap });
 return ErrorInfo;
})();
export const Help = (() => {
 const Help = {};
 Help.encode = function (message, writer, _depth) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  if (message.links != null && message.links.length)
   for (let i = 0; i < message.links.length; ++i)
    Help_Link.encode(message.links[i], writer.uint32(10).fork(), _depth + 1).ldelim();
  return writer;
 };
 Help.decode = function (reader, length, _end, _depth, _target) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  let end, message;
  if (length === undefined)
   end = reader.end;
  else {
   end = reader.pos + length;
   if (end > reader.end)
    throw RangeError("index out of range");
   length = reader.end;
   reader.end = end;
  }
  message = _target || Help.make();
  while (reader.pos < end) {
   let tag = reader.tag();
   if (tag === _end) {
    _end = undefined;
    break;
   }
   let wireType = tag & 7;
   switch (tag >>>= 3) {
   case 1: {
     if (wireType !== 2)
      break;
     if (!(message.links && message.links.length))
      message.links = [];
     message.links.push(Help_Link.decode(reader, reader.length(), undefined, _depth + 1));
     continue;
    }
   }
   reader.skip((tag << 3 | wireType) >>> 0, _depth);
  }
  if (length !== undefined) {
   if (reader.pos !== end)
    throw RangeError("index out of range");
   reader.end = length;
  }
  if (_end !== undefined)
   throw Error("missing end group");
  return message;
 };
 Help.make = () => ({ links: $none });
 return Help;
})();
export const Help_Link = (() => {
 const Help_Link = {};
 Help_Link.encode = function (message, writer, _depth) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  if (message.description != null && message.description !== "")
   writer.uint32(10).string(message.description);
  if (message.url != null && message.url !== "")
   writer.uint32(18).string(message.url);
  return writer;
 };
 Help_Link.decode = function (reader, length, _end, _depth, _target) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  let end, message, value;
  if (length === undefined)
   end = reader.end;
  else {
   end = reader.pos + length;
   if (end > reader.end)
    throw RangeError("index out of range");
   length = reader.end;
   reader.end = end;
  }
  message = _target || Help_Link.make();
  while (reader.pos < end) {
   let tag = reader.tag();
   if (tag === _end) {
    _end = undefined;
    break;
   }
   let wireType = tag & 7;
   switch (tag >>>= 3) {
   case 1: {
     if (wireType !== 2)
      break;
     message.description = reader.string();
     continue;
    }
   case 2: {
     if (wireType !== 2)
      break;
     message.url = reader.string();
     continue;
    }
   }
   reader.skip((tag << 3 | wireType) >>> 0, _depth);
  }
  if (length !== undefined) {
   if (reader.pos !== end)
    throw RangeError("index out of range");
   reader.end = length;
  }
  if (_end !== undefined)
   throw Error("missing end group");
  return message;
 };
 Help_Link.make = () => ({ description: "", url: "" });
 return Help_Link;
})();
export const LocalizedMessage = (() => {
 const LocalizedMessage = {};
 LocalizedMessage.encode = function (message, writer, _depth) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  if (message.locale != null && message.locale !== "")
   writer.uint32(10).string(message.locale);
  if (message.message != null && message.message !== "")
   writer.uint32(18).string(message.message);
  return writer;
 };
 LocalizedMessage.decode = function (reader, length, _end, _depth, _target) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  let end, message, value;
  if (length === undefined)
   end = reader.end;
  else {
   end = reader.pos + length;
   if (end > reader.end)
    throw RangeError("index out of range");
   length = reader.end;
   reader.end = end;
  }
  message = _target || LocalizedMessage.make();
  while (reader.pos < end) {
   let tag = reader.tag();
   if (tag === _end) {
    _end = undefined;
    break;
   }
   let wireType = tag & 7;
   switch (tag >>>= 3) {
   case 1: {
     if (wireType !== 2)
      break;
     message.locale = reader.string();
     continue;
    }
   case 2: {
     if (wireType !== 2)
      break;
     message.message = reader.string();
     continue;
    }
   }
   reader.skip((tag << 3 | wireType) >>> 0, _depth);
  }
  if (length !== undefined) {
   if (reader.pos !== end)
    throw RangeError("index out of range");
   reader.end = length;
  }
  if (_end !== undefined)
   throw Error("missing end group");
  return message;
 };
 LocalizedMessage.make = () => ({ locale: "", message: "" });
 return LocalizedMessage;
})();
export const PreconditionFailure = (() => {
 const PreconditionFailure = {};
 PreconditionFailure.encode = function (message, writer, _depth) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  if (message.violations != null && message.violations.length)
   for (let i = 0; i < message.violations.length; ++i)
    PreconditionFailure_Violation.encode(message.violations[i], writer.uint32(10).fork(), _depth + 1).ldelim();
  return writer;
 };
 PreconditionFailure.decode = function (reader, length, _end, _depth, _target) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  let end, message;
  if (length === undefined)
   end = reader.end;
  else {
   end = reader.pos + length;
   if (end > reader.end)
    throw RangeError("index out of range");
   length = reader.end;
   reader.end = end;
  }
  message = _target || PreconditionFailure.make();
  while (reader.pos < end) {
   let tag = reader.tag();
   if (tag === _end) {
    _end = undefined;
    break;
   }
   let wireType = tag & 7;
   switch (tag >>>= 3) {
   case 1: {
     if (wireType !== 2)
      break;
     if (!(message.violations && message.violations.length))
      message.violations = [];
     message.violations.push(PreconditionFailure_Violation.decode(reader, reader.length(), undefined, _depth + 1));
     continue;
    }
   }
   reader.skip((tag << 3 | wireType) >>> 0, _depth);
  }
  if (length !== undefined) {
   if (reader.pos !== end)
    throw RangeError("index out of range");
   reader.end = length;
  }
  if (_end !== undefined)
   throw Error("missing end group");
  return message;
 };
 PreconditionFailure.make = () => ({ violations: $none });
 return PreconditionFailure;
})();
export const PreconditionFailure_Violation = (() => {
 const PreconditionFailure_Violation = {};
 PreconditionFailure_Violation.encode = function (message, writer, _depth) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  if (message.type != null && message.type !== "")
   writer.uint32(10).string(message.type);
  if (message.subject != null && message.subject !== "")
   writer.uint32(18).string(message.subject);
  if (message.description != null && message.description !== "")
   writer.uint32(26).string(message.description);
  return writer;
 };
 PreconditionFailure_Violation.decode = function (reader, length, _end, _depth, _target) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  let end, message, value;
  if (length === undefined)
   end = reader.end;
  else {
   end = reader.pos + length;
   if (end > reader.end)
    throw RangeError("index out of range");
   length = reader.end;
   reader.end = end;
  }
  message = _target || PreconditionFailure_Violation.make();
  while (reader.pos < end) {
   let tag = reader.tag();
   if (tag === _end) {
    _end = undefined;
    break;
   }
   let wireType = tag & 7;
   switch (tag >>>= 3) {
   case 1: {
     if (wireType !== 2)
      break;
     message.type = reader.string();
     continue;
    }
   case 2: {
     if (wireType !== 2)
      break;
     message.subject = reader.string();
     continue;
    }
   case 3: {
     if (wireType !== 2)
      break;
     message.description = reader.string();
     continue;
    }
   }
   reader.skip((tag << 3 | wireType) >>> 0, _depth);
  }
  if (length !== undefined) {
   if (reader.pos !== end)
    throw RangeError("index out of range");
   reader.end = length;
  }
  if (_end !== undefined)
   throw Error("missing end group");
  return message;
 };
 PreconditionFailure_Violation.make = () => ({ type: "", subject: "", description: "" });
 return PreconditionFailure_Violation;
})();
export const QuotaFailure = (() => {
 const QuotaFailure = {};
 QuotaFailure.encode = function (message, writer, _depth) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  if (message.violations != null && message.violations.length)
   for (let i = 0; i < message.violations.length; ++i)
    QuotaFailure_Violation.encode(message.violations[i], writer.uint32(10).fork(), _depth + 1).ldelim();
  return writer;
 };
 QuotaFailure.decode = function (reader, length, _end, _depth, _target) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  let end, message;
  if (length === undefined)
   end = reader.end;
  else {
   end = reader.pos + length;
   if (end > reader.end)
    throw RangeError("index out of range");
   length = reader.end;
   reader.end = end;
  }
  message = _target || QuotaFailure.make();
  while (reader.pos < end) {
   let tag = reader.tag();
   if (tag === _end) {
    _end = undefined;
    break;
   }
   let wireType = tag & 7;
   switch (tag >>>= 3) {
   case 1: {
     if (wireType !== 2)
      break;
     if (!(message.violations && message.violations.length))
      message.violations = [];
     message.violations.push(QuotaFailure_Violation.decode(reader, reader.length(), undefined, _depth + 1));
     continue;
    }
   }
   reader.skip((tag << 3 | wireType) >>> 0, _depth);
  }
  if (length !== undefined) {
   if (reader.pos !== end)
    throw RangeError("index out of range");
   reader.end = length;
  }
  if (_end !== undefined)
   throw Error("missing end group");
  return message;
 };
 QuotaFailure.make = () => ({ violations: $none });
 return QuotaFailure;
})();
export const QuotaFailure_Violation = (() => {
 const QuotaFailure_Violation = {};
 // Virtual OneOf for proto3 optional field
 QuotaFailure_Violation.encode = function (message, writer, _depth) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  if (message.subject != null && message.subject !== "")
   writer.uint32(10).string(message.subject);
  if (message.description != null && message.description !== "")
   writer.uint32(18).string(message.description);
  if (message.apiService != null && message.apiService !== "")
   writer.uint32(26).string(message.apiService);
  if (message.quotaMetric != null && message.quotaMetric !== "")
   writer.uint32(34).string(message.quotaMetric);
  if (message.quotaId != null && message.quotaId !== "")
   writer.uint32(42).string(message.quotaId);
  if (message.quotaDimensions != null)
   for (let keys = Object.keys(message.quotaDimensions), i = 0; i < keys.length; ++i)
    writer.uint32(50).fork().uint32(10).string(keys[i]).uint32(18).string(message.quotaDimensions[keys[i]]).ldelim();
  if (message.quotaValue != null && (typeof message.quotaValue === "object" ? message.quotaValue.low || message.quotaValue.high : message.quotaValue !== 0))
   writer.uint32(56).int64(message.quotaValue);
  if (message.futureQuotaValue != null)
   writer.uint32(64).int64(message.futureQuotaValue);
  return writer;
 };
 QuotaFailure_Violation.decode = function (reader, length, _end, _depth, _target) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  let end, message, key, value;
  if (length === undefined)
   end = reader.end;
  else {
   end = reader.pos + length;
   if (end > reader.end)
    throw RangeError("index out of range");
   length = reader.end;
   reader.end = end;
  }
  message = _target || QuotaFailure_Violation.make();
  while (reader.pos < end) {
   let tag = reader.tag();
   if (tag === _end) {
    _end = undefined;
    break;
   }
   let wireType = tag & 7;
   switch (tag >>>= 3) {
   case 1: {
     if (wireType !== 2)
      break;
     message.subject = reader.string();
     continue;
    }
   case 2: {
     if (wireType !== 2)
      break;
     message.description = reader.string();
     continue;
    }
   case 3: {
     if (wireType !== 2)
      break;
     message.apiService = reader.string();
     continue;
    }
   case 4: {
     if (wireType !== 2)
      break;
     message.quotaMetric = reader.string();
     continue;
    }
   case 5: {
     if (wireType !== 2)
      break;
     message.quotaId = reader.string();
     continue;
    }
   case 6: {
     if (wireType !== 2)
      break;
     if (message.quotaDimensions === $emptyMap)
      message.quotaDimensions = {};
     let end2 = reader.length() + reader.pos;
     if (end2 > reader.end)
      throw RangeError("index out of range");
     reader.end = end2;
     key = "";
     value = "";
     while (reader.pos < end2) {
      let tag2 = reader.tag();
      wireType = tag2 & 7;
      switch (tag2 >>>= 3) {
      case 1:
       if (wireType !== 2)
        break;
       key = reader.string();
       continue;
      case 2:
       if (wireType !== 2)
        break;
       value = reader.string();
       continue;
      }
      reader.skip((tag2 << 3 | wireType) >>> 0, _depth);
     }
     if (reader.pos !== end2)
      throw RangeError("index out of range");
     reader.end = end;
     if (key === "__proto__") $own(message.quotaDimensions, key);
     message.quotaDimensions[key] = value;
     continue;
    }
   case 7: {
     if (wireType !== 0)
      break;
     message.quotaValue = reader.int64();
     continue;
    }
   case 8: {
     if (wireType !== 0)
      break;
     message.futureQuotaValue = reader.int64();
     message._futureQuotaValue = "futureQuotaValue";
     continue;
    }
   }
   reader.skip((tag << 3 | wireType) >>> 0, _depth);
  }
  if (length !== undefined) {
   if (reader.pos !== end)
    throw RangeError("index out of range");
   reader.end = length;
  }
  if (_end !== undefined)
   throw Error("missing end group");
  return message;
 };
 QuotaFailure_Violation.make = () => ({ subject: "", description: "", apiService: "", quotaMetric: "", quotaId: "", quotaDimensions: $emptyMap, quotaValue: 0 });
 return QuotaFailure_Violation;
})();
export const RequestInfo = (() => {
 const RequestInfo = {};
 RequestInfo.encode = function (message, writer, _depth) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  if (message.requestId != null && message.requestId !== "")
   writer.uint32(10).string(message.requestId);
  if (message.servingData != null && message.servingData !== "")
   writer.uint32(18).string(message.servingData);
  return writer;
 };
 RequestInfo.decode = function (reader, length, _end, _depth, _target) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  let end, message, value;
  if (length === undefined)
   end = reader.end;
  else {
   end = reader.pos + length;
   if (end > reader.end)
    throw RangeError("index out of range");
   length = reader.end;
   reader.end = end;
  }
  message = _target || RequestInfo.make();
  while (reader.pos < end) {
   let tag = reader.tag();
   if (tag === _end) {
    _end = undefined;
    break;
   }
   let wireType = tag & 7;
   switch (tag >>>= 3) {
   case 1: {
     if (wireType !== 2)
      break;
     message.requestId = reader.string();
     continue;
    }
   case 2: {
     if (wireType !== 2)
      break;
     message.servingData = reader.string();
     continue;
    }
   }
   reader.skip((tag << 3 | wireType) >>> 0, _depth);
  }
  if (length !== undefined) {
   if (reader.pos !== end)
    throw RangeError("index out of range");
   reader.end = length;
  }
  if (_end !== undefined)
   throw Error("missing end group");
  return message;
 };
 RequestInfo.make = () => ({ requestId: "", servingData: "" });
 return RequestInfo;
})();
export const ResourceInfo = (() => {
 const ResourceInfo = {};
 ResourceInfo.encode = function (message, writer, _depth) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  if (message.resourceType != null && message.resourceType !== "")
   writer.uint32(10).string(message.resourceType);
  if (message.resourceName != null && message.resourceName !== "")
   writer.uint32(18).string(message.resourceName);
  if (message.owner != null && message.owner !== "")
   writer.uint32(26).string(message.owner);
  if (message.description != null && message.description !== "")
   writer.uint32(34).string(message.description);
  return writer;
 };
 ResourceInfo.decode = function (reader, length, _end, _depth, _target) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  let end, message, value;
  if (length === undefined)
   end = reader.end;
  else {
   end = reader.pos + length;
   if (end > reader.end)
    throw RangeError("index out of range");
   length = reader.end;
   reader.end = end;
  }
  message = _target || ResourceInfo.make();
  while (reader.pos < end) {
   let tag = reader.tag();
   if (tag === _end) {
    _end = undefined;
    break;
   }
   let wireType = tag & 7;
   switch (tag >>>= 3) {
   case 1: {
     if (wireType !== 2)
      break;
     message.resourceType = reader.string();
     continue;
    }
   case 2: {
     if (wireType !== 2)
      break;
     message.resourceName = reader.string();
     continue;
    }
   case 3: {
     if (wireType !== 2)
      break;
     message.owner = reader.string();
     continue;
    }
   case 4: {
     if (wireType !== 2)
      break;
     message.description = reader.string();
     continue;
    }
   }
   reader.skip((tag << 3 | wireType) >>> 0, _depth);
  }
  if (length !== undefined) {
   if (reader.pos !== end)
    throw RangeError("index out of range");
   reader.end = length;
  }
  if (_end !== undefined)
   throw Error("missing end group");
  return message;
 };
 ResourceInfo.make = () => ({ resourceType: "", resourceName: "", owner: "", description: "" });
 return ResourceInfo;
})();
export const RetryInfo = (() => {
 const RetryInfo = {};
 RetryInfo.encode = function (message, writer, _depth) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  if (message.retryDelay != null)
   Duration.encode(message.retryDelay, writer.uint32(10).fork(), _depth + 1).ldelim();
  return writer;
 };
 RetryInfo.decode = function (reader, length, _end, _depth, _target) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  let end, message, value;
  if (length === undefined)
   end = reader.end;
  else {
   end = reader.pos + length;
   if (end > reader.end)
    throw RangeError("index out of range");
   length = reader.end;
   reader.end = end;
  }
  message = _target || RetryInfo.make();
  while (reader.pos < end) {
   let tag = reader.tag();
   if (tag === _end) {
    _end = undefined;
    break;
   }
   let wireType = tag & 7;
   switch (tag >>>= 3) {
   case 1: {
     if (wireType !== 2)
      break;
     message.retryDelay = Duration.decode(reader, reader.length(), undefined, _depth + 1, message.retryDelay);
     continue;
    }
   }
   reader.skip((tag << 3 | wireType) >>> 0, _depth);
  }
  if (length !== undefined) {
   if (reader.pos !== end)
    throw RangeError("index out of range");
   reader.end = length;
  }
  if (_end !== undefined)
   throw Error("missing end group");
  return message;
 };
 RetryInfo.make = () => ({});
 return RetryInfo;
})();
export const Status = (() => {
 const Status = {};
 Status.encode = function (message, writer, _depth) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  if (message.code != null && message.code !== 0)
   writer.uint32(8).int32(message.code);
  if (message.message != null && message.message !== "")
   writer.uint32(18).string(message.message);
  if (message.details != null && message.details.length)
   for (let i = 0; i < message.details.length; ++i)
    Any.encode(message.details[i], writer.uint32(26).fork(), _depth + 1).ldelim();
  return writer;
 };
 Status.decode = function (reader, length, _end, _depth, _target) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  let end, message, value;
  if (length === undefined)
   end = reader.end;
  else {
   end = reader.pos + length;
   if (end > reader.end)
    throw RangeError("index out of range");
   length = reader.end;
   reader.end = end;
  }
  message = _target || Status.make();
  while (reader.pos < end) {
   let tag = reader.tag();
   if (tag === _end) {
    _end = undefined;
    break;
   }
   let wireType = tag & 7;
   switch (tag >>>= 3) {
   case 1: {
     if (wireType !== 0)
      break;
     message.code = reader.int32();
     continue;
    }
   case 2: {
     if (wireType !== 2)
      break;
     message.message = reader.string();
     continue;
    }
   case 3: {
     if (wireType !== 2)
      break;
     if (!(message.details && message.details.length))
      message.details = [];
     message.details.push(Any.decode(reader, reader.length(), undefined, _depth + 1));
     continue;
    }
   }
   reader.skip((tag << 3 | wireType) >>> 0, _depth);
  }
  if (length !== undefined) {
   if (reader.pos !== end)
    throw RangeError("index out of range");
   reader.end = length;
  }
  if (_end !== undefined)
   throw Error("missing end group");
  return message;
 };
 Status.make = () => ({ code: 0, message: "", details: $none });
 return Status;
})();
export const HealthCheckRequest = (() => {
 const HealthCheckRequest = {};
 HealthCheckRequest.encode = function (message, writer, _depth) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  if (message.service != null && message.service !== "")
   writer.uint32(10).string(message.service);
  return writer;
 };
 HealthCheckRequest.decode = function (reader, length, _end, _depth, _target) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  let end, message, value;
  if (length === undefined)
   end = reader.end;
  else {
   end = reader.pos + length;
   if (end > reader.end)
    throw RangeError("index out of range");
   length = reader.end;
   reader.end = end;
  }
  message = _target || HealthCheckRequest.make();
  while (reader.pos < end) {
   let tag = reader.tag();
   if (tag === _end) {
    _end = undefined;
    break;
   }
   let wireType = tag & 7;
   switch (tag >>>= 3) {
   case 1: {
     if (wireType !== 2)
      break;
     message.service = reader.string();
     continue;
    }
   }
   reader.skip((tag << 3 | wireType) >>> 0, _depth);
  }
  if (length !== undefined) {
   if (reader.pos !== end)
    throw RangeError("index out of range");
   reader.end = length;
  }
  if (_end !== undefined)
   throw Error("missing end group");
  return message;
 };
 HealthCheckRequest.make = () => ({ service: "" });
 return HealthCheckRequest;
})();
export const HealthCheckResponse = (() => {
 const HealthCheckResponse = {};
 HealthCheckResponse.encode = function (message, writer, _depth) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  if (message.status != null && message.status !== 0)
   writer.uint32(8).int32(message.status);
  return writer;
 };
 HealthCheckResponse.decode = function (reader, length, _end, _depth, _target) {
  if (_depth === undefined)
   _depth = 0;
  if (_depth > $depthLimit)
   throw Error("max depth exceeded");
  let end, message, value;
  if (length === undefined)
   end = reader.end;
  else {
   end = reader.pos + length;
   if (end > reader.end)
    throw RangeError("index out of range");
   length = reader.end;
   reader.end = end;
  }
  message = _target || HealthCheckResponse.make();
  while (reader.pos < end) {
   let tag = reader.tag();
   if (tag === _end) {
    _end = undefined;
    break;
   }
   let wireType = tag & 7;
   switch (tag >>>= 3) {
   case 1: {
     if (wireType !== 0)
      break;
     message.status = reader.int32();
     continue;
    }
   }
   reader.skip((tag << 3 | wireType) >>> 0, _depth);
  }
  if (length !== undefined) {
   if (reader.pos !== end)
    throw RangeError("index out of range");
   reader.end = length;
  }
  if (_end !== undefined)
   throw Error("missing end group");
  return message;
 };
 HealthCheckResponse.make = () => ({ status: 0 });
 return HealthCheckResponse;
})();
