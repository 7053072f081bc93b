package dev.rheostat.config;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.rheostat.config.RheostatException.Kind;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class RunFileTest {
    private static RunConfig parse(String yaml) {
        return RunFile.parse("run.yaml", yaml, Path.of("/runs"), Map.of()).config();
    }

    private static RunConfig set(String key, String value) {
        return RunFile.parse("run.yaml", "", Path.of("/runs"), Map.of(key, value))
                .config();
    }

    private static String refusal(String yaml, Map<String, String> overrides) {
        RheostatException refused = assertThrows(
                RheostatException.class, () -> RunFile.parse("run.yaml", yaml, Path.of("/runs"), overrides));
        assertEquals(Kind.BAD_REQUEST, refused.kind());
        assertFalse(refused.getMessage().contains("\n"), "one line: " + refused.getMessage());
        return refused.getMessage();
    }

    @Test
    void anEmptyFileIsTheDefaults() {
        assertEquals(RunConfig.defaults(), parse(""));
        assertEquals(RunConfig.defaults(), parse("# nothing but a comment\n"));
    }

    @Test
    void theFileIsLaidOverTheDefaultsAndOverridesOverTheFile() {
        String yaml =
                "optimizer:\n  learningRate: 3e-4\nschedule: {steps: 40, kind: wsd}\nmixture:\n  minShare: 0.02\n";
        RunConfig config = RunFile.parse(
                        "run.yaml", yaml, Path.of("/runs"), Map.of("schedule.steps", "60", "data.draw", "Multinomial"))
                .config();
        assertEquals(3e-4, config.optimizer().learningRate());
        assertEquals(0.9, config.optimizer().beta1(), "what is not said stays");
        assertEquals(60, config.schedule().steps());
        assertEquals(RunConfig.ScheduleKind.WSD, config.schedule().kind());
        assertEquals(RunConfig.Draw.MULTINOMIAL, config.data().draw());
        assertEquals(Map.of("*", 0.02), config.mixture().minShare());
        assertEquals(Map.of(), config.mixture().maxShare());
    }

    @Test
    void thePresetCountsFirstWhereverItStands() {
        ModelConfig model = parse("model:\n  layers: 2\n  context: 64\n  preset: ado-124m\n")
                .model();
        assertEquals(2, model.layers());
        assertEquals(768, model.width());
        assertEquals(64, model.context());
        assertEquals(768, set("model.preset", "ado-124m").model().width());
        assertEquals(
                512,
                RunFile.parse(
                                "run.yaml",
                                "model: {preset: ado-124m, layers: 3}",
                                Path.of("/"),
                                Map.of("model.preset", "ado-70m"))
                        .config()
                        .model()
                        .width());
    }

    @Test
    void datasetsAreRelativeToTheRunFileAndToTheWorkingFolderOnTheCommandLine() {
        assertEquals("/data/pile", parse("data: {dataset: ../data/pile}").data().dataset());
        assertEquals("/abs/pile", parse("data: {dataset: /abs/pile}").data().dataset());
        assertEquals("embedded", parse("data: {dataset: embedded}").data().dataset());
        assertEquals(
                Path.of("pile").toAbsolutePath().toString(),
                set("data.dataset", "pile").data().dataset());
    }

    @Test
    void sharesMayBeSetWholeOrOneByOneAndTheirNamesMayHoldDots() {
        Map<String, String> overrides = new LinkedHashMap<>();
        overrides.put("mixture.policy", "static");
        overrides.put("mixture.shares", "{code: 1, prose: 2}");
        overrides.put("mixture.shares.code", "0.25");
        overrides.put("mixture.shares.wiki.en", "3");
        RunConfig config =
                RunFile.parse("run.yaml", "", Path.of("/"), overrides).config();
        assertEquals(
                Map.of("code", 0.25, "prose", 2.0, "wiki.en", 3.0),
                config.mixture().shares());
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "mixture: {minshare: 0.1}        | run.yaml:1: mixture.minshare: no such key in a run file; did you mean mixture.minShare?",
                "seed: 1\\noptimiser: {beta1: 0}  | run.yaml:2: optimiser: no such key in a run file; did you mean optimizer?",
                "learningRate: 1                 | run.yaml:1: learningRate: no such key in a run file; did you mean optimizer.learningRate?",
                "mixture.minShare: 0.1           | run.yaml:1: mixture.minShare: no such key in a run file; did you mean mixture.minShare?",
                "qwertyuiop: 1                   | run.yaml:1: qwertyuiop: no such key in a run file; known here are model, data, batch, mixture, optimizer, schedule, evaluation, checkpoint, runtime, device, precision, seed, out",
                "seed: 1\\n\\nseed: 2              | run.yaml:3: seed: set twice, at run.yaml:1 too",
                "batch: 8                        | run.yaml:1: batch must be keys with values",
                "batch:                          | run.yaml:1: batch: no keys: indent them under it, or leave it out to have the defaults",
                "[1, 2]                          | run.yaml:1: a run file must be keys with values",
                "seed: {a: 1                     | run.yaml:1: not YAML: expected ',' or '}', but got <stream end>",
                "seed: 1_000                     | run.yaml:1: seed: \"1_000\" is not a whole number",
                "schedule: {steps: 10k}          | run.yaml:1: schedule.steps: \"10k\" is not a whole number",
                "schedule: {steps: 1e3}          | run.yaml:1: schedule.steps: \"1e3\" is not a whole number",
                "schedule: {steps: 12.5}         | run.yaml:1: schedule.steps: \"12.5\" is not a whole number",
                "seed: 99999999999999999999      | run.yaml:1: seed: 99999999999999999999 does not fit: it must lie between -9223372036854775808 and 9223372036854775807",
                "batch: {sequences: 3000000000}  | run.yaml:1: batch.sequences: 3000000000 does not fit: it must lie between -2147483648 and 2147483647",
                "seed:                           | run.yaml:1: seed: no value: write a whole number, or leave the key out to have the default",
                "seed: [1]                       | run.yaml:1: seed: this must be a whole number, and is a list or a map",
                "model: {tied: maybe}            | run.yaml:1: model.tied: \"maybe\" is not true or false",
                "optimizer: {learningRate: fast} | run.yaml:1: optimizer.learningRate: \"fast\" is not a number",
                "optimizer: {learningRate: 1e999} | run.yaml:1: optimizer.learningRate: 1e999 is too large for a number",
                "optimizer: {epsilon: .nan}      | run.yaml:1: optimizer.epsilon: .nan is not finite",
                "precision: bf61                 | run.yaml:1: precision: bf61 is none of its values; did you mean bf16?",
                "data: {draw: error_feedback}    | run.yaml:1: data.draw: error_feedback is none of its values; did you mean error-feedback?",
                "device: gpu                     | run.yaml:1: device: gpu is none of its values; did you mean cpu?",
                "model: {preset: ado-125m}       | run.yaml:1: model.preset: ado-125m is no preset; did you mean ado-124m?",
                "mixture: {policy: odo}          | run.yaml:1: mixture.policy: odo is none of its values; did you mean ado?",
                "mixture: {mode: robuste}        | run.yaml:1: mixture.mode: robuste is none of its values; did you mean robust?",
            })
    void whatCannotBeReadIsRefusedWithItsLine(String yaml, String message) {
        assertEquals(message, refusal(yaml.replace("\\n", "\n"), Map.of()));
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "mixture: {policy: natural, shares: {a: 1}} | run.yaml:1: mixture.shares: this belongs to policy static, and mixture.policy is natural: leave one of them out",
                "mixture:\\n  shares: {a: 1}        | run.yaml:2: mixture.shares: this belongs to policy static, and mixture.policy is ado: leave one of them out",
                "mixture: {policy: static}        | run.yaml:1: mixture.policy: static needs mixture.shares",
                "mixture: {policy: static, shares: {a: 0, b: 0}} | run.yaml:1: mixture.shares: all are 0, so nothing is left",
                "mixture: {policy: static, shares: {a: -1}} | run.yaml:1: mixture.shares.a: -1.0 is less than 0.0",
                "mixture: {policy: static, shares: {a: x}}  | run.yaml:1: mixture.shares.a: \"x\" is not a number",
                "mixture: {policy: static, shares: {a: 1, a: 2}}  | run.yaml:1: mixture.shares.a: set twice",
                "mixture: {policy: static, shares: 1}       | run.yaml:1: mixture.shares: this must be a map of numbers by name, as in {code: 0.7}",
                "mixture: {policy: natural, settings: {credit: 0.5}} | run.yaml:1: mixture.settings.credit: 0.5: policy natural has no such setting, it has none",
                "mixture: {policy: natural, mode: robust}   | run.yaml:1: mixture.mode: policy natural has no modes: leave the key out",
                "mixture: {credit: 0.5}                     | run.yaml:1: mixture.credit: no such key in a run file; did you mean mixture.settings.credit?",
                "mixture: {target: {a: 0, b: 0}}            | run.yaml:1: mixture.target: all are 0, so nothing is left",
                "mixture: {maxEpochs: -1}                   | run.yaml:1: mixture.maxEpochs: -1.0 is less than 0.0",
                "mixture: {maxEpochs: {a: x}}               | run.yaml:1: mixture.maxEpochs.a: \"x\" is not a number",
                "mixture: {shadow: ado/robuste}             | run.yaml:1: mixture.shadow: robuste is none of its values; did you mean robust?",
                "mixture: {minShare: 0.3, maxShare: 0.2}    | run.yaml:1: mixture.minShare: 0.3 is above mixture.maxShare 0.2",
                "mixture: {prior: {a: 0}}         | run.yaml:1: mixture.prior.a: 0.0 is not above 0",
                "mixture: {settings: {credit: 2}} | run.yaml:1: mixture.settings.credit: 2, must be in [0, 1]",
                "mixture: {settings: {refitEvery: 0}} | run.yaml:1: mixture.settings.refitEvery: 0, must be a whole number in [1, 1.0E15]",
                "mixture: {settings: {startStep: -1}} | run.yaml:1: mixture.settings.startStep: -1, must be a whole number in [0, 1.0E15]",
                "mixture: {mode: reference, settings: {gateSpred: 0.9}} | run.yaml:1: mixture.settings.gateSpred: unknown setting of policy ado/reference 'gateSpred': did you mean 'startStep'? valid: startStep, ignoreSteps, refitEvery, refitDelay, credit, minShare, historyRate, smoothing",
                "mixture: {settings: {gateRange: 0.5}} | run.yaml:1: mixture.settings.gateRange: 0.5, must be in [1, 1000000000]",
                "model: {kvHeads: 3, heads: 8}    | run.yaml:1: model.kvHeads: 3 does not divide model.heads 8",
                "model:\\n  width: 130\\n  heads: 4 | run.yaml:3: model.heads: 4 does not divide model.width 130",
                "seed: 1\\nmodel:\\n  width: 129    | run.yaml:3: model.heads: 2 does not divide model.width 129",
                "model: {layers: 0}               | run.yaml:1: model.layers: 0 is not in 1 to 1024",
                "batch: {sequences: 8, microBatches: 3} | run.yaml:1: batch.microBatches: 3 does not divide batch.sequences 8",
                "batch: {sequences: 0}            | run.yaml:1: batch.sequences: 0 is less than 1",
                "data: {dataset: ''}              | run.yaml:1: data.dataset: empty: name a folder made by prepare, or embedded",
                "schedule: {steps: 100, warmupSteps: 101} | run.yaml:1: schedule.warmupSteps: 101 is more than schedule.steps 100",
                "schedule: {decaySteps: 10}       | run.yaml:1: schedule.decaySteps: this belongs to schedule.kind wsd, and it is cosine, which decays all the way: leave one of them out",
                "schedule: {kind: wsd, steps: 100, warmupSteps: 50, decaySteps: 60} | run.yaml:1: schedule.decaySteps: 60 and 50 steps of warm-up are more than schedule.steps 100",
                "schedule: {finalRate: 1.5}       | run.yaml:1: schedule.finalRate: 1.5 is not in 0.0 to 1.0",
                "optimizer: {learningRate: 0}     | run.yaml:1: optimizer.learningRate: 0.0 is not above 0",
                "optimizer: {beta2: 1}            | run.yaml:1: optimizer.beta2: 1.0 is not in [0, 1)",
                "optimizer: {weightDecay: -0.1}   | run.yaml:1: optimizer.weightDecay: -0.1 is less than 0.0",
                "evaluation: {windows: 0}         | run.yaml:1: evaluation.windows: 0 is less than 1",
                "checkpoint: {keepNewest: 0}      | run.yaml:1: checkpoint.keepNewest: 0 is less than 1",
                "runtime: {ringDepth: 0}          | run.yaml:1: runtime.ringDepth: 0 is less than 1",
                "runtime: {threads: -1}           | run.yaml:1: runtime.threads: -1 is less than 0",
                "runtime: {peakGflops: 0}         | run.yaml:1: runtime.peakGflops: 0.0 is not above 0",
            })
    void contradictionsAndValuesOutOfRangeAreRefusedWithTheirLine(String yaml, String message) {
        assertEquals(message, refusal(yaml.replace("\\n", "\n"), Map.of()));
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "mixture.minshare | 0.1 | --set: mixture.minshare: no such key in a run file; did you mean mixture.minShare?",
                "steps            | 10  | --set: steps: no such key in a run file; did you mean schedule.steps?",
                "mixture          | 1   | --set: mixture: a group of keys; set one of mixture.policy",
                "seed.more        | 1   | --set: seed.more: no such key in a run file",
                "seed             | x   | --set: seed: \"x\" is not a whole number",
                "seed             | ''  | --set: seed: \"\" is not a whole number",
                "seed             | {a  | --set seed:1: not YAML",
                "batch.microBatches | 3 | --set: batch.microBatches: 3 does not divide batch.sequences 8",
            })
    void overridesAreRefusedTheSameWay(String key, String value, String start) {
        String message = refusal("", Map.of(key, value));
        assertTrue(message.startsWith(start), message);
    }

    @Test
    void aFileThatIsMissingOrNoTextIsRefused(@TempDir Path folder) throws IOException {
        Path missing = folder.resolve("none.yaml");
        assertEquals(
                missing + ": no such run file",
                assertThrows(RheostatException.class, () -> RunFile.load(missing, Map.of()))
                        .getMessage());
        Path binary = Files.write(folder.resolve("binary.yaml"), new byte[] {(byte) 0xff, (byte) 0xfe, 'a'});
        assertEquals(
                binary + ": not UTF-8 text, so no run file",
                assertThrows(RheostatException.class, () -> RunFile.load(binary, Map.of()))
                        .getMessage());
    }

    @Test
    void domainsAreCheckedOnceTheDatasetIsOpen() {
        String yaml = "mixture:\n  policy: static\n  shares:\n    code: 1\n    prose: 1\n";
        RunFile file = RunFile.parse("run.yaml", yaml, Path.of("/"), Map.of());
        file.checkDomains(List.of("code", "prose"));
        assertRefused(
                file,
                List.of("code", "proses"),
                "run.yaml:5: mixture.shares.prose: no such domain in the dataset; did you mean proses?");
        assertRefused(
                file,
                List.of("code", "prose", "law"),
                "run.yaml:3: mixture.shares: nothing is said of domain law: name every domain of the dataset, with 0 if it is not wanted");
        assertRefused(
                RunFile.parse("run.yaml", "mixture: {minShare: 0.4}", Path.of("/"), Map.of()),
                List.of("a", "b", "c"),
                "run.yaml:1: mixture.minShare: of 3 domains this sums to " + 3 * 0.4 + ", more than the whole");
    }

    private static void assertRefused(RunFile file, List<String> domains, String message) {
        assertEquals(
                message,
                assertThrows(RheostatException.class, () -> file.checkDomains(domains))
                        .getMessage());
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "",
                "model: {preset: ado-124m, norm: layer, mlp: gelu, positions: learned, tied: false, kvHeads: 4}",
                "mixture: {policy: static, shares: {'wiki.en: x': 0.1, b: 1e-9, 'true': 3}}\nprecision: bf16",
                "mixture: {mode: reference, prior: {a: 0.1, b: 0.30000000000000004}}\ndevice: cpu",
                "schedule: {kind: wsd, steps: 1000}\nout: '2024'\nseed: -9223372036854775808",
                "mixture: {policy: natural}\ndata: {draw: multinomial, documentMask: true}",
            })
    void aWrittenConfigReadsBackEqual(String yaml) {
        RunConfig config = parse(yaml);
        assertEquals(config, parse(RunFile.write(config)));
        RunConfig resolved = RunConfigs.resolve(config, 50_257);
        assertEquals(resolved, parse(RunFile.write(resolved)));
        assertEquals(resolved, RunConfigs.resolve(resolved, 50_257), "resolving twice is resolving once");
    }
}
