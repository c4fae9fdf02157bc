package io.jwtsidecar;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import jakarta.servlet.DispatcherType;
import jakarta.servlet.ServletException;
import jakarta.servlet.http.HttpServlet;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;
import java.io.IOException;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.EnumSet;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.logging.Handler;
import java.util.logging.LogRecord;
import java.util.logging.Logger;
import java.util.stream.Stream;
import org.eclipse.jetty.ee10.servlet.FilterHolder;
import org.eclipse.jetty.ee10.servlet.ServletContextHandler;
import org.eclipse.jetty.ee10.servlet.ServletHolder;
import org.eclipse.jetty.server.Server;
import org.eclipse.jetty.server.ServerConnector;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** What a caller sees of a servlet behind the filter, by real HTTP. */
class BearerFilterTest {

  private static final HttpClient HTTP = HttpClient.newHttpClient();
  private static final Client CLIENT =
      Client.builder()
          .address(Sidecar.scripted().address())
          .deadline(Duration.ofSeconds(10))
          .build();
  private static final EnumSet<DispatcherType> REQUESTS = EnumSet.of(DispatcherType.REQUEST);
  private static final Server SERVER = new Server();
  private static final AtomicInteger SERVED = new AtomicInteger();

  /** Says whose claims reached it. */
  private static final class Claims extends HttpServlet {

    private static final long serialVersionUID = 1L;

    @Override
    protected void doGet(HttpServletRequest request, HttpServletResponse response)
        throws IOException {
      SERVED.incrementAndGet();
      byte[] claims = BearerFilter.token(request).claimsJson().getBytes(StandardCharsets.UTF_8);
      response.getOutputStream().write(claims);
    }
  }

  /** Needs no token, and hands each request on to a path that does. */
  private static final class Entrance extends HttpServlet {

    private static final long serialVersionUID = 1L;

    @Override
    protected void doGet(HttpServletRequest request, HttpServletResponse response)
        throws IOException, ServletException {
      request.getRequestDispatcher(request.getParameter("to")).forward(request, response);
    }
  }

  @BeforeAll
  static void serve() throws Exception {
    SERVER.addConnector(new ServerConnector(SERVER));
    ServletContextHandler context = new ServletContextHandler();
    context.addServlet(new ServletHolder(new Claims()), "/*");
    cases().forEach(row -> context.addFilter(filter(row), path(row), REQUESTS));
    context.addFilter(
        new FilterHolder(new BearerFilter(CLIENT, Table.realm())), "/headers", REQUESTS);
    context.addServlet(new ServletHolder(new Entrance()), "/entrance");
    context.addFilter(
        new FilterHolder(new BearerFilter(CLIENT, Table.realm())),
        "/forwarded",
        EnumSet.allOf(DispatcherType.class));
    SERVER.setHandler(context);
    SERVER.start();
  }

  private static FilterHolder filter(Table.Case row) {
    Client client = row.hangs() ? CLIENT.withDeadline(Duration.ofMillis(300)) : CLIENT;
    return new FilterHolder(new BearerFilter(client, Table.realm(), row.requirements()));
  }

  private static String path(Table.Case row) {
    return "/cases/" + row.name();
  }

  @AfterAll
  static void close() throws Exception {
    SERVER.stop();
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
  void answersAsTheTableSays(Table.Case row) throws Exception {
    int served = SERVED.get();
    String token = row.token("filter");
    HttpResponse<String> response = get(path(row), List.of("Bearer " + token));
    if (row.passes()) {
      assertEquals(200, response.statusCode());
      assertEquals(row.expectedToken().get("claims_json").getAsString(), response.body());
      return;
    }
    assertEquals(served, SERVED.get());
    assertEquals(row.httpStatus(), response.statusCode());
    assertEquals(
        row.isRefused() ? row.expected("www_authenticate") : "",
        response.headers().firstValue("WWW-Authenticate").orElse(""));
    assertEquals(
        row.httpStatus() == 503 ? "1" : "",
        response.headers().firstValue("Retry-After").orElse(""));
    assertEquals(
        "application/json", response.headers().firstValue("Content-Type").orElse("").split(";")[0]);
    assertEquals(row.expectedBody(), response.body());
  }

  @ParameterizedTest
  @MethodSource("headers")
  void readsOneBearerHeader(Table.Header row) throws Exception {
    HttpResponse<String> response = get("/headers", row.authorization());
    if (row.reason().isEmpty()) {
      assertEquals(200, response.statusCode());
      return;
    }
    assertEquals(401, response.statusCode());
    assertTrue(response.body().contains("\"REASON_" + row.reason() + "\""), response.body());
    assertFalse(response.headers().firstValue("WWW-Authenticate").orElse("").isEmpty());
  }

  @Test
  void checksWhatIsForwardedWhereItIsMappedForThat() throws Exception {
    assertEquals(401, get("/entrance?to=/forwarded", List.of()).statusCode());
    assertEquals(200, get("/entrance?to=/forwarded", List.of("Bearer valid")).statusCode());
  }

  @Test
  void givesNoTokenToWhatItDidNotSee() throws Exception {
    assertEquals(500, get("/entrance?to=/headers", List.of("Bearer valid")).statusCode());
  }

  @Test
  void logsWhyATokenCantBeCheckedAndNoToken() throws Exception {
    Logger logger = Logger.getLogger(BearerFilter.class.getName());
    Log log = new Log();
    logger.addHandler(log);
    try {
      get("/headers", List.of("Bearer status-invalid-argument~log"));
      get("/headers", List.of("Bearer no-such-case~log"));
      get("/headers", List.of("Bearer refused-expired~log"));
    } finally {
      logger.removeHandler(log);
    }
    String start = "a token can't be checked: the call to " + Sidecar.scripted().address();
    assertEquals(
        List.of(
            start + " ended with INVALID_ARGUMENT FIELD_INVALID: why",
            start + " ended with UNKNOWN"),
        log.messages);
  }

  /** What was logged. */
  private static final class Log extends Handler {

    private final List<String> messages = new CopyOnWriteArrayList<>();

    @Override
    public void publish(LogRecord record) {
      messages.add(record.getMessage());
    }

    @Override
    public void flush() {}

    @Override
    public void close() {}
  }

  private static HttpResponse<String> get(String path, List<String> authorization)
      throws IOException, InterruptedException {
    HttpRequest.Builder request = HttpRequest.newBuilder(SERVER.getURI().resolve(path));
    authorization.forEach(value -> request.header("Authorization", value));
    return HTTP.send(request.build(), HttpResponse.BodyHandlers.ofString());
  }
}
