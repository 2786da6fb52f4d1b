/** `ringwall port-range-list`: named lists of ports. */
import { entryListCommand } from '../operate/entry-lists.ts'
import { portRangeLists } from '../operate/kinds.ts'
import { portsText, readPorts } from '../operate/rule-words.ts'

export const command = entryListCommand({
  name: 'port-range-list',
  summary: 'named lists of ports',
  details: `A rule names one in place of ports: ringwall rule add web ingress allow tcp/prl-web from any`,
  kind: portRangeLists,
  entry: {
    column: { heading: 'PORTS', isWhole: true, cell: entry => portsText(String(entry.portRange)) },
    value: 'PORTS',
    read: (text, flag) => ({ portRange: readPorts(text, `${flag} ${text}`) }),
  },
  create: {
    summary: 'make a list of ports',
    example: 'ringwall port-range-list create prl-web --add 80,443,8000-8100',
    addHelp: 'ports to begin with, 443 or 8000-8100; may be repeated',
  },
  modify: {
    summary: 'add and remove ports, or change what a list of ports is called',
    example: 'ringwall port-range-list modify prl-web --add 8443 --remove 80',
    addHelp: 'ports to add, 443 or 8000-8100; may be repeated',
    removeHelp: 'ports to take away, as they were added; may be repeated',
  },
  maxEntriesHelp: 'how many entries it may have at most, and how many rules one that names it counts for',
  deleteSummary: 'delete a list of ports that no rule names',
})
