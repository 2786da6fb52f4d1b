import type { PolicyIr } from './ir.ts'

/** The same policy, nothing logged: for kernels that cannot, and where a ruleset must load whatever the kernel can. */
export function withoutLogs(ir: PolicyIr): PolicyIr {
  return { ...ir, logging: { ...ir.logging, drops: false, sessions: false } }
}
