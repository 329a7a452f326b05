"""What a test that is killed leaves behind (SIGKILL; meson sends it half a second after SIGTERM) is ended by a shell
in a session of its own, which notices by the end of a pipe. Nobody needs it after any other end."""
import atexit
import shlex
import subprocess

# Commands line by line, the last one to be run first.
SCRIPT = 'todo=; while read -r line; do [ "$line" = over ] && exit; todo="$line; $todo"; done; eval "$todo"'
shell = None


def when_killed(*command):
    global shell
    if shell is None:
        shell = subprocess.Popen(["sh", "-c", SCRIPT], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
                                 stderr=subprocess.DEVNULL, start_new_session=True, text=True)
        atexit.register(shell.communicate, "over\n")
    shell.stdin.write(shlex.join(str(c) for c in command) + "\n")
    shell.stdin.flush()


def end_namespaces_when_killed(tag):
    """All those whose names begin with the tag, and who is in them."""
    when_killed("sh", "-c", f"for name in $(ip netns list | grep -o '^{tag}-[^ ]*'); do "
                "ip netns pids $name | xargs -r kill -9; ip netns del $name; done")
