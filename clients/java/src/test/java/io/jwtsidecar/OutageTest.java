package io.jwtsidecar;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTimeout;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.grpc.Context;
import io.grpc.Grpc;
import io.grpc.InsecureServerCredentials;
import io.grpc.Metadata;
import io.grpc.Server;
import io.grpc.ServerCall;
import io.grpc.ServerCallHandler;
import io.grpc.ServerServiceDefinition;
import io.grpc.Status;
import io.jwtsidecar.v1.Token;
import io.jwtsidecar.v1.ValidateTokenRequest;
import io.jwtsidecar.v1.ValidateTokenResponse;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Nothing passes, and nothing takes longer than the deadline, where no sidecar answers. */
class OutageTest {

  private static final Duration DEADLINE = Duration.ofMillis(500);

  /** More than the deadline: what a busy machine adds. */
  private static final Duration PATIENCE = Duration.ofSeconds(15);

  private static final ValidateTokenResponse VALID =
      ValidateTokenResponse.newBuilder()
          .setValid(true)
          .setToken(Token.newBuilder().setClaimsJson("{}"))
          .build();

  @TempDir private Path directory;

  @Test
  void nothingListens() throws IOException {
    String address;
    try (ServerSocket closed = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
      address = address(closed);
    }
    assertUnavailable(address);
  }

  @Test
  void thereIsNoSocket() {
    assertUnavailable("unix:" + directory.resolve("none.sock"));
  }

  @Test
  void thePeerSaysNothing() throws IOException {
    assertUnavailableBefore(socket -> {});
  }

