package dev.rheostat.op;

/** The machine has not the memory that a plan asks for. The message names purpose, size and what was free. */
public final class OutOfMemoryException extends RuntimeException {
    private static final long serialVersionUID = 1L;

    public OutOfMemoryException(String message) {
        super(message);
    }
}
