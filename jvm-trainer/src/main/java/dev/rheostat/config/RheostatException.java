package dev.rheostat.config;

/** A failure that is not our bug: one sentence for the user, and the exit code that tells scripts what kind it is. */
public final class RheostatException extends RuntimeException {
    private static final long serialVersionUID = 1L;

    /** Exit codes of every command. 0 is done, 1 our bug. */
    public enum Kind {
        /** A file, key or value that cannot be meant. */
        BAD_REQUEST(2),
        /** The machine lacks what is asked for, or ran out of it. */
        MACHINE(3),
        /** Data or a checkpoint is damaged or does not fit. */
        DAMAGED(4),
        /** Training diverged. */
        DIVERGED(5),
        /** SIGINT; the run was saved. */
        INTERRUPTED(130),
        /** SIGTERM; the run was saved. */
        TERMINATED(143);

        private final int exitCode;

        Kind(int exitCode) {
            this.exitCode = exitCode;
        }

        public int exitCode() {
            return exitCode;
        }
    }

    private final Kind kind;

    public RheostatException(Kind kind, String sentence) {
        super(sentence);
        this.kind = kind;
    }

    public RheostatException(Kind kind, String sentence, Throwable cause) {
        super(sentence, cause);
        this.kind = kind;
    }

    public Kind kind() {
        return kind;
    }
}
