package io.jwtsidecar;

import io.grpc.Status;

/**
 * The call was wrong, which only its author can mend: a field out of range, a name that is not
 * configured, a method that this listener does not serve.
 */
public final class CallRejectedException extends SidecarException {

  private static final long serialVersionUID = 1L;

  private final Status.Code code;
  private final String errorReason;

  CallRejectedException(Status.Code code, String errorReason, String message, Throwable cause) {
    super(message, cause);
    this.code = code;
    this.errorReason = errorReason;
  }

  /** The status that the call ended with. */
  public Status.Code code() {
    return code;
  }

  /** Name of the contract's {@code ErrorReason}, such as "FIELD_INVALID"; empty where none came. */
  public String errorReason() {
    return errorReason;
  }

  /** 500. */
  @Override
  public int httpStatus() {
    return 500;
  }

  /** INTERNAL. */
  @Override
  public Status.Code grpcStatus() {
    return Status.Code.INTERNAL;
  }
}
