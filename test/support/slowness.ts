/**
 * How many times slower than usual the machine may be, for those that are emulated (scripts/vm.sh): time limits, and times
 * after which silence counts for a drop, are multiplied by it. RINGWALL_TEST_SLOWNESS, 1 where left out.
 */
export const slowness = Number(process.env.RINGWALL_TEST_SLOWNESS ?? 1)
