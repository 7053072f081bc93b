package dev.rheostat.cuda;

/**
 * Blocks and threads of a launch: made once, used at each step.
 *
 * @param gridX blocks, to 2^31 - 1; gridY and gridZ to 65,535
 * @param blockX threads of a block, with blockY at most 1,024 together
 * @param sharedBytes dynamic shared memory of a block; past 48 KiB the kernel must allow it
 */
public record LaunchShape(int gridX, int gridY, int gridZ, int blockX, int blockY, int sharedBytes) {
    /** @throws IllegalArgumentException past the limits of every device we know (CUDA programming guide, table of limits) */
    public LaunchShape {
        boolean grid = gridX > 0 && gridY > 0 && gridZ > 0 && gridY <= 65_535 && gridZ <= 65_535;
        boolean block = blockX > 0 && blockY > 0 && (long) blockX * blockY <= 1024;
        if (!grid || !block || sharedBytes < 0)
            throw new IllegalArgumentException("no launch has grid (" + gridX + ", " + gridY + ", " + gridZ
                    + "), block (" + blockX + ", " + blockY + ") and " + sharedBytes + " bytes of shared memory");
    }

    /** @throws IllegalArgumentException past 2^31 - 1 blocks */
    public static LaunchShape of(long blocks, int threads) {
        if (blocks > Integer.MAX_VALUE) throw new IllegalArgumentException(blocks + " blocks in one launch");
        return new LaunchShape((int) blocks, 1, 1, threads, 1, 0);
    }

    public LaunchShape withSharedBytes(int bytes) {
        return new LaunchShape(gridX, gridY, gridZ, blockX, blockY, bytes);
    }
}
