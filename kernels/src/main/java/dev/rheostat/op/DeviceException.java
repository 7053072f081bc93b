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

    /** Of a machine that neither works nor fails. @param waited what was waited for, and how long: "step 3 has been running for 60 s" */
    public static DeviceException hangs(String waited) {
        return new DeviceException(
                waited
                        + ": the device hangs; look at the kernel log for its Xid messages, then start again from the last checkpoint");
    }
}
