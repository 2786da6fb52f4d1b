/** Every check, in the order they are made and documented. */
import type { Check } from './check.ts'
import { agentLock } from './checks/agent-lock.ts'
import { baseChains } from './checks/base-chains.ts'
import { boot } from './checks/boot.ts'
import { clock } from './checks/clock.ts'
import { configuration } from './checks/configuration.ts'
import { conntrackSettings } from './checks/conntrack-settings.ts'
import { conntrackTable } from './checks/conntrack-table.ts'
import { conntrackTimeouts } from './checks/conntrack-timeouts.ts'
import { conntrackTool } from './checks/conntrack-tool.ts'
import { ctMarks } from './checks/ct-marks.ts'
import { daemon } from './checks/daemon.ts'
import { devices } from './checks/devices.ts'
import { elementUpdate } from './checks/element-update.ts'
import { endings } from './checks/endings.ts'
import { enis } from './checks/enis.ts'
import { features } from './checks/features.ts'
import { flowtables } from './checks/flowtables.ts'
import { flushRuleset } from './checks/flush-ruleset.ts'
import { forwarding } from './checks/forwarding.ts'
import { ipv6 } from './checks/ipv6.ts'
import { kernel } from './checks/kernel.ts'
import { legacyIptables } from './checks/legacy-iptables.ts'
import { nft } from './checks/nft.ts'
import { offloads } from './checks/offloads.ts'
import { panic } from './checks/panic.ts'
import { perl } from './checks/perl.ts'
import { privileges } from './checks/privileges.ts'
import { programsCheck } from './checks/programs.ts'
import { rescue } from './checks/rescue.ts'
import { rpFilter } from './checks/rp-filter.ts'
import { scrubFeatures } from './checks/scrub-features.ts'
import { stateDir } from './checks/state-dir.ts'
import { stateFiles } from './checks/state-files.ts'
import { unprintable } from './checks/unprintable.ts'
import { untracked } from './checks/untracked.ts'

export const checks: readonly Check[] = [
  privileges,
  kernel,
  clock,
  agentLock,
  endings,
  configuration,
  rescue,
  nft,
  features,
  scrubFeatures,
  elementUpdate,
  perl,
  baseChains,
  programsCheck,
  flowtables,
  legacyIptables,
  unprintable,
  flushRuleset,
  conntrackTable,
  conntrackSettings,
  conntrackTimeouts,
  conntrackTool,
  ctMarks,
  untracked,
  devices,
  enis,
  offloads,
  forwarding,
  rpFilter,
  ipv6,
  stateDir,
  stateFiles,
  boot,
  panic,
  daemon,
]
