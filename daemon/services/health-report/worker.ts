/**
 * Analyses a survey in a thread of its own: for a thousand groups of a hundred rules that takes seconds, in which the
 * daemon goes on answering. The survey comes in parts, so that no part of it holds up the daemon either.
 */
import { parentPort } from 'node:worker_threads'
import { parseCidr } from '../../../rules-compiler/address/cidr.ts'
import { analyze } from '../../../rules-compiler/analyze/analyze.ts'
import { type Finding, severities } from '../../../rules-compiler/analyze/finding.ts'
import { defaultInstance, defaultSettings, type Policy } from '../../../rules-compiler/model/policy.ts'
import { readRule } from '../../../rules-compiler/validate/read-rule.ts'
import { fileRule } from '../../model/file-rule.ts'
import { type HealthReport, maxEniIds, type ShownFinding } from '../../schemas/health-report.ts'
import { type Survey, type SurveyedEni, type SurveyedGroup, unknownMembers } from './survey.ts'

export type Part =
  | { readonly kind: 'groups'; readonly groups: readonly SurveyedGroup[] }
  | { readonly kind: 'enis'; readonly enis: readonly SurveyedEni[] }
  /** The rest; answered by a report. */
  | {
      readonly kind: 'end'
      readonly rest: Omit<Survey, 'groups' | 'enis'>
      readonly maxResults: number
    }

const groups: SurveyedGroup[] = []
const enis: SurveyedEni[] = []

parentPort?.on('message', (part: Part) => {
  switch (part.kind) {
    case 'groups':
      groups.push(...part.groups)
      break
    case 'enis':
      enis.push(...part.enis)
      break
    case 'end':
      parentPort?.postMessage(makeReport(part))
      break
    default:
      part satisfies never
  }
})

function makeReport({ rest, maxResults }: Extract<Part, { kind: 'end' }>): HealthReport {
  const reported = new Set(rest.groupIds)
  const findings = analyze(policyOf(rest)).filter(({ groupId }) => reported.has(groupId))
  const count = (wanted: Finding['severity']) => findings.filter(({ severity }) => severity === wanted).length
  return {
    revision: rest.revision,
    findings: findings.slice(0, maxResults).map(showFinding),
    totalCount: findings.length,
    severities: Object.fromEntries(
      severities.map(severity => [severity, count(severity)]),
    ) as HealthReport['severities'],
  }
}

/** Port 25 and addresses of ENIs play no part in the analysis, so one instance has all of them. */
const instance = { ...defaultInstance, id: 'i', smtpUnblocked: true }

/** What is stored was checked when it was written, and is not checked again. Modes are reported beside the findings. */
function policyOf({ prefixLists }: Omit<Survey, 'groups' | 'enis'>): Policy {
  return {
    instances: [instance],
    interfaces: enis.map(({ id, addresses, securityGroupIds, nicType }) => ({
      id,
      instanceId: instance.id,
      device: '',
      placement: 'host',
      addresses,
      securityGroupIds,
      nicType,
      mode: 'enforce',
    })),
    securityGroups: groups.map(({ rules, ...group }) => ({
      ...group,
      name: null,
      description: null,
      tags: {},
      ownerAccount: null,
      mode: 'enforce',
      rules: rules.map(rule => readRule(fileRule(group, rule), group.id)!.rule),
    })),
    prefixLists: prefixLists.map(({ id, entries }) => ({
      id,
      name: null,
      entries: entries.map(({ cidr }) => parseCidr(cidr)!),
    })),
    settings: defaultSettings,
  }
}

function showFinding({ kind, severity, groupId, ruleIds, coveredBy, eniIds, message, witness }: Finding): ShownFinding {
  return {
    kind,
    severity,
    groupId,
    ruleIds: [...ruleIds],
    coveredBy: coveredBy.map(cover => ({ ...cover })),
    eniIds: eniIds.slice(0, maxEniIds),
    eniCount: eniIds.length,
    message,
    witness: witness === null || isUnknown(witness.source) || isUnknown(witness.destination) ? null : witness,
  }
}

function isUnknown(address: string): boolean {
  return unknownMembers.includes(address)
}
