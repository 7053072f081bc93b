package dev.rheostat.ado;

import java.util.List;

/**
 * All that ADO remembers; arrays are never written.
 *
 * @param step the last observed, -1 before the first
 * @param n sequences of all domains so far
 * @param history_K h, moving average of the shares drawn
 * @param average_K average of the targets of earlier steps; target_K joins it when the next step is observed, so that a fit
 *     adopted in between still changes it
 * @param target_K rho of this step; empty until a law steers
 * @param mixture_K pi of this step
 * @param fits what the last refit gave; empty before the first
 * @param refitDue the last observation reached a step at which a fit is due
 */
record AdoState(
        long step,
        long n,
        double[] history_K,
        double[] average_K,
        double[] target_K,
        double[] mixture_K,
        List<DomainFit> fits,
        LossMemory losses,
        boolean refitDue)
        implements PolicyState {}
