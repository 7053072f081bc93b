package dev.rheostat.op.cuda.build;

import java.io.IOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;

/**
 * Compiles the kernels where there is no nvcc: a step of the build, which kernels/build-images calls. It is not in the jar.
 * Arguments: the folder of NVRTC, the folder of sources, the folder to write to, and targets: of sm_NN it writes
 * kernels-sm_NN.cubin, of compute_NN kernels-compute_NN.ptx. Prints what the compiler says; exit code 1 if it refuses.
 */
final class NvrtcMain {
    private static final String UNIT = "rheostat.cu";

    private NvrtcMain() {}

    public static void main(String[] arguments) throws IOException, InterruptedException {
        List<String> targets = Arrays.asList(arguments).subList(3, arguments.length);
        System.exit(run(Path.of(arguments[0]), Path.of(arguments[1]), Path.of(arguments[2]), targets) ? 0 : 1);
    }

    /** Whether all of them compiled. @throws IOException naming the file that could not be read or written */
    static boolean run(Path library, Path sources, Path out, List<String> targets)
            throws IOException, InterruptedException {
        Nvrtc nvrtc = new Nvrtc(library);
        Map<String, String> texts = texts(sources);
        List<Callable<Nvrtc.Compiled>> compilations = new ArrayList<>();
        for (String target : targets) compilations.add(() -> compile(nvrtc, texts, target));
        boolean compiledAll = true;
        try (ExecutorService threads = Executors.newFixedThreadPool(targets.size())) {
            List<Future<Nvrtc.Compiled>> results = threads.invokeAll(compilations);
            for (int i = 0; i < results.size(); i++) {
                Nvrtc.Compiled compiled = result(results.get(i));
                System.out.print(compiled.log());
                compiledAll &= compiled.image() != null;
                if (compiled.image() != null) Files.write(out.resolve(fileOf(targets.get(i))), compiled.image());
            }
        }
        return compiledAll;
    }

    private static Nvrtc.Compiled result(Future<Nvrtc.Compiled> future) throws InterruptedException {
        try {
            return future.get();
        } catch (ExecutionException e) {
            throw new IllegalStateException(e.getCause());
        }
    }

    private static String fileOf(String target) {
        return "kernels-" + target + (isPtx(target) ? ".ptx" : ".cubin");
    }

    private static boolean isPtx(String target) {
        return target.startsWith("compute_");
    }

    private static Nvrtc.Compiled compile(Nvrtc nvrtc, Map<String, String> texts, String target) {
        List<String> options =
                new ArrayList<>(List.of("--gpu-architecture=" + target, "--std=c++17", "--generate-line-info"));
        if (!isPtx(target)) options.addAll(List.of("--ptxas-options=-v", "--ptxas-options=--warn-on-spills"));
        return nvrtc.compile(UNIT, texts.get(UNIT), texts, options, isPtx(target));
    }

    /** Sources and headers by name; the compiler opens no file. */
    private static Map<String, String> texts(Path sources) throws IOException {
        Map<String, String> texts = new TreeMap<>();
        try (DirectoryStream<Path> files = Files.newDirectoryStream(sources, "*.{cu,cuh}")) {
            for (Path file : files) texts.put(file.getFileName().toString(), Files.readString(file));
        }
        return texts;
    }
}
