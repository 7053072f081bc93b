package dev.rheostat.ado;

/** What a policy must be told of a run; who drives it provides it or refuses the policy before the first step. */
public enum Need {
    /** Every step's mean training loss of each domain. */
    TRAIN_LOSS,
    /** Each domain's validation loss after the steps that {@link MixturePolicy#validationDue} names. */
    VALIDATION_LOSS,
    /** How far each domain's training loss is above a reference model's: {@link Observation#excessNats_K}. */
    REFERENCE_LOSS,
    /** Stretches of the run whose mixture serves to measure, between two validations. */
    PROBE_WINDOWS
}
