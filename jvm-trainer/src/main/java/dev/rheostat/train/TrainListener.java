package dev.rheostat.train;

/** Hears of a run as it goes. Steps are told by the mixture's thread, everything else by the one that trains. */
public interface TrainListener {
    default void step(StepReport report) {}

    default void validated(Validation validation) {}

    default void saved(java.nio.file.Path checkpoint) {}

    /** One sentence that a reader of the log should see. */
    default void note(String sentence) {}
}
