package io.jwtsidecar;

import com.google.gson.GsonBuilder;
import com.google.gson.Strictness;
import com.google.gson.stream.JsonReader;
import com.google.gson.stream.JsonToken;
import com.google.gson.stream.MalformedJsonException;
import java.io.IOException;
import java.io.StringReader;
import java.math.BigDecimal;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** JSON (RFC 8259) to immutable values of Java, and back. */
final class Json {

  private Json() {}

  /**
   * Numbers are {@link BigDecimal}, so that none is rounded.
   *
   * @throws IOException unless the text is one JSON object, without a name twice in any
   */
  static Map<String, Object> object(String text) throws IOException {
    JsonReader in = new JsonReader(new StringReader(text));
    in.setStrictness(Strictness.STRICT);
    try {
      Map<String, Object> object = object(in);
      if (in.peek() != JsonToken.END_DOCUMENT) {
        throw new MalformedJsonException("more than one value");
      }
      return object;
    } catch (IllegalStateException | NumberFormatException e) {
      throw new MalformedJsonException(e);
    }
  }

  /**
   * @throws IllegalArgumentException for NaN and the infinities, which JSON does not have
   */
  static String text(Object value) {
    return new GsonBuilder().disableHtmlEscaping().serializeNulls().create().toJson(value);
  }

  private static Object value(JsonReader in) throws IOException {
    return switch (in.peek()) {
      case BEGIN_OBJECT -> object(in);
      case BEGIN_ARRAY -> array(in);
      case STRING -> in.nextString();
      case NUMBER -> new BigDecimal(in.nextString());
      case BOOLEAN -> in.nextBoolean();
      default -> {
        in.nextNull();
        yield null;
      }
    };
  }

  private static Map<String, Object> object(JsonReader in) throws IOException {
    Map<String, Object> object = new LinkedHashMap<>();
    in.beginObject();
    while (in.hasNext()) {
      String name = in.nextName();
      if (object.containsKey(name)) {
        throw new MalformedJsonException("a name twice");
      }
      object.put(name, value(in));
    }
    in.endObject();
    return Collections.unmodifiableMap(object);
  }

  private static List<Object> array(JsonReader in) throws IOException {
    List<Object> array = new ArrayList<>();
    in.beginArray();
    while (in.hasNext()) {
      array.add(value(in));
    }
    in.endArray();
    return Collections.unmodifiableList(array);
  }
}
