import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Executors;
import java.util.function.UnaryOperator;

/**
 * A sample decision service on nothing but the JDK: each line comes from the nearest node that has it, and is
 * promised by the hour.
 *
 * <p>{@code java Nearest.java [PORT [DELAY_MS]]} listens on the loopback address, prints "listening on PORT" once it
 * does, and takes DELAY_MS for each answer. Port 0 takes any that is free.
 */
public final class Nearest {
    private static final String ABOUT =
            "{\"name\":\"nearest\",\"mode\":\"stateless\",\"decisions\":[\"sourcing\",\"promise\",\"release\"],\"version\":\"java 1\"}";
    private static final long HOUR_MS = 3_600_000;

    private Nearest() {}

    public static void main(String[] args) throws IOException {
        int port = args.length > 0 ? Integer.parseInt(args[0]) : 8080;
        long delay = args.length > 1 ? Long.parseLong(args[1]) : 0;
        // Without it each answer on a kept-open connection waits 40 ms for the client's delayed acknowledgement.
        System.setProperty("sun.net.httpserver.nodelay", "true");
        HttpServer server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), port), 0);
        server.setExecutor(Executors.newFixedThreadPool(4));
        server.createContext("/about", exchange -> answer(exchange, 200, ABOUT));
        server.createContext("/sourcing", exchange -> serve(exchange, delay, Nearest::source));
        server.createContext("/promise", exchange -> serve(exchange, delay, Nearest::promise));
        server.createContext("/release", exchange -> serve(exchange, delay, question -> Map.of("release", true)));
        server.start();
        System.out.println("listening on " + server.getAddress().getPort());
        System.out.flush();
    }

    private static void serve(
            HttpExchange exchange, long delay, UnaryOperator<Map<String, Object>> decide) throws IOException {
        try {
            if (delay > 0) {
                Thread.sleep(delay);
            }
            String text = new String(exchange.getRequestBody().readAllBytes(), StandardCharsets.UTF_8);
            answer(exchange, 200, Json.write(decide.apply(Json.map(Json.read(text)))));
        } catch (RuntimeException wrong) {
            answer(exchange, 400, Json.write(Map.of("error", String.valueOf(wrong.getMessage()))));
        } catch (InterruptedException interrupted) {
            Thread.currentThread().interrupt();
        }
    }

    private static void answer(HttpExchange exchange, int status, String json) throws IOException {
        byte[] body = json.getBytes(StandardCharsets.UTF_8);
        exchange.getResponseHeaders().set("Content-Type", "application/json");
        exchange.sendResponseHeaders(status, body.length);
        try (OutputStream out = exchange.getResponseBody()) {
            out.write(body);
        }
    }

    /** The next full hour after the date that the calendars allow. */
    static Map<String, Object> promise(Map<String, Object> question) {
        List<Object> lines = new ArrayList<>();
        for (Object each : Json.list(question.get("lines"))) {
            Map<String, Object> line = Json.map(each);
            long at = -Math.floorDiv(-(Long) line.get("earliest_at"), HOUR_MS) * HOUR_MS;
            lines.add(Map.of("line", line.get("line"), "at", at));
        }
        return Map.of("lines", lines);
    }

    /** Stock by the shortest transit, then by the node's name; what is short waits at the nearest node. */
    static Map<String, Object> source(Map<String, Object> question) {
        boolean splits = (Boolean) question.get("split_lines");
        boolean rejects = (Boolean) question.get("reject_shortage");
        Map<String, Long> taken = new HashMap<>();
        List<Object> legs = new ArrayList<>();
        for (Object each : Json.list(question.get("lines"))) {
            Map<String, Object> line = Json.map(each);
            String sku = (String) line.get("sku");
            List<Map<String, Object>> ranked = new ArrayList<>();
            for (Object candidate : Json.list(line.get("candidates"))) {
                ranked.add(Json.map(candidate));
            }
            ranked.sort(Comparator.<Map<String, Object>>comparingLong(one -> (Long) one.get("transit_ms"))
                    .thenComparing(one -> (String) one.get("node")));
            long left = (Long) line.get("quantity");
            for (Map<String, Object> one : ranked) {
                String key = one.get("node") + "\n" + sku;
                long free = (Long) one.get("available") - taken.getOrDefault(key, 0L);
                long units = Math.min(left, free);
                if (units <= 0 || !splits && free < left) {
                    continue;
                }
                legs.add(leg(line, "stock", (String) one.get("node"), units, "nearest"));
                taken.merge(key, units, Long::sum);
                left -= units;
            }
            if (left > 0) {
                legs.add(shortage(line, ranked, left, rejects));
            }
        }
        return Map.of("legs", legs);
    }

    private static Map<String, Object> shortage(
            Map<String, Object> line, List<Map<String, Object>> ranked, long left, boolean rejects) {
        for (Map<String, Object> one : ranked) {
            boolean toOrder = (Boolean) one.get("to_order");
            if (toOrder || !rejects) {
                return leg(line, toOrder ? "replenish" : "backorder", (String) one.get("node"), left, "short:nearest");
            }
        }
        return leg(line, "reject", "", left, ranked.isEmpty() ? "no_source" : "short");
    }

    private static Map<String, Object> leg(
            Map<String, Object> line, String route, String node, long units, String reason) {
        Map<String, Object> leg = new LinkedHashMap<>();
        leg.put("line", line.get("line"));
        leg.put("route", route);
        leg.put("node", node);
        leg.put("quantity", units);
        leg.put("reason", reason);
        return leg;
    }

    /** As much of JSON as the questions need: the JDK has no reader of its own. Numbers are whole. */
    static final class Json {
        private final String text;
        private int at;

        private Json(String text) {
            this.text = text;
        }

        static Object read(String text) {
            Json json = new Json(text);
            Object value = json.value();
            json.space();
            if (json.at != text.length()) {
                throw new IllegalArgumentException("more than one value, at " + json.at);
            }
            return value;
        }

        @SuppressWarnings("unchecked")
        static Map<String, Object> map(Object value) {
            return (Map<String, Object>) value;
        }

        @SuppressWarnings("unchecked")
        static List<Object> list(Object value) {
            return (List<Object>) value;
        }

        static String write(Object value) {
            StringBuilder out = new StringBuilder();
            write(value, out);
            return out.toString();
        }

        private static void write(Object value, StringBuilder out) {
            if (value instanceof Map<?, ?> map) {
                String before = "{";
                for (Map.Entry<?, ?> entry : map.entrySet()) {
                    out.append(before);
                    write(entry.getKey(), out);
                    out.append(':');
                    write(entry.getValue(), out);
                    before = ",";
                }
                out.append(map.isEmpty() ? "{}" : "}");
            } else if (value instanceof List<?> list) {
                String before = "[";
                for (Object item : list) {
                    out.append(before);
                    write(item, out);
                    before = ",";
                }
                out.append(list.isEmpty() ? "[]" : "]");
            } else if (value instanceof String string) {
                out.append('"');
                for (char c : string.toCharArray()) {
                    if (c == '"' || c == '\\') {
                        out.append('\\').append(c);
                    } else if (c < ' ') {
                        out.append(String.format("\\u%04x", (int) c));
                    } else {
                        out.append(c);
                    }
                }
                out.append('"');
            } else {
                out.append(value);
            }
        }

        private Object value() {
            space();
            char c = peek();
            if (c == '{') {
                return object();
            }
            if (c == '[') {
                return array();
            }
            if (c == '"') {
                return string();
            }
            for (String word : List.of("true", "false", "null")) {
                if (text.startsWith(word, at)) {
                    at += word.length();
                    return word.equals("null") ? null : (Object) word.equals("true");
                }
            }
            int from = at;
            while (at < text.length() && "-0123456789".indexOf(text.charAt(at)) >= 0) {
                at++;
            }
            return Long.parseLong(text.substring(from, at));
        }

        private Map<String, Object> object() {
            Map<String, Object> map = new LinkedHashMap<>();
            at++;
            space();
            while (peek() != '}') {
                String key = string();
                space();
                expect(':');
                map.put(key, value());
                space();
                if (peek() != '}') {
                    expect(',');
                    space();
                }
            }
            at++;
            return map;
        }

        private List<Object> array() {
            List<Object> list = new ArrayList<>();
            at++;
            space();
            while (peek() != ']') {
                list.add(value());
                space();
                if (peek() != ']') {
                    expect(',');
                }
            }
            at++;
            return list;
        }

        private String string() {
            expect('"');
            StringBuilder out = new StringBuilder();
            while (peek() != '"') {
                char c = text.charAt(at++);
                if (c != '\\') {
                    out.append(c);
                    continue;
                }
                char escaped = text.charAt(at++);
                int plain = "bfnrt".indexOf(escaped);
                if (escaped == 'u') {
                    out.append((char) Integer.parseInt(text.substring(at, at + 4), 16));
                    at += 4;
                } else {
                    out.append(plain < 0 ? escaped : "\b\f\n\r\t".charAt(plain));
                }
            }
            at++;
            return out.toString();
        }

        private void space() {
            while (at < text.length() && Character.isWhitespace(text.charAt(at))) {
                at++;
            }
        }

        private char peek() {
            if (at >= text.length()) {
                throw new IllegalArgumentException("the text ends too early");
            }
            return text.charAt(at);
        }

        private void expect(char wanted) {
            if (peek() != wanted) {
                throw new IllegalArgumentException("no '" + wanted + "' at " + at);
            }
            at++;
        }
    }
}
