package io.jwtsidecar;

import io.grpc.CallOptions;
import io.grpc.ChannelCredentials;
import io.grpc.InsecureChannelCredentials;
import io.grpc.ManagedChannel;
import io.grpc.MethodDescriptor;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.stub.ClientCalls;
import io.grpc.stub.StreamObserver;
import io.jwtsidecar.v1.ExplainTokenRequest;
import io.jwtsidecar.v1.ExplainTokenResponse;
import io.jwtsidecar.v1.GetJwksRequest;
import io.jwtsidecar.v1.IssueTokenRequest;
import io.jwtsidecar.v1.RefreshTokenRequest;
import io.jwtsidecar.v1.RevokeTokenRequest;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.Callable;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.function.Function;

/**
 * Asks the jwt-sidecar. It holds one channel: make one for the life of the process. Safe for
 * concurrent use.
 *
 * <p>Every call ends within the deadline, retries included, with an answer or a {@link
 * SidecarException}; each method may throw {@link SidecarUnavailableException} and {@link
 * CallRejectedException}. Calls that end with UNAVAILABLE are tried three times in all, but for
 * {@link #refresh}, since a refresh token works once.
 */
public final class Client implements AutoCloseable {

  private static final Duration DEADLINE = Duration.ofSeconds(1);
  private static final Duration KEEP_ALIVE = Duration.ofSeconds(30);

  private final String address;
  private final ManagedChannel channel;
  private final Reconnection reconnection;
  private final CallOptions options;
  private final Duration deadline;

  private Client(
      String address,
      ManagedChannel channel,
      Reconnection reconnection,
      CallOptions options,
      Duration deadline) {
    this.address = address;
    this.channel = channel;
    this.reconnection = reconnection;
    this.options = options;
    this.deadline = deadline;
  }

  /**
   * A client of the address in {@code JWT_SIDECAR_ADDRESS}, else of {@code
   * unix:/run/jwt-sidecar/sidecar.sock}.
   */
  public static Client create() {
    return builder().build();
  }

  /**
   * A client of this address. It connects by itself, now and again whenever it has to.
   *
   * @param address {@code unix:PATH} or {@code host:port}
   * @throws IllegalArgumentException for any other form
   */
  public static Client create(String address) {
    return builder().address(address).build();
  }

  /** For a client with options. */
  public static Builder builder() {
    return new Builder();
  }

  /**
   * This client with another deadline. It shares the channel, and closing either closes both.
   *
   * @throws IllegalArgumentException unless it is positive
   */
  public Client withDeadline(Duration deadline) {
    return new Client(address, channel, reconnection, options, positive(deadline));
  }

  /**
   * Checks a token by the sidecar's configuration alone.
   *
   * @throws TokenRefusedException where it may not pass
   */
  public Token validate(String token) {
    return validate(token, Requirements.none());
  }

  /**
   * Checks a token.
   *
   * @param token a JWS in compact form (RFC 7515, section 7.1), without "Bearer "
   * @throws TokenRefusedException where it may not pass
   */
  public Token validate(String token, Requirements requirements) {
    return Answers.token(call(Rpc.VALIDATE, requirements.request(token)), requirements);
  }

  /**
   * As {@link #validate(String, Requirements)}, without blocking. The future ends with a {@link
   * Token} or with a {@link SidecarException}, on a thread of gRPC's that may block.
   */
  public CompletableFuture<Token> validateAsync(String token, Requirements requirements) {
    reconnection.beforeCall();
    CompletableFuture<Token> future = new CompletableFuture<>();
    ClientCalls.asyncUnaryCall(
        channel.newCall(Rpc.VALIDATE, timed()),
        requirements.request(token),
        new Completion<>(future, answer -> Answers.token(answer, requirements)));
    return future;
  }

  /**
   * Every check that {@link #validate(String, Requirements)} makes, in order, for finding out why a
   * token is refused. A refusal is no exception here; let nothing pass on its answer.
   */
  public ExplainTokenResponse explain(String token, Requirements requirements) {
    ExplainTokenRequest request =
        ExplainTokenRequest.newBuilder().setRequest(requirements.request(token)).build();
    return Answers.explanation(call(Rpc.EXPLAIN, request));
  }

  /** Mints a token with a configured signer or a consumer's key. */
  public IssuedToken issue(IssueTokenRequest request) {
    return Answers.issued(call(Rpc.ISSUE, request));
  }

