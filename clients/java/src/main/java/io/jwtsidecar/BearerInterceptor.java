package io.jwtsidecar;

import io.grpc.Context;
import io.grpc.Contexts;
import io.grpc.Metadata;
import io.grpc.ServerCall;
import io.grpc.ServerCallHandler;
import io.grpc.ServerInterceptor;
import io.grpc.Status;
import java.lang.System.Logger;
import java.lang.System.Logger.Level;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.function.Supplier;

/**
 * Lets a call pass only with a valid bearer token in the metadata {@code authorization}, and ends
 * the others: UNAUTHENTICATED or PERMISSION_DENIED where the token is refused, UNAVAILABLE where
 * the sidecar gives no answer, INTERNAL where the call to it was wrong.
 *
 * <p>It blocks no thread. What runs behind it gets the token from {@link #TOKEN}.
 */
public final class BearerInterceptor implements ServerInterceptor {

  /** The token that a call passed with; null in methods that need none. */
  public static final Context.Key<Token> TOKEN = Context.key("jwt-sidecar-token");

  private static final Logger LOG = System.getLogger(BearerInterceptor.class.getName());

  private final Client client;
  private final Requirements requirements;
  private final Set<String> open;

  /** For any token that the sidecar's configuration lets pass, in every method. */
  public BearerInterceptor(Client client) {
    this(client, Requirements.none());
  }

  /** For tokens that meet the requirements, in every method. */
  public BearerInterceptor(Client client, Requirements requirements) {
    this(client, requirements, Set.of());
  }

  /**
   * @param client stays the caller's to close
   * @param requirements what every token must meet
   * @param open full names of methods that need no token, such as "grpc.health.v1.Health/Check"
   */
  public BearerInterceptor(Client client, Requirements requirements, Set<String> open) {
    this.client = Objects.requireNonNull(client);
    this.requirements = Objects.requireNonNull(requirements);
    this.open = Set.copyOf(open);
  }

  @Override
  public <Q, A> ServerCall.Listener<Q> interceptCall(
      ServerCall<Q, A> call, Metadata headers, ServerCallHandler<Q, A> next) {
    if (open.contains(call.getMethodDescriptor().getFullMethodName())) {
      return next.startCall(call, headers);
    }
    // What blocked here would hold a thread of the server's, or its transport.
    DeferredListener<Q> listener = new DeferredListener<>();
    Context context = Context.current();
    validated(headers)
        .whenComplete(
            (token, failure) -> {
              if (failure == null) {
                Context passed = context.withValue(TOKEN, Objects.requireNonNull(token));
                start(listener, call, () -> Contexts.interceptCall(passed, call, headers, next));
              } else {
                deny(listener, call, context, failure);
              }
            });
    return listener;
  }

  private CompletableFuture<Token> validated(Metadata headers) {
    try {
      return client.validateAsync(BearerToken.in(values(headers), requirements), requirements);
    } catch (TokenRefusedException e) {
      return CompletableFuture.failedFuture(e);
    }
  }

  private static <Q> void start(
      DeferredListener<Q> listener,
      ServerCall<Q, ?> call,
      Supplier<ServerCall.Listener<Q>> handler) {
    try {
      listener.deliverTo(handler.get());
    } catch (RuntimeException | Error e) {
      // Nobody above is left to do what gRPC does where a handler throws.
      LOG.log(Level.ERROR, "the handler of a call failed", e);
      end(listener, call, Status.UNKNOWN.withDescription("Application error processing RPC"));
    }
  }

  private static <Q> void deny(
      DeferredListener<Q> listener, ServerCall<Q, ?> call, Context context, Throwable failure) {
    if (failure instanceof SidecarException why) {
      // A caller that has hung up ended the call to the sidecar too: that is no outage.
      if (!context.isCancelled()) {
        Denial.log(LOG, why);
      }
      end(listener, call, why.grpcStatus().toStatus().withDescription(Denial.message(why)));
    } else {
      LOG.log(Level.ERROR, "a token can't be checked", failure);
      end(listener, call, Status.INTERNAL);
    }
  }

  private static <Q> void end(DeferredListener<Q> listener, ServerCall<Q, ?> call, Status status) {
    try {
      call.close(status, new Metadata());
    } catch (IllegalStateException e) {
      LOG.log(Level.DEBUG, "the call has ended already", e);
    }
    listener.deliverTo(new ServerCall.Listener<>() {});
  }

  private static List<String> values(Metadata headers) {
    List<String> values = new ArrayList<>();
    Iterable<String> found = headers.getAll(BearerToken.METADATA);
    if (found != null) {
      found.forEach(values::add);
    }
    return values;
  }
}
