package dev.rheostat.train;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.rheostat.config.RheostatException;
import dev.rheostat.config.RheostatException.Kind;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.channels.OverlappingFileLockException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;

/**
 * The folder of one run, held by one process at a time.
 *
 * <pre>
 * run.yaml          the resolved config, written once
 * metrics.jsonl     one line a step
 * validation.jsonl  one line an evaluation
 * fits.jsonl        one line each time a fit took effect
 * steering.jsonl    one line a change that an operator made
 * checkpoints/      step-00000100/, ...
 * report.html       made when the run ends, and by rheostat report
 * lock              held while a process writes here; names it
 * </pre>
 */
public final class RunFolder implements AutoCloseable {
    private static final ObjectMapper JSON = new ObjectMapper();

    private final Path path;
    private final FileChannel lockChannel;
    private final FileLock lock;

    private RunFolder(Path path, FileChannel lockChannel, FileLock lock) {
        this.path = path;
        this.lockChannel = lockChannel;
        this.lock = lock;
    }

    /**
     * Makes a folder for a new run and writes its config.
     * @throws RheostatException BAD_REQUEST if it holds a run already or another process holds it; MACHINE if it cannot be written
     */
    public static RunFolder create(Path path, String config) {
        if (Files.exists(path.resolve("run.yaml")))
            throw new RheostatException(
                    Kind.BAD_REQUEST,
                    path + " already holds a run: resume it (rheostat resume " + path + ") or give another --out");
        try {
            Files.createDirectories(path);
        } catch (IOException e) {
            throw new RheostatException(Kind.MACHINE, "cannot make the run folder " + path + ": " + e.getMessage(), e);
        }
        RunFolder folder = lock(path);
        try {
            Files.writeString(path.resolve("run.yaml"), config, StandardOpenOption.CREATE_NEW);
        } catch (IOException e) {
            folder.close();
            throw new RheostatException(
                    Kind.MACHINE, "cannot write " + path.resolve("run.yaml") + ": " + e.getMessage(), e);
        }
        return folder;
    }

    /** An existing run, to be gone on with. @throws RheostatException BAD_REQUEST if it is none or another process holds it */
    public static RunFolder open(Path path) {
        if (!Files.isRegularFile(path.resolve("run.yaml")))
            throw new RheostatException(Kind.BAD_REQUEST, path + " is no run folder: it has no run.yaml");
        return lock(path);
    }

    private static RunFolder lock(Path path) {
        Path file = path.resolve("lock");
        FileChannel channel = null;
        try {
            channel = FileChannel.open(
                    file, StandardOpenOption.CREATE, StandardOpenOption.READ, StandardOpenOption.WRITE);
            FileLock lock = tryLock(channel);
            if (lock == null) {
                String holder = Files.readString(file).strip();
                throw new RheostatException(
                        Kind.BAD_REQUEST,
                        path + " is held by another run (" + holder + "): wait for it or stop it first");
            }
            channel.truncate(0);
            String name = "process " + ProcessHandle.current().pid();
            channel.write(ByteBuffer.wrap(name.getBytes(StandardCharsets.UTF_8)));
            return new RunFolder(path, channel, lock);
        } catch (IOException e) {
            closeQuietly(channel);
            throw new RheostatException(Kind.MACHINE, "cannot lock " + file + ": " + e.getMessage(), e);
        } catch (RheostatException e) {
            closeQuietly(channel);
            throw e;
        }
    }

    /** Whether a process is training there right now. */
    public static boolean isHeld(Path path) {
        try (RunFolder ours = lock(path)) {
            return ours.path == null;
        } catch (RheostatException e) {
            if (e.kind() == Kind.BAD_REQUEST) return true;
            throw e;
        }
    }

    private static FileLock tryLock(FileChannel channel) throws IOException {
        try {
            return channel.tryLock();
        } catch (OverlappingFileLockException e) {
            return null; // held by this very process
        }
    }

    private static void closeQuietly(FileChannel channel) {
        try {
            if (channel != null) channel.close();
        } catch (IOException e) {
            // The lock goes with the process; what matters is thrown by the caller.
        }
    }

    public Path path() {
        return path;
    }

    public Path config() {
        return path.resolve("run.yaml");
    }

    public Path metrics() {
        return path.resolve("metrics.jsonl");
    }

    public Path validation() {
        return path.resolve("validation.jsonl");
    }

    public Path fits() {
        return path.resolve("fits.jsonl");
    }

    public Path report() {
        return path.resolve("report.html");
    }

    public Path checkpoints() {
        return path.resolve("checkpoints");
    }

    /**
     * Forgets what was written after the first {@code steps} steps: lines of later steps, and a last line that is not whole.
     * Validation of the state after {@code steps} steps stays.
     */
    public void truncate(long steps) {
        truncate(metrics(), steps);
        truncate(validation(), steps + 1);
        truncate(fits(), steps);
    }

    /** Makes a folder in which nothing was done yet free again for another run: its config goes. */
    public void abandonIfUnused() {
        try {
            if (Files.exists(metrics()) && Files.size(metrics()) > 0 || Files.exists(checkpoints())) return;
            Files.deleteIfExists(config());
        } catch (IOException e) {
            throw new RheostatException(Kind.MACHINE, "cannot tidy " + path + ": " + e.getMessage(), e);
        }
    }

    private static void truncate(Path file, long endStep) {
        if (!Files.exists(file)) return;
        try (FileChannel channel = FileChannel.open(file, StandardOpenOption.READ, StandardOpenOption.WRITE)) {
            byte[] bytes = Files.readAllBytes(file);
            int keep = 0;
            for (int i = 0; i < bytes.length; i++) {
                if (bytes[i] != '\n') continue;
                JsonNode step = readLine(bytes, keep, i).path("step");
                if (!step.isNumber() || step.longValue() >= endStep) break;
                keep = i + 1;
            }
            channel.truncate(keep);
        } catch (IOException e) {
            throw new RheostatException(
                    Kind.MACHINE, "cannot cut " + file + " back to the checkpoint: " + e.getMessage(), e);
        }
    }

    private static JsonNode readLine(byte[] bytes, int start, int end) {
        try {
            return JSON.readTree(bytes, start, end - start);
        } catch (IOException e) {
            return JSON.missingNode();
        }
    }

    @Override
    public void close() {
        try {
            lock.release();
            lockChannel.close();
        } catch (IOException e) {
            throw new RheostatException(
                    Kind.MACHINE, "cannot release " + path.resolve("lock") + ": " + e.getMessage(), e);
        }
    }
}
