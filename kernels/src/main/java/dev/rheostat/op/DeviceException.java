package dev.rheostat.op;

/** The machine that ops run on has failed, or cannot do what is asked. The message is one sentence, with a cure where one is known. */
public final class DeviceException extends RuntimeException {
    private static final long serialVersionUID = 1L;

    public DeviceException(String message) {
        super(message);
    }

    public DeviceException(String message, Throwable cause) {
        super(message, cause);
    }
}
