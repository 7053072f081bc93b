package dev.rheostat.cuda;

/** How the resources of this package give back what they hold. */
final class Released {
    private Released() {}

    /**
     * Runs a release. Of a context that a failure has killed nothing can be freed, and the process's end frees it all: such a
     * refusal is dropped, so that closing never hides the failure that is being reported.
     */
    static void now(Runnable release) {
        try {
            release.run();
        } catch (CudaException e) {
            if (!e.sticky()) throw e;
        }
    }
}
