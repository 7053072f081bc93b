package dev.rheostat.report;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class EventsTest {
    @TempDir
    private Path folder;

    private static String line(int step, double a, double b) {
        return "{\"step\":" + step + ",\"learningRate\":0.001,\"tokens\":64,\"seconds\":{},\"mixture\":{\"a\":" + a
                + ",\"b\":" + b
                + "},\"domains\":{\"a\":{\"tokens\":32,\"lossNats\":2},\"b\":{\"tokens\":32,\"lossNats\":2}}}\n";
    }

    @Test
    void boundsThatWereReachedAndChangesOfAnOperatorAreTold() throws IOException {
        Files.writeString(
                folder.resolve("run.yaml"), "mixture: {maxEpochs: {b: 2}, maxShare: {a: 0.7}}\nschedule: {steps: 5}\n");
        Files.writeString(
                folder.resolve("metrics.jsonl"),
                line(0, 0.5, 0.5) + line(1, 0.6, 0.4) + line(2, 0.7, 0.3) + line(3, 0.7, 0.3) + line(4, 1, 0));
        Files.writeString(
                folder.resolve("steering.jsonl"),
                "{\"id\":\"x\",\"step\":1,\"by\":\"ana\",\"set\":{\"mixture.minShare.a\":\"0.6\",\"mixture.policy\":\"odm\"}}\n");
        assertEquals(
                List.of(
                        "Before step 1 ana set mixture.minShare.a=0.6, mixture.policy=odm.",
                        "a reached its cap of 70.0 % at step 2; what it would have had beyond goes to the others.",
                        "b had its 2 epochs by step 4; its share goes to the others."),
                Events.of(RunHistory.read(folder)));
    }
}
