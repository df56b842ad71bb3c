import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.time.Duration;
import java.util.UUID;
import java.util.concurrent.ThreadLocalRandom;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Reserves, confirms and ships one order over the JSON view, with nothing but the JDK (17 or later).
 *
 * <pre>java examples/java/Reserve.java http://127.0.0.1:7070</pre>
 *
 * QUARTERMASTER_TOKEN is sent as a bearer token; for TLS with an authority of one's own, name a trust store by -Djavax.net.ssl.trustStore.
 * Every step is checked; the last line is "ok", and the exit code is 1 when an answer is not as expected.
 */
public final class Reserve {
    private static final HttpClient HTTP = HttpClient.newBuilder().connectTimeout(Duration.ofSeconds(2)).build();
    private static final int TRIES = 5;

    private final String target;

    private Reserve(String target) {
        this.target = target;
    }

    /** An answer: HTTP status and body. A business "no" has status 200 and a rejection in its body. */
    private record Answer(int status, String body) {
        /** A field that is a string, wherever it stands. A real program takes the JSON library it has. */
        String text(String field) {
            Matcher found = Pattern.compile("\"" + field + "\"\\s*:\\s*\"([^\"]*)\"").matcher(body);
            return found.find() ? found.group(1) : "";
        }

        /** Whether asking again with the same request id may help: it was not begun, or nobody knows. */
        boolean mayBeRepeated() {
            return status == 503 || status == 504;
        }
    }

    /** One call, repeated under the same request id while its outcome is not known. */
    private Answer call(String method, String json) throws Exception {
        HttpRequest.Builder request = HttpRequest.newBuilder(URI.create(target + "/quartermaster.v1." + method))
                .timeout(Duration.ofSeconds(2))
                .header("content-type", "application/json")
                .header("connect-timeout-ms", "1000")
                .POST(HttpRequest.BodyPublishers.ofString(json));
        String token = System.getenv("QUARTERMASTER_TOKEN");
        if (token != null) {
            request.header("authorization", "Bearer " + token);
        }
        for (int attempt = 1; ; attempt++) {
            try {
                HttpResponse<String> response = HTTP.send(request.build(), HttpResponse.BodyHandlers.ofString());
                Answer answer = new Answer(response.statusCode(), response.body());
                if (!answer.mayBeRepeated() || attempt == TRIES) {
                    return answer;
                }
            } catch (java.io.IOException broken) {
                if (attempt == TRIES) {
                    throw broken;
                }
            }
            Thread.sleep(ThreadLocalRandom.current().nextLong(20L << attempt));
        }
    }

    private static void check(boolean right, Answer answer) {
        if (!right) {
            System.err.println("not as expected: " + answer);
            System.exit(1);
        }
    }

    private void run() throws Exception {
        String run = UUID.randomUUID().toString().substring(0, 8);
        String sku = "BAG-" + run;
        String place = "NJ-" + run;
        Answer made = call("CatalogService/UpsertLocations",
                "{\"requestId\":\"loc-%s\",\"locations\":[{\"code\":\"%s\"}]}".formatted(run, place));
        check(made.status() == 200, made);
        made = call("CatalogService/UpsertSkus", "{\"requestId\":\"sku-%s\",\"skus\":[{\"code\":\"%s\"}]}".formatted(run, sku));
        check(made.status() == 200, made);
        Answer level = call("InventoryService/SetStock",
                "{\"requestId\":\"set-%s\",\"sku\":\"%s\",\"location\":\"%s\",\"quantity\":\"2\"}".formatted(run, sku, place));
        check(level.text("available").equals("2"), level);

        // The id is ours and stays the same however often we ask.
        String order = "{\"requestId\":\"order-%s\",\"lines\":[{\"sku\":\"%s\",\"quantity\":2}]}".formatted(run, sku);
        Answer first = call("AllocationService/Reserve", order);
        String reservation = first.text("reservationId");
        check(first.status() == 200 && !reservation.isEmpty(), first);
        Answer again = call("AllocationService/Reserve", order);
        check(again.text("reservationId").equals(reservation) && again.body().contains("\"replayed\":true"), again);

        Answer no = call("AllocationService/Reserve",
                "{\"requestId\":\"more-%s\",\"lines\":[{\"sku\":\"%s\",\"quantity\":1}]}".formatted(run, sku));
        check(no.status() == 200 && no.body().contains("REJECTION_REASON_INSUFFICIENT_STOCK"), no);

        Answer reused = call("AllocationService/Reserve", order.replace("\"quantity\":2", "\"quantity\":1"));
        check(reused.status() == 409 && reused.text("reason").equals("REQUEST_ID_REUSED"), reused);

        String id = "\"reservationId\":\"" + reservation + "\"";
        Answer paid = call("AllocationService/Confirm", "{\"requestId\":\"pay-" + run + "\"," + id + "}");
        check(paid.text("state").equals("RESERVATION_STATE_CONFIRMED"), paid);
        Answer shipped = call("AllocationService/Ship", "{\"requestId\":\"ship-" + run + "\"," + id + "}");
        check(shipped.text("state").equals("RESERVATION_STATE_SHIPPED"), shipped);
        System.out.println(reservation + ": reserved, paid, shipped");
        System.out.println("ok");
    }

    public static void main(String[] arguments) throws Exception {
        new Reserve(arguments.length > 0 ? arguments[0] : "http://127.0.0.1:7070").run();
    }
}
