package io.jwtsidecar;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.jwtsidecar.v1.IssueTokenRequest;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Path;
import java.time.Duration;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The example, as a process of its own, with a real sidecar. */
class OrdersServiceTest {

  private static final HttpClient HTTP = HttpClient.newHttpClient();

  @TempDir private static Path directory;
  private static Sidecar sidecar;
  private static Client client;
  private static Process service;
  private static URI orders;

  @BeforeAll
  static void start() throws Exception {
    sidecar = Sidecar.real(directory);
    client = Client.builder().address(sidecar.address()).deadline(Duration.ofSeconds(10)).build();
    ProcessBuilder command =
        new ProcessBuilder(
            Path.of(System.getProperty("java.home"), "bin", "java").toString(),
            "-cp",
            System.getProperty("java.class.path"),
            "example.OrdersService");
    command.environment().put("JWT_SIDECAR_ADDRESS", sidecar.address());
    service = command.redirectError(ProcessBuilder.Redirect.DISCARD).start();
    orders = URI.create(service.inputReader().readLine()).resolve("/orders");
    warmUp();
  }

  /** A process that has just started may need longer than its deadline for the first call. */
  private static void warmUp() throws Exception {
    for (int tries = 0; tries < 10; tries++) {
      if (sendWithScope("orders:read").statusCode() != 503) {
        return;
      }
    }
  }

  @AfterAll
  static void stop() {
    service.destroyForcibly();
    client.close();
    sidecar.close();
  }

  @Test
  void asksForAToken() throws Exception {
    HttpResponse<String> response = send(HttpRequest.newBuilder(orders));
    assertEquals(401, response.statusCode());
    assertEquals(
        "Bearer realm=\"orders\"", response.headers().firstValue("WWW-Authenticate").orElse(""));
  }

  @Test
  void servesTheSubjectOfAToken() throws Exception {
    HttpResponse<String> response = sendWithScope("orders:read");
    assertEquals(200, response.statusCode());
    assertEquals("orders of alice", response.body().strip());
  }

  @Test
  void forbidsWithoutTheScope() throws Exception {
    HttpResponse<String> response = sendWithScope("orders:write");
    assertEquals(403, response.statusCode());
    assertEquals(
        "Bearer realm=\"orders\", error=\"insufficient_scope\", scope=\"orders:read\"",
        response.headers().firstValue("WWW-Authenticate").orElse(""));
  }

  private static HttpResponse<String> sendWithScope(String scope) throws Exception {
    IssueTokenRequest request =
        IssueTokenRequest.newBuilder().setSubject("alice").addScopes(scope).build();
    String token = client.issue(request).token();
    return send(HttpRequest.newBuilder(orders).header("Authorization", "Bearer " + token));
  }

  private static HttpResponse<String> send(HttpRequest.Builder request) throws Exception {
    return HTTP.send(request.build(), HttpResponse.BodyHandlers.ofString());
  }
}
