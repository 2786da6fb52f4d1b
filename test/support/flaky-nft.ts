/**
 * An `nft` that is put before the host's own in PATH and does as a file says: nothing special, refuse what changes the
 * ruleset, let it wait, or do as on a kernel that was built without NFLOG.
 */
import { chmod, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export interface FlakyNft extends AsyncDisposable {
  /** Put before a command that shall use it. */
  readonly prefix: readonly string[]
  /**
   * `refuse`: every change is refused, reading goes on; `wait`: every change waits until it shall behave otherwise;
   * `without-logs`: every change that logs is refused, as the kernel does where a module is missing.
   */
  behave(how: 'well' | 'refuse' | 'wait' | 'without-logs'): Promise<void>
  /** What has had to wait. */
  changes(): Promise<string>
}

const script = (mode: string, changes: string) => `#!/bin/sh
for word in "$@"; do
  case $word in list|monitor|--version) exec /usr/sbin/nft "$@" ;; esac
done
case $(cat ${mode}) in
  refuse) echo "Error: Could not process rule: Device or resource busy" >&2; exit 1 ;;
  wait)
    cat >>${changes}
    while [ "$(cat ${mode})" = wait ]; do sleep 0.05; done
    # From the beginning again, and with the pid by which the agent knows its own changes.
    exec /usr/sbin/nft "$@" </dev/stdin ;;
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
  const changes = join(folder, 'changes')
  const behave = async (how: string) => {
    await writeFile(`${mode}.new`, how)
    await rename(`${mode}.new`, mode)
  }
  await Promise.all([behave('well'), writeFile(changes, '')])
  await writeFile(join(folder, 'nft'), script(mode, changes))
  await chmod(join(folder, 'nft'), 0o755)
  return {
    prefix: ['env', `PATH=${folder}:${process.env.PATH}`],
    behave,
    changes: () => readFile(changes, 'utf8'),
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true }),
  }
}
