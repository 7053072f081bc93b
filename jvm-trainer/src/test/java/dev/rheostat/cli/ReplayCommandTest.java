package dev.rheostat.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.rheostat.ado.MixturePolicy;
import dev.rheostat.ado.Observation;
import dev.rheostat.ado.Policies;
import dev.rheostat.ado.PolicyDriver;
import dev.rheostat.ado.PolicyInputs;
import dev.rheostat.config.RunConfigs;
import dev.rheostat.config.RunFile;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class ReplayCommandTest {
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final List<String> DOMAINS = List.of("code", "prose", "law");
    private static final double[] PRIOR_K = {0.5, 0.3, 0.2};

    @TempDir
    private Path folder;

    private Path write(String... lines) throws IOException {
        return Files.writeString(folder.resolve("metrics.jsonl"), String.join("\n", lines) + "\n");
    }

    private static String line(int step, String domains) {
        return "{\"step\":" + step + ",\"learningRate\":0.001,\"domains\":" + domains + "}";
    }

    private Ran replay(Path metrics, String... more) {
        List<String> arguments = new ArrayList<>(List.of("replay", metrics.toString(), "--out", out().toString()));
        arguments.addAll(List.of(more));
        return Ran.rheostat(arguments.toArray(String[]::new));
    }

    private Path out() {
        return folder.resolve("mixture.jsonl");
    }

    private List<JsonNode> mixtures() throws IOException {
        List<JsonNode> lines = new ArrayList<>();
        for (String line : Files.readAllLines(out())) lines.add(JSON.readTree(line));
        return lines;
    }

    @Test
    void fixedPoliciesHoldTheirShares() throws IOException {
        String both = "{\"a\":{\"sequences\":3,\"tokens\":96,\"lossNats\":2.5,\"prior\":0.75},"
                + "\"b\":{\"sequences\":0,\"tokens\":0,\"prior\":0.25}}";
        Path metrics = write(line(0, both), line(1, both));
        replay(metrics, "--policy", "natural").mustExitWith(0);
        assertEquals(
                "{\"step\":0,\"mixture\":{\"a\":0.75,\"b\":0.25}}\n{\"step\":1,\"mixture\":{\"a\":0.75,\"b\":0.25}}\n",
                Files.readString(out()));
        replay(metrics, "--policy", "uniform").mustExitWith(0);
        assertEquals(
                "{\"step\":0,\"mixture\":{\"a\":0.5,\"b\":0.5}}",
                Files.readAllLines(out()).getFirst());
        replay(metrics, "--policy", "static", "--set", "mixture.shares={a: 1, b: 9}")
                .mustExitWith(0);
        assertEquals(
                "{\"step\":0,\"mixture\":{\"a\":0.1,\"b\":0.9}}",
                Files.readAllLines(out()).getFirst());
    }

    @Test
    void thePriorIsWhatIsSetThenWhatTheFileNamesThenUniform() throws IOException {
        String foreign =
                "{\"a\":{\"sequences\":1,\"tokens\":32,\"lossNats\":2},\"b\":{\"sequences\":1,\"tokens\":32,\"lossNats\":3}}";
        Path metrics = write(line(0, foreign));
        replay(metrics).mustExitWith(0);
        assertEquals(0.5, mixtures().getFirst().at("/mixture/a").asDouble(), 1e-15);
        replay(metrics, "--set", "mixture.prior={a: 4, b: 1}").mustExitWith(0);
        assertEquals(0.8, mixtures().getFirst().at("/mixture/a").asDouble(), 1e-15);
    }

    /** A run as the trainer makes one: batch t is drawn from the mixture held after step t - ringDepth. */
    private Path recordedRun(int ringDepth, int steps, int skippedStep) throws IOException {
        RunFile file = RunFile.parse(
                "run.yaml",
                "schedule: {steps: " + steps + "}\nruntime: {ringDepth: " + ringDepth + "}",
                folder,
                Map.of());
        var config = RunConfigs.resolve(file.config(), 300);
        Files.writeString(folder.resolve("run.yaml"), RunFile.write(config));
        MixturePolicy policy = Policies.create(
                "ado", "", RunConfigs.settings(config.mixture(), steps), PolicyInputs.of(DOMAINS, PRIOR_K, 8, steps));
        Random random = new Random(5);
        List<String> lines = new ArrayList<>();
        try (PolicyDriver driver = new PolicyDriver(policy, policy.refitDelay(), null)) {
            Deque<double[]> held = new ArrayDeque<>();
            for (int s = 0; s < ringDepth; s++) held.add(driver.mixture());
            for (int t = 0; t < steps; t++) {
                double[] mixture_K = held.remove();
                long[] sequences_K = new long[3], tokens_K = new long[3];
                double[] loss_K = new double[3];
                Map<String, Object> mixture = new LinkedHashMap<>(), domains = new LinkedHashMap<>();
                for (int k = 0; k < 3; k++) {
                    sequences_K[k] = k == 0 ? 2 : random.nextInt(4);
                    tokens_K[k] = 64 * sequences_K[k];
                    double law = 1 + k + 9 * Math.pow(8.0 * (t + 1), -0.2 - 0.1 * k);
                    loss_K[k] = sequences_K[k] == 0 ? Double.NaN : law * (1 + 0.01 * random.nextGaussian());
                    Map<String, Object> domain = new LinkedHashMap<>();
                    domain.put("sequences", sequences_K[k]);
                    domain.put("tokens", tokens_K[k]);
                    if (sequences_K[k] > 0) domain.put("lossNats", loss_K[k]);
                    domain.put("prior", PRIOR_K[k]);
                    domains.put(DOMAINS.get(k), domain);
                    mixture.put(DOMAINS.get(k), mixture_K[k]);
                }
                boolean skipped = t == skippedStep;
                if (!skipped) driver.observe(new Observation(t, 1e-3, sequences_K, tokens_K, loss_K));
                held.add(driver.mixture());
                Map<String, Object> line = new LinkedHashMap<>();
                line.put("step", t);
                line.put("learningRate", 1e-3);
                line.put("skipped", skipped);
                line.put("mixture", mixture);
                line.put("domains", domains);
                lines.add(JSON.writeValueAsString(line));
            }
        }
        return write(lines.toArray(String[]::new));
    }

    @ParameterizedTest
    @CsvSource({"1", "4"})
    void replayOfARunIsItsOwnMixtureShiftedByTheRingsDepth(int ringDepth) throws IOException {
        Path metrics = recordedRun(ringDepth, 400, 150);
        replay(metrics, "--policy", "ado").mustExitWith(0);
        List<JsonNode> replayed = mixtures();
        List<String> recorded = Files.readAllLines(metrics);
        JsonNode first = JSON.readTree(recorded.getFirst()).get("mixture");
        for (int t = ringDepth; t < recorded.size(); t++)
            assertEquals(
                    JSON.readTree(recorded.get(t)).get("mixture"),
                    replayed.get(t - ringDepth).get("mixture"),
                    "step " + t);
        assertFalse(first.equals(replayed.getLast().get("mixture")), "the mixture never moved, so nothing was shown");
    }

    @Test
    void settingsChangeWhatAPolicyWouldHaveDone() throws IOException {
        Path metrics = recordedRun(1, 300, -1);
        replay(metrics).mustExitWith(0);
        List<JsonNode> own = mixtures();
        replay(metrics, "--set", "mixture.settings.startStep=200").mustExitWith(0);
        List<JsonNode> late = mixtures();
        assertEquals(late.get(0).get("mixture"), late.get(199).get("mixture"), "nothing moves before the start");
        assertFalse(own.get(199).get("mixture").equals(late.get(199).get("mixture")));
        replay(metrics, "--set", "mixture.mode=reference").mustExitWith(0);
        assertEquals(0.5, mixtures().getLast().at("/mixture/code").asDouble(), 1e-12, "its first fit is at step 1000");
        replay(metrics, "--set", "mixture.minshare=0.1").mustExitWith(2).mustSay("did you mean mixture.minShare?");
        replay(metrics, "--set", "mixture.prior={code: 1}").mustExitWith(2).mustSay("nothing is said of domain prose");
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            quoteCharacter = '`',
            value = {
                "{\"step\":0                                             | :1: not JSON",
                "[1]                                                     | :1: not a JSON object",
                "{\"learningRate\":1,\"domains\":{\"a\":{\"sequences\":0,\"tokens\":0}}} | :1: field step is missing",
                "{\"step\":0,\"domains\":{\"a\":{\"sequences\":0,\"tokens\":0}}}  | :1: field learningRate is missing",
                "{\"step\":0,\"learningRate\":1}                         | :1: field domains is missing",
                "{\"step\":0,\"learningRate\":1,\"domains\":{}}          | :1: field domains names no domain",
                "{\"step\":0,\"learningRate\":1,\"domains\":{\"a\":{\"tokens\":1}}} | :1: field domains.a.sequences is missing",
                "{\"step\":0,\"learningRate\":1,\"domains\":{\"a\":{\"sequences\":-1}}} | :1: field domains.a.sequences is missing or not a whole number",
                "{\"step\":0,\"learningRate\":1,\"domains\":{\"a\":{\"sequences\":1}}} | :1: field domains.a.tokens is missing",
                "{\"step\":0,\"learningRate\":1,\"domains\":{\"a\":{\"sequences\":1,\"tokens\":1}}} | :1: field domains.a.lossNats is missing",
            })
    void aBadLineIsNamedWithItsField(String bad, String after) throws IOException {
        Path metrics = write(bad, line(1, "{}"));
        Ran ran = replay(metrics, "--policy", "uniform").mustExitWith(4).mustSayOneLine();
        assertTrue(ran.err().startsWith("rheostat: " + metrics + after), ran.err());
        assertFalse(Files.exists(out()), "nothing half is left");
    }

    @Test
    void aLaterBadLineIsNamedToo() throws IOException {
        String a = "{\"a\":{\"sequences\":1,\"tokens\":32,\"lossNats\":2}}";
        replay(write(line(0, a), line(0, a)), "--policy", "uniform")
                .mustExitWith(4)
                .mustSay("metrics.jsonl:2: step 0 after step 0");
        replay(write(line(0, a), line(1, a.replace("\"a\"", "\"b\""))), "--policy", "uniform")
                .mustExitWith(4)
                .mustSay("metrics.jsonl:2: domain b is not on the first line");
        replay(write(line(0, a.replace("\"sequences\":1", "\"sequences\":0"))), "--policy", "ado")
                .mustExitWith(4)
                .mustSay("metrics.jsonl:1: step 0 drew no sequence");
        replay(folder.resolve("none.jsonl")).mustExitWith(2).mustSay("none.jsonl: no such file");
        replay(Files.writeString(folder.resolve("empty.jsonl"), ""))
                .mustExitWith(4)
                .mustSay("no step in it");
    }
}
