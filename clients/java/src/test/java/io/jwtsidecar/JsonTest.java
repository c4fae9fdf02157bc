package io.jwtsidecar;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.io.IOException;
import java.math.BigDecimal;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What is a claims set. */
class JsonTest {

  @Test
  void givesEveryKindOfValue() throws IOException {
    Map<String, Object> object =
        Json.object(" {\"s\":\"\\u00fc\",\"n\":1.50,\"b\":true,\"o\":{},\"a\":[null,-1]} ");
    assertEquals(
        Map.of(
            "s",
            "ü",
            "n",
            new BigDecimal("1.50"),
            "b",
            true,
            "o",
            Map.of(),
            "a",
            Arrays.asList(null, new BigDecimal(-1))),
        object);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        " ",
        "{",
        "{}{}",
        "{} x",
        "[]",
        "[{}]",
        "null",
        "\"{}\"",
        "1",
        "{a:1}",
        "{'a':1}",
        "{\"a\":1,}",
        "{\"a\" 1}",
        "{\"a\":}",
        "{\"a\":NaN}",
        "{\"a\":Infinity}",
        "{\"a\":01}",
        "{\"a\":tru}",
        "{\"a\":True}",
        "{\"a\":1,\"a\":2}",
        "{\"a\":{\"b\":1,\"b\":2}}",
        "{\"a\":\"\n\"}",
        "{\"a\":\"\\x\"}",
        "{\"a\":1e99999999999}",
        "// c\n{}",
        "{\"a\":[1}"
      })
  void refusesAllElse(String text) {
    assertThrows(IOException.class, () -> Json.object(text));
  }

  @Test
  void refusesWhatIsNestedTooDeep() {
    String deep = "{\"a\":" + "[".repeat(100_000) + "]".repeat(100_000) + "}";
    assertThrows(IOException.class, () -> Json.object(deep));
  }

  @Test
  void writesWhatRequirementsNeed() {
    assertEquals("{\"a\":[\"<\",1,true]}", Json.text(Map.of("a", List.of("<", 1, true))));
    assertThrows(IllegalArgumentException.class, () -> Json.text(Map.of("a", Double.NaN)));
  }
}
