package dev.rheostat.ado.testbed;

/** How whole sequences are drawn from a mixture; as the trainer's two ways. */
public enum Draw {
    /** Each domain is owed its share of every batch; whole sequences go where most is owed. */
    ERROR_FEEDBACK,
    /** Independent draws, as the published code. */
    MULTINOMIAL;

    /** As data.draw of a run file spells it. @throws IllegalArgumentException for another word */
    public static Draw of(String key) {
        return switch (key) {
            case "error-feedback" -> ERROR_FEEDBACK;
            case "multinomial" -> MULTINOMIAL;
            default ->
                throw new IllegalArgumentException("draw is '" + key + "', must be error-feedback or multinomial");
        };
    }
}
