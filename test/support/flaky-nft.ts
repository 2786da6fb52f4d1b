/**
 * An `nft` that is put before the host's own in PATH and does as a file says: nothing special, refuse what changes the
 * ruleset, take its time with it, or do as on a kernel that was built without NFLOG.
 */
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export interface FlakyNft extends AsyncDisposable {
  /** Put before a command that shall use it. */
  readonly prefix: readonly string[]
  /**
   * `refuse`: every change is refused, reading goes on; `slow`: every change takes a second longer; `without-logs`:
   * every change that logs is refused, as the kernel does where a module is missing.
   */
  behave(how: 'well' | 'refuse' | 'slow' | 'without-logs'): Promise<void>
}

const script = (mode: string) => `#!/bin/sh
for word in "$@"; do
  case $word in list|monitor|--version) exec /usr/sbin/nft "$@" ;; esac
done
case $(cat ${mode}) in
  refuse) echo "Error: Could not process rule: Device or resource busy" >&2; exit 1 ;;
  slow) sleep 1 ;;
  without-logs)
    input=$(cat)
    case "$* $input" in
      *'"log"'*|*' log prefix '*) echo "Error: Could not process rule: No such file or directory" >&2; exit 1 ;;
    esac
    printf '%s' "$input" | /usr/sbin/nft "$@"
    exit ;;
esac
exec /usr/sbin/nft "$@"
`

export async function makeFlakyNft(): Promise<FlakyNft> {
  const folder = await mkdtemp(join(tmpdir(), 'ringwall-nft-'))
  const mode = join(folder, 'mode')
  const behave = (how: string) => writeFile(mode, how)
  await behave('well')
  await writeFile(join(folder, 'nft'), script(mode))
  await chmod(join(folder, 'nft'), 0o755)
  return {
    prefix: ['env', `PATH=${folder}:${process.env.PATH}`],
    behave,
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true }),
  }
}
