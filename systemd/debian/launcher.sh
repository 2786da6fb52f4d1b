# What runs is a bundle: the agent's, the daemon's, or the command line's, which has all other commands.
case ${1-} in
  agent)
    case ${2-} in
      run | -* | '')
        # It stays, beside what the host is for. A young generation of 1 MB instead of 16, one arena of malloc(3) and two
        # threads for files and names hold 4 MB less (docs/decisions/0011-packages.md).
        export MALLOC_ARENA_MAX=1 UV_THREADPOOL_SIZE=2
        exec "$node" --max-semi-space-size=1 "$lib/agent.cjs" "$@"
        ;;
    esac
    ;;
  daemon) exec "$node" "$lib/daemon.cjs" "$@" ;;
esac
exec "$node" "$lib/ringwall.js" "$@"
