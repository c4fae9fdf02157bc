package io.jwtsidecar;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.StringWriter;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
import javax.tools.JavaFileObject;
import javax.tools.SimpleJavaFileObject;
import javax.tools.ToolProvider;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The code of README.md compiles as it stands there. */
class ReadmeTest {

  private static final Pattern CODE = Pattern.compile("(?ms)^```java\n(.*?)^```");

  /** What a service has of its own. */
  private static final String AROUND =
      """
      import io.grpc.*;
      import io.jwtsidecar.*;
      import io.jwtsidecar.v1.IssueTokenRequest;
      import io.jwtsidecar.v1.RevokeTokenRequest;
      import jakarta.servlet.ServletContext;
      import java.io.File;
      import java.nio.file.*;
      import java.time.Duration;
      import java.util.*;

      class Page {
        Client client;
        Requirements required;
        ServletContext servlets;
        IssueTokenRequest request;
        BindableService orders;
        ServerBuilder<?> server;
        String text, refreshToken;
        Path file;
        File ca;
      """;

  @TempDir Path classes;

  @Test
  void itsCodeCompiles() throws Exception {
    List<String> blocks =
        CODE.matcher(Files.readString(Path.of("README.md")))
            .results()
            .map((MatchResult block) -> block.group(1))
            .toList();
    StringBuilder page = new StringBuilder(AROUND);
    blocks.forEach(
        block ->
            page.append("{ new Object() { void run() throws Exception {\n" + block + "}}; }\n"));
    assertEquals("", complaints(page.append("}").toString()));
    assertEquals(5, blocks.size());
  }

  private String complaints(String text) {
    JavaFileObject source =
        new SimpleJavaFileObject(URI.create("string:///Page.java"), JavaFileObject.Kind.SOURCE) {
          @Override
          public CharSequence getCharContent(boolean ignoreEncodingErrors) {
            return text;
          }
        };
    StringWriter complaints = new StringWriter();
    String classPath = System.getProperty("java.class.path");
    List<String> options = List.of("-classpath", classPath, "-d", classes.toString());
    ToolProvider.getSystemJavaCompiler()
        .getTask(complaints, null, null, options, null, List.of(source))
        .call();
    return complaints.toString();
  }
}
