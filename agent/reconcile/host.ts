/** The loop's parts as they are on a real host. */
import { usedMarks } from '../conntrack/marks.ts'
import { trackOpenSessions } from '../conntrack/open-sessions.ts'
import { NftError } from '../nft/errors.ts'
import type { Nft } from '../nft/nft.ts'
import { type Capabilities, neededFeatures, probe } from '../nft/probe.ts'
import { listLinks } from '../watch/links.ts'
import type { LoopParts } from './loop.ts'

export type HostParts = Omit<LoopParts, 'onOutcome'>

/** Enough for looking; what the host's nft can do has not been asked. */
export function hostParts(nft: Nft): HostParts {
  return {
    nft,
    listDevices: () => listLinks(),
    readMarks: ctMarkMask => usedMarks(ctMarkMask),
    trackOpenSessions,
    jsonCtTimeout: false,
    canLog: true,
  }
}

/**
 * Asks the host's nft what it can do.
 * @throws {NftError} if it cannot be used at all, or lacks what every ruleset needs: nft 0.9.8 takes the ruleset, and
 *                    drops a part of it without a word
 */
export async function probeHost(nft: Nft): Promise<{ readonly capabilities: Capabilities; readonly parts: HostParts }> {
  const capabilities = await probe(nft)
  const lacking = [...neededFeatures].filter(feature => capabilities.features[feature] === 'missing')
  if (lacking.length > 0) throw new NftError('unsupported', 'probe', capabilities.messages.join('; '))
  const jsonCtTimeout = capabilities.features['ct timeout policy'] === 'json'
  const canLog = capabilities.features.NFLOG === 'json'
  return { capabilities, parts: { ...hostParts(nft), jsonCtTimeout, canLog } }
}