  @Test
  void thePeerSpeaksHttp1() throws IOException {
    byte[] answer =
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 14\r\n\r\n{\"valid\":true}"
            .getBytes(StandardCharsets.US_ASCII);
    assertUnavailableBefore(socket -> write(socket, answer));
  }

  @Test
  void thePeerSpeaksNothingKnown() throws IOException {
    byte[] noise = new byte[4096];
    new Random(7).nextBytes(noise);
    assertUnavailableBefore(socket -> write(socket, noise));
  }

  @Test
  void thePeerHangsUp() throws IOException {
    assertUnavailableBefore(
        socket -> {
          try {
            socket.close();
          } catch (IOException e) {
            throw new UncheckedIOException(e);
          }
        });
  }

  @Test
  void theAnswerIsFollowedByAFailure() throws IOException {
    assertUnavailableWith(
        call -> {
          call.sendHeaders(new Metadata());
          call.sendMessage(VALID);
          call.close(Status.INTERNAL, new Metadata());
        });
  }

  @Test
  void theCallSucceedsWithoutAnAnswer() throws IOException {
    assertUnavailableWith(
        call -> {
          call.sendHeaders(new Metadata());
          call.close(Status.OK, new Metadata());
        });
  }

  @Test
  void theFailuresDetailsMakeNoSense() throws IOException {
    Metadata trailers = new Metadata();
    trailers.put(
        Metadata.Key.of("grpc-status-details-bin", Metadata.BINARY_BYTE_MARSHALLER),
        new byte[] {-1, -1, -1});
    assertUnavailableWith(call -> call.close(Status.UNAVAILABLE, trailers));
  }

  @Test
  void theSidecarEndsDuringACall() throws Exception {
    CountDownLatch arrived = new CountDownLatch(1);
    Server server = server(call -> arrived.countDown());
    try (Client client = client("127.0.0.1:" + server.getPort())) {
      CompletableFuture<io.jwtsidecar.Token> answer =
          client.withDeadline(Duration.ofHours(1)).validateAsync("token", Requirements.none());
      assertTrue(arrived.await(20, TimeUnit.SECONDS));
      server.shutdownNow();
      assertInstanceOf(
          SidecarUnavailableException.class,
          assertThrows(CompletionException.class, answer::join).getCause());
    }
  }

  @Test
  void theClientRecoversAfterARestart() {
    String address = "unix:" + directory.resolve("sidecar.sock");
    try (Client client = Client.create(address)) {
      Sidecar before = Sidecar.scripted(address);
      untilItAnswers(client);
      before.close();
      assertThrows(SidecarUnavailableException.class, () -> client.validate("valid"));
      Sidecar after = Sidecar.scripted(address);
      assertTimeout(PATIENCE, () -> untilItAnswers(client));
      after.close();
    }
  }

  private static io.jwtsidecar.Token untilItAnswers(Client client) {
    while (true) {
      try {
        return client.validate("valid");
      } catch (SidecarUnavailableException e) {
        Thread.onSpinWait();
      }
    }
  }

  @Test
  void theClientIsClosed() {
    Client client = client(Sidecar.scripted().address());
    client.close();
    assertThrows(SidecarUnavailableException.class, () -> client.validate("valid"));
  }

  @Test
  void theThreadIsInterrupted() {
    try (Client client = client(Sidecar.scripted().address())) {
      Thread.currentThread().interrupt();
      assertThrows(SidecarUnavailableException.class, () -> client.validate("hangs~interrupted"));
      assertTrue(Thread.interrupted());
    }
  }

  @Test
  void nobodyWaitsForTheAnswer() throws Exception {
    try (Client client = Client.create(Sidecar.scripted().address());
        Context.CancellableContext caller = Context.current().withCancellation()) {
      CompletableFuture<io.jwtsidecar.Token> answer =
          caller.call(
              () ->
                  client
                      .withDeadline(Duration.ofHours(1))
                      .validateAsync("hangs~cancelled", Requirements.none()));
      caller.cancel(null);
      ExecutionException why =
          assertThrows(ExecutionException.class, () -> answer.get(20, TimeUnit.SECONDS));
      assertInstanceOf(SidecarUnavailableException.class, why.getCause());
    }
  }

  /** Through a peer that does this with every connection. */
  private static void assertUnavailableBefore(Consumer<Socket> peer) throws IOException {
    try (ServerSocket listener = new ServerSocket(0, 50, InetAddress.getLoopbackAddress())) {
      Thread accepting = new Thread(() -> accept(listener, peer));
      accepting.setDaemon(true);
      accepting.start();
      assertUnavailable(address(listener));
    }
  }

  /** Through a gRPC server that does this with every call. */
  private static void assertUnavailableWith(
      Consumer<ServerCall<ValidateTokenRequest, ValidateTokenResponse>> peer) throws IOException {
    Server server = server(peer);
    try {
      assertUnavailable("127.0.0.1:" + server.getPort());
    } finally {
      server.shutdownNow();
    }
  }

  private static void assertUnavailable(String address) {
    try (Client client = client(address)) {
      assertTimeout(
          DEADLINE.plus(PATIENCE),
          () -> assertThrows(SidecarUnavailableException.class, () -> client.validate("a-token")));
      CompletionException why =
          assertTimeout(
              DEADLINE.plus(PATIENCE),
              () ->
                  assertThrows(
                      CompletionException.class,
                      () -> client.validateAsync("a-token", Requirements.none()).join()));
      assertEquals(SidecarUnavailableException.class, why.getCause().getClass());
    }
  }

  private static Client client(String address) {
    return Client.builder().address(address).deadline(DEADLINE).build();
  }

  private static String address(ServerSocket listener) {
    return "127.0.0.1:" + listener.getLocalPort();
  }

  private static void accept(ServerSocket listener, Consumer<Socket> peer) {
    try {
      while (true) {
        peer.accept(listener.accept());
      }
    } catch (IOException | UncheckedIOException e) {
      // The test has ended.
    }
  }

  private static void write(Socket socket, byte[] answer) {
    try {
      socket.getOutputStream().write(answer);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static Server server(
      Consumer<ServerCall<ValidateTokenRequest, ValidateTokenResponse>> peer) throws IOException {
    ServerCallHandler<ValidateTokenRequest, ValidateTokenResponse> handler =
        (call, headers) -> {
          call.request(1);
          return new ServerCall.Listener<>() {
            @Override
            public void onHalfClose() {
              peer.accept(call);
            }
          };
        };
    return Grpc.newServerBuilderForPort(0, InsecureServerCredentials.create())
        .addService(
            ServerServiceDefinition.builder(Rpc.SERVICE).addMethod(Rpc.VALIDATE, handler).build())
        .build()
        .start();
  }
}
