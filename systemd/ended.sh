#!/bin/sh
# Says in the journal why the agent has ended, where that was not its own will; run by ringwall-agent.service after its
# end, with what systemd knows of it (systemd.exec(5), SERVICE_RESULT). Where memory ran out it is not started again at
# once: that would take what others wait for, and fail the same.
set -u
restSeconds=5

# The kernel counts per control group; without one for memory, nobody can tell who has sent the signal.
memory_ran_out() {
  group=$(sed -n 's/^0:://p' /proc/self/cgroup)
  grep -q '^oom_kill [1-9]' "/sys/fs/cgroup$group/memory.events" 2>/dev/null
}

rest=0
case ${SERVICE_RESULT-success} in
  success | exit-code) exit 0 ;;
  oom-kill) why='the kernel killed it because memory ran out' rest=$restSeconds ;;
  signal | core-dump)
    case ${EXIT_STATUS-} in
      KILL)
        if memory_ran_out; then why='the kernel killed it because memory ran out' rest=$restSeconds
        else why='somebody killed it, or the kernel did because memory ran out (see the kernel log)'; fi
        ;;
      ABRT) why='it gave up, as it does where its own memory is full (see the lines above)' rest=$restSeconds ;;
      *) why="it was ended by SIG${EXIT_STATUS-}" ;;
    esac
    ;;
  watchdog) why='it did not answer any more' ;;
  *) why="systemd ended it (${SERVICE_RESULT})" ;;
esac
echo "ringwall-agent: $why; the ruleset stays in force"
[ "$rest" = 0 ] || sleep "$rest"
