package io.jwtsidecar;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.grpc.CallOptions;
import io.grpc.Channel;
import io.grpc.Grpc;
import io.grpc.InsecureChannelCredentials;
import io.grpc.InsecureServerCredentials;
import io.grpc.ManagedChannel;
import io.grpc.Metadata;
import io.grpc.MethodDescriptor;
import io.grpc.MethodDescriptor.MethodType;
import io.grpc.Server;
import io.grpc.ServerBuilder;
import io.grpc.ServerInterceptors;
import io.grpc.ServerServiceDefinition;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.inprocess.InProcessChannelBuilder;
import io.grpc.inprocess.InProcessServerBuilder;
import io.grpc.protobuf.ProtoUtils;
import io.grpc.stub.ClientCalls;
import io.grpc.stub.MetadataUtils;
import io.grpc.stub.ServerCalls;
import io.grpc.stub.StreamObserver;
import io.jwtsidecar.v1.SubjectReference;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** What a caller sees of a gRPC service behind the interceptor. */
class BearerInterceptorTest {

  private static final Client CLIENT =
      Client.builder()
          .address(Sidecar.scripted().address())
          .deadline(Duration.ofSeconds(10))
          .build();

  /** Gives the claims of the token, or nothing where none was asked for. */
  private static final MethodDescriptor<SubjectReference, SubjectReference> CLAIMS =
      method("Claims", MethodType.UNARY);

  private static final MethodDescriptor<SubjectReference, SubjectReference> HEALTH =
      method("Health", MethodType.UNARY);
  private static final MethodDescriptor<SubjectReference, SubjectReference> FAIL =
      method("Fail", MethodType.UNARY);

  /** Sends back every message. */
  private static final MethodDescriptor<SubjectReference, SubjectReference> ECHO =
      method("Echo", MethodType.BIDI_STREAMING);

  @AfterAll
  static void close() {
    CLIENT.close();
  }

  static Stream<Table.Case> cases() {
    return Table.cases();
  }

  static Stream<Table.Header> headers() {
    return Table.headers();
  }

  @ParameterizedTest
  @MethodSource("cases")
  void endsCallsAsTheTableSays(Table.Case row) throws Exception {
    Client client = row.hangs() ? CLIENT.withDeadline(Duration.ofMillis(300)) : CLIENT;
    try (Service service = Service.start(new BearerInterceptor(client, row.requirements()))) {
      Channel caller = service.caller("Bearer " + row.token("interceptor"));
      if (row.passes()) {
        assertEquals(row.expectedToken().get("claims_json").getAsString(), claims(caller));
        return;
      }
      Status status = assertThrows(StatusRuntimeException.class, () -> claims(caller)).getStatus();
      assertEquals(Status.Code.valueOf(row.expected("grpc_status")), status.getCode());
      assertEquals(expectedMessage(row), status.getDescription());
    }
  }

  private static String expectedMessage(Table.Case row) {
    return switch (row.expected("outcome")) {
      case "refused" -> row.expected("reason") + ": " + row.expected("message");
      case "unavailable" -> "the token can't be checked now";
      default -> "the token can't be checked";
    };
  }

  /** In this process, since a transport leaves out what metadata may not hold. */
  @ParameterizedTest
  @MethodSource("headers")
  void readsOneBearerHeader(Table.Header row) throws Exception {
    try (Service service = Service.inProcess(new BearerInterceptor(CLIENT))) {
      Channel caller = service.caller(row.authorization().toArray(String[]::new));
      if (row.reason().isEmpty()) {
        claims(caller);
        return;
      }
      Status status = assertThrows(StatusRuntimeException.class, () -> claims(caller)).getStatus();
      assertEquals(Status.Code.UNAUTHENTICATED, status.getCode());
      assertTrue(status.getDescription().startsWith(row.reason() + ": "), status.toString());
    }
  }

  @Test
  void asksForNoTokenInOpenMethods() throws Exception {
    BearerInterceptor interceptor =
        new BearerInterceptor(CLIENT, Requirements.none(), Set.of(HEALTH.getFullMethodName()));
    try (Service service = Service.start(interceptor)) {
      Channel caller = service.caller();
      assertEquals("", call(caller, HEALTH));
      assertThrows(StatusRuntimeException.class, () -> call(caller, CLAIMS));
    }
  }

  @Test
  void blocksNoThreadOfTheTransport() throws Exception {
    try (Service service = Service.start(new BearerInterceptor(CLIENT))) {
      CompletableFuture<Throwable> hanging = new CompletableFuture<>();
      ClientCalls.asyncUnaryCall(
          service.caller("Bearer hangs~transport").newCall(CLAIMS, CallOptions.DEFAULT),
          SubjectReference.getDefaultInstance(),
          new Ending(hanging));
      claims(service.caller("Bearer valid~transport"));
      assertFalse(hanging.isDone());
    }
  }

