/** Interceptor for servers of `@grpc/grpc-js`. */

import { type Metadata, ServerInterceptingCall, type ServerInterceptor } from "@grpc/grpc-js";
import { type Admission, gate } from "./admission.js";
import type { Client } from "./client.js";
import { denialOf, logFailure } from "./denial.js";
import { TokenRefused } from "./errors.js";
import { plain } from "./plain.js";

export interface InterceptorOptions extends Admission {
  /** Methods that need no token, such as "/grpc.health.v1.Health/Check". Default: none. */
  readonly withoutToken?: readonly string[];
}

/**
 * Lets calls through, of every kind of method, whose metadata has one `authorization` with a
 * token that passes; `tokenOf(call)` then gives the token. The handler of a call that is denied
 * is not run. Throws TypeError or RangeError where an option
 * can't be.
 */
export function interceptor(client: Client, options: InterceptorOptions = {}): ServerInterceptor {
  const { withoutToken = [], log = logFailure, ...asked } = plain("options", options);
  const admit = gate(client, asked);
  const open = new Set(withoutToken);
  return (method, call) => {
    if (open.has(method.path)) {
      return new ServerInterceptingCall(call);
    }
    const onReceiveMetadata = async (metadata: Metadata, next: (metadata: Metadata) => void) => {
      try {
        await admit(metadata, metadata.get("authorization").map(String));
      } catch (failure) {
        const { grpcStatus, grpcMessage } = denialOf(failure);
        call.sendStatus({ code: grpcStatus, details: grpcMessage });
        if (!(failure instanceof TokenRefused)) {
          log(failure);
        }
        return;
      }
      next(metadata);
    };
    return new ServerInterceptingCall(call, { start: (next) => next({ onReceiveMetadata }) });
  };
}
