/**
 * What the agent leaves on disk: the last policy that stood in the kernel, and the ruleset it made, which plain
 * `nft -f` can load at boot, before the network is up and without Node.
 */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { makeFolder, writeAtomically } from '../common/files.ts'

export interface StateDir {
  /** The policy text that was in force last; null where there is none or it cannot be read. */
  readonly readPolicyText: () => Promise<string | null>
  /**
   * One after the other, in the order called.
   * @throws {Error} if the disk refuses; what was there before stays whole
   */
  readonly write: (policyText: string, rulesetText: string) => Promise<void>
}

export const policyFile = 'policy.last-good'
export const rulesetFile = 'ruleset.nft'

export function openStateDir(path: string): StateDir {
  let writing: Promise<unknown> = Promise.resolve()

  async function writeBoth(policyText: string, rulesetText: string): Promise<void> {
    await makeFolder(path)
    await writeAtomically(join(path, rulesetFile), rulesetText)
    await writeAtomically(join(path, policyFile), policyText)
  }

  return {
    async readPolicyText() {
      try {
        return await readFile(join(path, policyFile), 'utf8')
      } catch {
        return null
      }
    },
    write(policyText, rulesetText) {
      const written = writing.then(() => writeBoth(policyText, rulesetText))
      writing = written.catch(() => {})
      return written
    },
  }
}
