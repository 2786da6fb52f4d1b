import { defineCheck } from '../check.ts'

/** CAP_NET_ADMIN (capabilities(7)). */
const netAdmin = 1n << 12n

export const privileges = defineCheck({
  name: 'privileges',
  area: 'this process',
  question: 'May this process change the network of this host?',
  needs: [],
  outcomes: {
    'not-privileged': {
      severity: 'failure',
      means: 'Without CAP_NET_ADMIN neither this report nor the agent can use nftables.',
      advice: 'Run it as root.',
    },
    'not-root': {
      severity: 'note',
      means: 'Files that are for root alone were not looked at.',
      advice: 'Run it as root for the whole report.',
    },
    privileges: { severity: 'ok', means: 'The network may be changed, and files be read.', advice: '' },
  },
  async gather({ readText }) {
    const status = (await readText('/proc/self/status')) ?? ''
    return { uid: process.getuid?.() ?? -1, capabilities: /^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1] ?? '0' }
  },
  judge({ uid, capabilities }) {
    if ((BigInt(`0x${capabilities}`) & netAdmin) === 0n) return [{ code: 'not-privileged', found: `user id ${uid}` }]
    return [{ code: uid === 0 ? 'privileges' : 'not-root', found: `user id ${uid}` }]
  },
})
