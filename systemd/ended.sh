#!/bin/sh
# Says in the journal why the agent has ended, where that was not its own will, and writes it down for the next one and for
# "ringwall doctor": agent/endings.ts. Run by ringwall-agent.service after its end, with what systemd knows of it
# (systemd.exec(5), SERVICE_RESULT). Where memory ran out it is not started again at once: that would take what others wait
# for, and fail the same.
set -u
restSeconds=5
mostKept=100

# The kernel counts per control group; without one for memory, nobody can tell who has sent the signal.
memory_ran_out() {
  group=$(sed -n 's/^0:://p' /proc/self/cgroup)
  grep -q '^oom_kill [1-9]' "/sys/fs/cgroup$group/memory.events" 2>/dev/null
}

# The disk may be full: then what it has stays, and the journal alone knows of this one.
write_down() {
  [ -n "${STATE_DIRECTORY-}" ] || return 0
  # A drop-in may have added others.
  file=${STATE_DIRECTORY%%:*}/ended.log
  {
    { [ ! -f "$file" ] || tail -n $((mostKept - 1)) "$file"; } && echo "$(date -u +%Y-%m-%dT%H:%M:%SZ) $kind $why"
  } 2>/dev/null >"$file.new" && mv "$file.new" "$file" 2>/dev/null || rm -f "$file.new" 2>/dev/null
}

kind=crash
case ${SERVICE_RESULT-success} in
  success) exit 0 ;;
  exit-code) why="it ended with exit code ${EXIT_STATUS-}" ;;
  oom-kill) kind=memory why='the kernel killed it because memory ran out' ;;
  signal | core-dump)
    case ${EXIT_STATUS-} in
      KILL)
        if memory_ran_out; then kind=memory why='the kernel killed it because memory ran out'
        else kind=killed why='somebody killed it, or the kernel did because memory ran out (see the kernel log)'; fi
        ;;
      ABRT) kind=memory why='it gave up, as it does where its own memory is full (see the lines above)' ;;
      *) why="it was ended by SIG${EXIT_STATUS-}" ;;
    esac
    ;;
  watchdog) why='it did not answer any more' ;;
  *) why="systemd ended it (${SERVICE_RESULT})" ;;
esac
write_down
# It has said why itself.
[ "$SERVICE_RESULT" != exit-code ] || exit 0
echo "ringwall-agent: $why; the ruleset stays in force"
[ "$kind" != memory ] || sleep "$restSeconds"
