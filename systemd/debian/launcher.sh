# What runs is a bundle: the agent's, the daemon's, or the command line's, which has all other commands.
case ${1-} in
  agent)
    case ${2-} in
      run | -* | '')
        # It stays, beside what the host is for. Together 10 MB less at the first start (docs/decisions/0011-packages.md): one arena of malloc(3),
        # which gives back large blocks (128 KiB is its own limit, but one that grows unless it is set); two threads for
        # files and names; a young generation of 1 MB instead of 16; garbage collected once it is at rest; nothing read of
        # what Node has made ready of itself, which costs 30 ms at the start.
        export MALLOC_ARENA_MAX=1 MALLOC_MMAP_THRESHOLD_=131072 UV_THREADPOOL_SIZE=2
        exec "$node" --max-semi-space-size=1 --expose-gc --no-node-snapshot "$lib/agent.cjs" "$@"
        ;;
    esac
    ;;
  daemon) exec "$node" "$lib/daemon.cjs" "$@" ;;
esac
exec "$node" "$lib/ringwall.js" "$@"
