package dev.rheostat.ado.testbed;

/** How whole sequences are drawn from a mixture; as the trainer's two ways. */
public enum Draw {
    /** Each domain is owed its share of every batch; whole sequences go where most is owed. */
    ERROR_FEEDBACK,
    /** Independent draws, as the published code. */
    MULTINOMIAL
}
