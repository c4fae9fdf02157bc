package io.jwtsidecar;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonNull;
import com.google.gson.JsonObject;
import com.google.gson.JsonPrimitive;
import io.grpc.Status;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.math.BigDecimal;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletionException;
import java.util.function.Function;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.NullSource;
import org.junit.jupiter.params.provider.ValueSource;

/** What follows from what a sidecar answers, case by case. */
class ValidateTest {

  private static final Client CLIENT =
      Client.builder()
          .address(Sidecar.scripted().address())
          .deadline(Duration.ofSeconds(10))
          .build();

  @AfterAll
  static void close() {
    CLIENT.close();
  }

  static Stream<Table.Case> cases() {
    return Table.cases();
  }

  @ParameterizedTest
  @MethodSource("cases")
  void givesATokenOrEndsAsTheTableSays(Table.Case row) {
    String token = row.token("validate");
    check(row, token, client -> client.validate(token, row.requirements()));
  }

  @ParameterizedTest
  @NullSource
  @ValueSource(
      strings = {"a.caller.token\n", "a.caller.token a.caller.token", "a.caller.t\u00f6ken", ""})
  void aCallerTokenThatIsNoneIsNeitherSentNorShown(String caller) {
    try (Client careless =
        Client.builder()
            .address(Sidecar.scripted().address())
            .deadline(Duration.ofSeconds(10))
            .callerToken(() -> caller)
            .build()) {
      CallRejectedException rejected =
          assertThrows(CallRejectedException.class, () -> careless.validate("valid"));
      assertEquals(Status.Code.UNAUTHENTICATED, rejected.code());
      StringWriter told = new StringWriter();
      rejected.printStackTrace(new PrintWriter(told));
      assertFalse(told.toString().contains("a.caller"), told.toString());
    }
  }

  @ParameterizedTest
  @MethodSource("cases")
  void doesSoWithoutBlocking(Table.Case row) {
    String token = row.token("validate-async");
    check(
        row,
        token,
        client -> {
          try {
            return client.validateAsync(token, row.requirements()).join();
          } catch (CompletionException e) {
            throw assertInstanceOf(SidecarException.class, e.getCause());
          }
        });
  }

  private static void check(Table.Case row, String token, Function<Client, Token> validate) {
    Client client = row.hangs() ? CLIENT.withDeadline(Duration.ofMillis(300)) : CLIENT;
    if (row.passes()) {
      Token passed = validate.apply(client);
      assertEquals(row.expectedToken(), fields(passed));
      assertFalse(passed.toString().contains(token));
      return;
    }
    SidecarException why = assertThrows(SidecarException.class, () -> validate.apply(client));
    assertFalse(printed(why).contains(token));
    assertEquals(row.httpStatus(), why.httpStatus());
    assertEquals(Status.Code.valueOf(row.expected("grpc_status")), why.grpcStatus());
    switch (row.expected("outcome")) {
      case "refused" -> {
        TokenRefusedException refused = assertInstanceOf(TokenRefusedException.class, why);
        assertEquals(row.expected("reason"), refused.reason());
        assertEquals(row.expected("message"), refused.explanation());
        assertEquals(
            row.expected("www_authenticate"), refused.wwwAuthenticate(Table.realm()).orElse(""));
      }
      case "rejected" -> {
        CallRejectedException rejected = assertInstanceOf(CallRejectedException.class, why);
        assertEquals(Status.Code.valueOf(row.expected("code")), rejected.code());
        assertEquals(row.expected("error_reason"), rejected.errorReason());
      }
      default -> {
        assertEquals("unavailable", row.expected("outcome"));
        assertInstanceOf(SidecarUnavailableException.class, why);
      }
    }
  }

  @Test
  void givesTheClaimsUnrounded() {
    Token token = CLIENT.validate("valid~claims");
    assertEquals(new BigDecimal("12345678901234567890"), token.claims().get("n"));
    assertEquals(List.of("admin"), token.claims().get("roles"));
    assertThrows(UnsupportedOperationException.class, () -> token.claims().put("sub", "bob"));
  }

  @Test
  void repeatsNoWordOfAPeerThatSendsTheTokenBack() {
    SidecarUnavailableException why =
        assertThrows(
            SidecarUnavailableException.class, () -> CLIENT.validate("no-such-case~secret"));
    assertFalse(printed(why).contains("secret"));
    assertTrue(why.getMessage().contains("UNKNOWN"));
  }

  private static String printed(Throwable why) {
    StringWriter text = new StringWriter();
    why.printStackTrace(new PrintWriter(text));
    return text.toString();
  }

  private static JsonObject fields(Token token) {
    JsonObject fields = new JsonObject();
    fields.addProperty("issuer_name", token.issuerName());
    fields.addProperty("consumer", token.consumer());
    fields.addProperty("issuer", token.issuer());
    fields.addProperty("subject", token.subject());
    fields.add("audiences", array(token.audiences()));
    fields.addProperty("token_id", token.tokenId());
    fields.add("scopes", array(token.scopes()));
    fields.add("issue_time", time(token.issueTime()));
    fields.add("not_before_time", time(token.notBeforeTime()));
    fields.add("expire_time", time(token.expireTime()));
    fields.addProperty("key_id", token.keyId());
    fields.addProperty("algorithm", token.algorithm());
    fields.addProperty("claims_json", token.claimsJson());
    return fields;
  }

  private static JsonArray array(List<String> values) {
    JsonArray array = new JsonArray();
    values.forEach(array::add);
    return array;
  }

  private static JsonElement time(Optional<Instant> time) {
    return time.<JsonElement>map(at -> new JsonPrimitive(at.toString())).orElse(JsonNull.INSTANCE);
  }
}
