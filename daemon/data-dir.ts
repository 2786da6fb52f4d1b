/** Where a daemon keeps its state unless it is told. Stands alone: commands that need no schema ask for it too. */
export const defaultDataDir = '/var/lib/ringwall-daemon'
