/** One call of a method: what gRPC says of it ends here. */

import {
  type DescMessage,
  type DescMethodUnary,
  fromBinary,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf";
import { anyUnpack } from "@bufbuild/protobuf/wkt";
import { type Client, type Metadata, type ServiceError, status } from "@grpc/grpc-js";
import { CallRejected, SidecarUnavailable } from "./errors.js";
import { ErrorInfoSchema } from "./gen/google/rpc/error_details_pb.js";
import { StatusSchema } from "./gen/google/rpc/status_pb.js";

const DOMAIN = "jwt-sidecar";
const REJECTED: ReadonlySet<status> = new Set([
  status.INVALID_ARGUMENT,
  status.FAILED_PRECONDITION,
  status.PERMISSION_DENIED,
  status.UNAUTHENTICATED,
  status.UNIMPLEMENTED,
  status.NOT_FOUND,
  status.ALREADY_EXISTS,
  status.OUT_OF_RANGE,
]);

/** The answer; rejects with SidecarUnavailable or CallRejected, whose text has none of the secrets. */
export async function call<I extends DescMessage, O extends DescMessage>(
  channel: Client,
  method: DescMethodUnary<I, O>,
  request: MessageShape<I>,
  metadata: Metadata,
  deadlineMs: number,
  secrets: readonly string[],
): Promise<MessageShape<O>> {
  const { error, answer } = await new Promise<Ending<O>>((resolve) => {
    channel.makeUnaryRequest(
      `/${method.parent.typeName}/${method.name}`,
      (message: MessageShape<I>) => Buffer.from(toBinary(method.input, message)),
      (bytes) => fromBinary(method.output, bytes),
      request,
      metadata,
      { deadline: Date.now() + deadlineMs },
      (error, answer) => resolve({ error, answer }),
    );
  });
  if (error) {
    throw failure(error, secrets);
  }
  if (!answer) {
    throw new SidecarUnavailable("the call ended without an answer");
  }
  return answer;
}

interface Ending<O extends DescMessage> {
  readonly error: ServiceError | null;
  readonly answer: MessageShape<O> | undefined;
}

function failure(error: ServiceError, secrets: readonly string[]): Error {
  const text = `${status[error.code] ?? error.code}: ${without(secrets, error.details)}`;
  return REJECTED.has(error.code)
    ? new CallRejected(error.code, errorReason(error), text)
    : new SidecarUnavailable(text);
}

/** What other software says in the sidecar's place may repeat what it was sent. */
function without(secrets: readonly string[], text: string): string {
  return secrets.filter(Boolean).reduce((left, one) => left.replaceAll(one, "[secret]"), text);
}

/** `reason` of the google.rpc.ErrorInfo that comes with each of the sidecar's errors. */
function errorReason(error: ServiceError): string {
  const [trailer] = error.metadata?.get("grpc-status-details-bin") ?? [];
  if (!(trailer instanceof Buffer)) {
    return "";
  }
  try {
    const infos = fromBinary(StatusSchema, trailer).details.map((one) =>
      anyUnpack(one, ErrorInfoSchema),
    );
    return infos.find((one) => one?.domain === DOMAIN)?.reason ?? "";
  } catch {
    return ""; // details that can't be read change nothing of what the status says
  }
}
