import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;
import java.net.URLEncoder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.util.logging.Level;
import java.util.logging.Logger;
import org.apache.catalina.Context;
import org.apache.catalina.connector.Connector;
import org.apache.catalina.startup.Tomcat;
import org.springframework.stereotype.Controller;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.context.support.AnnotationConfigWebApplicationContext;
import org.springframework.web.servlet.DispatcherServlet;
import org.springframework.web.servlet.config.annotation.EnableWebMvc;

/** Serves the handlers of this test with Spring MVC in Tomcat: Main PORT. */
public final class Main {
  private static final Logger LOG = Logger.getLogger("org");

  public static void main(String[] arguments) throws Exception {
    LOG.setLevel(Level.OFF);
    Tomcat tomcat = new Tomcat();
    tomcat.setBaseDir(Files.createTempDirectory("tomcat").toString());
    Connector connector = new Connector();
    connector.setProperty("address", "127.0.0.1");
    connector.setPort(Integer.parseInt(arguments[0]));
    tomcat.setConnector(connector);
    Context context = tomcat.addContext("", null);
    AnnotationConfigWebApplicationContext handlers = new AnnotationConfigWebApplicationContext();
    handlers.register(Handlers.class);
    Tomcat.addServlet(context, "spring", new DispatcherServlet(handlers)).setLoadOnStartup(1);
    context.addServletMappingDecoded("/", "spring");
    tomcat.start();
    System.out.println("ready");
    tomcat.getServer().await();
  }

  @Controller
  @EnableWebMvc
  static class Handlers {
    @GetMapping("/internal/**")
    void internal(HttpServletRequest request, HttpServletResponse response) {
      answer("internal", request, response);
    }

    @GetMapping("/admin/**")
    void admin(HttpServletRequest request, HttpServletResponse response) {
      answer("admin", request, response);
    }

    @GetMapping("/public/**")
    void open(HttpServletRequest request, HttpServletResponse response) {
      answer("public", request, response);
    }

    @GetMapping("/public/hidden/**")
    void hidden(HttpServletRequest request, HttpServletResponse response) {
      answer("hidden", request, response);
    }

    @GetMapping("/reports/**")
    void reports(HttpServletRequest request, HttpServletResponse response) {
      answer("reports", request, response);
    }

    @GetMapping("/keys")
    void keys(HttpServletRequest request, HttpServletResponse response) {
      answer("keys", request, response);
    }

    @GetMapping("/**")
    void other(HttpServletRequest request, HttpServletResponse response) {
      answer("other", request, response);
    }

    private static void answer(
        String name, HttpServletRequest request, HttpServletResponse response) {
      response.setHeader("X-Handler", name);
      response.setHeader("X-Path", URLEncoder.encode(request.getServletPath(), StandardCharsets.UTF_8));
    }
  }
}
