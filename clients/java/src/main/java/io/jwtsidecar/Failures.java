package io.jwtsidecar;

import com.google.protobuf.Any;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.rpc.ErrorInfo;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.protobuf.StatusProto;
import java.util.List;
import java.util.Optional;

/** What the end of a call that gave no answer means. Pure. */
final class Failures {

  private static final String DOMAIN = "jwt-sidecar";

  private Failures() {}

  /**
   * The peer's words are repeated only where they are a sidecar's, which never hold a token:
   * anything else may send back what it was sent. So the cause is what failed in this process, if
   * anything.
   */
  static SidecarException of(StatusRuntimeException failure, String address) {
    Status status = failure.getStatus();
    Optional<ErrorInfo> info = errorInfo(failure);
    String text = "the call to " + address + " ended with " + status.getCode();
    if (info.isPresent()) {
      text += " " + info.get().getReason() + ": " + status.getDescription();
    }
    return switch (status.getCode()) {
      case OK,
          CANCELLED,
          UNKNOWN,
          DEADLINE_EXCEEDED,
          RESOURCE_EXHAUSTED,
          ABORTED,
          INTERNAL,
          UNAVAILABLE,
          DATA_LOSS ->
          new SidecarUnavailableException(text, status.getCause());
      case INVALID_ARGUMENT,
          NOT_FOUND,
          ALREADY_EXISTS,
          PERMISSION_DENIED,
          FAILED_PRECONDITION,
          OUT_OF_RANGE,
          UNIMPLEMENTED,
          UNAUTHENTICATED ->
          new CallRejectedException(
              status.getCode(), info.map(ErrorInfo::getReason).orElse(""), text, status.getCause());
    };
  }

  private static Optional<ErrorInfo> errorInfo(StatusRuntimeException failure) {
    try {
      com.google.rpc.Status details = StatusProto.fromThrowable(failure);
      for (Any detail : details == null ? List.<Any>of() : details.getDetailsList()) {
        if (detail.is(ErrorInfo.class)) {
          return Optional.of(detail.unpack(ErrorInfo.class))
              .filter(info -> info.getDomain().equals(DOMAIN));
        }
      }
    } catch (InvalidProtocolBufferException | IllegalArgumentException e) {
      // Details that can't be read are as good as none.
    }
    return Optional.empty();
  }
}
