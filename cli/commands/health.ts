/** `ringwall health`: what among all groups and rules deserves a second look. */
import { type Finding, severities } from '../../rules-compiler/analyze/finding.ts'
import { exitFailed } from '../command.ts'
import { accountFlag } from '../operate/flags.ts'
import { nounCommand } from '../operate/noun-command.ts'
import { verb } from '../operate/verb.ts'
import { failsOn, findingsText } from '../output/findings.ts'

const summary = 'report risky and pointless rules of the fleet'

export const command = nounCommand({
  name: 'health',
  summary,
  verbs: [
    verb({
      name: '',
      summary,
      effect: 'looks',
      words: [],
      flags: {
        account: accountFlag,
        group: { takes: 'text', value: 'GROUP', names: 'group', help: 'only this security group' },
        'fail-on': {
          takes: 'choice',
          choices: severities,
          help: 'exit code 1 if there is a finding of this severity or a higher one',
        },
      },
      details: '"ringwall analyze FILE" says the same of a policy file.',
      async run({ daemon, flags }) {
        const query = {
          accountId: await daemon.accountId(flags.account),
          securityGroupId: flags.group === undefined ? undefined : await daemon.idOf('group', flags.group),
        }
        const answer = await daemon.client.get<{ readonly findings: readonly Finding[] }>('/v1/health-report', query)
        return {
          answer,
          text: () => findingsText(answer.findings).trimEnd().split('\n'),
          exitCode: failsOn(answer.findings, flags['fail-on']) ? exitFailed : 0,
        }
      },
    }),
  ],
})
