import { NftError } from '../../nft/errors.ts'
import { defineCheck } from '../check.ts'
import { isOlder } from '../words.ts'

/** A RunError of common/exec.ts, by which nft is run. */
interface RunFault {
  readonly kind: string
}

export const nft = defineCheck({
  name: 'nft',
  area: 'nftables',
  question: 'Is there an nft that works?',
  needs: [],
  outcomes: {
    'nft-missing': {
      severity: 'failure',
      means: 'Ringwall uses the nft of the host, and there is none in the search path.',
      advice: 'Install the package nftables.',
    },
    'nft-unusable': {
      severity: 'failure',
      means: 'nft or the kernel refuses even to list: nothing can be enforced.',
      advice:
        'See what it says. A container needs CAP_NET_ADMIN, a kernel the module nf_tables; where it crashes, install the nft that wrote the tables.',
    },
    'nft-old': {
      severity: 'warning',
      means: 'Before 1.0.2 nft lacks parts of what Ringwall needs. It was tested with 1.0.6 to 1.1.7.',
      advice: 'See which features are missing; install a newer package nftables.',
    },
    nft: { severity: 'ok', means: 'It lists what is there.', advice: '' },
  },
  async gather(host) {
    const fault = await host.nftFault()
    return fault === null ? { version: await host.nft.version() } : { fault }
  },
  judge(facts) {
    if ('fault' in facts) {
      const { fault } = facts
      const isMissing = fault instanceof NftError && (fault.cause as RunFault | undefined)?.kind === 'no-such-command'
      const found = fault instanceof Error ? fault.message : String(fault)
      return [isMissing ? { code: 'nft-missing', found: 'nft not found' } : { code: 'nft-unusable', found }]
    }
    return [{ code: isOlder(facts.version, [1, 0, 2]) ? 'nft-old' : 'nft', found: facts.version }]
  },
})