  /**
   * Trades a refresh token for a new access token and a new refresh token. It works once; using it
   * again revokes its whole family (RFC 9700, section 4.14). So where this ends with {@link
   * SidecarUnavailableException}, it may have been used.
   *
   * @param scopes a subset of those first granted; none keeps them
   * @throws TokenRefusedException where it is unknown, used, expired or revoked
   */
  public IssuedToken refresh(String refreshToken, String... scopes) {
    RefreshTokenRequest request =
        RefreshTokenRequest.newBuilder()
            .setRefreshToken(refreshToken)
            .addAllScopes(List.of(scopes))
            .build();
    return Answers.refreshed(call(Rpc.REFRESH, request));
  }

  /**
   * Revokes one token, or all of a subject or consumer issued so far. Durable before it returns.
   *
   * @return when the revocation took effect on this sidecar
   */
  public Instant revoke(RevokeTokenRequest request) {
    return Answers.revokeTime(call(Rpc.REVOKE, request));
  }

  /** The public keys of the configured signers: a JWK Set in JSON (RFC 7517). */
  public String jwks() {
    return Answers.jwks(call(Rpc.JWKS, GetJwksRequest.getDefaultInstance()));
  }

  /** Waits for the calls that run, until their deadline, and closes the channel. */
  @Override
  public void close() {
    channel.shutdown();
    try {
      channel.awaitTermination(deadline.toNanos(), TimeUnit.NANOSECONDS);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
    channel.shutdownNow();
  }

  private <Q, A> A call(MethodDescriptor<Q, A> method, Q request) {
    reconnection.beforeCall();
    try {
      return ClientCalls.blockingUnaryCall(channel, method, timed(), request);
    } catch (StatusRuntimeException e) {
      throw failed(e);
    }
  }

  private SidecarException failed(StatusRuntimeException failure) {
    return Failures.of(failure, address);
  }

  private CallOptions timed() {
    return options.withDeadlineAfter(deadline.toNanos(), TimeUnit.NANOSECONDS);
  }

  private static Duration positive(Duration deadline) {
    if (deadline.isNegative() || deadline.isZero()) {
      throw new IllegalArgumentException("a deadline is positive, not " + deadline);
    }
    return deadline;
  }

  /**
   * Ends a future with what a call ends with: an answer counts only once the call has succeeded.
   */
  private final class Completion<A, T> implements StreamObserver<A> {

    private final CompletableFuture<T> future;
    private final Function<A, T> meaning;
    private A answer;

    Completion(CompletableFuture<T> future, Function<A, T> meaning) {
      this.future = future;
      this.meaning = meaning;
    }

    @Override
    public void onNext(A answer) {
      this.answer = answer;
    }

    @Override
    public void onError(Throwable failure) {
      future.completeExceptionally(
          failure instanceof StatusRuntimeException e ? failed(e) : failure);
    }

    @Override
    public void onCompleted() {
      if (answer == null) {
        onError(Status.INTERNAL.asRuntimeException());
        return;
      }
      try {
        future.complete(meaning.apply(answer));
      } catch (RuntimeException | Error e) {
        future.completeExceptionally(e);
      }
    }
  }

  /** Options of a client. */
  public static final class Builder {

    private String address = Address.in(System.getenv());
    private Duration deadline = DEADLINE;
    private ChannelCredentials credentials = InsecureChannelCredentials.create();
    private CallOptions options = CallOptions.DEFAULT;

    private Builder() {}

    /** {@code unix:PATH} or {@code host:port}. */
    public Builder address(String address) {
      this.address = Objects.requireNonNull(address);
      return this;
    }

    /**
     * How long a call may take, retries included. Default: one second.
     *
     * @throws IllegalArgumentException unless it is positive
     */
    public Builder deadline(Duration deadline) {
      this.deadline = positive(deadline);
      return this;
    }

    /** TLS, such as {@link io.grpc.TlsChannelCredentials}. Default: plain text. */
    public Builder tls(ChannelCredentials credentials) {
      this.credentials = Objects.requireNonNull(credentials);
      return this;
    }

    /**
     * The token that the sidecar's listener asks of its callers, alone: without a line end. Asked
     * for at each call, so that it may change; where that fails, or gives none, the call ends with
     * {@link CallRejectedException}.
     */
    public Builder callerToken(Callable<String> token) {
      options = options.withCallCredentials(new CallerToken(Objects.requireNonNull(token)));
      return this;
    }

    /**
     * @throws IllegalArgumentException where the address is of another form
     * @throws UnsupportedOperationException for a Unix socket on a system other than Linux
     */
    public Client build() {
      ManagedChannel channel =
          Address.channel(address, credentials)
              .disableServiceConfigLookUp()
              .defaultServiceConfig(Rpc.SERVICE_CONFIG)
              .enableRetry()
              .keepAliveTime(KEEP_ALIVE.toSeconds(), TimeUnit.SECONDS)
              .build();
      // Connects now, so that the first call does not pay for it.
      channel.getState(true);
      return new Client(address, channel, new Reconnection(channel), options, deadline);
    }
  }
}
