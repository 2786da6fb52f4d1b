import { X509Certificate } from 'node:crypto'
import { connect } from 'node:tls'
import type { Credentials } from '../../link/credentials.ts'
import { parseDaemonUrl, resolveHost } from '../../link/daemon-url.ts'
import { faultOf, fingerprintOf, parseCertificate } from '../../link/keys.ts'
import { defineCheck, type Found } from '../check.ts'

type Code =
  | 'credentials-unreadable'
  | 'certificate-invalid'
  | 'certificate-ended'
  | 'daemon-unresolvable'
  | 'daemon-unreachable'
  | 'daemon-untrusted'
  | 'not-joined'
  | 'daemon'

export interface DaemonFacts {
  readonly url: string
  readonly agentId: string
  /** Of this host's own certificate; null where nothing is wrong with it, but that it may have ended. */
  readonly certificateFault: string | null
  readonly certificateExpires: string
  readonly hasEnded: boolean
  /** Null where the name could be resolved. */
  readonly nameFault: string | null
  /** What happened at each address: how far it got. */
  readonly addresses: readonly Answer[]
}

interface Answer {
  readonly address: string
  readonly stage: 'unreachable' | 'untrusted' | 'trusted'
  /** Why it got no further; of the other end's certificate where it did. */
  readonly word: string
}

const timeoutMs = 5_000

export const daemon = defineCheck<DaemonFacts | { readonly fault: string } | null, Code>({
  name: 'daemon',
  area: 'daemon',
  question: 'Can the daemon be reached, and is it the one this host has joined?',
  needs: [],
  outcomes: {
    'credentials-unreadable': {
      severity: 'failure',
      means: 'The agent cannot start led by its daemon.',
      advice: 'Read them as root; where they are damaged, join again with a new token.',
    },
    'certificate-invalid': {
      severity: 'failure',
      means: 'The daemon refuses this agent; the last policy stays in force, and no change comes.',
      advice: 'Set the clock if it is wrong; otherwise join again with a new token.',
    },
    'certificate-ended': {
      severity: 'warning',
      means:
        'The daemon renews it when the agent comes to it, unless it ended too long ago (30 days, where it is not set otherwise there). Until then the last policy stays in force, and no change comes.',
      advice:
        'See that the agent runs and the clock is right. Where the agent’s log says that it is too late: `ringwall agent invite --agent ID` at the daemon, then `ringwall agent join … --force` here, and a restart of the agent.',
    },
    'daemon-untrusted': {
      severity: 'failure',
      means:
        'Whoever listens there is not the daemon that this host has joined; the agent says nothing to it. The last policy stays in force.',
      advice:
        'See whether the name leads to another machine, or somebody is in between. Where the daemon was made anew, join it again.',
    },
    'daemon-unresolvable': {
      severity: 'warning',
      means: 'An agent that runs keeps the addresses it had; the last policy stays in force, and changes may not come.',
      advice: 'Look at /etc/resolv.conf and the name server, and whether an egress rule keeps DNS from it.',
    },
    'daemon-unreachable': {
      severity: 'warning',
      means: 'The last policy stays in force, and no change comes by this address.',
      advice:
        'See whether the daemon runs, and whether another firewall is in between. Groups never judge this connection.',
    },
    'not-joined': { severity: 'ok', means: 'This host is led by a policy file, or by nobody yet.', advice: '' },
    daemon: { severity: 'ok', means: 'It is the one whose CA this host knows.', advice: '' },
  },
  async gather(host) {
    let credentials: Credentials | null
    try {
      credentials = await host.credentials()
    } catch (error) {
      return { fault: (error as Error).message }
    }
    return credentials === null ? null : askDaemon(credentials)
  },
  judge(facts) {
    if (facts === null) return [{ code: 'not-joined', found: 'no credentials' }]
    if ('fault' in facts) return [{ code: 'credentials-unreadable', found: facts.fault }]
    const { url, agentId, certificateFault, nameFault, addresses, certificateExpires, hasEnded } = facts
    const found: Found<Code>[] = [
      ...(certificateFault === null
        ? []
        : [{ code: 'certificate-invalid' as const, found: `the agent’s certificate: ${certificateFault}` }]),
      ...(hasEnded
        ? [
            {
              code: 'certificate-ended' as const,
              found: `the certificate of ${agentId} ended at ${certificateExpires}`,
            },
          ]
        : []),
      ...(nameFault === null ? [] : [{ code: 'daemon-unresolvable' as const, found: `${url}: ${nameFault}` }]),
      ...addresses.flatMap(({ address, stage, word }): Found<Code>[] =>
        stage === 'trusted'
          ? []
          : [{ code: `daemon-${stage}`, found: `${url} at ${address}: ${word}`, details: facts }],
      ),
    ]
    if (found.length > 0) return found
    const fingerprint = addresses[0]?.word ?? ''
    return [
      {
        code: 'daemon',
        found: `${url}, certificate ${fingerprint}; this host’s is good until ${certificateExpires.slice(0, 10)}`,
        details: facts,
      },
    ]
  },
})

async function askDaemon({ daemonUrl, agentId, certificate, caCertificate }: Credentials): Promise<DaemonFacts> {
  const [own, ca] = [parseCertificate(certificate), parseCertificate(caCertificate)]
  const now = new Date()
  const hasEnded = own !== null && own.validToDate < now
  const facts = {
    url: daemonUrl,
    agentId,
    certificateFault:
      own === null || ca === null ? 'not a certificate in PEM' : faultOf(own, 'client', ca, hasEnded ? null : now),
    certificateExpires: own?.validToDate.toISOString() ?? '',
    hasEnded,
  }
  const { host, port } = parseDaemonUrl(daemonUrl)
  try {
    const addresses = await resolveHost(host)
    const answers = addresses.map(address => ask(address, port, ca))
    return { ...facts, nameFault: null, addresses: await Promise.all(answers) }
  } catch (error) {
    return { ...facts, nameFault: (error as Error).message, addresses: [] }
  }
}

/** As far as the certificate of the other end: nothing is sent over the connection. */
function ask(address: string, port: number, ca: X509Certificate | null): Promise<Answer> {
  const { promise, resolve } = Promise.withResolvers<Answer>()
  const socket = connect({
    host: address,
    port,
    minVersion: 'TLSv1.3',
    rejectUnauthorized: false,
    ALPNProtocols: ['http/1.1'],
  })
  let isConnected = false
  const settle = (stage: Answer['stage'], word: string) => {
    socket.destroy()
    resolve({ address, stage, word })
  }
  const fail = (word: string) => settle(isConnected ? 'untrusted' : 'unreachable', word)
  socket.setTimeout(timeoutMs, () => fail(`no answer within ${timeoutMs / 1000} s`))
  socket.on('error', (error: NodeJS.ErrnoException) => fail(error.code ?? error.message))
  socket.on('connect', () => {
    isConnected = true
  })
  socket.on('secureConnect', () => {
    const { raw } = socket.getPeerCertificate()
    const presented = raw === undefined ? null : new X509Certificate(raw)
    const fault = presented === null || ca === null ? 'it shows no certificate' : faultOf(presented, 'server', ca)
    if (fault === null) settle('trusted', fingerprintOf(presented!))
    else settle('untrusted', `its certificate is ${fault}`)
  })
  return promise
}
