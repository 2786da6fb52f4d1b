import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { readIr } from '../../last-good.ts'
import { ofFirstFormat, readJsonWith } from '../../link/shape.ts'
import { checkRulesetFile } from '../../nft/survey.ts'
import { policyFile, rulesetFile } from '../../state-dir.ts'
import { defineCheck } from '../check.ts'

type Code = 'state-file-damaged' | 'state-behind' | 'state-readable-by-others' | 'no-state-files' | 'state-files'

export interface StateFile {
  readonly name: string
  /** Null where it is whole. */
  readonly fault: string | null
  readonly readableByOthers: boolean
}

const behindFile = 'view.behind'
const jsonFiles = ['credentials.json', 'view.json', 'link.json', 'guard.json', 'observed.json', 'ddos.json'] as const

const anything = ofFirstFormat(value => value)

export const stateFiles = defineCheck<readonly StateFile[], Code>({
  name: 'state-files',
  area: 'state directory',
  question: 'Are the agent’s files whole?',
  needs: [],
  outcomes: {
    'state-file-damaged': {
      severity: 'warning',
      means:
        'The agent sets it aside or goes without it at its next start. Without policy.last-good or view.json it has nothing to put in force until it hears of a policy; without ruleset.nft the host boots open.',
      advice: 'Let the agent write it anew: start it with its policy or its daemon at hand.',
    },
    'state-behind': {
      severity: 'warning',
      means:
        'The disk lacks something that the kernel has: an agent that starts now leaves the ruleset as it is until the daemon answers.',
      advice: 'See why the disk refuses (space, errors); it is written again by itself.',
    },
    'state-readable-by-others': {
      severity: 'warning',
      means: 'Other users of this host can read what is for root alone: the agent’s key, who may reach whom.',
      advice: 'chmod 600.',
    },
    'no-state-files': { severity: 'ok', means: 'Nothing has been kept yet.', advice: '' },
    'state-files': { severity: 'ok', means: 'Each can be read.', advice: '' },
  },
  async gather(host) {
    const canLoad = (await host.nftFault()) === null
    const faultOf = async (name: string, text: string): Promise<string | null> => {
      if (name === policyFile) return readIr(text).faults[0] ?? null
      if (name === rulesetFile) return canLoad ? faultOfRuleset(join(host.stateDir, name)) : null
      return name === behindFile ? null : faultOfJson(text)
    }
    const files = await Promise.all(
      [policyFile, rulesetFile, behindFile, ...jsonFiles].map(async (name): Promise<StateFile[]> => {
        const path = join(host.stateDir, name)
        const mode = await stat(path).then(
          ({ mode: bits }) => bits,
          () => null,
        )
        if (mode === null) return []
        const text = await host.readText(path)
        const fault = text === null ? 'it cannot be read' : await faultOf(name, text)
        return [{ name, fault, readableByOthers: (mode & 0o077) !== 0 }]
      }),
    )
    return files.flat()
  },
  judge(files) {
    const found = files.flatMap(({ name, fault, readableByOthers }): { code: Code; found: string }[] => [
      ...(fault === null ? [] : [{ code: 'state-file-damaged' as const, found: `${name}: ${fault}` }]),
      ...(readableByOthers ? [{ code: 'state-readable-by-others' as const, found: name }] : []),
      ...(name === behindFile ? [{ code: 'state-behind' as const, found: name }] : []),
    ])
    if (found.length > 0) return found
    const names = files.map(({ name }) => name).join(', ')
    return [names === '' ? { code: 'no-state-files', found: 'none' } : { code: 'state-files', found: names }]
  },
})

async function faultOfRuleset(path: string): Promise<string | null> {
  try {
    await checkRulesetFile(path)
    return null
  } catch (error) {
    return (error as Error).message
  }
}

function faultOfJson(text: string): string | null {
  const read = readJsonWith(anything, text)
  return 'fault' in read ? read.fault : null
}
