package dev.rheostat.ado;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;

class ShareBoundsTest {
    private static final long FREE = ShareBounds.UNLIMITED;
    private static final long[] NOTHING_DRAWN = {0, 0, 0};

    private static ShareBounds bounds(double[] floor_K, double[] cap_K, long... limit_K) {
        return new ShareBounds(floor_K, cap_K, limit_K);
    }

    @Test
    void aMixtureInsideComesBackAsItIs() {
        double[] mixture_K = {.5, .3, .2};
        assertSame(mixture_K, ShareBounds.none(3).apply(mixture_K, NOTHING_DRAWN, 8));
    }

    /** By hand: .7 goes down to .4, and the .3 that it leaves goes to the others in their ratio of two to one. */
    @Test
    void whatACapTakesGoesToTheOthersInTheirRatio() {
        ShareBounds bounds = bounds(new double[3], new double[] {.4, 1, 1}, FREE, FREE, FREE);
        assertArrayEquals(new double[] {.4, .4, .2}, bounds.apply(new double[] {.7, .2, .1}, NOTHING_DRAWN, 8), 1e-15);
    }

    @Test
    void aDomainThatHasBeenSeenAsOftenAsItMayHandsItsShareOn() {
        ShareBounds bounds = bounds(new double[] {.1, 0, 0}, new double[] {1, 1, 1}, 100, FREE, FREE);
        double[] mixture_K = {.5, .3, .2};
        assertSame(mixture_K, bounds.apply(mixture_K, new long[] {90, 0, 0}, 8));
        assertArrayEquals( // two of eight are left
                new double[] {.25, .45, .3}, bounds.apply(mixture_K, new long[] {98, 0, 0}, 8), 1e-15);
        assertArrayEquals( // a limit counts more than a floor
                new double[] {0, .6, .4}, bounds.apply(mixture_K, new long[] {100, 0, 0}, 8), 1e-15);
    }

    /** Both of the others are capped at .3, but the first has nothing left: a limit counts more than a cap. */
    @Test
    void capsGiveWayWhereLimitsLeaveNoMixture() {
        ShareBounds bounds = bounds(new double[3], new double[] {.6, .3, .3}, 10, FREE, FREE);
        double[] share_K = bounds.apply(new double[] {.6, .2, .2}, new long[] {10, 0, 0}, 8);
        assertArrayEquals(new double[] {0, .5, .5}, share_K, 1e-15);
    }

    @Test
    void allThatDomainsHaveIsCounted() {
        assertEquals(
                60, bounds(new double[3], new double[] {1, 1, 1}, 10, 20, 30).totalLimit());
        assertEquals(
                FREE,
                bounds(new double[3], new double[] {1, 1, 1}, 10, FREE, 30).totalLimit());
    }

    @Test
    void boundsThatLeaveNoMixtureAreRefused() {
        double[] none = new double[3], all = {1, 1, 1};
        String floors = assertThrows(
                        IllegalArgumentException.class, () -> bounds(new double[] {.4, .4, .4}, all, FREE, FREE, FREE))
                .getMessage();
        assertTrue(floors.contains("minShare"), floors);
        String caps = assertThrows(
                        IllegalArgumentException.class, () -> bounds(none, new double[] {.3, .3, .3}, FREE, FREE, FREE))
                .getMessage();
        assertTrue(caps.contains("maxShare"), caps);
        assertThrows(
                IllegalArgumentException.class,
                () -> bounds(new double[] {.5, 0, 0}, new double[] {.4, 1, 1}, FREE, FREE, FREE));
    }
}
