package dev.rheostat.ci;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The command a newcomer runs first, whole. */
class EmbeddedCorpusIT {
    @Test
    void trainWithoutArgumentsLearnsEveryDomainAndMovesTheMixture(@TempDir Path folder) throws Exception {
        Path run = folder.resolve("run");
        Command.rheostat(folder, "train", "--out", run).run().mustExitWith(0).mustSay("report.html", "tokens/s");

        List<JsonNode> validation = RunFiles.lines(run.resolve("validation.jsonl"));
        JsonNode before = validation.getFirst().get("domains"),
                after = validation.getLast().get("domains");
        assertTrue(before.size() >= 6, "domains: " + before.size());
        for (var domain : before.properties()) {
            double nats = domain.getValue().get("lossNats").doubleValue();
            double natsAfter = after.get(domain.getKey()).get("lossNats").doubleValue();
            assertTrue(natsAfter < 0.75 * nats, domain.getKey() + ": from " + nats + " to " + natsAfter + " nats");
        }

        List<JsonNode> metrics = RunFiles.lines(run.resolve("metrics.jsonl"));
        JsonNode start = metrics.getFirst().get("mixture"),
                end = metrics.getLast().get("mixture");
        int moved = 0;
        double sum = 0;
        for (var share : end.properties()) {
            double was = start.get(share.getKey()).doubleValue(),
                    is = share.getValue().doubleValue();
            sum += is;
            if (Math.abs(is - was) >= 0.1 * was) moved++;
        }
        assertEquals(1, sum, 1e-9);
        assertTrue(moved >= 2, "domains whose share moved by 10 % or more: " + moved + "; " + start + " to " + end);
        assertTrue(Files.size(run.resolve("report.html")) > 10_000);
    }
}
