/** The nft of another Debian release, unpacked aside by `scripts/nft-version.sh`; `scripts/setup.sh test` has them fetched. */
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'

export interface OtherNft {
  /** The search path, with it first. */
  readonly path: string
  /** As node:test's `skip` option wants it: false, or the reason to skip. */
  readonly skip: string | false
}

/** False, or the reason to skip what uses the machine's own library: one of 1.0.6 crashes on what nft 1.1.7 wrote. */
export const needsOwnNft: string | false =
  process.env.PATH?.includes('/node_modules/.cache/nft/') === true &&
  "needs the machine's own nft: its library is of another version"

/** @param suite  `trixie` */
export function otherNft(suite: string): OtherNft {
  try {
    const script = join(import.meta.dirname, '../../scripts/nft-version.sh')
    const folder = execFileSync('sh', [script, suite, 'cached'], { encoding: 'utf8', stdio: 'pipe' }).trim()
    return { path: `${folder}:${process.env.PATH}`, skip: false }
  } catch {
    return { path: '', skip: `needs the nft of Debian ${suite}: run, as root, sh scripts/nft-version.sh ${suite}` }
  }
}
