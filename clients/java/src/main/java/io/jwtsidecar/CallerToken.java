package io.jwtsidecar;

import io.grpc.CallCredentials;
import io.grpc.Metadata;
import io.grpc.Status;
import java.util.concurrent.Callable;
import java.util.concurrent.Executor;

/** Shows the sidecar who calls: {@code authorization: Bearer TOKEN} in each call. */
final class CallerToken extends CallCredentials {

  private final Callable<String> token;

  CallerToken(Callable<String> token) {
    this.token = token;
  }

  @Override
  public void applyRequestMetadata(RequestInfo call, Executor executor, MetadataApplier applier) {
    executor.execute(
        () -> {
          Metadata headers = new Metadata();
          try {
            headers.put(BearerToken.METADATA, "Bearer " + called());
          } catch (Exception e) {
            applier.fail(Status.UNAUTHENTICATED.withCause(e));
            return;
          }
          applier.apply(headers);
        });
  }

  /** Looked at here, since gRPC would leave out what it can't send, and log it. */
  private String called() throws Exception {
    String called = token.call();
    if (called == null || !BearerToken.isToken(called)) {
      throw new IllegalArgumentException(
          "the caller token is not a token alone, without spaces or line ends");
    }
    return called;
  }
}
