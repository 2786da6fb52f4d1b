import { conntrackVersion } from '../../conntrack/tool.ts'
import { defineCheck } from '../check.ts'
import { isOlder } from '../words.ts'

export const conntrackTool = defineCheck({
  name: 'conntrack-tool',
  area: 'connection tracking',
  question: 'Can the table of live sessions be read and added to?',
  needs: [],
  outcomes: {
    'conntrack-tool-missing': {
      severity: 'note',
      means:
        'After some thousands of changes that take something away, sessions of ENIs are judged packet by packet: slower, as strict as before. Sessions that were open before the first policy may be cut where the far end speaks first.',
      advice: 'Install the package conntrack.',
    },
    'conntrack-tool-old': {
      severity: 'note',
      means:
        'Before 1.4.7 it takes no list of sessions: those that were open before the first policy may be cut where the far end speaks first.',
      advice: 'Install a newer package conntrack.',
    },
    'conntrack-tool': {
      severity: 'ok',
      means:
        'Stamps that no session carries any more can be used again, and open sessions are known by who began them.',
      advice: '',
    },
  },
  gather: () => conntrackVersion(),
  judge(version: string | null) {
    if (version === null) return [{ code: 'conntrack-tool-missing', found: 'conntrack not found' }]
    return [
      { code: isOlder(version, [1, 4, 7]) ? 'conntrack-tool-old' : 'conntrack-tool', found: `conntrack ${version}` },
    ]
  },
})