  @Test
  void keepsTheMessagesOfAStreamInOrder() throws Exception {
    try (Service service = Service.start(new BearerInterceptor(CLIENT))) {
      Echoes echoes = new Echoes();
      StreamObserver<SubjectReference> sent =
          ClientCalls.asyncBidiStreamingCall(
              service.caller("Bearer unavailable-once~echo").newCall(ECHO, CallOptions.DEFAULT),
              echoes);
      List<String> subjects = IntStream.range(0, 100).mapToObj(Integer::toString).toList();
      subjects.forEach(one -> sent.onNext(SubjectReference.newBuilder().setSubject(one).build()));
      sent.onCompleted();
      assertEquals(subjects, echoes.done.get(10, TimeUnit.SECONDS));
    }
  }

  @Test
  void endsACallWhoseHandlerFails() throws Exception {
    try (Service service = Service.start(new BearerInterceptor(CLIENT))) {
      Channel caller = service.caller("Bearer valid~fail");
      StatusRuntimeException failure =
          assertThrows(StatusRuntimeException.class, () -> call(caller, FAIL));
      assertEquals(Status.Code.UNKNOWN, failure.getStatus().getCode());
    }
  }

  private static String claims(Channel caller) {
    return call(caller, CLAIMS);
  }

  private static String call(
      Channel caller, MethodDescriptor<SubjectReference, SubjectReference> method) {
    return ClientCalls.blockingUnaryCall(
            caller,
            method,
            CallOptions.DEFAULT.withDeadlineAfter(10, TimeUnit.SECONDS),
            SubjectReference.getDefaultInstance())
        .getSubject();
  }

  private static MethodDescriptor<SubjectReference, SubjectReference> method(
      String name, MethodType type) {
    return MethodDescriptor.<SubjectReference, SubjectReference>newBuilder()
        .setType(type)
        .setFullMethodName("shop.Orders/" + name)
        .setRequestMarshaller(ProtoUtils.marshaller(SubjectReference.getDefaultInstance()))
        .setResponseMarshaller(ProtoUtils.marshaller(SubjectReference.getDefaultInstance()))
        .build();
  }

  /** A server and a channel to it; its calls run on the transport's threads. */
  private record Service(Server server, ManagedChannel channel) implements AutoCloseable {

    static Service start(BearerInterceptor interceptor) throws Exception {
      Server server =
          Grpc.newServerBuilderForPort(0, InsecureServerCredentials.create())
              .directExecutor()
              .addService(ServerInterceptors.intercept(orders(), interceptor))
              .build()
              .start();
      return new Service(
          server,
          Grpc.newChannelBuilder(
                  "127.0.0.1:" + server.getPort(), InsecureChannelCredentials.create())
              .build());
    }

    static Service inProcess(BearerInterceptor interceptor) throws Exception {
      String name = InProcessServerBuilder.generateName();
      ServerBuilder<?> server = InProcessServerBuilder.forName(name);
      return new Service(
          server.addService(ServerInterceptors.intercept(orders(), interceptor)).build().start(),
          InProcessChannelBuilder.forName(name).build());
    }

    /** The channel with these headers in every call. */
    Channel caller(String... authorization) {
      Metadata headers = new Metadata();
      for (String value : authorization) {
        headers.put(BearerToken.METADATA, value);
      }
      return io.grpc.ClientInterceptors.intercept(
          channel, MetadataUtils.newAttachHeadersInterceptor(headers));
    }

    private static ServerServiceDefinition orders() {
      return ServerServiceDefinition.builder("shop.Orders")
          .addMethod(CLAIMS, ServerCalls.asyncUnaryCall(Service::claims))
          .addMethod(HEALTH, ServerCalls.asyncUnaryCall(Service::claims))
          .addMethod(
              FAIL,
              ServerCalls.asyncUnaryCall(
                  (request, answer) -> {
                    throw new IllegalArgumentException("a mistake");
                  }))
          .addMethod(ECHO, ServerCalls.asyncBidiStreamingCall(answers -> answers))
          .build();
    }

    private static void claims(SubjectReference request, StreamObserver<SubjectReference> answer) {
      Token token = BearerInterceptor.TOKEN.get();
      String claims = token == null ? "" : token.claimsJson();
      answer.onNext(SubjectReference.newBuilder().setSubject(claims).build());
      answer.onCompleted();
    }

    @Override
    public void close() {
      channel.shutdownNow();
      server.shutdownNow();
    }
  }

  /** How a call ends. */
  private record Ending(CompletableFuture<Throwable> future)
      implements StreamObserver<SubjectReference> {

    @Override
    public void onNext(SubjectReference answer) {}

    @Override
    public void onError(Throwable failure) {
      future.complete(failure);
    }

    @Override
    public void onCompleted() {
      future.completeExceptionally(new AssertionError("passed"));
    }
  }

  /** What came back. */
  private static final class Echoes implements StreamObserver<SubjectReference> {

    private final List<String> subjects = new ArrayList<>();
    private final CompletableFuture<List<String>> done = new CompletableFuture<>();

    @Override
    public void onNext(SubjectReference echo) {
      subjects.add(echo.getSubject());
    }

    @Override
    public void onError(Throwable failure) {
      done.completeExceptionally(failure);
    }

    @Override
    public void onCompleted() {
      done.complete(subjects);
    }
  }
}
